// SPDX-License-Identifier: Apache-2.0
// PageIndex: which slots are about a page. A hash table of chains through the slots: nothing is
// allocated after construction, and no slot of another page is looked at (but for collisions).
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

#include "models/smmuv3/timed/translation.hpp"

namespace smmulab::smmu::timed {

class PageIndex {
 public:
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};

  explicit PageIndex(std::uint32_t slots)
      : shift_(63U - static_cast<unsigned>(std::countr_zero(std::bit_ceil(slots)))),
        heads_(std::size_t{2} * std::bit_ceil(slots), kNone),
        nodes_(slots) {}

  // REQUIRES: the slot is not in.
  void insert(std::uint32_t slot, std::uint64_t address) {
    nodes_[slot] = {address >> kHazardLog2, kNone};
    *link_to(address >> kHazardLog2, kNone) = slot;
  }
  // REQUIRES: the slot is in.
  void erase(std::uint32_t slot) { *link_to(nodes_[slot].page, slot) = nodes_[slot].next; }
  // The slot that came first of those of this page that `is_it` says yes to, or kNone.
  template <class Is>
  [[nodiscard]] std::uint32_t find(std::uint64_t address, const Is& is_it) const {
    const std::uint64_t page = address >> kHazardLog2;
    std::uint32_t slot = heads_[hash(page)];
    while (slot != kNone && !(nodes_[slot].page == page && is_it(slot))) {
      slot = nodes_[slot].next;
    }
    return slot;
  }

 private:
  struct Node {
    std::uint64_t page = 0;
    std::uint32_t next = kNone;
  };
  [[nodiscard]] std::size_t hash(std::uint64_t page) const {
    return page * 0x9E37'79B9'7F4A'7C15 >> shift_;
  }
  // Of a page's chain, the link that leads to `slot`; kNone: the last.
  [[nodiscard]] std::uint32_t* link_to(std::uint64_t page, std::uint32_t slot) {
    std::uint32_t* link = &heads_[hash(page)];
    while (*link != slot) {
      link = &nodes_[*link].next;
    }
    return link;
  }

  unsigned shift_;  // leaves as many bits as there are heads
  std::vector<std::uint32_t> heads_;
  std::vector<Node> nodes_;
};

}  // namespace smmulab::smmu::timed

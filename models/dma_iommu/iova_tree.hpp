// SPDX-License-Identifier: Apache-2.0
// IovaTree: which ranges of IOVAs are handed out. A search goes down from the range that was handed
// out last (or what is above the one freed, if that was higher) to the first gap that is large
// enough, naturally aligned; it starts once more at the limit if it found none. Rule: Linux 6.12
// drivers/iommu/iova.c __alloc_and_insert_iova_range(), __cached_rbnode_{insert,delete}_update();
// dma-iommu.c iommu_dma_alloc_iova(): below 4 GiB first, and above it for ever once that is full
// (pci_32bit_workaround). Not modelled: reserved regions other than page 0, max32_alloc_size (what
// it saves is the time of a search that fails).
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "sim/ids.hpp"

namespace smmulab::dma_iommu {

class IovaTree {
 public:
  // `top`, `low_top`: IOVAs end there, and the ones tried first do.
  explicit IovaTree(std::uint64_t top = 1ULL << 48U, std::uint64_t low_top = 1ULL << 32U)
      : high_{top, ranges_.end()}, low_{low_top, ranges_.end()} {}
  IovaTree(const IovaTree&) = delete;
  IovaTree& operator=(const IovaTree&) = delete;

  // Nothing if no gap is large enough. `size`: whole pages, above 0.
  std::optional<Iova> alloc(Bytes size);
  // REQUIRES: alloc() gave it, and it was not freed since.
  void free(Iova iova);

  [[nodiscard]] std::size_t size() const { return ranges_.size(); }  // ranges handed out

 private:
  using Ranges = std::map<std::uint64_t, std::uint64_t>;  // first byte, and the one after the last
  struct Zone {
    std::uint64_t top;
    Ranges::iterator cached;  // where a search starts: below it; end(): below the top
  };

  std::optional<Iova> alloc_below(Zone& zone, std::uint64_t size);
  [[nodiscard]] std::optional<std::uint64_t> search(Ranges::iterator below, std::uint64_t top,
                                                    std::uint64_t size) const;

  Ranges ranges_;
  Zone high_;
  Zone low_;
  bool low_full_ = false;  // it once was
};

}  // namespace smmulab::dma_iommu

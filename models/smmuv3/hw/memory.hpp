// SPDX-License-Identifier: Apache-2.0
// Memory: sparse simulated physical memory, in pages of 4 KiB, for tables and queues. What was
// never written reads as zero. An address beyond `address_bits`, or in a page that was poisoned,
// answers with an external abort. Reads by the SMMU are counted; peek() is the test's and the
// driver's eye.
//
// Not modelled: payload (only structures live here), caches of the CPUs, coherency.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "sim/ids.hpp"

namespace smmulab::smmu::hw {

class Memory {
 public:
  explicit Memory(unsigned address_bits = 52) : address_bits_(address_bits) {}

  // An SMMU read of one 64-bit word; nothing: external abort. REQUIRES: address is a multiple of 8.
  [[nodiscard]] std::optional<std::uint64_t> read64(std::uint64_t address) {
    ++reads_;
    if ((address >> address_bits_) != 0) {
      return std::nullopt;
    }
    const Page* const page = find(address);
    if (page == nullptr) {
      return 0;
    }
    // The flag of a page lies apart from its words, so it is not looked at without need.
    if (any_poisoned_ && page->poisoned) {
      return std::nullopt;
    }
    return page->words[word_of(address)];
  }
  // A read is soon to come: for the host's caches, of no effect here.
  void prefetch(std::uint64_t address) const {
    if (const Page* const page = find(address)) {
      __builtin_prefetch(&page->words[word_of(address)]);
    }
  }
  [[nodiscard]] std::uint64_t peek64(std::uint64_t address) const;
  void write64(std::uint64_t address, std::uint64_t value);
  // A write by the SMMU (a queue entry); false: external abort, nothing was written.
  [[nodiscard]] bool try_write64(std::uint64_t address, std::uint64_t value);
  // Writes `desired` if the word is still `expected`; a descriptor update of HTTU.
  bool compare_exchange64(std::uint64_t address, std::uint64_t expected, std::uint64_t desired);
  void poison(std::uint64_t address);  // the page that holds it
  void zero(std::uint64_t address, std::uint64_t bytes);

  [[nodiscard]] std::uint64_t reads() const { return reads_; }  // 64-bit words
  [[nodiscard]] std::size_t pages() const { return pages_; }

 private:
  static constexpr unsigned kPageLog2 = 12;
  static constexpr unsigned kDirectoryLog2 = 21;
  static constexpr std::size_t kRecent = 256;
  struct Page {
    std::array<std::uint64_t, 512> words{};
    bool poisoned = false;
  };
  // The pages of 2 MiB: tables lie side by side, so that few of these hold them all.
  using Directory = std::array<std::unique_ptr<Page>, 512>;
  struct Recent {
    std::uint64_t number = ~std::uint64_t{0};
    Directory* directory = nullptr;
  };
  [[nodiscard]] static constexpr std::size_t word_of(std::uint64_t address) {
    return address >> 3U & 511U;
  }
  [[nodiscard]] static constexpr std::size_t page_of(std::uint64_t address) {
    return address >> kPageLog2 & 511U;
  }
  // nullptr: never written.
  [[nodiscard]] Page* find(std::uint64_t address) const {
    const std::uint64_t number = address >> kDirectoryLog2;
    const Recent& recent = recent_[number % kRecent];
    Directory* const directory = recent.number == number ? recent.directory : directory_of(number);
    return directory == nullptr ? nullptr : (*directory)[page_of(address)].get();
  }
  [[nodiscard]] Directory* directory_of(std::uint64_t number) const;
  Page& make(std::uint64_t address);

  unsigned address_bits_;
  std::unordered_map<std::uint64_t, std::unique_ptr<Directory>> directories_;
  std::size_t pages_ = 0;
  bool any_poisoned_ = false;
  // Those looked up of late, direct mapped: walks come back to the same tables.
  mutable std::array<Recent, kRecent> recent_{};
  std::uint64_t reads_ = 0;
};

// Hands out aligned frames of memory for tables and takes them back; a frame comes zeroed.
class FrameAllocator {
 public:
  FrameAllocator(Memory& memory, std::uint64_t first) : memory_(memory), next_(first) {}
  // REQUIRES: size_log2 >= 6. Aligned to its size.
  [[nodiscard]] std::uint64_t allocate(unsigned size_log2);
  void free(std::uint64_t address, unsigned size_log2);

  // From hold() to take_held() what is freed keeps its content and is not handed out; release()
  // frees it: an SMMU may still walk tables that were dropped.
  struct Frame {
    std::uint64_t address;
    unsigned size_log2;
  };
  using Held = std::vector<Frame>;
  void hold() { holding_ = true; }
  [[nodiscard]] Held take_held() {
    holding_ = false;
    return std::exchange(held_, {});
  }
  void release(const Held& held);
  [[nodiscard]] Memory& memory() { return memory_; }
  [[nodiscard]] std::uint64_t allocated_bytes() const { return allocated_; }

 private:
  Memory& memory_;
  std::uint64_t next_;
  std::uint64_t allocated_ = 0;
  std::array<std::vector<std::uint64_t>, 64> free_;  // by size_log2
  bool holding_ = false;
  Held held_;
};

}  // namespace smmulab::smmu::hw

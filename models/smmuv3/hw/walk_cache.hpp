// SPDX-License-Identifier: Apache-2.0
// WalkCaches: what walks have read, for the next ones: table descriptors and leaves of each level
// of each stage. Either one cache for each stage and level (MMU-600: S1L0 to S1L3, S2L0 to S2L3) or
// one for all (MMU-700). Tagged like TLB entries; a stage 1 entry holds the IPA of the next table,
// so what stage 2 says of it is looked up in the stage 2 caches and invalidated there.
//
// Not modelled: combined stage 1 and 2 walk entries, MPAM partitions.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "models/smmuv3/hw/tlb.hpp"

namespace smmulab::smmu::hw {

struct alignas(64) WalkEntry {  // a line of the host's cache
  Tag tag;
  std::uint64_t input = 0;  // first byte that it covers
  std::uint8_t log2 = 12;   // of what it covers
  std::uint8_t stage = 1;
  std::uint8_t level = 0;  // of the descriptor
  bool global = false;     // leaves only
  WalkPoint point;
};

class WalkCaches final : public WalkMemo {
 public:
  struct Shape {
    bool unified = false;
    // S1L0 to S1L3, S2L0 to S2L3; unified: the first is all there is.
    std::array<CacheShape, 8> caches;
    [[nodiscard]] static Shape all_alike(const CacheShape& cache, bool unified) {
      Shape shape{unified, {}};
      shape.caches.fill(cache);
      return shape;
    }
  };
  struct LevelStats {
    std::uint64_t lookups = 0, misses = 0;
  };
  explicit WalkCaches(const Shape& shape);

  bool find(const Stage& stage, const Tag& tag, std::uint64_t input, WalkPoint& point) override;
  void keep(const Stage& stage, const Tag& tag, std::uint64_t input,
            const WalkPoint& point) override;
  std::uint32_t invalidate(const TlbInvalidation& what);

  // Of a stage (1, 2) and level, as the events S1L0WC_LOOKUP... of the MMU-600 count.
  [[nodiscard]] const LevelStats& stats(unsigned stage, unsigned level) const {
    return stats_[(stage - 1) * 4 + level];
  }
  [[nodiscard]] std::uint32_t size() const;
  template <class Visit>
  void for_each(const Visit& visit) const {
    for (const auto& cache : caches_) {
      cache.for_each(visit);
    }
  }

 private:
  using Cache = SetAssoc<WalkEntry>;
  [[nodiscard]] Cache& cache_of(unsigned stage, unsigned level) {
    return caches_[caches_.size() == 1 ? 0 : (stage - 1) * 4 + level];
  }
  const WalkEntry* probe(const Stage& stage, unsigned level, unsigned log2, const Tag& tag,
                         std::uint64_t input);
  [[gnu::noinline]] const WalkEntry* probe_group(const Stage& stage, unsigned level, const Tag& tag,
                                                 std::uint64_t input);
  void gone(const WalkEntry& old);

  std::vector<Cache> caches_;
  std::uint32_t groups_ = 0;  // entries of contiguous groups that are there
  std::array<LevelStats, 8> stats_{};
};

[[nodiscard]] bool covers(const TlbInvalidation& what, const WalkEntry& entry);

}  // namespace smmulab::smmu::hw

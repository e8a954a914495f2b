// SPDX-License-Identifier: Apache-2.0
// Which leaves iommu_map() and iommu_unmap() choose for a range: the largest that alignment, length
// and physical contiguity allow. Rule: Linux 6.12 iommu_pgsize(), 4 KiB granule.
#pragma once

#include <algorithm>
#include <cstdint>

namespace smmulab::smmu::leaves {

inline constexpr std::uint64_t kPage = 4096;
inline constexpr std::uint64_t kBlock2M = 1ULL << 21U;
inline constexpr std::uint64_t kBlock1G = 1ULL << 30U;

// The largest leaf that fits here.
[[nodiscard]] inline std::uint64_t size_at(std::uint64_t at, std::uint64_t left,
                                           std::uint64_t contiguous) {
  for (const std::uint64_t size : {kBlock1G, kBlock2M}) {
    if (at % size == 0 && left >= size && contiguous >= size) {
      return size;
    }
  }
  return kPage;
}

// Calls visit(start, leaf, count) for each stretch of equal leaves.
template <class Visit>
void for_each(std::uint64_t at, std::uint64_t size, std::uint64_t contiguous, Visit visit) {
  const std::uint64_t end = at + size;
  while (at != end) {
    const std::uint64_t leaf = size_at(at, end - at, contiguous);
    std::uint64_t stretch = leaf;
    if (leaf == kPage && contiguous < kBlock2M) {
      stretch = end - at;
    } else if (leaf == kPage) {  // up to where a block may begin
      stretch = std::min(end - at, kBlock2M - at % kBlock2M);
    } else {
      stretch = (end - at) / leaf * leaf;
      if (leaf == kBlock2M && contiguous >= kBlock1G) {
        stretch = std::min(stretch, kBlock1G - at % kBlock1G);
      }
    }
    visit(at, leaf, stretch / leaf);
    at += stretch;
  }
}

}  // namespace smmulab::smmu::leaves

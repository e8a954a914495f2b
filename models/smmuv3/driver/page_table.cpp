// SPDX-License-Identifier: Apache-2.0
#include "models/smmuv3/driver/page_table.hpp"

#include <algorithm>
#include <array>

namespace smmulab::smmu {
namespace {

constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kBlock2M = 1ULL << 21U;
constexpr std::uint64_t kBlock1G = 1ULL << 30U;
constexpr std::uint64_t kLevel0 = 1ULL << 39U;

// The largest leaf that fits here.
std::uint64_t leaf_size(std::uint64_t at, std::uint64_t left, std::uint64_t contiguous) {
  for (const std::uint64_t size : {kBlock1G, kBlock2M}) {
    if (at % size == 0 && left >= size && contiguous >= size) {
      return size;
    }
  }
  return kPage;
}

// Calls visit(start, leaf, count) for each stretch of equal leaves.
template <class Visit>
void for_leaves(std::uint64_t at, std::uint64_t size, std::uint64_t contiguous, Visit visit) {
  const std::uint64_t end = at + size;
  while (at != end) {
    const std::uint64_t leaf = leaf_size(at, end - at, contiguous);
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

}  // namespace

PageTable::Work PageTable::map(Iova iova, Bytes size, Bytes contiguous) {
  Work work;
  for_leaves(iova.value(), size.value(), contiguous.value(),
             [this, &work](std::uint64_t at, std::uint64_t leaf, std::uint64_t count) {
               work.ptes += count;
               work.granule = work.granule == 0 ? leaf : std::min(work.granule, leaf);
               const std::uint64_t last = at + leaf * count - 1;
               // Tables above the leaf: one per 512 GiB, per 1 GiB (unless a 1 GiB block), per 2
               // MiB.
               constexpr std::array<std::uint64_t, 3> kSpans = {kLevel0, kBlock1G, kBlock2M};
               for (std::size_t level = 0; level < kSpans.size() && kSpans[level] > leaf; ++level) {
                 for (std::uint64_t t = at / kSpans[level]; t <= last / kSpans[level]; ++t) {
                   work.tables += tables_.insert((t << 2U) | level).second ? 1U : 0U;
                 }
               }
             });
  return work;
}

PageTable::Work PageTable::unmap(Iova iova, Bytes size, Bytes contiguous) {
  Work work;
  for_leaves(iova.value(), size.value(), contiguous.value(),
             [&work](std::uint64_t /*at*/, std::uint64_t leaf, std::uint64_t count) {
               work.ptes += count;
               work.granule = work.granule == 0 ? leaf : std::min(work.granule, leaf);
             });
  return work;
}

}  // namespace smmulab::smmu

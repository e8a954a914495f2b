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
// What one table page spans, from below the PGD to the last level.
constexpr std::array<std::uint64_t, 3> kSpans = {kLevel0, kBlock1G, kBlock2M};

std::uint64_t table_key(std::uint64_t at, std::size_t level) {
  return (at / kSpans[level] << 2U) | level;
}

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
               const std::uint64_t end = at + leaf * count;
               for (std::size_t level = 0; level < kSpans.size() && kSpans[level] > leaf; ++level) {
                 for (std::uint64_t t = at - at % kSpans[level]; t < end; t += kSpans[level]) {
                   work.tables += tables_.insert(table_key(t, level)).second ? 1U : 0U;
                 }
               }
               for (std::uint64_t t = at; leaf != kPage && t != end; t += leaf) {
                 drop_tables(t, leaf);
               }
             });
  return work;
}

std::uint64_t PageTable::leaves(Iova iova, Bytes size, Bytes contiguous) {
  std::uint64_t leaves = 0;
  for_leaves(iova.value(), size.value(), contiguous.value(),
             [&leaves](std::uint64_t, std::uint64_t, std::uint64_t count) { leaves += count; });
  return leaves;
}

// Removes the table that spans exactly [at, at + span) and those below it; gives how many.
std::uint64_t PageTable::drop_tables(std::uint64_t at, std::uint64_t span) {
  const std::size_t level = span == kBlock1G ? 1 : 2;
  std::uint64_t dropped = tables_.erase(table_key(at, level));
  if (level == 1 && dropped != 0) {
    for (std::uint64_t t = at; t != at + span; t += kBlock2M) {
      dropped += tables_.erase(table_key(t, 2));
    }
  }
  return dropped;
}

PageTable::UnmapWork PageTable::unmap(Iova iova, Bytes size) {
  UnmapWork work;
  Flush gathered{0, 0, true};
  for_leaves(iova.value(), size.value(), size.value(),
             [&](std::uint64_t at, std::uint64_t leaf, std::uint64_t count) {
               work.ptes += count;
               const std::uint64_t end = at + leaf * count;
               for (std::uint64_t t = at; leaf != kPage && t != end; t += leaf) {
                 if (const std::uint64_t dropped = drop_tables(t, leaf); dropped != 0) {
                   work.tables += dropped;
                   work.flushes.push_back({leaf, kPage, false});
                 }
               }
               if (gathered.granule != 0 && gathered.granule != leaf) {
                 work.flushes.push_back(gathered);
                 gathered.size = 0;
               }
               gathered.granule = leaf;
               gathered.size += leaf * count;
             });
  if (gathered.size != 0) {
    work.flushes.push_back(gathered);
  }
  return work;
}

}  // namespace smmulab::smmu

// SPDX-License-Identifier: Apache-2.0
#include "models/smmuv3/driver/page_table.hpp"

#include <array>

#include "models/smmuv3/driver/page_leaves.hpp"

namespace smmulab::smmu {
namespace {

using leaves::kBlock1G;
using leaves::kBlock2M;
using leaves::kPage;
constexpr std::uint64_t kLevel0 = 1ULL << 39U;
// What one table page spans, from below the PGD to the last level.
constexpr std::array<std::uint64_t, 3> kSpans = {kLevel0, kBlock1G, kBlock2M};

std::uint64_t table_key(std::uint64_t at, std::size_t level) {
  return (at / kSpans[level] << 2U) | level;
}

}  // namespace

PageTable::Work PageTable::map(Iova iova, Bytes size, Bytes contiguous) {
  Work work;
  leaves::for_each(
      iova.value(), size.value(), contiguous.value(),
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
  leaves::for_each(
      iova.value(), size.value(), contiguous.value(),
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
  leaves::for_each(iova.value(), size.value(), size.value(),
                   [&](std::uint64_t at, std::uint64_t leaf, std::uint64_t count) {
                     work.ptes += count;
                     const std::uint64_t end = at + leaf * count;
                     for (std::uint64_t t = at; leaf != kPage && t != end; t += leaf) {
                       if (const std::uint64_t dropped = drop_tables(t, leaf); dropped != 0) {
                         work.tables += dropped;
                         work.flushes.push_back({leaf, kPage, false, t});
                       }
                     }
                     if (gathered.granule != 0 && gathered.granule != leaf) {
                       work.flushes.push_back(gathered);
                       gathered.size = 0;
                     }
                     gathered.iova = gathered.size == 0 ? at : gathered.iova;
                     gathered.granule = leaf;
                     gathered.size += leaf * count;
                   });
  if (gathered.size != 0) {
    work.flushes.push_back(gathered);
  }
  return work;
}

}  // namespace smmulab::smmu

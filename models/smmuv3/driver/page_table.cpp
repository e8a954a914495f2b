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

// The word of a table, and its bit there.
std::uint64_t word_of(std::uint64_t at, std::size_t level) {
  return (at / kSpans[level] >> 6U << 2U) | level;
}

std::uint64_t bit_of(std::uint64_t at, std::size_t level) {
  return 1ULL << (at / kSpans[level] % 64);
}

}  // namespace

bool PageTable::add_table(std::uint64_t at, std::size_t level) {
  std::uint64_t& word = tables_[word_of(at, level)];
  const std::uint64_t bit = bit_of(at, level);
  const bool fresh = (word & bit) == 0;
  word |= bit;
  table_count_ += fresh ? 1U : 0U;
  return fresh;
}

bool PageTable::remove_table(std::uint64_t at, std::size_t level) {
  const auto it = tables_.find(word_of(at, level));
  const std::uint64_t bit = bit_of(at, level);
  if (it == tables_.end() || (it->second & bit) == 0) {
    return false;
  }
  it.value() &= ~bit;
  if (it->second == 0) {
    tables_.erase(it);
  }
  --table_count_;
  return true;
}

PageTable::Work PageTable::map(Iova iova, Bytes size, Bytes contiguous) {
  Work work;
  leaves::for_each(
      iova.value(), size.value(), contiguous.value(),
      [this, &work](std::uint64_t at, std::uint64_t leaf, std::uint64_t count) {
        work.ptes += count;
        const std::uint64_t end = at + leaf * count;
        for (std::size_t level = 0; level < kSpans.size() && kSpans[level] > leaf; ++level) {
          for (std::uint64_t t = at - at % kSpans[level]; t < end; t += kSpans[level]) {
            work.tables += add_table(t, level) ? 1U : 0U;
          }
        }
        for (std::uint64_t t = at; leaf != kPage && t != end; t += leaf) {
          if (drop_tables(t, leaf) != 0) {
            work.flushes.push_back({leaf, kPage, false, t});
          }
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
  std::uint64_t dropped = remove_table(at, level) ? 1U : 0U;
  if (level == 1 && dropped != 0) {
    for (std::uint64_t t = at; t != at + span; t += kBlock2M) {
      dropped += remove_table(t, 2) ? 1U : 0U;
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

// SPDX-License-Identifier: Apache-2.0
// Leaf and table page counts of a four-level table with 4 KiB granule, worked out by hand from the
// geometry: a last-level table spans 2 MiB, the one above 1 GiB, the one above that 512 GiB.
#include "models/smmuv3/driver/page_table.hpp"

#include <gtest/gtest.h>

namespace smmulab::smmu {
namespace {

constexpr std::uint64_t k4K = 4096;
constexpr std::uint64_t k2M = 2ULL << 20U;
constexpr std::uint64_t k1G = 1ULL << 30U;

using Flushes = std::vector<PageTable::Flush>;

// Leaves, new table pages, and flushes of those that a block takes the place of.
void expect_work(const PageTable::Work& work, std::uint64_t ptes, std::uint64_t tables,
                 const Flushes& flushes = {}) {
  EXPECT_EQ(work.ptes, ptes);
  EXPECT_EQ(work.tables, tables);
  EXPECT_EQ(work.flushes, flushes);
}
// Entries cleared, table pages dropped.
void expect_work(const PageTable::UnmapWork& work, std::uint64_t ptes, std::uint64_t tables,
                 const Flushes& flushes) {
  EXPECT_EQ(work.ptes, ptes);
  EXPECT_EQ(work.tables, tables);
  EXPECT_EQ(work.flushes, flushes);
}

class PageTableTest : public ::testing::Test {
 protected:
  PageTable::Work map(std::uint64_t iova, std::uint64_t size, std::uint64_t run) {
    return table.map(Iova{iova}, Bytes{size}, Bytes{run});
  }
  PageTable::UnmapWork unmap(std::uint64_t iova, std::uint64_t size) {
    return table.unmap(Iova{iova}, Bytes{size});
  }
  PageTable table;
};

TEST_F(PageTableTest, EmptyIsThePgdAlone) {
  EXPECT_EQ(table.table_pages(), 1U);
}

TEST_F(PageTableTest, OnePageNeedsThreeTables) {
  expect_work(map(k2M, k4K, k4K), 1, 3);
  EXPECT_EQ(table.table_pages(), 4U);
}

TEST_F(PageTableTest, NeighboursShareTheirTables) {
  map(k2M, k4K, k4K);
  expect_work(map(k2M + k4K, k4K, k4K), 1, 0);
  expect_work(map(2 * k2M, k4K, k4K), 1, 1);  // the next 2 MiB
  expect_work(map(k1G, k4K, k4K), 1, 2);      // the next 1 GiB
  expect_work(map(512 * k1G, k4K, k4K), 1, 3);
}

TEST_F(PageTableTest, BlocksWhereAlignmentAndContiguityAllow) {
  expect_work(map(0, k2M, k2M), 1, 2);
  expect_work(map(k1G, k1G, k1G), 1, 0);  // the 512 GiB table is there
  expect_work(map(2 * k1G, k1G, k2M), 512, 1);
}

TEST_F(PageTableTest, ScatteredMemoryIsMappedPageByPage) {
  // 512 last-level tables below one 1 GiB table below one 512 GiB table.
  expect_work(map(0, k1G, k4K), 262144, 514);
}

TEST_F(PageTableTest, UnalignedEndsAreMappedByPages) {
  // 4 KiB up to the boundary, one block, 4 KiB after it.
  expect_work(map(k2M - k4K, k2M + 2 * k4K, k2M + 2 * k4K), 3, 4);
}

TEST_F(PageTableTest, LargestBlocksBeginAtTheirOwnBoundary) {
  // From 1 GiB - 2 MiB: one 2 MiB block, then one of 1 GiB.
  expect_work(map(k1G - k2M, k1G + k2M, 2 * k1G), 2, 2);
}

TEST_F(PageTableTest, UnmapOfBlocksIsOneFlushAndKeepsTheTables) {
  map(0, 4 * k2M, k2M);
  expect_work(unmap(0, 4 * k2M), 4, 0, {{4 * k2M, k2M, true}});
  EXPECT_EQ(table.table_pages(), 3U);
  expect_work(map(0, 4 * k2M, k2M), 4, 0);
}

TEST_F(PageTableTest, UnmapOfPagesWithinATableKeepsIt) {
  map(0, k2M, k4K);
  expect_work(unmap(0, k2M - k4K), 511, 0, {{k2M - k4K, k4K, true}});
  EXPECT_EQ(table.table_pages(), 4U);
}

// What is mapped by pages but unmapped by whole 2 MiB loses its table: one entry to clear, a walk
// flush, and the range is gathered at 2 MiB all the same.
TEST_F(PageTableTest, UnmapOfAWholeTablesRangeDropsIt) {
  map(0, 2 * k2M, k4K);
  expect_work(unmap(0, 2 * k2M), 2, 2,
              {{k2M, k4K, false}, {k2M, k4K, false, k2M}, {2 * k2M, k2M, true}});
  EXPECT_EQ(table.table_pages(), 3U);
  expect_work(map(0, k4K, k4K), 1, 1);
}

TEST_F(PageTableTest, DroppingATableDropsThoseBelowIt) {
  map(0, k1G, k4K);
  expect_work(unmap(0, k1G), 1, 513, {{k1G, k4K, false}, {k1G, k1G, true}});
  EXPECT_EQ(table.table_pages(), 2U);
}

// The gather is flushed where the size of entries changes; a dropped table's flush comes before.
TEST_F(PageTableTest, UnalignedUnmapFlushesAtEachChangeOfSize) {
  const std::uint64_t start = k2M - k4K;
  const std::uint64_t size = k2M + 2 * k4K;
  map(start, size, size);
  const Flushes gathers = {
      {k4K, k4K, true, start}, {k2M, k2M, true, k2M}, {k4K, k4K, true, 2 * k2M}};
  expect_work(unmap(start, size), 3, 0, gathers);
  map(start, size, k4K);
  Flushes with_drop = gathers;
  with_drop.insert(with_drop.begin(), {k2M, k4K, false, k2M});
  expect_work(unmap(start, size), 3, 1, with_drop);
}

TEST_F(PageTableTest, ABlockReplacesAnEmptyTable) {
  map(0, k4K, k4K);
  unmap(0, k4K);
  expect_work(map(0, k2M, k2M), 1, 0, {{k2M, k4K, false}});
  expect_work(unmap(0, k2M), 1, 0, {{k2M, k2M, true}});
  expect_work(map(0, k2M, k2M), 1, 0);
}

// One flush for each block that finds a table; a block of 1 GiB takes all that is below it along.
TEST_F(PageTableTest, EachTableThatBlocksReplaceIsAFlush) {
  for (const std::uint64_t at : {k2M, 3 * k2M}) {
    map(at, k4K, k4K);
    unmap(at, k4K);
  }
  expect_work(map(0, 4 * k2M, k2M), 4, 0, {{k2M, k4K, false, k2M}, {k2M, k4K, false, 3 * k2M}});
  unmap(0, 4 * k2M);
  map(8 * k2M, k4K, k4K);
  unmap(8 * k2M, k4K);
  expect_work(map(0, k1G, k1G), 1, 0, {{k1G, k4K, false}});
  EXPECT_EQ(table.table_pages(), 2U);
}

}  // namespace
}  // namespace smmulab::smmu

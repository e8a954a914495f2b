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

// Leaves, new table pages, smallest leaf.
void expect_work(const PageTable::Work& work, std::uint64_t ptes, std::uint64_t tables,
                 std::uint64_t granule) {
  EXPECT_EQ(work.ptes, ptes);
  EXPECT_EQ(work.tables, tables);
  EXPECT_EQ(work.granule, granule);
}

class PageTableTest : public ::testing::Test {
 protected:
  PageTable::Work map(std::uint64_t iova, std::uint64_t size, std::uint64_t run) {
    return table.map(Iova{iova}, Bytes{size}, Bytes{run});
  }
  static PageTable::Work unmap(std::uint64_t iova, std::uint64_t size, std::uint64_t run) {
    return PageTable::unmap(Iova{iova}, Bytes{size}, Bytes{run});
  }
  PageTable table;
};

TEST_F(PageTableTest, EmptyIsThePgdAlone) {
  EXPECT_EQ(table.table_pages(), 1U);
}

TEST_F(PageTableTest, OnePageNeedsThreeTables) {
  expect_work(map(k2M, k4K, k4K), 1, 3, k4K);
  EXPECT_EQ(table.table_pages(), 4U);
}

TEST_F(PageTableTest, NeighboursShareTheirTables) {
  map(k2M, k4K, k4K);
  expect_work(map(k2M + k4K, k4K, k4K), 1, 0, k4K);
  expect_work(map(2 * k2M, k4K, k4K), 1, 1, k4K);  // the next 2 MiB
  expect_work(map(k1G, k4K, k4K), 1, 2, k4K);      // the next 1 GiB
  expect_work(map(512 * k1G, k4K, k4K), 1, 3, k4K);
}

TEST_F(PageTableTest, BlocksWhereAlignmentAndContiguityAllow) {
  expect_work(map(0, k2M, k2M), 1, 2, k2M);
  expect_work(map(k1G, k1G, k1G), 1, 0, k1G);  // the 512 GiB table is there
  expect_work(map(2 * k1G, k1G, k2M), 512, 1, k2M);
}

TEST_F(PageTableTest, ScatteredMemoryIsMappedPageByPage) {
  // 512 last-level tables below one 1 GiB table below one 512 GiB table.
  expect_work(map(0, k1G, k4K), 262144, 514, k4K);
}

TEST_F(PageTableTest, UnalignedEndsAreMappedByPages) {
  // 4 KiB up to the boundary, one block, 4 KiB after it.
  expect_work(map(k2M - k4K, k2M + 2 * k4K, k2M + 2 * k4K), 3, 4, k4K);
}

TEST_F(PageTableTest, LargestBlocksBeginAtTheirOwnBoundary) {
  // From 1 GiB - 2 MiB: one 2 MiB block, then one of 1 GiB.
  expect_work(map(k1G - k2M, k1G + k2M, 2 * k1G), 2, 2, k2M);
}

TEST_F(PageTableTest, UnmapClearsWhatMapWroteAndKeepsTables) {
  map(0, 4 * k2M, k2M);
  const std::uint64_t before = table.table_pages();
  expect_work(unmap(0, 4 * k2M, k2M), 4, 0, k2M);
  EXPECT_EQ(table.table_pages(), before);
  expect_work(unmap(k2M - k4K, k2M + 2 * k4K, k2M + 2 * k4K), 3, 0, k4K);
  expect_work(map(0, 4 * k2M, k2M), 4, 0, k2M);
}

}  // namespace
}  // namespace smmulab::smmu

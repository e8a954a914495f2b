// SPDX-License-Identifier: Apache-2.0
// How often the last domain of an area is unmapped when others hold pages of its memory: once for
// each stretch that is unpinned, to the end of its contiguous run, and once for what is left at the
// end (Linux 6.12 drivers/iommu/iommufd/pages.c __iopt_area_unfill_domain()).
#include <string>
#include <vector>

#include "models/iommufd/ioctl_testing.hpp"

namespace smmulab::iommufd {
namespace {

using namespace testing;

class UnfillTest : public IoctlTest {
 protected:
  // SYNCs of the domain's removal from its ioas, of one area with one page pinned at each place.
  std::uint64_t syncs(std::uint64_t pages, const std::vector<std::uint64_t>& pins) {
    constexpr std::uint64_t kFirst = 16;
    EXPECT_EQ(access_create(kAccess), 0);
    EXPECT_EQ(access_attach(kAccess, kIoas), 0);
    EXPECT_EQ(map(kIoas, kFirst * kPage, pages * kPage), 0);
    EXPECT_EQ(hwpt_alloc(kHwpt, kAlone, kIoas), 0);
    for (const std::uint64_t page : pins) {
      EXPECT_EQ(pin(kAccess, (kFirst + page) * kPage, kPage), 0);
    }
    const std::uint64_t before = master(kAlone)->smmu->queue.stat().syncs;
    EXPECT_EQ(hwpt_destroy(kHwpt), 0);
    const std::uint64_t after = master(kAlone)->smmu->queue.stat().syncs;
    for (const std::uint64_t page : pins) {
      EXPECT_EQ(unpin(kAccess, (kFirst + page) * kPage, kPage), 0);
    }
    EXPECT_EQ(unmap_all(kIoas), 0);
    EXPECT_EQ(access_destroy(kAccess), 0);
    EXPECT_EQ(broken(), "");
    return after - before - 1;  // less the flush before the domain's tables are freed
  }
  void boot_with_runs(std::uint32_t pages) {
    iommufd_params.run_pages = pages;
    boot_with_ioas("igroup", smmu::DriverVersion::k6_12);
  }
};

TEST_F(UnfillTest, OneRunIsUnmappedOnce) {
  boot_with_runs(16);
  EXPECT_EQ(syncs(16, {}), 1U);
  EXPECT_EQ(syncs(16, {0}), 1U);
  EXPECT_EQ(syncs(16, {15}), 1U);
  EXPECT_EQ(syncs(16, {0, 2, 4, 6}), 1U);
  std::vector<std::uint64_t> all(16);
  for (std::uint64_t i = 0; i < all.size(); ++i) {
    all[i] = i;
  }
  EXPECT_EQ(syncs(16, all), 1U);
}

// 4..7 of the first run go with its hole, so that what is left of it is only unpinned.
TEST_F(UnfillTest, WhatWasUnmappedTooFarIsNotUnmappedAgain) {
  boot_with_runs(16);
  EXPECT_EQ(syncs(32, {4, 8}), 2U);
  EXPECT_EQ(syncs(32, {4, 8, 20}), 2U);
  EXPECT_EQ(syncs(48, {4, 31}), 3U);  // 0..15, 16..31, 32..47
}

TEST_F(UnfillTest, PagesThatAreNotContiguous) {
  boot_with_runs(1);
  EXPECT_EQ(syncs(16, {}), 1U);
  EXPECT_EQ(syncs(16, {0}), 1U);           // with what comes behind it
  EXPECT_EQ(syncs(16, {15}), 2U);          // by itself, there is nothing behind it
  EXPECT_EQ(syncs(16, {0, 2, 4, 6}), 4U);  // 0..1, 2..3, 4..5, 6..15
  EXPECT_EQ(syncs(16, {5}), 2U);
}

// A batch has room for 5461 runs; one that begins with what was read too far for one less.
TEST_F(UnfillTest, LargeAreasGoBatchByBatch) {
  constexpr std::uint64_t kBatch = std::uint64_t{4} * 5461;
  boot_with_runs(4);
  const std::uint64_t one = syncs(kBatch, {});  // with those of the tables that it drops
  EXPECT_EQ(syncs(kBatch + 1, {}), one + 1);
  EXPECT_EQ(syncs(kBatch, {1}), one + 1);  // 0..3, all others
  EXPECT_EQ(syncs(kBatch + 1, {1}), one + 2);
}

}  // namespace
}  // namespace smmulab::iommufd

// SPDX-License-Identifier: Apache-2.0
// IOMMU_IOAS_COPY: what it returns, as in the scenarios of Linux 6.12
// tools/testing/selftests/iommu (copy_area, copy_sweep, user_copy) and iommufd's own checks; who
// pins the memory that two IOASes share.
#include <cerrno>
#include <string>

#include "models/iommufd/ioctl_testing.hpp"

namespace smmulab::iommufd {
namespace {

using namespace testing;

class CopyTest : public ProtocolTest {
 protected:
  // Only pinning and reading back cost time from now on: a page 1 us and 1 ns.
  void price_pages() {
    IommufdParams p;
    p.ioctl = p.lookup = p.put = p.list_step = p.map_base = p.area_insert = p.area_publish = Ps{0};
    p.area_remove = p.unmap_base = p.pages_free = p.fill_base = p.pin_call = p.batch_page = Ps{0};
    p.account = p.unpin_page = p.domain_link = Ps{0};
    p.pin_page = 1_us;
    iommufd_params = p;
  }
};

TEST_P(CopyTest, WithinAnIoasAndBetweenTwo) {
  boot_with_ioas(GetParam());
  ASSERT_EQ(map(kIoas, 16 * kPage, 4 * kPage), 0);
  EXPECT_EQ(copy(kIoas, 16 * kPage, kIoas, 20 * kPage, kPage), 0);
  EXPECT_EQ(copy(kIoas, 16 * kPage, kOther, 0, kPage), 0);
  EXPECT_EQ(copy(kIoas, 17 * kPage, kOther, 32 * kPage, 4 * kPage), 0);  // over two areas
  EXPECT_EQ(unmap(kOther, 32 * kPage, 3 * kPage), 0);                    // which stay two
  EXPECT_EQ(unmap(kOther, 35 * kPage, kPage), 0);
  EXPECT_EQ(unmap(kIoas, 16 * kPage, 4 * kPage), 0);
  EXPECT_EQ(unmap(kOther, 0, kPage), 0);
  EXPECT_EQ(broken(), "");
}

TEST_P(CopyTest, RangesThatAreNotWhollyMapped) {
  boot_with_ioas(GetParam());
  ASSERT_EQ(map(kIoas, 16 * kPage, 2 * kPage), 0);
  ASSERT_EQ(map(kIoas, 19 * kPage, 2 * kPage), 0);
  EXPECT_EQ(copy(kIoas, 15 * kPage, kOther, 0, kPage), -ENOENT);
  EXPECT_EQ(copy(kIoas, 15 * kPage, kOther, 0, 2 * kPage), -ENOENT);
  EXPECT_EQ(copy(kIoas, 17 * kPage, kOther, 0, 3 * kPage), -ENOENT);  // over the gap
  EXPECT_EQ(copy(kIoas, 20 * kPage, kOther, 0, 2 * kPage), -ENOENT);  // over the end
  EXPECT_EQ(copy(kIoas, 16 * kPage, kOther, 0, 0), -EINVAL);
  EXPECT_EQ(copy(kIoas, ~0ULL - kPage + 1, kOther, 0, 2 * kPage), -EOVERFLOW);
  EXPECT_EQ(unmap_all(kOther), 0);
}

TEST_P(CopyTest, WhatTheDestinationRefuses) {
  boot_with_ioas(GetParam());
  ASSERT_EQ(map(kIoas, 16 * kPage, 4 * kPage), 0);
  EXPECT_EQ(copy(kUnknown, 16 * kPage, kIoas, 0, kPage), -ENOENT);
  EXPECT_EQ(copy(kIoas, 16 * kPage, kUnknown, 0, kPage), -ENOENT);
  EXPECT_EQ(copy(kIoas, 16 * kPage, kIoas, 17 * kPage, kPage), -EEXIST);
  EXPECT_EQ(copy(kIoas, 16 * kPage, kIoas, 15 * kPage, 2 * kPage), -EEXIST);
  ASSERT_EQ(attach(kAlone, kOther), 0);
  EXPECT_EQ(copy(kIoas, 16 * kPage, kOther, kMsi, kPage), -EINVAL);
  EXPECT_EQ(copy(kIoas, 16 * kPage, kOther, 1ULL << 48U, kPage), -EINVAL);
  EXPECT_EQ(copy(kIoas, 16 * kPage, kOther, 0, kPage), 0);
}

TEST_P(CopyTest, TheSourceMayGoFirst) {
  boot_with_ioas(GetParam());
  ASSERT_EQ(attach(kAlone, kIoas), 0);
  ASSERT_EQ(map(kIoas, 16 * kPage, 4 * kPage), 0);
  ASSERT_EQ(copy(kIoas, 16 * kPage, kOther, 0, 4 * kPage), 0);
  ASSERT_EQ(detach(kAlone), 0);
  ASSERT_EQ(ioas_destroy(kIoas), 0);
  ASSERT_EQ(attach(kAlone, kOther), 0);
  EXPECT_EQ(unmap(kOther, 0, 4 * kPage), 0);
  EXPECT_EQ(broken(), "");
}

// The first domain that maps a page pins it, the second reads it back, the last one unpins it.
TEST_P(CopyTest, SharedMemoryIsPinnedOnce) {
  price_pages();
  boot_with_ioas(GetParam());
  ASSERT_EQ(attach(kAlone, kIoas), 0);
  ASSERT_EQ(attach(kElsewhere, kOther), 0);
  const auto pinned = [this](auto op) {
    const SimTime start = engine.now();
    EXPECT_EQ(op(), 0);
    return (engine.now() - start) / 1_us;
  };
  const auto base = pinned([this] { return unmap_all(kIoas); });
  ASSERT_EQ(pinned([this] { return map(kIoas, 0, 1000 * kPage); }) / 100, 10 + base / 100);
  EXPECT_LT(pinned([this] { return copy(kIoas, 0, kOther, 0, 1000 * kPage); }), 900);
  ASSERT_EQ(unmap(kIoas, 0, 1000 * kPage), 0);  // the copy keeps them
  EXPECT_LT(pinned([this] { return copy(kOther, 0, kIoas, 0, 1000 * kPage); }), 900);
}

// A domain of driver 6.2 takes no mappings before its first attach. Without domains_rwsem, the two
// areas are taken out one by one.
TEST_F(IoctlTest, AFailedMapGivesDomainsRwsemBackFirst) {
  iommufd_params.area_remove = 1_ms;
  boot_with_ioas("igroup", smmu::DriverVersion::k6_2);
  ASSERT_EQ(map(kIoas, 16 * kPage, kPage), 0);
  ASSERT_EQ(map(kIoas, 17 * kPage, kPage), 0);
  ASSERT_EQ(hwpt_alloc(kHwpt, kDev, kOther), 0);
  const LockModeStat& iova = lock_class("iova_rwsem", lnx::LockKind::kRwsem).stat.write();
  const std::uint64_t before = iova.acquisitions;
  EXPECT_EQ(copy(kIoas, 16 * kPage, kOther, 0, 2 * kPage), -ENODEV);
  EXPECT_EQ(iova.acquisitions - before, 3U);  // with the insertion of both
  EXPECT_LT(lock_class("domains_rwsem", lnx::LockKind::kRwsem).stat.read().holdtime.max, 1_ms);
  EXPECT_EQ(broken(), "");
}

INSTANTIATE_TEST_SUITE_P(Protocols, CopyTest, ::testing::ValuesIn(protocols_with_locks()),
                         test_name);

}  // namespace
}  // namespace smmulab::iommufd

// SPDX-License-Identifier: Apache-2.0
// What wrong sequences of ioctls return, in cases that no protocol changes: the scenarios and
// errnos of Linux 6.12 tools/testing/selftests/iommu and iommufd's own checks, in our words.
// Replace and groups: replace_errno_test.cpp.
#include <cerrno>
#include <string>

#include "models/iommufd/ioctl_testing.hpp"

namespace smmulab::iommufd {
namespace {

using namespace testing;

class ErrnoTest : public ProtocolTest {};

TEST_P(ErrnoTest, UnknownIds) {
  boot_with_ioas(GetParam());
  EXPECT_EQ(attach(kDev, kUnknown), -ENOENT);
  EXPECT_EQ(map(kUnknown, 0, kPage), -ENOENT);
  EXPECT_EQ(unmap(kUnknown, 0, kPage), -ENOENT);
  EXPECT_EQ(unmap_all(kUnknown), -ENOENT);
  EXPECT_EQ(hwpt_alloc(kHwpt, kDev, kUnknown), -EINVAL);
  EXPECT_EQ(ioas_destroy(kUnknown), -ENOENT);
  EXPECT_EQ(hwpt_destroy(kUnknown), -ENOENT);
}

TEST_P(ErrnoTest, AnIdOfAnotherType) {
  boot_with_ioas(GetParam());
  ASSERT_EQ(hwpt_alloc(kHwpt, kDev, kIoas), 0);
  EXPECT_EQ(map(kHwpt, 0, kPage), -ENOENT);
  EXPECT_EQ(unmap(kHwpt, 0, kPage), -ENOENT);
  // No nest parent; before 6.7 there was no nesting.
  const bool nests = context().protocol().kernel() >= linux_version(6, 7);
  EXPECT_EQ(hwpt_alloc(kHwpt2, kDev, kHwpt), nests ? -EINVAL : -EOPNOTSUPP);
}

TEST_P(ErrnoTest, DeviceThatIsNotBound) {
  boot(GetParam());
  ASSERT_EQ(ioas_alloc(kIoas), 0);
  EXPECT_EQ(attach(kDev, kIoas), -EINVAL);
  EXPECT_EQ(detach(kDev), -EINVAL);
  EXPECT_EQ(hwpt_alloc(kHwpt, kDev, kIoas), -ENOENT);
  EXPECT_EQ(unbind(kDev), -EINVAL);
  ASSERT_EQ(bind(kDev), 0);
  EXPECT_EQ(bind(kDev), -EINVAL);
  EXPECT_EQ(detach(kDev), 0);  // bound, not attached: nothing to do
  EXPECT_EQ(unbind(kDev), 0);
}

TEST_P(ErrnoTest, DestroyWhileInUse) {
  boot_with_ioas(GetParam());
  ASSERT_EQ(hwpt_alloc(kHwpt, kDev, kIoas), 0);
  EXPECT_EQ(ioas_destroy(kIoas), -EBUSY);
  ASSERT_EQ(attach(kDev, kHwpt), 0);
  EXPECT_EQ(hwpt_destroy(kHwpt), -EBUSY);
  ASSERT_EQ(detach(kDev), 0);
  EXPECT_EQ(ioas_destroy(kIoas), -EBUSY);
  EXPECT_EQ(hwpt_destroy(kHwpt), 0);
  EXPECT_EQ(hwpt_destroy(kHwpt), -ENOENT);
  EXPECT_EQ(ioas_destroy(kIoas), 0);
  EXPECT_EQ(ioas_destroy(kIoas), -ENOENT);
}

TEST_P(ErrnoTest, AutomaticDomainsGoWithTheirLastDevice) {
  boot_with_ioas(GetParam());
  ASSERT_EQ(attach(kDev, kIoas), 0);
  ASSERT_EQ(attach(kAlone, kIoas), 0);
  EXPECT_EQ(ioas_destroy(kIoas), -EBUSY);
  ASSERT_EQ(detach(kDev), 0);
  EXPECT_EQ(ioas_destroy(kIoas), -EBUSY);
  ASSERT_EQ(detach(kAlone), 0);
  EXPECT_EQ(ioas_destroy(kIoas), 0);
}

TEST_P(ErrnoTest, OverlappingMaps) {
  boot_with_ioas(GetParam());
  ASSERT_EQ(map(kIoas, 16 * kPage, 4 * kPage), 0);
  EXPECT_EQ(map(kIoas, 16 * kPage, 4 * kPage), -EEXIST);
  EXPECT_EQ(map(kIoas, 15 * kPage, 2 * kPage), -EEXIST);  // over its start
  EXPECT_EQ(map(kIoas, 17 * kPage, kPage), -EEXIST);      // inside
  EXPECT_EQ(map(kIoas, 19 * kPage, 2 * kPage), -EEXIST);  // over its end
  EXPECT_EQ(map(kIoas, 15 * kPage, 6 * kPage), -EEXIST);  // all around
  EXPECT_EQ(map(kIoas, 15 * kPage, kPage), 0);
  EXPECT_EQ(map(kIoas, 20 * kPage, kPage), 0);
  EXPECT_EQ(map(kOther, 16 * kPage, kPage), 0);
}

// Looked up, but neither inserted nor filled: it takes what iopt_alloc_pages() and freeing take.
TEST_P(ErrnoTest, ARefusedMapPaysForNoArea) {
  iommufd_params = IommufdParams{};
  iommufd_params.area_insert = iommufd_params.area_publish = iommufd_params.fill_base = 1_ms;
  boot_with_ioas(GetParam());
  const auto took = [this](std::uint64_t iova) {
    const SimTime start = engine.now();
    map(kIoas, iova, kPage);
    return engine.now() - start;
  };
  ASSERT_EQ(attach(kDev, kIoas), 0);
  EXPECT_GE(took(16 * kPage), 3_ms);
  EXPECT_LT(took(16 * kPage), 1_ms);      // -EEXIST
  EXPECT_LT(took(16 * kPage + 1), 1_ms);  // -EINVAL
}

TEST_P(ErrnoTest, UnmapOfNothingOrOfAPart) {
  boot_with_ioas(GetParam());
  EXPECT_EQ(unmap(kIoas, 16 * kPage, kPage), -ENOENT);
  EXPECT_EQ(unmap_all(kIoas), 0);
  ASSERT_EQ(map(kIoas, 16 * kPage, 4 * kPage), 0);
  EXPECT_EQ(unmap(kIoas, 16 * kPage, kPage), -ENOENT);
  EXPECT_EQ(unmap(kIoas, 17 * kPage, kPage), -ENOENT);
  EXPECT_EQ(unmap(kIoas, 19 * kPage, 2 * kPage), -ENOENT);
  EXPECT_EQ(map(kIoas, 16 * kPage, kPage), -EEXIST);  // it is all there
  EXPECT_EQ(unmap(kIoas, 0, 64 * kPage), 0);          // more than the area is fine
  EXPECT_EQ(unmap(kIoas, 0, 64 * kPage), -ENOENT);
}

TEST_P(ErrnoTest, RangesThatCannotBe) {
  boot_with_ioas(GetParam());
  EXPECT_EQ(map(kIoas, 0, 0), -EINVAL);
  EXPECT_EQ(unmap(kIoas, 0, 0), -EINVAL);
  EXPECT_EQ(map(kIoas, ~0ULL - kPage + 1, 2 * kPage), -EOVERFLOW);
  EXPECT_EQ(unmap(kIoas, ~0ULL - kPage + 1, 2 * kPage), -EOVERFLOW);
  ASSERT_EQ(attach(kDev, kIoas), 0);
  EXPECT_EQ(map(kIoas, kPage / 2, kPage), -EINVAL);
  EXPECT_EQ(map(kIoas, kPage, kPage / 2), -EINVAL);
  EXPECT_EQ(map(kIoas, 1ULL << 48U, kPage), -EINVAL);  // beyond the aperture
}

TEST_P(ErrnoTest, ReservedRegions) {
  boot_with_ioas(GetParam());
  ASSERT_EQ(map(kIoas, kMsi, kPage), 0);
  EXPECT_EQ(attach(kDev, kIoas), -EADDRINUSE);
  ASSERT_EQ(unmap(kIoas, kMsi, kPage), 0);
  ASSERT_EQ(attach(kDev, kIoas), 0);
  EXPECT_EQ(map(kIoas, kMsi, kPage), -EINVAL);
  EXPECT_EQ(map(kIoas, kMsi - kPage, kPage), 0);
  ASSERT_EQ(detach(kDev), 0);
  EXPECT_EQ(map(kIoas, kMsi, kPage), 0);
}

// iopt_set_allow_iova(), iopt_reserve_iova().
TEST_P(ErrnoTest, WhatIsAllowedCannotBeReserved) {
  boot_with_ioas(GetParam());
  EXPECT_EQ(allow_iovas(kUnknown, 0, kPage), -ENOENT);
  EXPECT_EQ(allow_iovas(kIoas, 0, 1), -EINVAL);
  ASSERT_EQ(allow_iovas(kIoas, kMsi - kPage, 2 * kPage), 0);
  EXPECT_EQ(attach(kDev, kIoas), -EADDRINUSE);
  EXPECT_FALSE(attached(kDev));
  EXPECT_EQ(map(kIoas, 0, kPage), 0);  // a map that names its IOVA may lie anywhere
  ASSERT_EQ(allow_iovas(kIoas, kMsi - kPage, kPage), 0);
  ASSERT_EQ(attach(kDev, kIoas), 0);
  EXPECT_EQ(allow_iovas(kIoas, kMsi - kPage, 2 * kPage), -EADDRINUSE);
  EXPECT_EQ(allow_iovas(kIoas, 1ULL << 47U, 1ULL << 48U), -EADDRINUSE);  // beyond the aperture
  ASSERT_EQ(detach(kDev), 0);
  EXPECT_EQ(allow_iovas(kIoas, 1ULL << 47U, 1ULL << 48U), 0);
  EXPECT_EQ(attach(kDev, kIoas), -EADDRINUSE);
}

INSTANTIATE_TEST_SUITE_P(Protocols, ErrnoTest, ::testing::ValuesIn(protocols_with_locks()),
                         test_name);

}  // namespace
}  // namespace smmulab::iommufd

// SPDX-License-Identifier: Apache-2.0
// Nested hwpts, their invalidation, dirty tracking and fault queues: what they return, as in the
// scenarios of Linux 6.12 tools/testing/selftests/iommu (alloc_hwpt_nested, iommufd_dirty_tracking)
// and iommufd's own checks; from which version on they are there at all.
#include <cerrno>
#include <string>

#include "models/iommufd/ioctl_testing.hpp"

namespace smmulab::iommufd {
namespace {

using namespace testing;

constexpr std::uint32_t kNestParent = HwptFlag::kNestParent;
constexpr std::uint32_t kDirty = HwptFlag::kDirtyTracking;
constexpr std::uint32_t kFaultFlag = HwptFlag::kFaultIdValid;
constexpr ObjectId kParent{13};
constexpr ObjectId kNested{14};
constexpr ObjectId kNested2{15};
constexpr ObjectId kFault{31};

class HwptTest : public ProtocolTest {
 protected:
  void boot_newest() { boot_with_ioas(GetParam(), smmu::DriverVersion::kNewest); }
  bool since(std::uint32_t major, std::uint32_t minor) {
    return context().protocol().kernel() >= linux_version(major, minor);
  }
};

TEST_P(HwptTest, Nested) {
  boot_newest();
  if (!since(6, 7)) {
    EXPECT_EQ(hwpt_alloc(kParent, kDev, kIoas, kNestParent), -EOPNOTSUPP);
    return;
  }
  ASSERT_EQ(hwpt_alloc(kParent, kDev, kIoas, kNestParent), 0);
  ASSERT_EQ(hwpt_alloc(kHwpt, kDev, kIoas), 0);
  EXPECT_EQ(hwpt_alloc(kNested, kDev, kHwpt), -EINVAL);  // no nest parent
  EXPECT_EQ(hwpt_alloc(kNested, kDev, kParent, kNestParent), -EOPNOTSUPP);
  EXPECT_EQ(hwpt_alloc(kNested, kDev, kUnknown), -EINVAL);
  ASSERT_EQ(hwpt_alloc(kNested, kDev, kParent), 0);
  ASSERT_EQ(hwpt_alloc(kNested2, kDev, kParent), 0);
  EXPECT_EQ(hwpt_alloc(kUnknown, kDev, kNested), -EINVAL);  // on a nested one
  EXPECT_EQ(hwpt_destroy(kParent), -EBUSY);
  ASSERT_EQ(attach(kDev, kNested), 0);
  EXPECT_EQ(hwpt_destroy(kNested), -EBUSY);
  EXPECT_EQ(map(kIoas, kMsi, kPage), -EINVAL);  // reserved in the parent's ioas
  EXPECT_EQ(replace(kDev, kNested2), 0);
  EXPECT_EQ(hwpt_destroy(kNested), 0);
  EXPECT_EQ(attach(kPeer, kNested2), 0);
  EXPECT_EQ(replace(kDev, kParent), 0);
  EXPECT_EQ(hwpt_destroy(kNested2), 0);
  EXPECT_EQ(broken(), "");
  EXPECT_EQ(replace(kDev, kIoas), 0);
  EXPECT_EQ(hwpt_destroy(kParent), 0);
  EXPECT_EQ(broken(), "");
}

TEST_P(HwptTest, NestedByADriverWithoutNesting) {
  boot_with_ioas(GetParam(), smmu::DriverVersion::k6_12);
  EXPECT_EQ(hwpt_alloc(kParent, kDev, kIoas, kNestParent), -EOPNOTSUPP);
}

TEST_P(HwptTest, Invalidation) {
  boot_newest();
  if (!since(6, 8)) {
    EXPECT_EQ(hwpt_invalidate(kHwpt, 1), -EOPNOTSUPP);
    return;
  }
  ASSERT_EQ(hwpt_alloc(kParent, kDev, kIoas, kNestParent), 0);
  ASSERT_EQ(hwpt_alloc(kNested, kDev, kParent), 0);
  EXPECT_EQ(hwpt_invalidate(kParent, 1), -ENOENT);  // nested ones only
  EXPECT_EQ(hwpt_invalidate(kNested, 0), 0);
  EXPECT_EQ(hwpt_invalidate(kNested, 200), 0);
  EXPECT_EQ(hwpt_invalidate(kNested, (1U << 19U) + 1), -EINVAL);
}

TEST_P(HwptTest, DirtyTracking) {
  boot_with_ioas(GetParam());
  if (!since(6, 7)) {
    EXPECT_EQ(hwpt_alloc(kHwpt, kDev, kIoas, kDirty), -EOPNOTSUPP);
    EXPECT_EQ(set_dirty(kHwpt, kDirtyEnable), -EOPNOTSUPP);
    return;
  }
  ASSERT_EQ(map(kIoas, 16 * kPage, 8 * kPage), 0);
  ASSERT_EQ(hwpt_alloc(kHwpt, kDev, kIoas, kDirty), 0);
  ASSERT_EQ(hwpt_alloc(kHwpt2, kDev, kIoas), 0);
  EXPECT_EQ(set_dirty(kHwpt, kDirtyEnable), 0);
  EXPECT_EQ(get_dirty(kHwpt, 16 * kPage, 8 * kPage), 0);
  EXPECT_EQ(get_dirty(kHwpt, 0, 64 * kPage), 0);  // not all mapped: 6.12 does not say so
  EXPECT_EQ(get_dirty(kHwpt, 16 * kPage, 0), -EINVAL);
  EXPECT_EQ(get_dirty(kHwpt, 16 * kPage + 1, kPage), -EINVAL);
  EXPECT_EQ(get_dirty(kHwpt, ~0ULL - kPage + 1, 2 * kPage), -EOVERFLOW);
  EXPECT_EQ(get_dirty(kHwpt, 16 * kPage, 8 * kPage, kDirtyNoClear), 0);
  EXPECT_EQ(get_dirty(kHwpt, 16 * kPage, 8 * kPage, 2), -EOPNOTSUPP);
  EXPECT_EQ(set_dirty(kHwpt, kDirtyEnable | 2), -EOPNOTSUPP);
  EXPECT_EQ(set_dirty(kHwpt, 0), 0);
  EXPECT_EQ(set_dirty(kHwpt2, kDirtyEnable), -EOPNOTSUPP);
  EXPECT_EQ(get_dirty(kHwpt2, 16 * kPage, 8 * kPage), -EOPNOTSUPP);
  EXPECT_EQ(set_dirty(kIoas, kDirtyEnable), -ENOENT);
  EXPECT_EQ(get_dirty(kUnknown, 16 * kPage, 8 * kPage), -ENOENT);
}

// 1024 leaf entries: 2 ns each are what clearing costs beyond looking.
TEST_F(IoctlTest, ReadingDirtyBitsWithoutClearingThem) {
  iommufd_params.run_pages = 1;
  boot_with_ioas("igroup", smmu::DriverVersion::k6_12);
  ASSERT_EQ(map(kIoas, 0, 1024 * kPage), 0);
  ASSERT_EQ(hwpt_alloc(kHwpt, kDev, kIoas, kDirty), 0);
  const auto time = [this](std::uint32_t flags) {
    const SimTime start = engine.now();
    EXPECT_EQ(get_dirty(kHwpt, 0, 1024 * kPage, flags), 0);
    return engine.now() - start;
  };
  EXPECT_EQ(time(0) - time(kDirtyNoClear), Ps{1024 * 2'000});
}

TEST_P(HwptTest, FaultQueues) {
  boot_newest();
  if (!since(6, 11)) {
    EXPECT_EQ(fault_alloc(kFault), -EOPNOTSUPP);
    return;
  }
  ASSERT_EQ(fault_alloc(kFault), 0);
  EXPECT_EQ(fault_alloc(kFault), -EEXIST);
  EXPECT_EQ(hwpt_alloc(kParent, kDev, kIoas, kNestParent | kFaultFlag, kFault), -EOPNOTSUPP);
  ASSERT_EQ(hwpt_alloc(kParent, kDev, kIoas, kNestParent), 0);
  EXPECT_EQ(hwpt_alloc(kNested, kDev, kParent, kFaultFlag, kUnknown), -ENOENT);
  ASSERT_EQ(hwpt_alloc(kNested, kDev, kParent, kFaultFlag, kFault), 0);
  ASSERT_EQ(hwpt_alloc(kNested2, kDev, kParent), 0);
  EXPECT_EQ(hwpt_alloc(kHwpt, kDev, kIoas, kFaultFlag, kFault), since(6, 13) ? 0 : -EOPNOTSUPP);
  EXPECT_EQ(fault_destroy(kFault), -EBUSY);
  ASSERT_EQ(attach(kDev, kNested2), 0);
  EXPECT_EQ(iopf_enabled(kDev), 0U);
  EXPECT_EQ(replace(kDev, kNested), 0);
  EXPECT_EQ(iopf_enabled(kDev), 1U);
  EXPECT_EQ(replace(kDev, kNested2), 0);
  EXPECT_EQ(iopf_enabled(kDev), 0U);
  EXPECT_EQ(replace(kDev, kNested), 0);
  EXPECT_EQ(detach(kDev), 0);
  EXPECT_EQ(iopf_enabled(kDev), 0U);
  EXPECT_EQ(attach(kAlone, kNested), 0);
  EXPECT_EQ(iopf_enabled(kAlone), 1U);
  EXPECT_EQ(detach(kAlone), 0);
  EXPECT_EQ(broken(), "");
  EXPECT_EQ(hwpt_destroy(kNested), 0);
  if (since(6, 13)) {
    EXPECT_EQ(fault_destroy(kFault), -EBUSY);
    EXPECT_EQ(hwpt_destroy(kHwpt), 0);
  }
  EXPECT_EQ(fault_destroy(kFault), 0);
  EXPECT_EQ(fault_destroy(kFault), -ENOENT);
}

INSTANTIATE_TEST_SUITE_P(Protocols, HwptTest, ::testing::ValuesIn(protocols_with_locks()),
                         test_name);

}  // namespace
}  // namespace smmulab::iommufd

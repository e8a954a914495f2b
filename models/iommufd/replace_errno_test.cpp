// SPDX-License-Identifier: Apache-2.0
// What wrong replaces, and attaches of devices that share a group, return: under the group lock and
// under the locks per hwpt before it.
#include <algorithm>
#include <cerrno>
#include <string>

#include "models/iommufd/ioctl_testing.hpp"

namespace smmulab::iommufd {
namespace {

using namespace testing;

class IgroupErrnoTest : public ProtocolTest {};

TEST_P(IgroupErrnoTest, AGroupHasOneHwpt) {
  boot_with_ioas(GetParam());
  ASSERT_EQ(hwpt_alloc(kHwpt, kDev, kIoas), 0);
  ASSERT_EQ(hwpt_alloc(kHwpt2, kDev, kIoas), 0);
  ASSERT_EQ(attach(kDev, kHwpt), 0);
  EXPECT_EQ(attach(kPeer, kHwpt2), -EINVAL);
  EXPECT_EQ(attach(kPeer, kHwpt), 0);
  ASSERT_EQ(detach(kDev), 0);
  EXPECT_EQ(hwpt_destroy(kHwpt), -EBUSY);  // the peer's
  ASSERT_EQ(detach(kPeer), 0);
  EXPECT_EQ(hwpt_destroy(kHwpt), 0);
}

// VFIO turns an attach of an attached device into a replace.
TEST_P(IgroupErrnoTest, AttachingTwice) {
  boot_with_ioas(GetParam());
  ASSERT_EQ(hwpt_alloc(kHwpt, kDev, kIoas), 0);
  ASSERT_EQ(hwpt_alloc(kHwpt2, kDev, kOther), 0);
  ASSERT_EQ(attach(kDev, kHwpt), 0);
  EXPECT_EQ(attach(kDev, kHwpt), 0);
  EXPECT_EQ(attach(kDev, kUnknown), -ENOENT);
  EXPECT_EQ(hwpt_destroy(kHwpt), -EBUSY);  // where it was
  EXPECT_EQ(attach(kDev, kHwpt2), 0);
  EXPECT_EQ(hwpt_destroy(kHwpt), 0);
  EXPECT_EQ(hwpt_destroy(kHwpt2), -EBUSY);
}

TEST_P(IgroupErrnoTest, ReplaceMovesThePeersAndTheirReservations) {
  boot_with_ioas(GetParam());
  ASSERT_EQ(attach(kDev, kIoas), 0);
  ASSERT_EQ(attach(kPeer, kIoas), 0);
  EXPECT_EQ(map(kIoas, kMsi, kPage), -EINVAL);
  EXPECT_EQ(replace(kDev, kOther), 0);
  EXPECT_EQ(map(kIoas, kMsi, kPage), 0);
  EXPECT_EQ(map(kOther, kMsi, kPage), -EINVAL);
  EXPECT_EQ(replace(kDev, kIoas), -EADDRINUSE);
  EXPECT_EQ(ioas_destroy(kIoas), 0);
  EXPECT_EQ(ioas_destroy(kOther), -EBUSY);
}

TEST_P(IgroupErrnoTest, ReplaceWhileDetached) {
  iommufd_params.vfio = false;
  boot_with_ioas(GetParam());
  EXPECT_EQ(replace(kDev, kIoas), -EINVAL);
  ASSERT_EQ(attach(kPeer, kIoas), 0);
  EXPECT_EQ(replace(kDev, kIoas), -EINVAL);  // its group is attached, it is not
}

TEST_P(IgroupErrnoTest, AnHwptOfAnotherSmmu) {
  boot_with_ioas(GetParam());
  ASSERT_EQ(hwpt_alloc(kHwpt, kElsewhere, kIoas), 0);
  EXPECT_EQ(attach(kDev, kHwpt), -EINVAL);
  EXPECT_EQ(map(kIoas, kMsi, kPage), 0);  // left no reservation behind
  ASSERT_EQ(unmap(kIoas, kMsi, kPage), 0);
  ASSERT_EQ(attach(kElsewhere, kIoas), 0);
  EXPECT_EQ(attach(kDev, kIoas), 0);  // finds the first domain unfit, makes its own
}

// Linux finalises a domain in IOMMU_HWPT_ALLOC: its errno is that of xa_alloc().
TEST_P(IgroupErrnoTest, WithoutAFreeAsidThereIsNoHwpt) {
  driver_params.asid_bits = 2;  // the default domains of three groups have them
  boot_with_ioas(GetParam());
  EXPECT_EQ(hwpt_alloc(kHwpt, kDev, kIoas), -EBUSY);
  EXPECT_EQ(hwpt_destroy(kHwpt), -ENOENT);
  EXPECT_EQ(attach(kDev, kIoas), -EBUSY);
  EXPECT_FALSE(attached(kDev));
  EXPECT_EQ(domain_of(kDev), nullptr);
  EXPECT_EQ(ioas_destroy(kIoas), 0);
}

TEST_P(IgroupErrnoTest, WithoutAFreeVmidThereIsNoHwpt) {
  driver_params.stage = smmu::Stage::kS2;
  driver_params.vmid_bits = 2;  // the default domains of two groups of that SMMU have two of three
  boot_with_ioas(GetParam());
  EXPECT_EQ(hwpt_alloc(kHwpt, kDev, kIoas), 0);
  EXPECT_EQ(hwpt_alloc(kHwpt2, kDev, kIoas), -ENOSPC);
  EXPECT_EQ(hwpt_destroy(kHwpt2), -ENOENT);
  EXPECT_EQ(hwpt_alloc(kHwpt2, kDev, kIoas), -ENOSPC);
  EXPECT_EQ(hwpt_destroy(kHwpt), 0);
  EXPECT_EQ(hwpt_alloc(kHwpt2, kDev, kIoas), 0);
}

// The revert after a failed replace attaches the old domain to a device that never left it.
TEST_P(IgroupErrnoTest, AFailedReplaceLeavesTheDeviceWhereItWas) {
  boot_with_ioas(GetParam());
  ASSERT_EQ(hwpt_alloc(kHwpt, kDev, kIoas), 0);
  ASSERT_EQ(hwpt_alloc(kHwpt2, kElsewhere, kIoas), 0);
  ASSERT_EQ(attach(kDev, kHwpt), 0);
  ASSERT_EQ(attach(kPeer, kHwpt), 0);
  const smmu::Domain* before = domain_of(kDev);
  EXPECT_EQ(replace(kDev, kHwpt2), -EINVAL);
  EXPECT_EQ(domain_of(kDev), before);
  EXPECT_EQ(domain_of(kPeer), before);
  EXPECT_EQ(std::ranges::count(before->masters, master(kDev), &smmu::MasterDomain::master), 1);
  EXPECT_EQ(std::ranges::count(before->masters, master(kPeer), &smmu::MasterDomain::master), 1);
  ASSERT_EQ(detach(kDev), 0);
  ASSERT_EQ(detach(kPeer), 0);
  EXPECT_EQ(hwpt_destroy(kHwpt), 0);
  EXPECT_EQ(hwpt_destroy(kHwpt2), 0);
}

TEST_P(IgroupErrnoTest, ReplaceByAnIoasWhoseDomainIsOfAnotherSmmu) {
  boot_with_ioas(GetParam());
  ASSERT_EQ(attach(kElsewhere, kOther), 0);
  ASSERT_EQ(attach(kDev, kIoas), 0);
  EXPECT_EQ(replace(kDev, kOther), 0);  // the first automatic domain does not fit: makes its own
  EXPECT_NE(domain_of(kDev), domain_of(kElsewhere));
}

// Up to 6.2 a domain takes no mappings before its first attach; igroup fills it at its making.
TEST_P(IgroupErrnoTest, OnADriverThatFinalisesAtAttach) {
  boot_with_ioas(GetParam(), smmu::DriverVersion::k6_2);
  ASSERT_EQ(hwpt_alloc(kHwpt, kDev, kIoas), 0);
  EXPECT_EQ(map(kIoas, 0, kPage), -ENODEV);
  EXPECT_EQ(hwpt_destroy(kHwpt), 0);
  ASSERT_EQ(map(kIoas, 0, kPage), 0);
  EXPECT_EQ(hwpt_alloc(kHwpt, kDev, kIoas), -ENODEV);
  ASSERT_EQ(unmap(kIoas, 0, kPage), 0);
  ASSERT_EQ(hwpt_alloc(kHwpt, kDev, kIoas), 0);
  ASSERT_EQ(attach(kDev, kHwpt), 0);
  EXPECT_EQ(map(kIoas, 0, kPage), 0);
  EXPECT_EQ(unmap(kIoas, 0, kPage), 0);
}

INSTANTIATE_TEST_SUITE_P(Protocols, IgroupErrnoTest, ::testing::Values("igroup", "igroup-pasid"),
                         test_name);

// --- A lock per hwpt: v6.2 replaces by detaching and attaching -----------------------------------

class HwptLockErrnoTest : public ProtocolTest {
 protected:
  static bool detaches_first() { return GetParam() == "v6.2"; }
};

TEST_P(HwptLockErrnoTest, APeerCanNotGoElsewhere) {
  boot_with_ioas(GetParam());
  ASSERT_EQ(hwpt_alloc(kHwpt, kDev, kIoas), 0);
  ASSERT_EQ(hwpt_alloc(kHwpt2, kDev, kIoas), 0);
  ASSERT_EQ(attach(kDev, kHwpt), 0);
  EXPECT_EQ(attach(kPeer, kHwpt2), -EBUSY);
  EXPECT_EQ(attach(kPeer, kHwpt), 0);
}

TEST_P(HwptLockErrnoTest, ReplaceWhileAPeerStays) {
  boot_with_ioas(GetParam());
  ASSERT_EQ(hwpt_alloc(kHwpt, kDev, kIoas), 0);
  ASSERT_EQ(hwpt_alloc(kHwpt2, kDev, kIoas), 0);
  ASSERT_EQ(attach(kDev, kHwpt), 0);
  ASSERT_EQ(attach(kPeer, kHwpt), 0);
  EXPECT_EQ(replace(kDev, kHwpt2), detaches_first() ? -EBUSY : 0);
  EXPECT_EQ(attached(kDev), !detaches_first());
  EXPECT_EQ(hwpt_destroy(kHwpt), -EBUSY);  // the peer is booked on it
}

TEST_P(HwptLockErrnoTest, ReplaceIntoAnIoasWithAnAreaInTheWay) {
  boot_with_ioas(GetParam());
  ASSERT_EQ(hwpt_alloc(kHwpt, kAlone, kIoas), 0);
  ASSERT_EQ(hwpt_alloc(kHwpt2, kAlone, kOther), 0);
  ASSERT_EQ(map(kOther, kMsi, kPage), 0);
  ASSERT_EQ(attach(kAlone, kHwpt), 0);
  EXPECT_EQ(replace(kAlone, kHwpt2), -EADDRINUSE);
  EXPECT_EQ(attached(kAlone), !detaches_first());
  EXPECT_EQ(hwpt_destroy(kHwpt), detaches_first() ? 0 : -EBUSY);
}

TEST_P(HwptLockErrnoTest, ReplaceByAnUnknownId) {
  boot_with_ioas(GetParam());
  ASSERT_EQ(attach(kAlone, kIoas), 0);
  EXPECT_EQ(replace(kAlone, kUnknown), -ENOENT);
  EXPECT_TRUE(attached(kAlone));
}

// The SMMU is decided by the first attach.
TEST_P(HwptLockErrnoTest, AnHwptBelongsToTheSmmuOfItsFirstDevice) {
  boot_with_ioas(GetParam());
  ASSERT_EQ(hwpt_alloc(kHwpt, kElsewhere, kIoas), 0);
  EXPECT_EQ(attach(kDev, kHwpt), 0);
  EXPECT_EQ(attach(kElsewhere, kHwpt), -EINVAL);
}

INSTANTIATE_TEST_SUITE_P(Protocols, HwptLockErrnoTest, ::testing::Values("v6.2", "seed-lock-both"),
                         test_name);

class FillBeforeTest : public IoctlTest {};

TEST_F(FillBeforeTest, ADomainThatDoesNotFitIsNotLeftLinked) {
  protocol_params.fill_before = true;
  boot_with_ioas("seed-lock-both", smmu::DriverVersion::k6_12);
  ASSERT_EQ(hwpt_alloc(kHwpt, kAlone, kIoas), 0);
  ASSERT_EQ(hwpt_alloc(kHwpt2, kElsewhere, kOther), 0);
  ASSERT_EQ(map(kOther, 0, kPage), 0);
  ASSERT_EQ(attach(kAlone, kHwpt), 0);
  EXPECT_EQ(replace(kAlone, kHwpt2), -EINVAL);
  EXPECT_EQ(attach(kElsewhere, kHwpt2), 0);  // -EEXIST if it were linked still
  ASSERT_EQ(detach(kElsewhere), 0);
  EXPECT_EQ(hwpt_destroy(kHwpt2), 0);
  EXPECT_EQ(unmap(kOther, 0, kPage), 0);
}

}  // namespace
}  // namespace smmulab::iommufd

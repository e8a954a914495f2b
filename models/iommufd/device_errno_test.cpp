// SPDX-License-Identifier: Apache-2.0
// PASIDs, MSIs and PCI resets: what they return and leave, and from which version on they are
// there. PASID scenarios: iommufd_device_pasid of Linux 6.15 tools/testing/selftests/iommu, in our
// words.
#include <cerrno>
#include <string>

#include "models/iommufd/ioctl_testing.hpp"

namespace smmulab::iommufd {
namespace {

using namespace testing;

constexpr std::uint32_t kForPasids = HwptFlag::kPasid;
constexpr ObjectId kHwpt3{13};

class DeviceTest : public ProtocolTest {
 protected:
  bool since(std::uint32_t major, std::uint32_t minor) {
    return context().protocol().kernel() >= linux_version(major, minor);
  }
};

TEST_P(DeviceTest, Pasids) {
  boot_with_ioas(GetParam());
  if (!since(6, 15)) {
    EXPECT_EQ(attach_pasid(kDev, 1, kIoas), -EOPNOTSUPP);
    EXPECT_EQ(detach_pasid(kDev, 1), -EOPNOTSUPP);
    EXPECT_EQ(hwpt_alloc(kHwpt, kDev, kIoas, kForPasids), -EOPNOTSUPP);
    return;
  }
  ASSERT_EQ(hwpt_alloc(kHwpt, kDev, kIoas, kForPasids), 0);
  ASSERT_EQ(hwpt_alloc(kHwpt2, kDev, kOther, kForPasids), 0);
  ASSERT_EQ(hwpt_alloc(kHwpt3, kDev, kIoas), 0);
  EXPECT_EQ(attach_pasid(kDev, 1, kUnknown), -ENOENT);
  EXPECT_EQ(attach_pasid(kDev, 1, kIoas), -EINVAL);   // automatic hwpts are not made for PASIDs
  EXPECT_EQ(attach_pasid(kDev, 1, kHwpt3), -EINVAL);  // nor is this one
  EXPECT_EQ(attach_pasid(kDev, 0, kHwpt), -EINVAL);
  EXPECT_EQ(attach_pasid(kDev, 1U << 20U, kHwpt), -EINVAL);
  ASSERT_EQ(attach_pasid(kDev, 1, kHwpt), 0);
  EXPECT_EQ(attach_pasid(kDev, 2, kHwpt2), 0);
  EXPECT_EQ(attach_pasid(kPeer, 1, kHwpt2), -EINVAL);  // the group has another there
  EXPECT_EQ(attach_pasid(kPeer, 1, kHwpt), 0);
  EXPECT_EQ(hwpt_destroy(kHwpt), -EBUSY);
  EXPECT_EQ(broken(), "");
  EXPECT_EQ(attach_pasid(kDev, 1, kHwpt2), 0);  // replaces, with the peer
  EXPECT_EQ(hwpt_destroy(kHwpt), 0);
  EXPECT_EQ(broken(), "");
  EXPECT_EQ(detach_pasid(kDev, 1), 0);
  EXPECT_EQ(hwpt_destroy(kHwpt2), -EBUSY);
  EXPECT_EQ(detach_pasid(kPeer, 1), 0);
  EXPECT_EQ(detach_pasid(kPeer, 1), 0);  // VFIO: nothing to do
  EXPECT_EQ(unbind(kDev), 0);            // takes PASID 2 along
  EXPECT_EQ(hwpt_destroy(kHwpt2), 0);
  EXPECT_EQ(broken(), "");
}

TEST_P(DeviceTest, TheRidsHwptBesidePasids) {
  boot_with_ioas(GetParam());
  if (!since(6, 15)) {
    GTEST_SKIP() << "no PASIDs";
  }
  ASSERT_EQ(hwpt_alloc(kHwpt, kAlone, kIoas, kForPasids), 0);
  ASSERT_EQ(hwpt_alloc(kHwpt2, kAlone, kIoas), 0);
  ASSERT_EQ(attach(kAlone, kHwpt2), 0);
  EXPECT_EQ(attach_pasid(kAlone, 1, kHwpt), -EINVAL);
  ASSERT_EQ(replace(kAlone, kHwpt), 0);
  ASSERT_EQ(attach_pasid(kAlone, 1, kHwpt), 0);
  EXPECT_EQ(replace(kAlone, kHwpt2), -EINVAL);
  ASSERT_EQ(detach(kAlone), 0);
  EXPECT_EQ(attach(kAlone, kHwpt2), -EINVAL);
  EXPECT_EQ(attach(kAlone, kIoas), -EINVAL);
  EXPECT_EQ(broken(), "");
  ASSERT_EQ(detach_pasid(kAlone, 1), 0);
  EXPECT_EQ(attach(kAlone, kHwpt2), 0);
  EXPECT_EQ(broken(), "");
}

TEST_P(DeviceTest, AnMsiMapsItsDoorbellOnce) {
  boot_with_ioas(GetParam());
  EXPECT_EQ(msi_prepare(kAlone), 0);  // not attached
  ASSERT_EQ(hwpt_alloc(kHwpt, kAlone, kIoas), 0);
  ASSERT_EQ(attach(kAlone, kHwpt), 0);
  EXPECT_EQ(msi_prepare(kAlone), 0);
  EXPECT_EQ(msi_prepare(kAlone), 0);
  EXPECT_EQ(domain_of(kAlone)->mapped, kPage);
  EXPECT_EQ(broken(), "");
  ASSERT_EQ(detach(kAlone), 0);
  EXPECT_EQ(hwpt_destroy(kHwpt), 0);
}

TEST_P(DeviceTest, WithoutHooksAResetDoesNotConcernTheIommu) {
  boot_with_ioas(GetParam());
  EXPECT_EQ(reset_begin(kDev), -EOPNOTSUPP);
  EXPECT_EQ(reset_done(kDev), -EOPNOTSUPP);
}

INSTANTIATE_TEST_SUITE_P(Protocols, DeviceTest, ::testing::ValuesIn(protocols_with_locks()),
                         test_name);

// Devices 0 and 1, of one group, support ATS; device 2 does not.
class ResetTest : public IoctlTest {
 protected:
  // Hazard H9 shows here: a replace that a reset refuses would drop the live reservations.
  ResetTest() { protocol_params.reset_hooks = protocol_params.mend_h9 = true; }
  void boot_with_ats() {
    boot("igroup-pasid", smmu::DriverVersion::k6_12);
    master(kDev)->ats_supported = master(kPeer)->ats_supported = true;
    make_ioas();
    ASSERT_EQ(hwpt_alloc(kHwpt, kDev, kIoas, kForPasids), 0);
    ASSERT_EQ(hwpt_alloc(kHwpt2, kDev, kIoas, kForPasids), 0);
  }
};

// Hazard H13: user space has to try again.
TEST_F(ResetTest, AttachAndReplaceAreRefusedMeanwhile) {
  boot_with_ats();
  ASSERT_EQ(attach(kDev, kHwpt), 0);
  EXPECT_EQ(reset_done(kDev), 0);  // none has begun
  const smmu::Domain* domain = domain_of(kDev);
  ASSERT_EQ(reset_begin(kDev), 0);
  EXPECT_EQ(domain_of(kDev), nullptr);
  EXPECT_EQ(domain_of(kPeer), domain);
  EXPECT_EQ(reset_begin(kDev), -EBUSY);
  EXPECT_EQ(reset_begin(kPeer), -EBUSY);
  EXPECT_EQ(reset_done(kPeer), 0);  // of another device
  EXPECT_EQ(replace(kDev, kHwpt2), -EBUSY);
  EXPECT_EQ(attach_pasid(kDev, 1, kHwpt2), -EBUSY);
  EXPECT_EQ(replace(kDev, kHwpt), 0);  // nothing to do
  EXPECT_EQ(attach(kAlone, kHwpt), 0);
  EXPECT_EQ(broken(), "");
  ASSERT_EQ(reset_done(kDev), 0);
  EXPECT_EQ(domain_of(kDev), domain);
  EXPECT_EQ(broken(), "");
  EXPECT_EQ(replace(kDev, kHwpt2), 0);
}

TEST_F(ResetTest, ADeviceWithoutAtsIsLeftAlone) {
  boot_with_ats();
  ASSERT_EQ(attach(kAlone, kHwpt), 0);
  ASSERT_EQ(reset_begin(kAlone), 0);
  EXPECT_NE(domain_of(kAlone), nullptr);
  EXPECT_EQ(replace(kAlone, kHwpt2), 0);
  EXPECT_EQ(reset_done(kAlone), 0);
  EXPECT_EQ(broken(), "");
}

TEST_F(ResetTest, PasidsComeBack) {
  boot_with_ats();
  ASSERT_EQ(attach(kDev, kHwpt), 0);
  ASSERT_EQ(attach_pasid(kDev, 1, kHwpt2), 0);
  ASSERT_EQ(attach_pasid(kDev, 2, kHwpt), 0);
  const smmu::Domain* domain = domain_of(kDev);
  ASSERT_EQ(reset_begin(kDev), 0);
  EXPECT_TRUE(master(kDev)->pasids.empty());
  EXPECT_FALSE(master(kDev)->ats_enabled);
  EXPECT_EQ(master(kPeer)->pasids.size(), 2U);
  EXPECT_EQ(detach_pasid(kDev, 1), 0);
  EXPECT_EQ(hwpt_destroy(kHwpt2), 0);
  EXPECT_EQ(broken(), "");
  ASSERT_EQ(reset_done(kDev), 0);
  ASSERT_EQ(master(kDev)->pasids.size(), 1U);
  EXPECT_EQ(master(kDev)->pasids[0].pasid, 2U);
  EXPECT_EQ(master(kDev)->pasids[0].domain, domain);
  EXPECT_TRUE(master(kDev)->ats_enabled);
  EXPECT_EQ(broken(), "");
}

// The core refuses the detach (-EBUSY), and nobody who detaches can fail.
TEST_F(ResetTest, ADetachMeanwhileIsLost) {
  boot_with_ats();
  ASSERT_EQ(attach(kDev, kHwpt), 0);
  ASSERT_EQ(reset_begin(kDev), 0);
  EXPECT_EQ(detach(kDev), 0);
  EXPECT_EQ(hwpt_destroy(kHwpt), 0);
  EXPECT_EQ(broken(),
            "no device of group 0 is attached, but the group is on domain 3; hwpt 11 is destroyed, "
            "but group 0 is on its domain; ");
}

TEST_F(ResetTest, ADetachMeanwhileStandsOnceMended) {
  protocol_params.mend_reset_detach = true;
  boot_with_ats();
  ASSERT_EQ(attach(kDev, kHwpt), 0);
  ASSERT_EQ(reset_begin(kDev), 0);
  EXPECT_EQ(detach(kDev), 0);
  EXPECT_EQ(domain_of(kPeer), nullptr);
  EXPECT_EQ(attach(kDev, kHwpt), -EBUSY);
  EXPECT_EQ(hwpt_destroy(kHwpt), 0);
  ASSERT_EQ(reset_done(kDev), 0);
  EXPECT_EQ(domain_of(kDev), nullptr);
  EXPECT_EQ(broken(), "");
  EXPECT_EQ(attach(kDev, kHwpt2), 0);
}

}  // namespace
}  // namespace smmulab::iommufd

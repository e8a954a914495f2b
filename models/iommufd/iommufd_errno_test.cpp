// SPDX-License-Identifier: Apache-2.0
// What wrong sequences of ioctls return: the scenarios and errnos of Linux 6.12
// tools/testing/selftests/iommu and iommufd's own checks, in our words. Cases that no protocol
// changes run under each; those of replace and of groups under the kernel that has them.
#include <cerrno>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/iommufd/iommufd.hpp"
#include "models/linux/testing.hpp"
#include "models/smmuv3/driver/counted_driver.hpp"

namespace smmulab::iommufd {
namespace {

constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kMsi = 0x8000000;  // a device's reserved region, 1 MiB [MSI_IOVA_BASE]
constexpr ObjectId kIoas{1};
constexpr ObjectId kOther{2};
constexpr ObjectId kHwpt{11};
constexpr ObjectId kHwpt2{12};
constexpr ObjectId kUnknown{99};
// Devices 0 and 1 share a group, 2 has its own, 3 is behind another SMMU.
constexpr DeviceIndex kDev{0};
constexpr DeviceIndex kPeer{1};
constexpr DeviceIndex kAlone{2};
constexpr DeviceIndex kElsewhere{3};

class IoctlTest : public lnx::LinuxTest {
 protected:
  void boot(const std::string& protocol) {
    const bool old = protocol == "v6.2" || protocol == "seed-lock-both";
    driver_params_.version = old ? smmu::DriverVersion::k6_2 : smmu::DriverVersion::k6_12;
    driver_ = smmu::make_counted_driver(machine(), driver_params_);
    for (std::uint32_t i = 0; i < 2; ++i) {
      smmus_.emplace_back(machine(), driver_params_, SmmuIndex{i});
    }
    for (std::uint32_t i = 0; i < 3; ++i) {
      groups_.emplace_back(machine(), lock_class("group->mutex"), GroupId{i});
    }
    dev_set_.emplace(machine(), DevSetId{0});
    add_device(0, 0);
    add_device(0, 0);
    add_device(1, 0);
    add_device(2, 1);
    core_.emplace(machine(), *driver_, iommufd_params);
    context_.emplace(machine(), *core_, iommufd_params);
    protocol_ = find_protocol(protocol).make(*context_, protocol_params_);
    iommufd_.emplace(*context_, *protocol_, devices_);
  }
  void boot_with_ioas(const std::string& protocol) {
    boot(protocol);
    EXPECT_EQ(ioas_alloc(kIoas), 0);
    EXPECT_EQ(ioas_alloc(kOther), 0);
    for (const DeviceIndex d : {kDev, kPeer, kAlone, kElsewhere}) {
      EXPECT_EQ(bind(d), 0);
    }
  }

  int bind(DeviceIndex d) { return result_of(&Iommufd::bind, d); }
  int unbind(DeviceIndex d) { return result_of(&Iommufd::unbind, d); }
  int ioas_alloc(ObjectId id) { return result_of(&Iommufd::ioas_alloc, id); }
  int ioas_destroy(ObjectId id) { return result_of(&Iommufd::ioas_destroy, id); }
  int hwpt_alloc(ObjectId id, DeviceIndex d, ObjectId pt) {
    return result_of(&Iommufd::hwpt_alloc, id, d, pt);
  }
  int hwpt_destroy(ObjectId id) { return result_of(&Iommufd::hwpt_destroy, id); }
  int attach(DeviceIndex d, ObjectId pt) { return result_of(&Iommufd::attach, d, pt); }
  int replace(DeviceIndex d, ObjectId pt) { return result_of(&Iommufd::replace, d, pt); }
  int detach(DeviceIndex d) { return result_of(&Iommufd::detach, d); }
  int unmap_all(ObjectId ioas) { return result_of(&Iommufd::unmap_all, ioas); }
  int map(ObjectId ioas, std::uint64_t iova, std::uint64_t size) {
    return result_of(&Iommufd::map, ioas, Iova{iova}, Bytes{size});
  }
  int unmap(ObjectId ioas, std::uint64_t iova, std::uint64_t size) {
    return result_of(&Iommufd::unmap, ioas, Iova{iova}, Bytes{size});
  }

  IommufdParams iommufd_params;

 private:
  template <class... Args>
  int result_of(Task<int> (Iommufd::*op)(lnx::Thread&, Args...), Args... args) {
    int rc = 1;
    thread("T", 0,
           [&](lnx::Thread& t) -> Task<void> { rc = co_await ((*iommufd_).*op)(t, args...); });
    engine.run();
    return rc;
  }
  void add_device(std::uint32_t group, std::uint32_t smmu) {
    smmu::Master& m = masters_.emplace_back();
    m.name = "dev" + std::to_string(masters_.size() - 1);
    m.smmu = &smmus_[smmu];
    m.stream_ids = {StreamId{static_cast<std::uint32_t>(masters_.size())}};
    IommuGroup& g = groups_[group];
    if (g.default_domain == nullptr) {
      g.domain = g.default_domain = &driver_->boot_domain(*m.smmu);
    }
    driver_->boot_attach(m, *g.default_domain);
    g.devices.push_back(&m);
    Device& d = devices_.emplace_back();
    d.master = &m;
    d.group = &g;
    d.dev_set = &*dev_set_;
  }

  smmu::DriverParams driver_params_;
  ProtocolParams protocol_params_;
  std::unique_ptr<smmu::CountedDriver> driver_;
  std::deque<smmu::Smmu> smmus_;
  std::deque<smmu::Master> masters_;
  std::deque<IommuGroup> groups_;
  std::optional<DevSet> dev_set_;
  std::deque<Device> devices_;
  std::optional<IommuCore> core_;
  std::optional<Context> context_;
  std::unique_ptr<Protocol> protocol_;
  std::optional<Iommufd> iommufd_;
};

class ErrnoTest : public IoctlTest, public ::testing::WithParamInterface<const char*> {};

TEST_P(ErrnoTest, UnknownIds) {
  boot_with_ioas(GetParam());
  EXPECT_EQ(attach(kDev, kUnknown), -ENOENT);
  EXPECT_EQ(map(kUnknown, 0, kPage), -ENOENT);
  EXPECT_EQ(unmap(kUnknown, 0, kPage), -ENOENT);
  EXPECT_EQ(unmap_all(kUnknown), -ENOENT);
  EXPECT_EQ(hwpt_alloc(kHwpt, kDev, kUnknown), -ENOENT);
  EXPECT_EQ(ioas_destroy(kUnknown), -ENOENT);
  EXPECT_EQ(hwpt_destroy(kUnknown), -ENOENT);
}

TEST_P(ErrnoTest, AnIdOfAnotherType) {
  boot_with_ioas(GetParam());
  ASSERT_EQ(hwpt_alloc(kHwpt, kDev, kIoas), 0);
  EXPECT_EQ(map(kHwpt, 0, kPage), -ENOENT);
  EXPECT_EQ(unmap(kHwpt, 0, kPage), -ENOENT);
  EXPECT_EQ(hwpt_alloc(kHwpt2, kDev, kHwpt), -EINVAL);  // no nesting parent
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

INSTANTIATE_TEST_SUITE_P(Protocols, ErrnoTest,
                         ::testing::Values("igroup", "one-lock", "v6.2", "seed-lock-both"),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::erase_if(name, [](char c) { return c == '-' || c == '.'; });
                           return name;
                         });

// --- Linux 6.6 and later: the group has one hwpt, and replace ------------------------------------

class IgroupErrnoTest : public IoctlTest {};

TEST_F(IgroupErrnoTest, AGroupHasOneHwpt) {
  boot_with_ioas("igroup");
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
TEST_F(IgroupErrnoTest, AttachingTwice) {
  boot_with_ioas("igroup");
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

TEST_F(IgroupErrnoTest, ReplaceMovesThePeersAndTheirReservations) {
  boot_with_ioas("igroup");
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

TEST_F(IgroupErrnoTest, ReplaceWhileDetached) {
  iommufd_params.vfio = false;
  boot_with_ioas("igroup");
  EXPECT_EQ(replace(kDev, kIoas), -EINVAL);
  ASSERT_EQ(attach(kPeer, kIoas), 0);
  EXPECT_EQ(replace(kDev, kIoas), -EINVAL);  // its group is attached, it is not
}

TEST_F(IgroupErrnoTest, AnHwptOfAnotherSmmu) {
  boot_with_ioas("igroup");
  ASSERT_EQ(hwpt_alloc(kHwpt, kElsewhere, kIoas), 0);
  EXPECT_EQ(attach(kDev, kHwpt), -EINVAL);
  EXPECT_EQ(map(kIoas, kMsi, kPage), 0);  // left no reservation behind
  ASSERT_EQ(unmap(kIoas, kMsi, kPage), 0);
  ASSERT_EQ(attach(kElsewhere, kIoas), 0);
  EXPECT_EQ(attach(kDev, kIoas), 0);  // finds the first domain unfit, makes its own
}

}  // namespace
}  // namespace smmulab::iommufd

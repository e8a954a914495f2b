// SPDX-License-Identifier: Apache-2.0
// Ioctls that destroy an object while others use it: who waits, for how long, and what its id gives
// meanwhile. Up to Linux 6.7 a user holds the object's destroy_rwsem for reading, from 6.8 on it
// has counted itself in shortterm_users (drivers/iommu/iommufd/main.c of each).
// Nothing costs time but the slow ioctl: 100 us, on a CPU of its own.
#include <cerrno>
#include <string>

#include "models/iommufd/ioctl_testing.hpp"

namespace smmulab::iommufd {
namespace {

using namespace testing;

constexpr Ps kSlow = 100_us;
constexpr std::uint64_t kSlowPages = 100;
const std::string kIgroup67 = "igroup-6.7";  // protocol.destroy_rwsem

class ReferencesTest : public ProtocolTest {
 protected:
  ReferencesTest() { iommufd_params = iommufd_params_without_costs(); }

  void boot_version() {
    protocol_params.destroy_rwsem = GetParam() == kIgroup67;
    boot(protocol_params.destroy_rwsem ? "igroup" : GetParam());
  }

  // An ioas whose maps are slow.
  void boot_with_slow_maps() {
    iommufd_params.map_base = kSlow;
    boot_version();
    ASSERT_EQ(ioas_alloc(kIoas), 0);
  }
  // An access whose pins are slow: two areas of kSlowPages, at kFirst and kSecond.
  void boot_with_slow_pins() {
    iommufd_params.pin_page = kSlow / static_cast<std::int64_t>(kSlowPages);
    boot_version();
    ASSERT_EQ(ioas_alloc(kIoas), 0);
    ASSERT_EQ(map(kIoas, kFirst, kSlowPages * kPage), 0);
    ASSERT_EQ(map(kIoas, kSecond, kSlowPages * kPage), 0);
    ASSERT_EQ(access_create(kAccess), 0);
    ASSERT_EQ(access_attach(kAccess, kIoas), 0);
  }
  // Two bound devices of one group, so that the unbind of one leaves the hardware alone; and
  // allocations that are slow to find out that their hwpt's id is taken.
  void boot_with_slow_allocations() {
    boot_version();
    ASSERT_EQ(ioas_alloc(kIoas), 0);
    ASSERT_EQ(bind(kDev), 0);
    ASSERT_EQ(bind(kPeer), 0);
    iommufd_params.object_alloc = kSlow;
  }
  void alloc_at(Ps from, const std::string& name, ObjectId ioas = kIoas) {
    ioctl_at(from, name, &Iommufd::hwpt_alloc, kIoas, kDev, ioas, 0U, ObjectId{0});
  }
  // alloc at 0, unbind at 20 us, late (another allocation) at 50, and at 60 peer: a detach of the
  // other device, which is not attached, so that there is nothing to detach.
  Returned unbind_amid_slow_allocations() {
    boot_with_slow_allocations();
    alloc_at(0_us, "alloc");
    ioctl_at(20_us, "unbind", &Iommufd::unbind, kDev);
    alloc_at(50_us, "late");
    ioctl_at(60_us, "peer", &Iommufd::detach, kPeer);
    return run_ioctls();
  }
  void map_at(Ps from, const std::string& name, std::uint64_t iova) {
    ioctl_at(from, name, &Iommufd::map, kIoas, Iova{iova}, Bytes{kPage});
  }
  void pin_at(Ps from, const std::string& name, std::uint64_t iova) {
    ioctl_at(from, name, &Iommufd::pin, kAccess, Iova{iova}, Bytes{kSlowPages * kPage});
  }
  // How long destroys waited for destroy_rwsem.
  Ps waited() {
    return lock_class("destroy_rwsem", lnx::LockKind::kRwsem).stat.write().waittime.total;
  }

  static constexpr std::uint64_t kFirst = 16 * kPage;
  static constexpr std::uint64_t kSecond = 1024 * kPage;
};

// --- Up to 6.7: destroy_rwsem --------------------------------------------------------------------

class DestroyRwsemTest : public ReferencesTest {};

// Hazard H8. map: 0 has the ioas, 100 puts it. destroy: 20 asks for destroy_rwsem, spins on its
// reader for 10.5 us, sleeps from 30.5 on, 100 has it. late: 50 finds a writer waiting.
TEST_P(DestroyRwsemTest, DestroyWaitsForASlowMapAndKeepsOthersOut) {
  boot_with_slow_maps();
  map_at(0_us, "map", kFirst);
  ioctl_at(20_us, "destroy", &Iommufd::ioas_destroy, kIoas);
  map_at(50_us, "late", kSecond);
  EXPECT_EQ(run_ioctls(), (Returned{{"map", returns(0, 100_us)},
                                    {"destroy", returns(0, 100_us)},
                                    {"late", returns(-ENOENT, 50_us)}}));
  EXPECT_EQ(waited(), 80_us);
  EXPECT_EQ(map(kIoas, kSecond, kPage), -ENOENT);
  EXPECT_EQ(ioas_alloc(kIoas), 0);
}

// A writer that spins does not wait yet, as far as a reader's trylock can see: late has the ioas
// from 25 to 125, and destroy (20) waits for it, too.
TEST_P(DestroyRwsemTest, WhoComesWhileDestroyStillSpinsIsLetIn) {
  boot_with_slow_maps();
  map_at(0_us, "map", kFirst);
  ioctl_at(20_us, "destroy", &Iommufd::ioas_destroy, kIoas);
  map_at(25_us, "late", kSecond);
  EXPECT_EQ(run_ioctls(), (Returned{{"map", returns(0, 100_us)},
                                    {"destroy", returns(0, 125_us)},
                                    {"late", returns(0, 125_us)}}));
  EXPECT_EQ(waited(), 105_us);
}

// An access refers to the ioas, so that there is nothing to wait for; but who destroys it sees
// that only after the wait, and keeps others out meanwhile. Then the ioas is as it was.
TEST_P(DestroyRwsemTest, DestroyOfWhatIsInUseWaitsAllTheSame) {
  boot_with_slow_maps();
  ASSERT_EQ(access_create(kAccess), 0);
  ASSERT_EQ(access_attach(kAccess, kIoas), 0);
  map_at(0_us, "map", kFirst);
  ioctl_at(20_us, "destroy", &Iommufd::ioas_destroy, kIoas);
  map_at(50_us, "late", kSecond);
  EXPECT_EQ(run_ioctls(), (Returned{{"map", returns(0, 100_us)},
                                    {"destroy", returns(-EBUSY, 100_us)},
                                    {"late", returns(-ENOENT, 50_us)}}));
  EXPECT_EQ(waited(), 80_us);
  EXPECT_EQ(map(kIoas, kSecond, kPage), 0);
  ASSERT_EQ(access_destroy(kAccess), 0);
  EXPECT_EQ(ioas_destroy(kIoas), 0);
}

// What a kernel user destroys (iommufd_object_destroy_user()): the same lock, the same times.
TEST_P(DestroyRwsemTest, AnAccessIsDestroyedAfterItsSlowPin) {
  boot_with_slow_pins();
  pin_at(0_us, "pin", kFirst);
  ioctl_at(20_us, "destroy", &Iommufd::access_destroy, kAccess);
  pin_at(50_us, "late", kSecond);
  EXPECT_EQ(run_ioctls(), (Returned{{"pin", returns(0, 100_us)},
                                    {"destroy", returns(0, 100_us)},
                                    {"late", returns(-ENOENT, 50_us)}}));
  EXPECT_EQ(waited(), 80_us);
  EXPECT_EQ(ioas_destroy(kIoas), 0);
}

// The device's object (iommufd_device_unbind()), under dev_set->lock. alloc: 0 to 100, refused.
// unbind: 20 has dev_set->lock, 100 the device's destroy_rwsem. late: 50, a writer waits. peer: 60
// waits for dev_set->lock, 100 has it.
TEST_P(DestroyRwsemTest, ADeviceIsUnboundAfterItsSlowAllocation) {
  EXPECT_EQ(unbind_amid_slow_allocations(), (Returned{{"alloc", returns(-EEXIST, 100_us)},
                                                      {"unbind", returns(0, 100_us)},
                                                      {"late", returns(-ENOENT, 50_us)},
                                                      {"peer", returns(0, 100_us)}}));
  EXPECT_EQ(waited(), 80_us);
  EXPECT_EQ(hwpt_alloc(kHwpt, kDev, kIoas), -ENOENT);
  EXPECT_EQ(bind(kDev), 0);
  EXPECT_EQ(broken(), "");
}

INSTANTIATE_TEST_SUITE_P(Protocols, DestroyRwsemTest, ::testing::Values("v6.2", "v6.4", kIgroup67),
                         test_name);

// --- From 6.8 on: shortterm_users ----------------------------------------------------------------

class ShortTermTest : public ReferencesTest {};

// The DESTROY ioctl looks at users first, and a running ioctl is one: nobody waits, and the id
// stays. map: 0 to 100. early: 20, refused. late: 50 to 150. destroy: 160.
TEST_P(ShortTermTest, DestroyIsRefusedWhileAMapRuns) {
  boot_with_slow_maps();
  map_at(0_us, "map", kFirst);
  ioctl_at(20_us, "early", &Iommufd::ioas_destroy, kIoas);
  map_at(50_us, "late", kSecond);
  ioctl_at(160_us, "destroy", &Iommufd::ioas_destroy, kIoas);
  EXPECT_EQ(run_ioctls(), (Returned{{"map", returns(0, 100_us)},
                                    {"early", returns(-EBUSY, 20_us)},
                                    {"late", returns(0, 150_us)},
                                    {"destroy", returns(0, 160_us)}}));
  EXPECT_EQ(map(kIoas, kFirst, kPage), -ENOENT);
}

// A kernel user's destroy waits, and its object can be found until the last short-term user has
// gone. pin: 0 to 100. destroy: waits from 20 on, for two from 50 on. late: 50 has the access,
// waits for the driver's own lock, pins from 100 on, 200 puts the access: destroy goes on.
// gone: 210, no such id.
TEST_P(ShortTermTest, AnAccessIsDestroyedAfterItsSlowPinsAndLetsMoreIn) {
  boot_with_slow_pins();
  pin_at(0_us, "pin", kFirst);
  ioctl_at(20_us, "destroy", &Iommufd::access_destroy, kAccess);
  pin_at(50_us, "late", kSecond);
  pin_at(210_us, "gone", kFirst);
  EXPECT_EQ(run_ioctls(), (Returned{{"pin", returns(0, 100_us)},
                                    {"destroy", returns(0, 200_us)},
                                    {"late", returns(0, 200_us)},
                                    {"gone", returns(-ENOENT, 210_us)}}));
  EXPECT_EQ(ioas_destroy(kIoas), 0);
}

// alloc: 0 to 100, under ioas->mutex, refused. unbind: 20 has dev_set->lock, waits for one
// allocation, for two from 50 on. late: 50 has the device, 100 ioas->mutex, 200 it is refused, too.
// peer: 60 waits for dev_set->lock, 200 has it.
TEST_P(ShortTermTest, ADeviceIsUnboundAfterItsSlowAllocationsAndLetsMoreIn) {
  EXPECT_EQ(unbind_amid_slow_allocations(), (Returned{{"alloc", returns(-EEXIST, 100_us)},
                                                      {"unbind", returns(0, 200_us)},
                                                      {"late", returns(-EEXIST, 200_us)},
                                                      {"peer", returns(0, 200_us)}}));
  EXPECT_EQ(hwpt_alloc(kHwpt, kDev, kIoas), -ENOENT);
  EXPECT_EQ(bind(kDev), 0);
  EXPECT_EQ(broken(), "");
}

// An automatic hwpt's areas, 16 pages, take 16 ms to unpin. replace: within the first 5 ms the
// device is on the other hwpt, whose reference is put; then until 16 the automatic one is
// destroyed. detach: 5, so that nothing refers to the other hwpt any more. destroy: 10, not
// refused. Drivers' work takes some us. Without VFIO, whose dev_set->lock would keep detach out.
TEST_P(ShortTermTest, AReplaceHasPutTheNewHwptWhenItDestroysTheOldOne) {
  iommufd_params.vfio = false;
  iommufd_params.unpin_page = 1_ms;
  boot_version();
  ASSERT_EQ(ioas_alloc(kIoas), 0);
  ASSERT_EQ(ioas_alloc(kOther), 0);
  ASSERT_EQ(bind(kAlone), 0);
  ASSERT_EQ(map(kIoas, kFirst, 16 * kPage), 0);
  ASSERT_EQ(hwpt_alloc(kHwpt, kAlone, kOther), 0);
  ASSERT_EQ(attach(kAlone, kIoas), 0);
  ioctl_at(0_us, "replace", &Iommufd::replace, kAlone, kHwpt);
  ioctl_at(5_ms, "detach", &Iommufd::detach, kAlone);
  ioctl_at(10_ms, "destroy", &Iommufd::hwpt_destroy, kHwpt);
  Returned returned = run_ioctls();
  EXPECT_EQ(returned["replace"].rc, 0);
  EXPECT_GE(returned["replace"].at, 16_ms);
  EXPECT_EQ(returned["detach"].rc, 0);
  EXPECT_LT(returned["detach"].at, 6_ms);
  EXPECT_EQ(returned["destroy"].rc, 0);
  EXPECT_LT(returned["destroy"].at, 11_ms);
  EXPECT_EQ(broken(), "");
  EXPECT_EQ(ioas_destroy(kOther), 0);
}

INSTANTIATE_TEST_SUITE_P(Protocols, ShortTermTest, ::testing::Values("igroup", "igroup-pasid"),
                         test_name);

// --- Both ----------------------------------------------------------------------------------------

class DeviceReferenceTest : public ReferencesTest {};

// An allocation on an ioas that is not there: the device's lookup 25 ns, that of the ioas 25 and
// its table's line 1, the device's put 15. The reference's own 6 (a counter), or 14 and 1 (a
// semaphore, each way), are in what a lookup and a put cost.
TEST_P(DeviceReferenceTest, CostsALookupAndAPut) {
  params.lock.atomic = 6_ns;
  params.lock.rwsem_read = 14_ns;
  params.line.same_cpu = 1_ns;
  boot_with_slow_allocations();
  iommufd_params.lookup = 25_ns;
  iommufd_params.put = 15_ns;
  alloc_at(0_us, "alloc", kUnknown);
  EXPECT_EQ(run_ioctls(), (Returned{{"alloc", returns(-EINVAL, 66_ns)}}));
}

// Each attachment is a user of the device's object, and an unbind ends it.
TEST_P(DeviceReferenceTest, AnUnbindEndsAnAttachment) {
  boot_with_slow_allocations();
  ASSERT_EQ(attach(kDev, kIoas), 0);
  ASSERT_EQ(attach(kPeer, kIoas), 0);
  EXPECT_EQ(broken(), "");
  EXPECT_EQ(unbind(kDev), 0);
  EXPECT_EQ(broken(), "");
  EXPECT_EQ(detach(kPeer), 0);
  EXPECT_EQ(bind(kDev), 0);
  EXPECT_EQ(broken(), "");
}

INSTANTIATE_TEST_SUITE_P(Protocols, DeviceReferenceTest,
                         ::testing::Values("v6.2", "v6.4", kIgroup67, "igroup", "igroup-pasid"),
                         test_name);

}  // namespace
}  // namespace smmulab::iommufd

// SPDX-License-Identifier: Apache-2.0
// What one attach of Linux 6.2 sends and holds (arm_smmu_attach_dev(), arm_smmu_detach_dev(),
// arm_smmu_write_strtab_ent() of that version): abort, one CFGI_STE and SYNC for each stream id;
// under the new domain's init_mutex two of them for each stream id, and at the domain's first
// attach two bare SYNCs under arm_smmu_asid_lock. One SYNC takes 1 us, everything else nothing.
#include <cerrno>

#include "models/smmuv3/driver/testing.hpp"

namespace smmulab::smmu {
namespace {

class Driver62Test : public DriverTest {
 protected:
  Driver62Test() : DriverTest(DriverVersion::k6_2) {}

  void forget() {
    sent();
    locks();
    held("asid_lock");
    held("init_mutex");
  }
};

TEST_F(Driver62Test, AllocLeavesTheDomainUnfinished) {
  Master& m = master(1);
  EXPECT_FALSE(driver().finalises_at_alloc());
  EXPECT_FALSE(driver().has_blocked_domain());
  Domain& d = alloc(m);
  EXPECT_EQ(d.smmu, nullptr);
  EXPECT_EQ(locks(), "");
  timed([&](lnx::Thread& t) -> Task<void> {
    const int rc = co_await driver().map(t, d, Iova{0}, Bytes{4096}, Bytes{4096});
    EXPECT_EQ(rc, -ENODEV);
  });
}

TEST_F(Driver62Test, FirstAttachOfAFreshDomain) {
  Master& m = master(1);
  Domain& d = alloc(m);
  forget();
  EXPECT_EQ(attach(m, d), 5_us);
  EXPECT_EQ(sent(), "PREFETCH_CONFIG 1, CFGI_STE 3, SYNC 5");
  EXPECT_EQ(held("init_mutex"), 4_us);
  EXPECT_EQ(held("asid_lock"), 2_us);
  EXPECT_EQ(locks(),
            "+devices_lock -devices_lock +init_mutex +asid_lock -asid_lock "
            "+devices_lock -devices_lock -init_mutex");
  EXPECT_EQ(d.smmu, m.smmu);
}

// The L1CD of the domain's table: a third bare SYNC under the asid_lock, once for each domain.
TEST_F(Driver62Test, FirstAttachWithACdTableOfTwoLevels) {
  driver_params.ssid_bits = 20;
  Master& m = master(1);
  Domain& d = alloc(m);
  forget();
  EXPECT_EQ(attach(m, d), 6_us);
  EXPECT_EQ(sent(), "PREFETCH_CONFIG 1, CFGI_STE 3, SYNC 6");
  EXPECT_EQ(held("asid_lock"), 3_us);
  EXPECT_EQ(attach(m, used(m)), 3_us);
  EXPECT_EQ(attach(m, d), 3_us);
}

// As for a domain of another SMMU, it is found out after the detach.
TEST_F(Driver62Test, WithoutAFreeAsidTheDeviceIsLeftDetached) {
  driver_params.asid_bits = 1;
  Master& m = master(1);
  Domain& d = alloc(m);
  forget();
  EXPECT_EQ(attach(m, d, -EBUSY), 1_us);
  EXPECT_EQ(sent(), "CFGI_STE 1, SYNC 1");
  EXPECT_EQ(locks(), "+devices_lock -devices_lock +init_mutex +asid_lock -asid_lock -init_mutex");
  EXPECT_EQ(m.domain, nullptr);
  EXPECT_EQ(d.smmu, nullptr);
}

TEST_F(Driver62Test, FirstAttachWithThreeStreamIds) {
  Master& m = master(3);
  Domain& d = alloc(m);
  forget();
  EXPECT_EQ(attach(m, d), 11_us);
  EXPECT_EQ(sent(), "PREFETCH_CONFIG 3, CFGI_STE 9, SYNC 11");
  EXPECT_EQ(held("init_mutex"), 8_us);
  EXPECT_EQ(held("asid_lock"), 2_us);
}

TEST_F(Driver62Test, AttachToAFinalisedDomain) {
  for (const std::uint32_t stream_ids : {1U, 3U}) {
    Master& m = master(stream_ids);
    Domain& from = *m.domain;
    Domain& to = used(m);
    forget();
    EXPECT_EQ(attach(m, to), 3_us * stream_ids);
    EXPECT_EQ(sent(), fmt::format("PREFETCH_CONFIG {0}, CFGI_STE {1}, SYNC {1}", stream_ids,
                                  3 * stream_ids));
    EXPECT_EQ(held("init_mutex"), 2_us * stream_ids);
    EXPECT_EQ(locks(),
              "+devices_lock -devices_lock +init_mutex +devices_lock -devices_lock -init_mutex");
    EXPECT_TRUE(from.masters.empty());
    EXPECT_EQ(to.masters, (std::vector<MasterDomain>{{&m}}));
  }
}

TEST_F(Driver62Test, Stage2HasNoCdToWrite) {
  driver_params.stage = Stage::kS2;
  Master& m = master(1);
  Domain& fresh = alloc(m);
  forget();
  EXPECT_EQ(attach(m, fresh), 3_us);
  EXPECT_EQ(sent(), "PREFETCH_CONFIG 1, CFGI_STE 3, SYNC 3");
  EXPECT_EQ(locks(),
            "+devices_lock -devices_lock +init_mutex +devices_lock -devices_lock -init_mutex");
  EXPECT_EQ(attach(m, used(m)), 3_us);
  EXPECT_EQ(sent(), "PREFETCH_CONFIG 1, CFGI_STE 3, SYNC 3");
}

// A master that has no domain is not torn down first.
TEST_F(Driver62Test, AttachOfABareMaster) {
  Master& m = bare_master(3);
  EXPECT_EQ(attach(m, used(m)), 6_us);
  EXPECT_EQ(sent(), "PREFETCH_CONFIG 3, CFGI_STE 6, SYNC 6");
}

TEST_F(Driver62Test, AtsIsSwitchedOffAndOnAgain) {
  driver_params.pci_config = 100_us;
  Master& m = master(3, true);
  Domain& from = *m.domain;
  Domain& to = used(m);
  EXPECT_EQ(from.nr_ats_masters, 1U);
  forget();
  // Off: config space, ATC; 3 STEs; 2 * 3 STEs; on: ATC, config space.
  EXPECT_EQ(attach(m, to), 211_us);
  EXPECT_EQ(sent(), "PREFETCH_CONFIG 3, CFGI_STE 9, ATC_INV 6, SYNC 11");
  EXPECT_EQ(held("init_mutex"), 107_us);
  EXPECT_EQ(from.nr_ats_masters, 0U);
  EXPECT_EQ(to.nr_ats_masters, 1U);
}

// arm_smmu_enable_ats() invalidates the ATCs of the whole domain.
TEST_F(Driver62Test, EnablingAtsReachesEveryMasterOfTheDomain) {
  Master& first = master(2, true);
  Master& second = bare_master(3, true);
  forget();
  EXPECT_EQ(attach(second, *first.domain), 7_us);
  EXPECT_EQ(sent(), "PREFETCH_CONFIG 3, CFGI_STE 6, ATC_INV 5, SYNC 7");
  EXPECT_EQ(locks(),
            "+init_mutex +devices_lock -devices_lock +devices_lock -devices_lock -init_mutex");
}

TEST_F(Driver62Test, ADomainOfAnotherSmmuIsFoundOutAfterTheTearDown) {
  Master& m = master(3);
  const Master& other = master(1, false, 1);
  forget();
  EXPECT_EQ(attach(m, *other.domain, -EINVAL), 3_us);
  EXPECT_EQ(sent(), "CFGI_STE 3, SYNC 3");
  EXPECT_EQ(locks(), "+devices_lock -devices_lock +init_mutex -init_mutex");
  EXPECT_EQ(m.domain, nullptr);
  EXPECT_TRUE(m.dark);
}

TEST_F(Driver62Test, MastersOfOneDomainSerialiseOnItsInitMutex) {
  for (const bool same : {true, false}) {
    Master& a = master(1);
    Master& b = master(1);
    Domain& to_a = used(a);
    Domain& to_b = same ? to_a : used(b);
    const SimTime start = engine.now() + 1_us;
    const auto move = [&](Master& m, Domain& d) {
      return [&](lnx::Thread& t) -> Task<void> {
        co_await t.run(start - engine.now());
        co_await driver().attach_dev(t, m, d);
      };
    };
    const std::uint64_t before = lock_class("init_mutex").stat.write().contentions;
    thread("A", 0, move(a, to_a));
    thread("B", 1, move(b, to_b));
    engine.run();
    EXPECT_EQ(lock_class("init_mutex").stat.write().contentions - before, same ? 1U : 0U);
  }
  EXPECT_EQ(lock_class("asid_lock").stat.write().acquisitions, 0U);
}

TEST_F(Driver62Test, HasNoBlockedDomainToAttach) {
  Master& m = master(1);
  thread("T", 0, [&](lnx::Thread& t) -> Task<void> { co_await driver().attach_blocked(t, m); });
  EXPECT_NE(model_error().find("6.2 has no blocked domain"), std::string::npos);
}

// Dark from the abort store of the first stream id to the SYNC of the last one's second store.
TEST_F(Driver62Test, EveryMoveIsDarkForItsWholeLength) {
  driver_params.write_step = 10_ns;
  for (const std::uint32_t stream_ids : {1U, 3U}) {
    Master& m = master(stream_ids);
    attach(m, used(m));
    EXPECT_EQ(m.dark_time.windows, 1U);
    EXPECT_EQ(m.dark_time.total, 3_us * stream_ids + 10_ns * (3 * stream_ids - 1));
  }
  Master& m = master(1);
  attach(m, alloc(m));
  EXPECT_EQ(m.dark_time.total, 5040_ns);  // two SYNCs and their stores more
}

}  // namespace
}  // namespace smmulab::smmu

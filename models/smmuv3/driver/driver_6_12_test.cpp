// SPDX-License-Identifier: Apache-2.0
// What one attach, replace or detach of Linux 6.12 sends and holds. Expected values follow from
// arm_smmu_attach_dev() and arm_smmu_write_entry() of that version: a CD write of k steps is k
// batches of one CFGI_CD per stream id and a SYNC; an STE write of k steps is k times CFGI_STE and
// SYNC for each stream id, then a PREFETCH_CONFIG. One SYNC takes 1 us, everything else nothing.
#include <cerrno>

#include "models/smmuv3/driver/testing.hpp"
#include "sim/error.hpp"

namespace smmulab::smmu {
namespace {

class Driver612Test : public DriverTest {
 protected:
  Driver612Test() : DriverTest(DriverVersion::k6_12) {}

  Ps block(Master& m) {
    return timed([&](lnx::Thread& t) -> Task<void> { co_await driver().attach_blocked(t, m); });
  }
  // From here on, only what comes is counted.
  void forget() {
    sent();
    locks();
    held("asid_lock");
    held("init_mutex");
    held("devices_lock");
  }
  Master& blocked(std::uint32_t stream_ids, bool ats = false) {
    Master& m = master(stream_ids, ats);
    block(m);
    forget();
    return m;
  }
};

TEST_F(Driver612Test, AllocFinalisesUnderTheAsidLock) {
  Master& m = master(1);
  EXPECT_TRUE(driver().finalises_at_alloc());
  const Domain& d = alloc(m);
  EXPECT_EQ(d.smmu, m.smmu);
  EXPECT_EQ(locks(), "+asid_lock -asid_lock");
  EXPECT_EQ(sent(), "");
}

TEST_F(Driver612Test, AttachFromBlocked) {
  Master& m = blocked(1);
  Domain& d = alloc(m);
  forget();
  EXPECT_EQ(attach(m, d), 4_us);
  EXPECT_EQ(sent(), "PREFETCH_CONFIG 1, CFGI_STE 2, CFGI_CD 2, SYNC 4");
  EXPECT_EQ(held("asid_lock"), 4_us);
  EXPECT_EQ(held("init_mutex"), 0_us);
  EXPECT_EQ(locks(), "+init_mutex -init_mutex +asid_lock +devices_lock -devices_lock -asid_lock");
  EXPECT_EQ(m.domain, &d);
  EXPECT_EQ(d.masters, (std::vector<MasterDomain>{{&m}}));
}

TEST_F(Driver612Test, AttachFromBlockedWithThreeStreamIds) {
  Master& m = blocked(3);
  EXPECT_EQ(attach(m, used(m)), 8_us);  // 2 CD + 3 * 2 STE
  EXPECT_EQ(sent(), "PREFETCH_CONFIG 3, CFGI_STE 6, CFGI_CD 6, SYNC 8");
}

TEST_F(Driver612Test, AttachFromBlockedWithAts) {
  // The ATC is emptied before ATS is enabled: one ATC_INV for each stream id, one SYNC.
  driver_params.pci_config = 100_us;
  Master& m = blocked(3, true);
  Domain& d = used(m);
  EXPECT_EQ(attach(m, d), 109_us);
  EXPECT_EQ(sent(), "PREFETCH_CONFIG 3, CFGI_STE 6, CFGI_CD 6, ATC_INV 3, SYNC 9");
  EXPECT_EQ(held("asid_lock"), 109_us);
  EXPECT_TRUE(m.ats_enabled);
  EXPECT_EQ(d.nr_ats_masters, 1U);
}

TEST_F(Driver612Test, ReplaceRewritesTheCdOnly) {
  for (const std::uint32_t stream_ids : {1U, 3U}) {
    Master& m = master(stream_ids);
    Domain& from = *m.domain;
    Domain& to = used(m);
    forget();
    EXPECT_EQ(attach(m, to), 3_us);
    EXPECT_EQ(sent(),
              fmt::format("PREFETCH_CONFIG {0}, CFGI_CD {1}, SYNC 3", stream_ids, 3 * stream_ids));
    EXPECT_EQ(held("asid_lock"), 3_us);
    EXPECT_EQ(held("devices_lock"), 0_us);
    // The new domain's list first, the old one's last.
    EXPECT_EQ(locks(),
              "+init_mutex -init_mutex +asid_lock +devices_lock -devices_lock "
              "+devices_lock -devices_lock -asid_lock");
    EXPECT_TRUE(from.masters.empty());
    EXPECT_EQ(to.masters, (std::vector<MasterDomain>{{&m}}));
  }
}

TEST_F(Driver612Test, ReplaceWithAtsKeepsItOnAndFlushesTheAtc) {
  driver_params.pci_config = 100_us;
  Master& m = master(3, true);
  Domain& from = *m.domain;
  Domain& to = used(m);
  EXPECT_TRUE(m.ats_enabled);
  EXPECT_EQ(from.nr_ats_masters, 1U);
  EXPECT_EQ(attach(m, to), 4_us);  // no PCI access
  EXPECT_EQ(sent(), "PREFETCH_CONFIG 3, CFGI_CD 9, ATC_INV 3, SYNC 4");
  EXPECT_EQ(from.nr_ats_masters, 0U);
  EXPECT_EQ(to.nr_ats_masters, 1U);
}

TEST_F(Driver612Test, ReplaceOfStage2DomainsBreaksEachSte) {
  driver_params.stage = Stage::kS2;
  for (const std::uint32_t stream_ids : {1U, 3U}) {
    Master& m = master(stream_ids);
    Domain& to = used(m);
    forget();
    EXPECT_EQ(attach(m, to), 3_us * stream_ids);
    EXPECT_EQ(sent(), fmt::format("PREFETCH_CONFIG {0}, CFGI_STE {1}, SYNC {1}", stream_ids,
                                  3 * stream_ids));
    EXPECT_EQ(held("asid_lock"), 3_us * stream_ids);
  }
}

TEST_F(Driver612Test, DetachClearsTheCdOutsideTheLock) {
  Master& m = master(1);
  forget();
  EXPECT_EQ(block(m), 4_us);
  EXPECT_EQ(sent(), "PREFETCH_CONFIG 1, CFGI_STE 2, CFGI_CD 2, SYNC 4");
  EXPECT_EQ(held("asid_lock"), 2_us);
  EXPECT_EQ(locks(), "+asid_lock +devices_lock -devices_lock -asid_lock");
  EXPECT_EQ(m.domain, nullptr);
}

TEST_F(Driver612Test, DetachWithThreeStreamIdsAndAts) {
  driver_params.pci_config = 100_us;
  Master& m = master(3, true);
  Domain& from = *m.domain;
  forget();
  // 3 * 2 STE and the ATC under the lock, 2 CD outside.
  EXPECT_EQ(block(m), 109_us);
  EXPECT_EQ(held("asid_lock"), 107_us);
  EXPECT_EQ(sent(), "PREFETCH_CONFIG 3, CFGI_STE 6, CFGI_CD 6, ATC_INV 3, SYNC 9");
  EXPECT_FALSE(m.ats_enabled);
  EXPECT_EQ(from.nr_ats_masters, 0U);
}

TEST_F(Driver612Test, DetachOfAStage2DomainHasNoCd) {
  driver_params.stage = Stage::kS2;
  Master& m = master(1);
  forget();
  EXPECT_EQ(block(m), 2_us);
  EXPECT_EQ(sent(), "PREFETCH_CONFIG 1, CFGI_STE 2, SYNC 2");
}

TEST_F(Driver612Test, PrefetchCanBeLeftOut) {
  driver_params.skip_prefetch = true;
  Master& m = master(2);
  forget();
  block(m);
  EXPECT_EQ(sent(), "CFGI_STE 4, CFGI_CD 4, SYNC 6");
}

TEST_F(Driver612Test, ADomainOfAnotherSmmuIsRefusedBeforeAnythingIsTouched) {
  Master& m = master(1);
  Domain& mine = *m.domain;
  const Master& other = master(1, false, 1);
  forget();
  EXPECT_EQ(attach(m, *other.domain, -EINVAL), 0_us);
  EXPECT_EQ(sent(), "");
  EXPECT_EQ(locks(), "+init_mutex -init_mutex");
  EXPECT_EQ(m.domain, &mine);
}

// More stream ids than a batch holds: 64 go without SYNC, the rest with it.
TEST_F(Driver612Test, BatchesOfManyStreamIds) {
  driver_params.skip_prefetch = true;
  Master& m = master(65, true);
  forget();
  const std::uint64_t before = m.smmu->queue.stat().submissions;
  EXPECT_EQ(attach(m, used(m)), 4_us);
  EXPECT_EQ(sent(), "CFGI_CD 195, ATC_INV 65, SYNC 4");
  EXPECT_EQ(m.smmu->queue.stat().submissions - before, 8U);
}

TEST_F(Driver612Test, OneLockSerialisesEverySmmu) {
  for (const bool global : {true, false}) {
    lock_class("asid_lock").elided = !global;
    Master& a = master(1, false, 0);
    Master& b = master(1, false, 1);
    Domain& to_a = used(a);
    Domain& to_b = used(b);
    const SimTime start = engine.now() + 1_us;
    std::vector<Ps> ends;
    const auto replace = [&](Master& m, Domain& d) {
      return [&](lnx::Thread& t) -> Task<void> {
        co_await t.run(start - engine.now());
        co_await driver().attach_dev(t, m, d);
        co_await t.run();
        ends.push_back(engine.now() - start);
      };
    };
    thread("A", 0, replace(a, to_a));
    thread("B", 1, replace(b, to_b));
    engine.run();
    EXPECT_EQ(ends, (std::vector<Ps>{3_us, global ? 6_us : 3_us}));
  }
}

// --- Dark time: from the store that breaks translation to the SYNC of the one that mends it ------

class Dark612Test : public Driver612Test {
 protected:
  Dark612Test() { driver_params.write_step = 10_ns; }
};

TEST_F(Dark612Test, ReplaceIsDarkFromItsFirstStoreToItsLastSync) {
  for (const std::uint32_t stream_ids : {1U, 3U}) {
    Master& m = master(stream_ids);
    attach(m, used(m));
    EXPECT_EQ(m.dark_time.windows, 1U);
    EXPECT_EQ(m.dark_time.total, 3020_ns);  // three SYNCs, two more stores
    EXPECT_EQ(m.dark_time.max, 3020_ns);
    EXPECT_FALSE(m.dark);
  }
}

// The record has each command with its place in the queue, and what a CPU learns of completion.
TEST_F(Dark612Test, TheRecordTellsCommandsAndDarkness) {
  Master& m = master(1);
  Domain& to = used(m);
  hardware_events();
  const std::uint64_t n = smmu().queue.stat().commands + smmu().queue.stat().syncs;
  attach(m, to);
  EXPECT_EQ(hardware_events(),
            fmt::format("dark issue:{}=0x5 issue:{}=0x46 complete:{} issue:{}=0x5 issue:{}=0x46 "
                        "complete:{} issue:{}=0x5 issue:{}=0x46 complete:{} light issue:{}=0x1",
                        n, n + 1, n + 2, n + 2, n + 3, n + 4, n + 4, n + 5, n + 6, n + 6));
}

TEST_F(Dark612Test, Stage2ReplaceIsDarkFromTheFirstSteToTheLast) {
  driver_params.stage = Stage::kS2;
  Master& m = master(3);
  attach(m, used(m));
  EXPECT_EQ(m.dark_time.windows, 1U);
  EXPECT_EQ(m.dark_time.total, 9080_ns);  // nine SYNCs, eight more stores
}

TEST_F(Dark612Test, DetachAndAttachIsOneWindow) {
  Master& m = master(1);
  block(m);
  EXPECT_TRUE(m.dark);
  EXPECT_EQ(m.dark_time.windows, 0U);  // still open
  attach(m, used(m));
  // Abort with the first store; 2 STE + 2 CD, then 2 CD + 2 STE; eight stores, the first excepted.
  EXPECT_EQ(m.dark_time.windows, 1U);
  EXPECT_EQ(m.dark_time.total, 8070_ns);
}

TEST_F(Dark612Test, FirstAttachIsNoWindow) {
  Master& m = bare_master(1);
  attach(m, used(m));
  EXPECT_FALSE(m.dark);
  EXPECT_EQ(m.dark_time.windows, 0U);
  EXPECT_EQ(m.dark_time.total, 0_ns);
}

}  // namespace
}  // namespace smmulab::smmu

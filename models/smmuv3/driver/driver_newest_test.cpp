// SPDX-License-Identifier: Apache-2.0
// What the newest driver sends beyond 6.12: nesting, and invalidation by arrays. Expected values
// follow from arm_smmu_write_entry() over the bits each configuration uses, and from the
// arm_smmu_invs series (of about 7.0). One SYNC takes 1 us, everything else nothing.
#include <cerrno>

#include "models/smmuv3/driver/testing.hpp"

namespace smmulab::smmu {
namespace {

class DriverNewestTest : public DriverTest {
 protected:
  DriverNewestTest() : DriverTest(DriverVersion::kNewest) {}

  Ps block(Master& m) {
    return timed([&](lnx::Thread& t) -> Task<void> { co_await driver().attach_blocked(t, m); });
  }
  void forget() {
    sent();
    locks();
    held("asid_lock");
  }
  Domain& parent(const Master& m) {
    Domain* domain = nullptr;
    timed([&](lnx::Thread& t) -> Task<void> {
      domain = co_await driver().domain_alloc(t, m, {.nest_parent = true});
    });
    return *domain;
  }
  Domain& nested(Domain& below) {
    Domain* domain = nullptr;
    timed([&](lnx::Thread& t) -> Task<void> { domain = co_await driver().nested_alloc(t, below); });
    return *domain;
  }
  void map(Domain& d, std::uint64_t size) {
    timed([&, size](lnx::Thread& t) -> Task<void> {
      EXPECT_EQ(co_await driver().map(t, d, Iova{0}, Bytes{size}, Bytes{4096}), 0);
    });
  }
  Ps unmap(Domain& d, std::uint64_t size) {
    return timed([&, size](lnx::Thread& t) -> Task<void> {
      co_await driver().unmap(t, d, Iova{0}, Bytes{size});
    });
  }
};

// --- Arrays ------------------------------------------------------------------------------------

TEST_F(DriverNewestTest, TheLastDetachFlushesTheAsid) {
  Master& m = master(1);
  Master& other = master(1);
  Domain& to = used(m);
  forget();
  EXPECT_EQ(attach(m, to), 4_us);  // 6.12's three, and the old domain's
  EXPECT_EQ(sent(), "PREFETCH_CONFIG 1, CFGI_CD 3, TLBI_NH_ASID 1, SYNC 4");
  EXPECT_EQ(held("asid_lock"), 4_us);
  EXPECT_EQ(locks(), "+init_mutex -init_mutex +asid_lock -asid_lock");
  attach(other, to);
  forget();
  EXPECT_EQ(block(m), 4_us);  // the other one stays: no flush
  EXPECT_EQ(sent(), "PREFETCH_CONFIG 1, CFGI_STE 2, CFGI_CD 2, SYNC 4");
  EXPECT_EQ(block(other), 5_us);
  EXPECT_EQ(sent(), "PREFETCH_CONFIG 1, CFGI_STE 2, CFGI_CD 2, TLBI_NH_ASID 1, SYNC 5");
}

TEST_F(DriverNewestTest, AnInvalidationWalksTheArrayWithoutALock) {
  Master& m = master(2, true);
  Domain& d = *m.domain;
  map(d, 16 * 4096);
  forget();
  EXPECT_EQ(unmap(d, 16 * 4096), 2_us);  // the TLBs', then the ATCs'
  EXPECT_EQ(sent(), "TLBI_NH_VA 1, ATC_INV 2, SYNC 2");
  EXPECT_EQ(locks(), "");
}

TEST_F(DriverNewestTest, NobodyIsAttachedNothingIsSent) {
  Master& m = master(1);
  Domain& d = alloc(m);
  map(d, 4096);
  forget();
  EXPECT_EQ(unmap(d, 4096), 0_us);
  EXPECT_EQ(sent(), "");
}

TEST_F(DriverNewestTest, ManyGranulesWithoutRangesAreFlushedWhole) {
  driver_params.range_inv = false;
  Master& m = master(1);
  Domain& d = *m.domain;
  map(d, 511 * 4096);
  forget();
  unmap(d, 511 * 4096);
  EXPECT_EQ(sent(), "TLBI_NH_VA 511, SYNC 1");
  // Of 600, 512 fill a table: its drop is a flush of 512 granules, its entry one command.
  map(d, 600 * 4096);
  forget();
  unmap(d, 600 * 4096);
  EXPECT_EQ(sent(), "TLBI_NH_ASID 1, TLBI_NH_VA 89, SYNC 3");
}

// --- Nesting -----------------------------------------------------------------------------------

TEST_F(DriverNewestTest, NestedFromBlockedAndBackIsHitless) {
  Master& m = master(3);
  block(m);
  Domain& below = parent(m);
  Domain& d = nested(below);
  forget();
  EXPECT_EQ(attach(m, d), 6_us);  // 3 * 2 STE, no CD: the guest has its own
  EXPECT_EQ(sent(), "PREFETCH_CONFIG 3, CFGI_STE 6, SYNC 6");
  EXPECT_EQ(below.masters, (std::vector<MasterDomain>{{&m}}));
  EXPECT_TRUE(d.masters.empty());
  EXPECT_EQ(block(m), 7_us);
  EXPECT_EQ(sent(), "PREFETCH_CONFIG 3, CFGI_STE 6, TLBI_S12_VMALL 1, SYNC 7");
}

TEST_F(DriverNewestTest, BetweenNestedDomainsOfOneParentOnlyTheContextPointerChanges) {
  Master& m = master(1);
  Domain& below = parent(m);
  Domain& a = nested(below);
  Domain& b = nested(below);
  attach(m, a);
  const DarkTime before = m.dark_time;
  forget();
  EXPECT_EQ(attach(m, b), 1_us);
  EXPECT_EQ(sent(), "PREFETCH_CONFIG 1, CFGI_STE 1, SYNC 1");
  EXPECT_EQ(attach(m, below), 2_us);
  EXPECT_EQ(sent(), "PREFETCH_CONFIG 1, CFGI_STE 2, SYNC 2");
  EXPECT_EQ(attach(m, a), 2_us);
  EXPECT_EQ(m.dark_time.windows, before.windows);  // hitless
}

// From the host's CD table: StallD and VMID differ as well, so V=0; then the CD goes.
TEST_F(DriverNewestTest, FromStage1ToNestedBreaks) {
  Master& m = master(1);
  Domain& d = nested(parent(m));
  forget();
  EXPECT_EQ(attach(m, d), 6_us);
  EXPECT_EQ(sent(), "PREFETCH_CONFIG 1, CFGI_STE 3, CFGI_CD 2, TLBI_NH_ASID 1, SYNC 6");
}

TEST_F(DriverNewestTest, AnUnmapOfAParentFlushesTheGuestsStage1) {
  Master& m = master(1);
  Domain& below = parent(m);
  attach(m, nested(below));
  map(below, 16 * 4096);
  forget();
  EXPECT_EQ(unmap(below, 16 * 4096), 1_us);
  EXPECT_EQ(sent(), "TLBI_NH_ALL 1, TLBI_S2_IPA 1, SYNC 1");
}

// Batches of 63, each with a SYNC.
TEST_F(DriverNewestTest, AGuestsInvalidations) {
  Master& m = master(1);
  Domain& d = nested(parent(m));
  const auto invalidate = [&](std::uint64_t count) {
    return timed([&, count](lnx::Thread& t) -> Task<void> {
      co_await driver().invalidate_user(t, d, count);
    });
  };
  forget();
  EXPECT_EQ(invalidate(63), 1_us);
  EXPECT_EQ(invalidate(64), 2_us);
  EXPECT_EQ(sent(), "TLBI_NH_VA 127, SYNC 3");
  EXPECT_EQ(invalidate(0), 0_us);
  EXPECT_EQ(locks(), "");
}

// arm_vsmmu_cache_invalidate() names &smmu->cmdq, whatever queues there are besides.
TEST_F(DriverNewestTest, AGuestsInvalidationsGoToTheMainQueue) {
  driver_params.cmdq_kind = QueueKind::kEcmdq;
  Master& m = master(1);
  Domain& d = nested(parent(m));
  timed([&](lnx::Thread& t) -> Task<void> { co_await driver().invalidate_user(t, d, 5); });
  EXPECT_EQ(d.smmu->queue[0].stat().commands, 5U);
}

TEST_F(DriverNewestTest, ANestedDomainOfAnotherSmmuIsRefused) {
  Master& m = master(1);
  Domain& d = nested(parent(master(1, false, 1)));
  EXPECT_EQ(attach(m, d, -EINVAL), 0_us);
}

// --- What is asked of a domain -----------------------------------------------------------------

TEST(DomainRequestTest, WhatEachVersionMakes) {
  struct Case {
    DriverVersion version;
    Stage stage;
    int nest_parent;
    int dirty;
  };
  const std::vector<Case> cases = {{DriverVersion::k6_2, Stage::kS1, -EOPNOTSUPP, -EOPNOTSUPP},
                                   {DriverVersion::k6_12, Stage::kS1, -EOPNOTSUPP, 0},
                                   {DriverVersion::k6_12, Stage::kS2, -EOPNOTSUPP, -EOPNOTSUPP},
                                   {DriverVersion::kNewest, Stage::kS1, 0, 0}};
  for (const Case& c : cases) {
    Engine engine;
    lnx::Machine machine(engine, lnx::LinuxParams{}, lnx::uniform_topology(1, 1, 1));
    DriverParams params;
    params.version = c.version;
    params.stage = c.stage;
    const auto driver = make_counted_driver(machine, params);
    EXPECT_EQ(driver->check_request({.nest_parent = true}), c.nest_parent);
    EXPECT_EQ(driver->check_request({.dirty_tracking = true}), c.dirty);
    EXPECT_EQ(driver->check_request({true, true}), -EOPNOTSUPP);
    EXPECT_EQ(driver->check_request({}), 0);
  }
}

// --- PASIDs, as in 6.12 ------------------------------------------------------------------------

class PasidTest : public DriverTest {
 protected:
  PasidTest() : DriverTest(DriverVersion::k6_12) {}

  Ps set(Master& m, std::uint32_t pasid, Domain& d, int expected = 0) {
    return timed([&, pasid, expected](lnx::Thread& t) -> Task<void> {
      EXPECT_EQ(co_await driver().attach_pasid(t, m, pasid, d), expected);
    });
  }
  Ps remove(Master& m, std::uint32_t pasid) {
    return timed(
        [&, pasid](lnx::Thread& t) -> Task<void> { co_await driver().detach_pasid(t, m, pasid); });
  }
};

TEST_F(PasidTest, BesideAStage1RidOnlyCdsAreWritten) {
  Master& m = master(3);
  Domain& a = used(m);
  Domain& b = used(m);
  sent();
  locks();
  EXPECT_EQ(set(m, 5, a), 2_us);
  EXPECT_EQ(sent(), "CFGI_CD 6, SYNC 2");
  EXPECT_EQ(locks(), "+asid_lock +devices_lock -devices_lock -asid_lock");
  EXPECT_EQ(set(m, 5, b), 3_us);  // replace: ASID and TTB0 differ
  EXPECT_TRUE(a.masters.empty());
  EXPECT_EQ(remove(m, 5), 2_us);
  EXPECT_TRUE(b.masters.empty());
  EXPECT_TRUE(m.pasids.empty());
}

TEST_F(PasidTest, OfABlockedMasterTheSteComesAndGoes) {
  Master& m = master(1);
  timed([&](lnx::Thread& t) -> Task<void> { co_await driver().attach_blocked(t, m); });
  Domain& d = used(m);
  sent();
  EXPECT_EQ(set(m, 1, d), 4_us);  // 2 CD, 2 STE abort -> CD table
  EXPECT_EQ(sent(), "PREFETCH_CONFIG 1, CFGI_STE 2, CFGI_CD 2, SYNC 4");
  EXPECT_EQ(set(m, 2, d), 2_us);
  EXPECT_EQ(attach(m, d), 3_us);  // its CD, and S1DSS
  EXPECT_EQ(remove(m, 1), 2_us);
  timed([&](lnx::Thread& t) -> Task<void> { co_await driver().attach_blocked(t, m); });
  sent();
  EXPECT_EQ(remove(m, 2), 4_us);
  EXPECT_EQ(sent(), "PREFETCH_CONFIG 1, CFGI_STE 2, CFGI_CD 2, SYNC 4");
}

TEST_F(PasidTest, WithAtsTheAtcIsEmptied) {
  Master& m = master(2, true);
  Domain& d = used(m);
  sent();
  EXPECT_EQ(set(m, 1, d), 3_us);
  EXPECT_EQ(remove(m, 1), 3_us);
  EXPECT_EQ(sent(), "CFGI_CD 8, ATC_INV 4, SYNC 6");
  EXPECT_EQ(d.nr_ats_masters, 0U);
}

// Leaves of 1024 CDs, each with a CFGI_CD(leaf=0) for every stream id and a SYNC at its first use,
// before asid_lock is taken; they stay when their PASIDs go.
TEST_F(PasidTest, WithTwoLevelsALeafsFirstUseIsASyncMore) {
  driver_params.ssid_bits = 20;
  Master& m = master(3);  // boot has the RID's leaf
  Domain& d = used(m);
  sent();
  EXPECT_EQ(set(m, 5, d), 2_us);
  EXPECT_EQ(set(m, 1023, d), 2_us);
  EXPECT_EQ(sent(), "CFGI_CD 12, SYNC 4");
  locks();
  held("asid_lock");
  EXPECT_EQ(set(m, 1024, d), 3_us);
  EXPECT_EQ(sent(), "CFGI_CD 9, SYNC 3");
  EXPECT_EQ(held("asid_lock"), 2_us);
  EXPECT_EQ(locks(), "+asid_lock +devices_lock -devices_lock -asid_lock");
  EXPECT_EQ(set(m, 2047, d), 2_us);
  EXPECT_EQ(set(m, 2048, d), 3_us);
  EXPECT_EQ(remove(m, 1024), 2_us);
  EXPECT_EQ(set(m, 1024, d), 2_us);
  EXPECT_EQ(set(m, (1U << 20U) - 1, d), 3_us);
  EXPECT_EQ(m.cd_leaves, (std::vector<std::uint32_t>{0, 1, 2, 1023}));
  Master& other = master(1);  // each has a table of its own
  sent();
  EXPECT_EQ(set(other, 1024, d), 3_us);
  EXPECT_EQ(sent(), "CFGI_CD 3, SYNC 3");
}

TEST_F(PasidTest, WithTwoLevelsTheFirstAttachMakesTheRidsLeaf) {
  for (const std::uint32_t bits : {10U, 11U}) {
    driver_params.ssid_bits = bits;
    Master& m = bare_master(2);
    Domain& d = used(m);
    sent();
    held("asid_lock");
    EXPECT_EQ(attach(m, d), bits > 10 ? 7_us : 6_us);  // 2 CD, 2 * 2 STE
    EXPECT_EQ(sent(), bits > 10 ? "PREFETCH_CONFIG 2, CFGI_STE 4, CFGI_CD 6, SYNC 7"
                                : "PREFETCH_CONFIG 2, CFGI_STE 4, CFGI_CD 4, SYNC 6");
    EXPECT_EQ(held("asid_lock"), 6_us);
    EXPECT_EQ(attach(m, used(m)), 3_us);
  }
}

// Of a linear table only the allocation is paid for, of two levels the leaf's as well.
TEST_F(PasidTest, WhatACdTableCosts) {
  driver_params.cd_table_alloc = 100_us;
  Master& linear = bare_master(1);
  EXPECT_EQ(set(linear, 1, used(linear)), 104_us);
  EXPECT_EQ(set(linear, 1023, used(linear)), 2_us);
  driver_params.ssid_bits = 12;
  Master& m = bare_master(1);
  EXPECT_EQ(set(m, 1, used(m)), 205_us);
  EXPECT_EQ(set(m, 1024, used(m)), 103_us);
}

TEST_F(PasidTest, AsManyAsTheDeviceHas) {
  Master& m = master(1);
  Domain& d = used(m);
  EXPECT_EQ(set(m, 1024, d, -EINVAL), 0_us);
  EXPECT_EQ(set(m, 1023, d), 2_us);
  driver_params.ssid_bits = 0;
  EXPECT_EQ(set(m, 1, d, -EINVAL), 0_us);
}

TEST_F(PasidTest, WhatIsRefused) {
  Master& m = master(1);
  EXPECT_EQ(set(m, 1, used(master(1, false, 1)), -EINVAL), 0_us);
  driver_params.stage = Stage::kS2;
  EXPECT_EQ(set(m, 1, used(m), -EINVAL), 0_us);
}

}  // namespace
}  // namespace smmulab::smmu

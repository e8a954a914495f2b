// SPDX-License-Identifier: Apache-2.0
// ASIDs and VMIDs of domains: the lowest that is free, of the system and of the SMMU, and what
// happens where none is [Linux 6.12 arm_smmu_domain_finalise_s1(), _s2()]. One SYNC takes 1 us.
#include <cerrno>

#include "models/smmuv3/driver/testing.hpp"
#include "sim/error.hpp"

namespace smmulab::smmu {
namespace {

class AsidTest : public DriverTest {
 protected:
  AsidTest() : DriverTest(DriverVersion::k6_12) {}

  void free(Domain& d) {
    timed([&](lnx::Thread& t) -> Task<void> { co_await driver().domain_free(t, d); });
  }
  // From here on, only what comes is counted.
  void forget() {
    sent();
    locks();
  }
  // Of three ids the default domain has one, two others have the rest: a fourth domain's attach
  // gives `error` until one of those is freed. Gives that fourth domain, attached.
  Domain& attach_the_fourth(int error, const std::string& locks_of_failure) {
    Master& m = master(1);
    Domain& before = *m.domain;
    Domain& a = alloc(m);
    alloc(m);
    Domain& c = alloc(m);
    EXPECT_EQ(c.smmu, nullptr);
    forget();
    EXPECT_EQ(attach(m, c, error), 0_us);
    EXPECT_EQ(sent(), "");
    EXPECT_EQ(locks(), locks_of_failure);
    EXPECT_EQ(m.domain, &before);
    free(a);
    EXPECT_EQ(attach(m, c), 3_us);
    EXPECT_EQ(m.domain, &c);
    return c;
  }
};

TEST_F(AsidTest, TheLowestFreeOne) {
  Master& m = master(1);
  EXPECT_EQ(m.domain->asid, Asid{1});
  Domain& a = alloc(m);
  Domain& b = alloc(m);
  EXPECT_EQ(a.asid, Asid{2});
  EXPECT_EQ(b.asid, Asid{3});
  EXPECT_EQ(alloc(m).asid, Asid{4});
  free(a);
  free(b);
  EXPECT_EQ(alloc(m).asid, Asid{2});
  EXPECT_EQ(alloc(m).asid, Asid{3});
  EXPECT_EQ(alloc(m).asid, Asid{5});
}

TEST_F(AsidTest, WithoutOneAnAttachFailsAndChangesNothing) {
  driver_params.asid_bits = 2;  // 1 to 3
  const Domain& d = attach_the_fourth(-EBUSY, "+init_mutex +asid_lock -asid_lock -init_mutex");
  EXPECT_EQ(d.asid, Asid{2});
}

TEST_F(AsidTest, ADomainThatGotNoneIsFreedWithoutAFlush) {
  driver_params.asid_bits = 1;
  Domain& d = alloc(master(1));
  forget();
  free(d);
  EXPECT_EQ(sent(), "");
  EXPECT_EQ(locks(), "");
}

// arm_smmu_domain_free_paging(): TLBs may have it until the flush is through.
TEST_F(AsidTest, OneIsFreeAfterItsFlushOnly) {
  driver_params.asid_bits = 2;
  Master& m = master(1);
  Domain& a = alloc(m);
  alloc(m);
  Domain& c = alloc(m);
  const SimTime start = engine.now() + 1_us;
  std::vector<int> results;
  thread("free", 0, [&](lnx::Thread& t) -> Task<void> {
    co_await t.run(start - engine.now());
    co_await driver().domain_free(t, a);
  });
  thread("attach", 1, [&](lnx::Thread& t) -> Task<void> {
    co_await t.run(start + 500_ns - engine.now());
    results.push_back(co_await driver().attach_dev(t, m, c));  // its SYNC is under way
    co_await t.run(1_us);
    results.push_back(co_await driver().attach_dev(t, m, c));
  });
  engine.run();
  EXPECT_EQ(results, (std::vector<int>{-EBUSY, 0}));
}

TEST_F(AsidTest, Stage2TakesNone) {
  driver_params.stage = Stage::kS2;
  driver_params.asid_bits = 1;
  Master& m = master(1);
  EXPECT_EQ(attach(m, alloc(m)), 3_us);
  EXPECT_EQ(attach(m, alloc(m)), 3_us);
}

class VmidTest : public AsidTest {
 protected:
  VmidTest() { driver_params.stage = Stage::kS2; }
};

// Each SMMU has its own.
TEST_F(VmidTest, TheLowestFreeOneOfTheSmmu) {
  Master& m = master(1);
  Master& elsewhere = master(1, false, 1);
  EXPECT_EQ(m.domain->vmid, Vmid{1});
  EXPECT_EQ(elsewhere.domain->vmid, Vmid{1});
  Domain& a = alloc(m);
  EXPECT_EQ(a.vmid, Vmid{2});
  EXPECT_EQ(alloc(m).vmid, Vmid{3});
  EXPECT_EQ(alloc(elsewhere).vmid, Vmid{2});
  free(a);
  EXPECT_EQ(alloc(m).vmid, Vmid{2});
}

TEST_F(VmidTest, WithoutOneAnAttachFailsAndChangesNothing) {
  driver_params.vmid_bits = 2;  // 1 to 3
  EXPECT_EQ(attach_the_fourth(-ENOSPC, "+init_mutex -init_mutex").vmid, Vmid{2});
}

TEST_F(VmidTest, ADomainThatGotNoneGivesNoneBack) {
  driver_params.vmid_bits = 1;
  Master& m = master(1);
  Domain& d = alloc(m);
  forget();
  free(d);
  EXPECT_EQ(sent(), "");
  EXPECT_EQ(alloc(m).smmu, nullptr);
}

// A nest parent is of stage 2 whatever the others are; what is nested has no VMID of its own.
TEST_F(AsidTest, ANestParentTakesAVmid) {
  Master& m = master(1);
  const auto parent = [&] {
    Domain* d = nullptr;
    timed([&](lnx::Thread& t) -> Task<void> {
      d = co_await driver().domain_alloc(t, m, {.nest_parent = true});
    });
    return d;
  };
  Domain* const first = parent();
  EXPECT_EQ(first->vmid, Vmid{1});
  Domain* nested = nullptr;
  timed([&](lnx::Thread& t) -> Task<void> { nested = co_await driver().nested_alloc(t, *first); });
  free(*nested);
  EXPECT_EQ(parent()->vmid, Vmid{2});
  free(*first);
  EXPECT_EQ(parent()->vmid, Vmid{1});
}

TEST_F(VmidTest, TooFewForTheDefaultDomains) {
  driver_params.vmid_bits = 1;
  master(1);
  EXPECT_THROW(master(1), ConfigError);
}

TEST_F(AsidTest, TooFewForTheDefaultDomains) {
  driver_params.asid_bits = 1;
  master(1);
  EXPECT_THROW(master(1), ConfigError);
}

}  // namespace
}  // namespace smmulab::smmu

// SPDX-License-Identifier: Apache-2.0
// Lockdep on the covering set under each protocol, and on locks of the kernel model taken by hand.
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "analysis/lockdep.hpp"
#include "analysis/lockdep_text.hpp"
#include "models/linux/testing.hpp"
#include "workloads/covering_set.hpp"
#include "workloads/settings.hpp"
#include "workloads/trace_testing.hpp"

namespace smmulab::workloads {
namespace {

using analysis::FindingKind;
using analysis::LockdepReport;

struct Covered {
  LockdepReport report;
  std::map<std::string, std::string> status;  // of each run
};

Covered cover(const std::string& protocol, const std::vector<std::string>& assignments = {}) {
  Settings settings;
  for (const std::string& assignment : assignments) {
    apply_assignment(assignment, settings);
  }
  Covered covered;
  analysis::LockGraphBuilder builder;
  record_covering_set(settings, protocol, [&](const RecordedRun& run) {
    covered.status[run.name] = run.status;
    builder.add(run.record, {run.name, run.message, run.status == "model error"});
  });
  covered.report = analysis::lockdep(builder.graph());
  return covered;
}

// Protocols without a hazard of locks; what else is wrong with them (a wrong state) is not asked.
class CleanProtocolTest : public ::testing::TestWithParam<const char*> {};

TEST_P(CleanProtocolTest, NoHazardWithEitherDriverWithOrWithoutVfio) {
  for (const char* driver : {"driver.version=6.2", "driver.version=6.12"}) {
    for (const char* vfio : {"iommufd.vfio=true", "iommufd.vfio=false"}) {
      const Covered covered = cover(GetParam(), {driver, vfio});
      EXPECT_EQ(covered.report.hazard_count(), 0U) << to_text(covered.report, driver);
      EXPECT_TRUE(covered.report.findings.empty());
      for (const auto& [run, status] : covered.status) {
        EXPECT_TRUE(status == "ok" || status == "wrong state") << run << ": " << status;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Protocols, CleanProtocolTest,
                         ::testing::Values("v6.2", "v6.4", "seed-lock-both", "ioas-pair",
                                           "devices-users-1", "devices-users-2", "devices-users-3",
                                           "core-group", "igroup", "igroup-pasid", "no-locks",
                                           "one-lock"),
                         [](const auto& each) {
                           std::string name = each.param;
                           std::erase_if(name, [](char c) { return c == '.' || c == '-'; });
                           return name;
                         });

using Names = std::vector<std::string>;

bool found(const LockdepReport& report, FindingKind kind, const Names& classes) {
  return std::any_of(report.findings.begin(), report.findings.end(), [&](const auto& f) {
    return f.kind == kind && f.classes == classes && f.hazard();
  });
}

// "possible recursive locking", and that both orders were taken.
void expect_h1(const LockdepReport& report) {
  EXPECT_TRUE(found(report, FindingKind::kRecursion, {"hwpt->devices_lock"}));
  EXPECT_TRUE(found(report, FindingKind::kInstanceOrder, {"hwpt->devices_lock"}));
}

TEST(LockdepProtocols, SeedUnorderedHasH1) {
  const LockdepReport report = cover("seed-unordered").report;
  EXPECT_EQ(report.hazards(), (Names{"H1"}));
  expect_h1(report);
  EXPECT_EQ(cover("seed-unordered", {"protocol.mend_h1=true"}).report.hazard_count(), 0U);
}

TEST(LockdepProtocols, PostedV1HasH1) {
  for (const char* stale :
       {"protocol.mend_stale_domain=false", "protocol.mend_stale_domain=true"}) {
    const LockdepReport report = cover("posted-v1", {stale}).report;
    EXPECT_EQ(report.hazards(), (Names{"H1"}));
    expect_h1(report);
    EXPECT_EQ(cover("posted-v1", {stale, "protocol.mend_h1=true"}).report.hazard_count(), 0U);
  }
}

TEST(LockdepProtocols, PostedV2HasH1ToH3AndTheLeak) {
  const Covered covered = cover("posted-v2");
  const LockdepReport& report = covered.report;
  EXPECT_EQ(report.hazards(), (Names{"H1", "H2", "H3", "leaked-reference"}));
  expect_h1(report);
  EXPECT_TRUE(found(report, FindingKind::kCycle, {"hwpt->devices_lock", "ioas->mutex"}));
  EXPECT_TRUE(found(report, FindingKind::kRecursion, {"ioas->mutex"}));
  EXPECT_TRUE(found(report, FindingKind::kInstanceOrder, {"ioas->mutex"}));
  EXPECT_TRUE(found(report, FindingKind::kHeldAtExit, {"destroy_rwsem"}));
  // The leak makes a destroy of the covering set wait for ever; its graph counts up to then.
  EXPECT_EQ(covered.status.at("automatic"), "deadlock");
  EXPECT_TRUE(found(report, FindingKind::kBlocked, {"destroy_rwsem"}));
}

// H2 by the two operations of section 11: a plain detach against a plain attach.
TEST(LockdepProtocols, H2NamesAttachAndDetachWithTheirChains) {
  const LockdepReport report = cover("posted-v2", {"protocol.mend_h3=true"}).report;
  const auto h2 = std::find_if(report.findings.begin(), report.findings.end(),
                               [](const analysis::Finding& f) { return f.hazards == Names{"H2"}; });
  ASSERT_NE(h2, report.findings.end());
  ASSERT_EQ(h2->witnesses.size(), 2U);
  EXPECT_TRUE(h2->witnesses[0].operation.starts_with("detach dev=")) << h2->witnesses[0].operation;
  EXPECT_TRUE(h2->witnesses[1].operation.starts_with("attach dev=")) << h2->witnesses[1].operation;
  Names chain;
  for (const analysis::ChainLink& link : h2->witnesses[0].held) {
    chain.push_back(report.graph.nodes[link.node].label());
  }
  EXPECT_EQ(chain, (Names{"dev_set->lock", "hwpt->devices_lock"}));
}

TEST(LockdepProtocols, EachMendedHazardOfPostedV2IsGone) {
  const std::string h2 = "protocol.mend_h2=true";
  const std::string h3 = "protocol.mend_h3=true";
  const std::string leak = "protocol.mend_leaked_reference=true";
  const auto left = [](const Names& assignments) {
    return cover("posted-v2", assignments).report.hazards();
  };
  // A replace across IOASes takes the old ioas->mutex under devices_lock: the same two classes.
  EXPECT_EQ(left({h2}), (Names{"H1", "H2", "H3", "leaked-reference"}));
  EXPECT_EQ(left({h3}), (Names{"H1", "H2", "leaked-reference"}));
  EXPECT_EQ(left({h2, h3}), (Names{"H1", "leaked-reference"}));
  EXPECT_EQ(left({leak}), (Names{"H1", "H2", "H3"}));
  EXPECT_EQ(left({h2, h3, leak}), (Names{"H1"}));
}

std::set<std::string> edges_of(const analysis::LockGraph& graph) {
  std::set<std::string> edges;
  for (const analysis::LockEdge& e : graph.edges) {
    if (e.direct) {
      edges.insert(graph.nodes[e.from].label() + " -> " + graph.nodes[e.to].label());
    }
  }
  return edges;
}

// The order of Linux 6.12 (docs/protocols.md, igroup), as direct dependencies.
TEST(LockdepProtocols, TheGraphOfIgroupIsTheDocumentedOrder) {
  const std::set<std::string> edges = edges_of(cover("igroup").report.graph);
  for (const char* edge :
       {"dev_set->lock -> igroup->lock", "dev_set->lock -> ioas->mutex",
        "ioas->mutex -> igroup->lock", "igroup->lock -> iova_rwsem", "igroup->lock -> group->mutex",
        "group->mutex -> init_mutex", "group->mutex -> asid_lock", "asid_lock -> devices_lock",
        "ioas->mutex -> domains_rwsem", "domains_rwsem -> iova_rwsem", "iova_rwsem -> pages->mutex",
        "pages->mutex -> devices_lock"}) {
    EXPECT_TRUE(edges.contains(edge)) << edge;
  }
  EXPECT_FALSE(edges.contains("igroup->lock -> ioas->mutex"));
  EXPECT_FALSE(edges.contains("igroup->lock -> domains_rwsem"));  // never filled under it
}

// Section 11, H7: what v6.2's query of reserved regions forbids elsewhere.
TEST(LockdepProtocols, OnlyV62TakesGroupMutexUnderIovaRwsem) {
  EXPECT_TRUE(edges_of(cover("v6.2").report.graph).contains("iova_rwsem -> group->mutex"));
  EXPECT_FALSE(edges_of(cover("igroup").report.graph).contains("iova_rwsem -> group->mutex"));
}

TEST(LockdepProtocols, LockBothNestsBySubclassInOneOrder) {
  const LockdepReport report = cover("seed-lock-both").report;
  const std::set<std::string> edges = edges_of(report.graph);
  EXPECT_TRUE(edges.contains("hwpt->devices_lock -> hwpt->devices_lock/1"));
  EXPECT_TRUE(edges.contains("ioas->mutex -> ioas->mutex/1"));
  EXPECT_FALSE(report.graph.instances.empty());
}

// A destroy of the automatic hwpt waits for short-term references under dev_set->lock, and says so.
TEST(LockdepProtocols, WaitsUnderLocksAreListed) {
  const LockdepReport report = cover("igroup").report;
  const auto listed = [&report](const std::string& what, const std::vector<std::string>& held) {
    return std::any_of(report.waits.begin(), report.waits.end(), [&](const analysis::WaitNote& w) {
      return w.what == what && w.held == held;
    });
  };
  EXPECT_TRUE(listed("hwpt->shortterm_users", {"dev_set->lock"}));
  EXPECT_TRUE(listed("CMD_SYNC", {"dev_set->lock", "igroup->lock", "group->mutex", "asid_lock"}));
}

TEST(LockdepProtocols, SameRunsSameBytes) {
  EXPECT_EQ(to_text(cover("igroup").report, ""), to_text(cover("igroup").report, ""));
}

TEST(CoveringSet, EveryWorkloadIsAWellFormedTraceOfSeveralThreads) {
  const testing::TempDir dir;
  std::set<std::string> names;
  std::set<OpKind> kinds;
  for (const CoveringWorkload& workload : covering_set()) {
    EXPECT_TRUE(names.insert(workload.name).second);
    write_workload(workload, dir.file("t.iotrace"));
    std::set<ThreadIndex> threads;
    for (const Op& op : testing::read_all(dir.file("t.iotrace"))) {
      kinds.insert(op.kind);
      threads.insert(op.thread);
    }
    EXPECT_GE(threads.size(), 2U);
  }
  kinds.erase(OpKind::kPhase);
  EXPECT_EQ(kinds.size(), kOpKinds - 1);  // all but dma
}

using lnx::Mutex;
using lnx::Thread;

// Two threads on the kernel model's own locks, far apart in time.
class LockdepOnLocksTest : public lnx::LinuxTest {
 protected:
  LockdepReport report(bool cut = false) {
    analysis::LockGraphBuilder builder;
    builder.add(record_, {"by hand", "", cut});
    return analysis::lockdep(builder.graph());
  }
  void both(std::string name, std::uint32_t cpu, Ps from, Mutex& first, Mutex& second,
            unsigned subclass = 0) {
    machine().set_record(&record_);
    thread(std::move(name), cpu, [this, from, &first, &second, subclass](Thread& t) -> Task<void> {
      co_await until(t, from);
      co_await first.lock(t);
      co_await t.run(100_ns);
      co_await second.lock(t, subclass);
      co_await second.unlock(t);
      co_await first.unlock(t);
    });
  }

 private:
  Record record_;
};

TEST_F(LockdepOnLocksTest, AbBaIsFoundWithoutADeadlock) {
  Mutex a(machine(), lock_class("A"));
  Mutex b(machine(), lock_class("B"));
  both("T1", 0, 0_ns, a, b);
  both("T2", 1, 10_us, b, a);
  engine.run();
  const LockdepReport found = report();
  ASSERT_EQ(found.findings.size(), 1U);
  EXPECT_EQ(found.findings[0].kind, FindingKind::kCycle);
  EXPECT_EQ(found.findings[0].witnesses[0].thread, "T2");
}

TEST_F(LockdepOnLocksTest, ADeadlockedRunGivesItsGraphUpToThen) {
  Mutex a(machine(), lock_class("A"));
  Mutex b(machine(), lock_class("B"));
  both("T1", 0, 0_ns, a, b);
  both("T2", 1, 50_ns, b, a);
  EXPECT_THROW(engine.run(), DeadlockError);
  const LockdepReport found = report();
  ASSERT_EQ(found.findings.size(), 3U);
  EXPECT_EQ(found.findings[0].kind, FindingKind::kCycle);
  EXPECT_EQ(found.findings[2].kind, FindingKind::kBlocked);
  EXPECT_EQ(found.graph.blocked[0].wanted.instance, "B#0");
}

TEST_F(LockdepOnLocksTest, InstancesOfOneClassWithAndWithoutAnnotation) {
  Mutex x(machine(), lock_class("L"));
  Mutex y(machine(), lock_class("L"));
  both("T1", 0, 0_ns, x, y, 1);
  both("T2", 1, 10_us, y, x, 1);
  engine.run();
  const LockdepReport found = report();
  ASSERT_EQ(found.findings.size(), 1U);
  EXPECT_EQ(found.findings[0].kind, FindingKind::kInstanceOrder);
}

TEST_F(LockdepOnLocksTest, TheReleaseThatEndsTheRunIsReported) {
  Mutex a(machine(), lock_class("A"));
  Mutex b(machine(), lock_class("B"));
  both("T1", 0, 0_ns, a, b);
  thread("T2", 1, [&](Thread& t) -> Task<void> {
    co_await until(t, 50_ns);
    co_await a.unlock(t);
  });
  EXPECT_THROW(engine.run(), ModelError);
  const LockdepReport found = report(true);
  ASSERT_EQ(found.findings.size(), 1U);
  EXPECT_EQ(found.findings[0].kind, FindingKind::kBadRelease);
  EXPECT_EQ(found.findings[0].witnesses[0].thread, "T2");
}

}  // namespace
}  // namespace smmulab::workloads

// SPDX-License-Identifier: Apache-2.0
#include "analysis/lockdep.hpp"

#include <gtest/gtest.h>

#include "analysis/lockdep_json.hpp"
#include "analysis/lockdep_text.hpp"
#include "analysis/record_script_testing.hpp"

namespace smmulab::analysis {
namespace {

using testing::RecordScript;
using Labels = std::vector<std::string>;

LockdepReport report_of(const RecordScript& script) {
  LockGraphBuilder builder;
  builder.add(script.record, {"run", "", false});
  return lockdep(builder.graph());
}

TEST(Lockdep, OneOrderIsClean) {
  RecordScript s;
  s.nest("t1", "one", {"A", "B", "C"}).nest("t2", "other", {"A", "C"});
  const LockdepReport report = report_of(s);
  EXPECT_TRUE(report.findings.empty());
  EXPECT_EQ(report.hazard_count(), 0U);
  EXPECT_NE(to_text(report, "x").find("verdict: clean"), std::string::npos);
}

// attach takes A then B; detach, by another thread and later, B then A.
TEST(Lockdep, BothOrdersAreACycleThoughNothingDeadlocked) {
  RecordScript s;
  s.nest("t1", "attach", {"A", "B"}).nest("t2", "detach", {"B", "A"});
  const LockdepReport report = report_of(s);
  ASSERT_EQ(report.findings.size(), 1U);
  const Finding& f = report.findings[0];
  EXPECT_EQ(f.kind, FindingKind::kCycle);
  EXPECT_TRUE(f.seen_by_lockdep());
  EXPECT_EQ(f.classes, (Labels{"B", "A"}));  // detach closed it: it held B and asked for A
  ASSERT_EQ(f.witnesses.size(), 2U);
  EXPECT_EQ(f.witnesses[0].operation, "detach");
  EXPECT_EQ(f.witnesses[1].operation, "attach");
  EXPECT_EQ(f.witnesses[1].thread, "t1");
  EXPECT_TRUE(f.hazards.empty());
  EXPECT_EQ(report.hazard_count(), 1U);
}

TEST(Lockdep, ACycleOfThreeOperations) {
  RecordScript s;
  s.nest("t1", "ab", {"A", "B"}).nest("t2", "bc", {"B", "C"}).nest("t3", "ca", {"C", "A"});
  const LockdepReport report = report_of(s);
  ASSERT_EQ(report.findings.size(), 1U);
  EXPECT_EQ(report.findings[0].classes, (Labels{"C", "A", "B"}));
  EXPECT_EQ(report.findings[0].witnesses[0].operation, "ca");
}

TEST(Lockdep, ReadersOfAnRwsemDeadlockWithAWriterInBetween) {
  RecordScript s;
  s.begin("t1", "one").read("t1", "S").take("t1", "M").drop("t1", "M").drop("t1", "S");
  s.begin("t2", "two").take("t2", "M").read("t2", "S");
  const LockdepReport report = report_of(s);
  ASSERT_EQ(report.findings.size(), 1U);
  EXPECT_EQ(report.findings[0].kind, FindingKind::kCycle);
}

// -(SR)-> then -(SR)->: two recursive readers do not exclude each other. With a writer of L they
// do.
TEST(Lockdep, RecursiveReadersMakeNoStrongCycle) {
  RecordScript s;
  s.begin("t1", "one").read("t1", "L", record_flag::kRecursive).take("t1", "M");
  s.drop("t1", "M").drop("t1", "L").end("t1", "one");
  s.begin("t2", "two").take("t2", "M").read("t2", "L", record_flag::kRecursive);
  s.drop("t2", "L").drop("t2", "M").end("t2", "two");
  EXPECT_TRUE(report_of(s).findings.empty());
  s.begin("t3", "three").take("t3", "L").take("t3", "M").drop("t3", "M").drop("t3", "L");
  const LockdepReport report = report_of(s);
  ASSERT_EQ(report.findings.size(), 1U);
  EXPECT_EQ(report.findings[0].kind, FindingKind::kCycle);
}

TEST(Lockdep, RecursionWithoutAnnotationIsNamed) {
  RecordScript s;
  s.nest("t", "replace", {"hwpt->devices_lock#1", "hwpt->devices_lock#0"});
  const LockdepReport report = report_of(s);
  ASSERT_EQ(report.findings.size(), 1U);
  EXPECT_EQ(report.findings[0].kind, FindingKind::kRecursion);
  EXPECT_EQ(report.hazards(), (Labels{"H1"}));
}

TEST(Lockdep, TheHazardsOfThePostedVersionsAreNamed) {
  RecordScript s;
  s.nest("t1", "attach", {"ioas->mutex", "hwpt->devices_lock"});
  s.nest("t2", "detach", {"hwpt->devices_lock", "ioas->mutex"});
  s.nest("t2", "replace", {"ioas->mutex#0", "ioas->mutex#1"});
  EXPECT_EQ(report_of(s).hazards(), (Labels{"H2", "H3"}));
}

// Annotated, but X then Y in one operation and Y then X in another: lockdep says nothing.
TEST(Lockdep, InstancesInBothOrdersAreFoundBehindTheAnnotation) {
  RecordScript s;
  s.nest("t1", "x to y", {"hwpt->devices_lock#0", "hwpt->devices_lock#1/1"});
  EXPECT_TRUE(report_of(s).findings.empty());
  s.nest("t2", "y to x", {"hwpt->devices_lock#1", "hwpt->devices_lock#0/1"});
  const LockdepReport report = report_of(s);
  ASSERT_EQ(report.findings.size(), 1U);
  const Finding& f = report.findings[0];
  EXPECT_EQ(f.kind, FindingKind::kInstanceOrder);
  EXPECT_FALSE(f.seen_by_lockdep());
  EXPECT_TRUE(f.hazard());
  EXPECT_EQ(f.witnesses.front().operation, "y to x");
  EXPECT_EQ(report.hazards(), (Labels{"H1"}));
}

TEST(Lockdep, TheSameLockTwiceIsFoundBehindTheAnnotation) {
  RecordScript s;
  s.take("t", "L#0").ask("t", "L#0/1");
  LockdepReport report = report_of(s);
  ASSERT_EQ(report.findings.size(), 2U);  // and the thread that waits for itself
  EXPECT_EQ(report.findings[0].kind, FindingKind::kInstanceOrder);
  RecordScript plain;
  plain.take("t", "L#0").ask("t", "L#0");
  report = report_of(plain);
  ASSERT_EQ(report.findings.size(), 2U);
  EXPECT_EQ(report.findings[0].kind, FindingKind::kRecursion);
}

TEST(Lockdep, ACommonOuterLockGuardsTheOrderOfInstances) {
  RecordScript s;
  s.nest("t1", "x to y", {"G", "L#0", "L#1/1"}).nest("t2", "y to x", {"G", "L#1", "L#0/1"});
  LockdepReport report = report_of(s);
  ASSERT_EQ(report.findings.size(), 1U);
  EXPECT_EQ(report.findings[0].gate, "G#0");
  EXPECT_EQ(report.hazard_count(), 0U);
  s.nest("t1", "x to y", {"L#0", "L#1/1"});  // once without it
  s.nest("t1", "y to x", {"L#1", "L#0/1"});
  EXPECT_EQ(report_of(s).hazard_count(), 1U);
}

TEST(Lockdep, OneFindingForEachClassOfInstances) {
  RecordScript s;
  for (const char* pair : {"01", "23"}) {
    const std::string x = std::string("L#") + pair[0];
    const std::string y = std::string("L#") + pair[1];
    s.nest("t1", "x to y", {x, y + "/1"}).nest("t2", "y to x", {y, x + "/1"});
  }
  const LockdepReport report = report_of(s);
  ASSERT_EQ(report.findings.size(), 1U);
  EXPECT_EQ(report.findings[0].count, 2U);
}

TEST(Lockdep, ADifferentOuterLockGuardsNothing) {
  RecordScript s;
  s.nest("t1", "x to y", {"G#0", "L#0", "L#1/1"}).nest("t2", "y to x", {"G#1", "L#1", "L#0/1"});
  EXPECT_EQ(report_of(s).hazard_count(), 1U);
}

// The destroyer waits for references with M held; who has a reference wants M.
TEST(Lockdep, ACycleThroughAWaitForReferencesIsNotSeenByLockdep) {
  RecordScript s;
  s.begin("t1", "attach").get("t1", "refs#1").take("t1", "M").drop("t1", "M").put("t1", "refs#1");
  s.end("t1", "attach");
  s.begin("t2", "destroy").take("t2", "M").wait("t2", "refs#1").waited("t2", "refs#1");
  s.drop("t2", "M").end("t2", "destroy");
  const LockdepReport report = report_of(s);
  ASSERT_EQ(report.findings.size(), 1U);
  EXPECT_EQ(report.findings[0].kind, FindingKind::kWaitCycle);
  EXPECT_EQ(report.findings[0].classes, (Labels{"M", "refs"}));
  ASSERT_EQ(report.waits.size(), 1U);
  EXPECT_EQ(report.waits[0].held, (Labels{"M"}));
}

TEST(Lockdep, AWaitUnderALockThatNoHolderOfAReferenceWantsIsANoteOnly) {
  RecordScript s;
  s.begin("t1", "attach").get("t1", "refs#1").take("t1", "N").drop("t1", "N").put("t1", "refs#1");
  s.end("t1", "attach");
  s.begin("t2", "destroy").take("t2", "M").wait("t2", "refs#1").waited("t2", "refs#1");
  s.drop("t2", "M").end("t2", "destroy");
  const LockdepReport report = report_of(s);
  EXPECT_TRUE(report.findings.empty());
  EXPECT_EQ(report.waits.size(), 1U);
}

TEST(Lockdep, AWaitForReferencesUnderOneOfTheSameClass) {
  RecordScript s;
  s.begin("t", "replace").get("t", "refs#1").wait("t", "refs#2").waited("t", "refs#2");
  s.put("t", "refs#1").end("t", "replace");
  const LockdepReport report = report_of(s);
  ASSERT_EQ(report.findings.size(), 1U);
  EXPECT_EQ(report.findings[0].kind, FindingKind::kWaitCycle);
}

TEST(Lockdep, ADeadlockThatHappenedIsTold) {
  RecordScript s;
  s.begin("t1", "one").take("t1", "A").begin("t2", "two").take("t2", "B");
  s.ask("t1", "B").ask("t2", "A");
  const LockdepReport report = report_of(s);
  ASSERT_EQ(report.findings.size(), 3U);  // the cycle, and each thread
  EXPECT_EQ(report.findings[0].kind, FindingKind::kCycle);
  EXPECT_EQ(report.findings[1].kind, FindingKind::kBlocked);
}

constexpr const char* kCycleText = R"(lockdep: by hand
3 lock classes, 4 direct dependencies, at most 3 locks held at once; 22 events of 1 run

======================================================
1. WARNING: possible circular locking dependency detected
------------------------------------------------------
H2: devices_lock, then ioas->mutex, against attach's ioas->mutex, then devices_lock
t2 in detach (operation 1 of run run) is trying to acquire lock:
 (ioas->mutex), at:
       dev_set->lock#1 -> hwpt->devices_lock#0 -> [ioas->mutex#0]

but task is already holding lock:
 (hwpt->devices_lock): hwpt->devices_lock#0

which lock already depends on the new lock.

the existing dependency chain (in reverse order) is:

-> #1 (hwpt->devices_lock): t1 in attach (operation 0 of run run)
       dev_set->lock#0 -> ioas->mutex#0 -> [hwpt->devices_lock#0]

-> #0 (ioas->mutex): t2 in detach (operation 1 of run run)
       dev_set->lock#1 -> hwpt->devices_lock#0 -> [ioas->mutex#0]

 Possible unsafe locking scenario:

       CPU0                              CPU1
       ----                              ----
  lock(hwpt->devices_lock);
                                    lock(ioas->mutex);
                                    lock(hwpt->devices_lock);
  lock(ioas->mutex);

 *** DEADLOCK ***

verdict: 1 hazard (H2)
)";

TEST(Lockdep, TheReportOfACycle) {
  RecordScript s;
  s.nest("t1", "attach", {"dev_set->lock#0", "ioas->mutex", "hwpt->devices_lock"});
  s.nest("t2", "detach", {"dev_set->lock#1", "hwpt->devices_lock", "ioas->mutex"});
  EXPECT_EQ(to_text(report_of(s), "by hand"), kCycleText);
}

constexpr const char* kCycleDot = R"(digraph G {
label="by hand";
labelloc=t;
node [shape=box, fontname="Helvetica"];
edge [fontsize=9, fontname="Helvetica"];
0[label=A];
1[label="B/1"];
2[label=C];
3[label=refs, style=dashed];
0->1 [label=one];
1->2 [label=one, color=red, fontcolor=red, penwidth=2];
2->1 [label=two, color=red, fontcolor=red, penwidth=2];
1->3 [label=two];
0->0 [label=three, color=red, fontcolor=red, penwidth=2];
}
)";

TEST(Lockdep, TheGraphOfACycleAndARecursion) {
  RecordScript s;
  s.nest("t1", "one dev=0", {"A", "B/1", "C"});
  s.begin("t2", "two").take("t2", "C").take("t2", "B/1").wait("t2", "refs#1");
  s.waited("t2", "refs#1").drop("t2", "B/1").drop("t2", "C").end("t2", "two");
  s.nest("t2", "three", {"A#0", "A#1"});
  EXPECT_EQ(to_dot(report_of(s), "by hand"), kCycleDot);
}

TEST(Lockdep, TheJsonNamesKindHazardAndChain) {
  RecordScript s;
  s.nest("t", "replace", {"hwpt->devices_lock#1", "hwpt->devices_lock#0"});
  const std::string json = to_json(report_of(s), "by hand");
  for (const char* part : {R"("hazards":1)", R"("kind":"recursion")", R"("names":["H1"])",
                           R"("instance":"hwpt->devices_lock#1")", R"("operation":"replace")"}) {
    EXPECT_NE(json.find(part), std::string::npos) << part;
  }
}

}  // namespace
}  // namespace smmulab::analysis

// SPDX-License-Identifier: Apache-2.0
#include "analysis/lock_graph.hpp"

#include <algorithm>

#include <gtest/gtest.h>

#include "analysis/record_script_testing.hpp"

namespace smmulab::analysis {
namespace {

using testing::RecordScript;

LockGraph graph_of(const RecordScript& script) {
  LockGraphBuilder builder;
  builder.add(script.record, {"run", "", false});
  return builder.graph();
}

// "A -> B direct", sorted.
std::vector<std::string> edges_of(const LockGraph& graph) {
  std::vector<std::string> edges;
  for (const LockEdge& e : graph.edges) {
    edges.push_back(graph.nodes[e.from].label() + " -> " + graph.nodes[e.to].label() +
                    (e.direct ? " direct" : ""));
  }
  std::sort(edges.begin(), edges.end());
  return edges;
}

using Lines = std::vector<std::string>;

TEST(LockGraph, EveryHeldClassGetsAnEdgeAndOnlyTheLatestIsDirect) {
  RecordScript s;
  s.nest("t", "op", {"A", "B", "C"});
  EXPECT_EQ(edges_of(graph_of(s)), (Lines{"A -> B direct", "A -> C", "B -> C direct"}));
  EXPECT_EQ(graph_of(s).max_depth, 3U);
}

TEST(LockGraph, ThreadsDoNotHoldEachOthersLocks) {
  RecordScript s;
  s.take("t1", "A").take("t2", "B").drop("t1", "A").drop("t2", "B");
  EXPECT_TRUE(graph_of(s).edges.empty());
}

TEST(LockGraph, TheRequestMakesTheEdgeThoughTheLockIsNeverGot) {
  RecordScript s;
  s.take("t", "A").ask("t", "B");
  EXPECT_EQ(edges_of(graph_of(s)), (Lines{"A -> B direct"}));
}

TEST(LockGraph, ReleasesInAnyOrder) {
  RecordScript s;
  s.take("t", "A").take("t", "B").drop("t", "A").take("t", "C");
  EXPECT_EQ(edges_of(graph_of(s)), (Lines{"A -> B direct", "B -> C direct"}));
}

// lock_acquire(trylock) adds nothing before it, but B depends on both A and the tried T.
TEST(LockGraph, ATrylockIsNoDependencyButItsHolderIs) {
  RecordScript s;
  s.take("t", "A").read("t", "T", record_flag::kTry).take("t", "B");
  const LockGraph graph = graph_of(s);
  EXPECT_EQ(edges_of(graph), (Lines{"A -> B direct", "T -> B direct"}));
  EXPECT_TRUE(graph.edges[0].first.held[1].trylock);
}

TEST(LockGraph, ATrylockOfAHeldClassIsNoRecursion) {
  RecordScript s;
  s.take("t", "A#0").take("t", "A#1", record_flag::kTry);
  EXPECT_TRUE(graph_of(s).recursions.empty());
}

TEST(LockGraph, OneClassTwiceIsARecursionASubclassIsAnEdge) {
  RecordScript s;
  s.nest("t", "annotated", {"A#0", "A#1/1"});
  LockGraph graph = graph_of(s);
  EXPECT_EQ(edges_of(graph), (Lines{"A -> A/1 direct"}));
  EXPECT_TRUE(graph.recursions.empty());
  s.nest("t", "not annotated", {"A#0", "A#1"});
  graph = graph_of(s);
  ASSERT_EQ(graph.recursions.size(), 1U);
  const Witness& w = graph.recursions.begin()->second.first;
  EXPECT_EQ(w.operation, "not annotated");
  EXPECT_EQ(w.number, 1U);
  EXPECT_EQ(w.held.at(0).instance, "A#0");
  EXPECT_EQ(w.wanted.instance, "A#1");
}

// A writer that queues between two down_read() of one thread deadlocks it; read_lock() recurses.
TEST(LockGraph, OnlyRecursiveReadersRecurse) {
  RecordScript rwsem;
  rwsem.read("t", "S").read("t", "S");
  EXPECT_EQ(graph_of(rwsem).recursions.size(), 1U);
  RecordScript rwlock;
  rwlock.read("t", "L", record_flag::kRecursive).read("t", "L", record_flag::kRecursive);
  EXPECT_TRUE(graph_of(rwlock).recursions.empty());
  RecordScript under_writer;
  under_writer.take("t", "L").read("t", "L", record_flag::kRecursive);
  EXPECT_EQ(graph_of(under_writer).recursions.size(), 1U);
}

TEST(LockGraph, EdgesRememberReadersAsLockdepDoes) {
  RecordScript s;
  s.take("t", "E").read("t", "N");
  s.read("t", "R", record_flag::kRecursive).take("t", "X");
  const LockGraph graph = graph_of(s);
  const auto kinds = [&graph](const std::string& from, const std::string& to) {
    for (const LockEdge& e : graph.edges) {
      if (graph.nodes[e.from].name == from && graph.nodes[e.to].name == to) {
        return static_cast<int>(e.kinds);
      }
    }
    return 0;
  };
  EXPECT_EQ(kinds("E", "N"), dep::kExclusiveNonRecursive);
  EXPECT_EQ(kinds("E", "R"), dep::kExclusiveRecursive);
  EXPECT_EQ(kinds("N", "R"), dep::kSharedRecursive);
  EXPECT_EQ(kinds("R", "X"), dep::kSharedNonRecursive);
}

TEST(LockGraph, ADowngradedWriterIsAReaderAndMakesNoEdge) {
  RecordScript s;
  s.take("t", "A").take("t", "S").drop("t", "S").got("t", "S", record_flag::kRead).take("t", "B");
  const LockGraph graph = graph_of(s);
  EXPECT_EQ(edges_of(graph), (Lines{"A -> B", "A -> S direct", "S -> B direct"}));
  EXPECT_EQ(graph.edges.at(0).count, 1U);
  EXPECT_EQ(graph.edges.at(1).kinds, dep::kSharedNonRecursive);  // S -> B
}

TEST(LockGraph, ALockThatIsNotHeldIsNotedWithTheHeldOnes) {
  RecordScript s;
  s.begin("t", "op").take("t", "A").drop("t", "B").drop("t", "A").drop("t", "A").end("t", "op");
  const LockGraph graph = graph_of(s);
  ASSERT_EQ(graph.bad_releases.size(), 2U);
  EXPECT_EQ(graph.nodes[1].name, "B");
  EXPECT_EQ(graph.bad_releases.at(1).first.held.size(), 1U);
  EXPECT_TRUE(graph.bad_releases.at(0).first.held.empty());
}

TEST(LockGraph, WhatIsHeldWhenAnOperationEndsIsNoted) {
  RecordScript s;
  s.begin("t", "op").take("t", "A").get("t", "refs#1").end("t", "op");
  const LockGraph graph = graph_of(s);
  ASSERT_EQ(graph.held_at_exit.size(), 2U);
  EXPECT_TRUE(graph.nodes[0].lock);
  EXPECT_FALSE(graph.nodes[1].lock);
  s.nest("t", "next", {"B"});
  EXPECT_TRUE(graph_of(s).edges.empty());  // what was leaked is told once
}

TEST(LockGraph, WhoWaitsAtTheEndIsBlockedUnlessTheRunWasCut) {
  RecordScript s;
  s.begin("t", "op").take("t", "A").ask("t", "B");
  LockGraph graph = graph_of(s);
  ASSERT_EQ(graph.blocked.size(), 1U);
  EXPECT_EQ(graph.blocked[0].wanted.instance, "B#0");
  EXPECT_EQ(graph.blocked[0].operation, "op");
  EXPECT_EQ(graph.blocked[0].held.size(), 1U);
  LockGraphBuilder cut;
  cut.add(s.record, {"cut", "model error", true});
  EXPECT_TRUE(cut.graph().blocked.empty());
}

TEST(LockGraph, RunsShareClassesButNotInstances) {
  RecordScript one;
  one.nest("t", "op", {"A#0", "A#1/1"});
  RecordScript other;
  other.nest("t", "op", {"A#1", "A#0/1"});
  LockGraphBuilder builder;
  builder.add(one.record, {"one", "", false});
  builder.add(other.record, {"other", "", false});
  const LockGraph& graph = builder.graph();
  EXPECT_EQ(edges_of(graph), (Lines{"A -> A/1 direct"}));
  EXPECT_EQ(graph.edges[0].count, 2U);
  EXPECT_EQ(graph.edges[0].first.run, 0U);
  EXPECT_EQ(graph.instances.size(), 2U);
}

TEST(LockGraph, WaitsWithLocksHeldAreKeptByWhatIsHeld) {
  RecordScript s;
  s.begin("t", "op").wait("t", "sync#0").waited("t", "sync#0");  // nothing held
  s.take("t", "B").take("t", "A").wait("t", "sync#0").waited("t", "sync#0");
  s.wait("t", "sync#1").waited("t", "sync#1").take("t", "C");
  const LockGraph graph = graph_of(s);
  ASSERT_EQ(graph.waits.size(), 1U);
  const auto& [wait, note] = *graph.waits.begin();
  EXPECT_EQ(graph.nodes[wait.what].label(), "sync");
  ASSERT_EQ(wait.held.size(), 2U);
  EXPECT_EQ(graph.nodes[wait.held[0]].name, "B");  // taken first
  EXPECT_EQ(wait.operation, "op");
  EXPECT_EQ(note.count, 2U);
  // The wait is over when C is taken.
  EXPECT_EQ(edges_of(graph),
            (Lines{"A -> C direct", "A -> sync direct", "B -> A direct", "B -> C", "B -> sync"}));
}

}  // namespace
}  // namespace smmulab::analysis

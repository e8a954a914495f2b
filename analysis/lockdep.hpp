// SPDX-License-Identifier: Apache-2.0
// What is wrong with a lock graph: what lockdep would report, and what it can not see
// (docs/lockdep.md). A hazard of known_hazards.hpp is named where a finding is one.
//  lockdep sees: a class taken again under itself; a cycle of classes (AB-BA); the release of a
//  lock that is not held; a lock held when returning to user space. lockdep does not see: two
//  instances of one class taken in both orders (subclasses hide it); a cycle through a wait for
//  references; and what did happen: threads that waited for ever.
// Readers: a cycle counts only if no recursive reader is wanted where only a reader holds
// (lockdep's strong paths); rw_semaphores never recurse, so for them every cycle counts. Unlike the
// kernel's lockdep this one goes on after its first report.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "analysis/lock_graph.hpp"

namespace smmulab::analysis {

enum class FindingKind : std::uint8_t {
  kRecursion,
  kCycle,
  kBadRelease,
  kHeldAtExit,
  kInstanceOrder,
  kWaitCycle,
  kLeakedReference,
  kBlocked,
};

struct Finding {
  FindingKind kind = FindingKind::kRecursion;
  // Labels of the classes; of a cycle in its order, from the holder of the edge that closed it.
  std::vector<std::string> classes;
  // Of a cycle: who made each edge first, the one that closed it at the front; else one.
  std::vector<Witness> witnesses;
  // Times it was met; kInstanceOrder: sets of instances (of all runs) in which it was met.
  std::uint64_t count = 1;
  std::vector<std::string> hazards;  // "H1", "leaked-reference"
  // kInstanceOrder: a lock that every one held, so that it can not deadlock. "": none.
  std::string gate;

  [[nodiscard]] bool seen_by_lockdep() const { return kind <= FindingKind::kHeldAtExit; }
  [[nodiscard]] bool hazard() const { return gate.empty(); }
};

// A wait with locks held, for the reader's judgement: no hazard by itself.
struct WaitNote {
  std::string what;
  std::vector<std::string> held;
  std::string operation;
  std::uint64_t count = 0;
  Witness first;
};

struct LockdepReport {
  LockGraph graph;
  std::vector<Finding> findings;
  std::vector<WaitNote> waits;
  std::vector<bool> edge_on_cycle;  // by place in graph.edges

  // Findings that are hazards, and runs that a model error ended.
  [[nodiscard]] std::size_t hazard_count() const;
  // The named hazards of all findings, sorted, each once.
  [[nodiscard]] std::vector<std::string> hazards() const;
};

[[nodiscard]] LockdepReport lockdep(LockGraph graph);

}  // namespace smmulab::analysis

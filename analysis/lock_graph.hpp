// SPDX-License-Identifier: Apache-2.0
// The lock graph of one or more runs, as lockdep builds it: a node per lock class and subclass, an
// edge from every lock that a thread holds to each lock it asks for. Rule: Linux 6.12
// kernel/locking/lockdep.c __lock_acquire(), check_prevs_add(), check_deadlock(), lock_release():
//  - the request makes the edges, whether or not the thread had to wait;
//  - a trylock can not wait: it gets no edge, but what is asked for under it does;
//  - an edge remembers whether its holder was exclusive or a reader, and whether its wanted lock
//  was
//    a recursive reader or not (down_read() is a reader that does not recurse);
//  - a class and subclass asked for while it is held is a recursion, unless both are readers and
//  the
//    new one recurses. Edges between two subclasses are edges.
// Besides, what lockdep does not keep: instances within one class, references that somebody may
// wait for, and such waits; these take part as nodes that lockdep does not see. Lockdep stores only
// the edges from the latest held locks down to the first that was no trylock
// ("direct" here); the others follow from these.
// Not here: IRQ and wait-type states, nest_lock, lock_set_cmp_fn(), instances across classes.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "sim/record.hpp"

namespace smmulab::analysis {

using NodeIndex = std::uint32_t;

struct LockNode {
  std::string name;  // of the lock class, or of what is waited for
  std::uint8_t subclass = 0;
  bool lock = true;  // false: a reference or completion, which lockdep does not see
  std::uint64_t acquisitions = 0;

  // "ioas->mutex/1", as lockdep prints a subclass
  [[nodiscard]] std::string label() const {
    return subclass == 0 ? name : name + "/" + std::to_string(subclass);
  }
};

enum class HoldMode : std::uint8_t { kExclusive, kReader, kRecursiveReader };

// One lock (or reference) that a thread holds or asks for.
struct ChainLink {
  NodeIndex node = 0;
  std::string instance;  // "hwpt->devices_lock#3"
  HoldMode mode = HoldMode::kExclusive;
  bool trylock = false;
};

// Who did it first: the operation, what it held (oldest first), and what it then asked for.
struct Witness {
  std::uint32_t run = 0;
  std::string thread;
  std::string operation;  // empty: outside any operation
  std::uint64_t number = 0;
  SimTime time{};
  std::uint64_t order = 0;  // counts up over all witnesses
  std::vector<ChainLink> held;
  ChainLink wanted;
};

// Bits of LockEdge::kinds: lockdep's -(EN)-> and so on.
namespace dep {
inline constexpr std::uint8_t kExclusiveNonRecursive = 1;
inline constexpr std::uint8_t kExclusiveRecursive = 2;
inline constexpr std::uint8_t kSharedNonRecursive = 4;
inline constexpr std::uint8_t kSharedRecursive = 8;
}  // namespace dep

struct LockEdge {
  NodeIndex from = 0;
  NodeIndex to = 0;
  std::uint8_t kinds = 0;
  bool direct = false;
  std::uint64_t count = 0;
  Witness first;
};

// Something done wrong by one thread at one place: counted per node, the first one kept.
struct Mistake {
  std::uint64_t count = 0;
  Witness first;
};

// Two instances of one class, the second asked for under the first.
struct InstanceEdge {
  std::uint64_t count = 0;
  Witness first;
  std::vector<std::string> gates;  // locks held exclusively each time, by name, sorted
};
struct InstancePair {
  std::uint32_t run;
  std::string lock_class;
  RecordLock held;
  RecordLock wanted;
  friend auto operator<=>(const InstancePair&, const InstancePair&) = default;
};

// A wait for something that is no lock, with locks held.
struct HeldWait {
  NodeIndex what = 0;
  std::vector<NodeIndex> held;  // outermost first
  std::string operation;        // the first word of its name
  friend auto operator<=>(const HeldWait&, const HeldWait&) = default;
};

struct RunInfo {
  std::string name;
  std::string failure;  // how it ended, if not well
  // It did not go on for as long as it could (a model error), so that waits at its end mean
  // nothing.
  bool cut = false;
};

struct LockGraph {
  std::vector<RunInfo> runs;
  std::vector<LockNode> nodes;
  std::vector<LockEdge> edges;                // in the order in which they were first seen
  std::map<NodeIndex, Mistake> recursions;    // asked for while the class is held
  std::map<NodeIndex, Mistake> bad_releases;  // released, but not held
  std::map<NodeIndex, Mistake> held_at_exit;  // still held when an operation ended
  std::map<InstancePair, InstanceEdge> instances;
  std::map<HeldWait, Mistake> waits;
  std::vector<Witness> blocked;  // threads that still waited when their run ended
  std::uint64_t events = 0;
  std::uint64_t dropped = 0;
  std::size_t max_depth = 0;  // most locks held at once
};

class LockGraphBuilder {
 public:
  LockGraphBuilder();
  ~LockGraphBuilder();
  LockGraphBuilder(const LockGraphBuilder&) = delete;
  LockGraphBuilder& operator=(const LockGraphBuilder&) = delete;

  // Classes of equal name are one class in all runs; instances are of their run.
  void add(const Record& record, RunInfo run);
  [[nodiscard]] const LockGraph& graph() const { return graph_; }

 private:
  class Run;

  NodeIndex node(const std::string& name, std::uint8_t subclass, bool lock);
  LockEdge& edge(NodeIndex from, NodeIndex to);

  LockGraph graph_;
  std::map<std::tuple<std::string, std::uint8_t, bool>, NodeIndex> node_numbers_;
  std::vector<std::vector<std::uint32_t>> edge_numbers_;  // [from][to], one more than the place
  std::uint64_t order_ = 0;
};

}  // namespace smmulab::analysis

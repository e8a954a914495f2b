// SPDX-License-Identifier: Apache-2.0
#include "analysis/lockdep.hpp"

#include <algorithm>
#include <functional>
#include <set>
#include <utility>

#include "analysis/cycles.hpp"
#include "analysis/known_hazards.hpp"

namespace smmulab::analysis {
namespace {

constexpr std::size_t kCyclesPerComponent = 64;

// The class graph with two vertices for each node: how it was come to, by a recursive reader (odd)
// or not (even). Lockdep's strong paths are the paths of this graph.
struct StateGraph {
  std::vector<Arc> arcs;
  std::vector<std::size_t> edges;  // of each arc, its place in LockGraph::edges
};

StateGraph state_graph(const LockGraph& graph, bool locks_only) {
  StateGraph states;
  const auto add = [&states](const LockEdge& e, std::size_t place, std::uint32_t came,
                             std::uint32_t goes) {
    states.arcs.push_back({e.from * 2 + came, e.to * 2 + goes});
    states.edges.push_back(place);
  };
  for (std::size_t i = 0; i < graph.edges.size(); ++i) {
    const LockEdge& e = graph.edges[i];
    if (locks_only && !(graph.nodes[e.from].lock && graph.nodes[e.to].lock)) {
      continue;
    }
    for (const std::uint32_t goes : {0U, 1U}) {
      const auto exclusive = goes == 0 ? dep::kExclusiveNonRecursive : dep::kExclusiveRecursive;
      const auto shared = goes == 0 ? dep::kSharedNonRecursive : dep::kSharedRecursive;
      if ((e.kinds & (exclusive | shared)) != 0) {
        add(e, i, 0, goes);
      }
      if ((e.kinds & exclusive) != 0) {
        add(e, i, 1, goes);
      }
    }
  }
  return states;
}

// The edges of a cycle, the one seen last at the front: it closed the cycle.
std::vector<std::size_t> closing_first(const LockGraph& graph, const StateGraph& states,
                                       const Cycle& cycle) {
  std::vector<std::size_t> edges;
  edges.reserve(cycle.size());
  for (const std::size_t arc : cycle) {
    edges.push_back(states.edges[arc]);
  }
  const auto last =
      std::max_element(edges.begin(), edges.end(), [&graph](std::size_t a, std::size_t b) {
        return graph.edges[a].first.order < graph.edges[b].first.order;
      });
  std::rotate(edges.begin(), last, edges.end());
  return edges;
}

class Judge {
 public:
  explicit Judge(LockdepReport& report) : report_(report), graph_(report.graph) {}

  void judge() {
    mistakes(graph_.recursions, FindingKind::kRecursion, FindingKind::kWaitCycle);
    cycles(true, FindingKind::kCycle);
    mistakes(graph_.bad_releases, FindingKind::kBadRelease, FindingKind::kBadRelease);
    mistakes(graph_.held_at_exit, FindingKind::kHeldAtExit, FindingKind::kLeakedReference);
    instance_orders();
    cycles(false, FindingKind::kWaitCycle);
    for (const Witness& w : graph_.blocked) {
      add({FindingKind::kBlocked, {graph_.nodes[w.wanted.node].label()}, {w}, 1, {}, {}});
    }
    std::stable_sort(report_.findings.begin(), report_.findings.end(),
                     [](const Finding& a, const Finding& b) { return a.kind < b.kind; });
    wait_notes();
  }

 private:
  void add(Finding finding) {
    finding.hazards = known_hazards(finding);
    report_.findings.push_back(std::move(finding));
  }
  void mistakes(const std::map<NodeIndex, Mistake>& found, FindingKind of_lock,
                FindingKind of_reference);
  void cycles(bool locks_only, FindingKind kind);
  void instance_orders();
  void instance_orders_of(const std::vector<InstancePair>& pairs);
  [[nodiscard]] Finding instance_order(const std::vector<InstancePair>& pairs, const Cycle& cycle);
  void add_instance_order(Finding finding);
  void wait_notes();

  LockdepReport& report_;
  const LockGraph& graph_;
};

void Judge::mistakes(const std::map<NodeIndex, Mistake>& found, FindingKind of_lock,
                     FindingKind of_reference) {
  for (const auto& [node, mistake] : found) {
    const FindingKind kind = graph_.nodes[node].lock ? of_lock : of_reference;
    add({kind, {graph_.nodes[node].label()}, {mistake.first}, mistake.count, {}, {}});
  }
}

void Judge::cycles(bool locks_only, FindingKind kind) {
  const StateGraph states = state_graph(graph_, locks_only);
  std::set<std::vector<std::size_t>> known;
  for (const CyclicComponent& component :
       find_cycles(states.arcs, graph_.nodes.size() * 2, kCyclesPerComponent)) {
    for (const Cycle& cycle : component.cycles) {
      const std::vector<std::size_t> edges = closing_first(graph_, states, cycle);
      const bool all_locks = std::all_of(edges.begin(), edges.end(), [this](std::size_t e) {
        return graph_.nodes[graph_.edges[e].from].lock;
      });
      if (all_locks != locks_only || !known.insert(edges).second) {
        continue;
      }
      Finding finding{kind, {}, {}, 1, {}, {}};
      for (const std::size_t e : edges) {
        finding.classes.push_back(graph_.nodes[graph_.edges[e].from].label());
        finding.witnesses.push_back(graph_.edges[e].first);
        report_.edge_on_cycle[e] = true;
      }
      add(std::move(finding));
    }
  }
}

void Judge::instance_orders() {
  std::vector<InstancePair> pairs;  // of one run and class
  for (auto it = graph_.instances.begin(); it != graph_.instances.end(); ++it) {
    const Witness& w = it->second.first;
    // The very same lock under one subclass is a recursion; under another, lockdep misses it.
    const bool recursion = it->first.held == it->first.wanted &&
                           std::any_of(w.held.begin(), w.held.end(), [&w](const ChainLink& held) {
                             return held.node == w.wanted.node;
                           });
    if (!recursion) {
      pairs.push_back(it->first);
    }
    const auto next = std::next(it);
    if (next == graph_.instances.end() || next->first.run != it->first.run ||
        next->first.lock_class != it->first.lock_class) {
      instance_orders_of(pairs);
      pairs.clear();
    }
  }
}

void Judge::instance_orders_of(const std::vector<InstancePair>& pairs) {
  std::map<RecordLock, std::uint32_t> vertices;
  for (const InstancePair& p : pairs) {
    vertices.try_emplace(p.held, 0);
    vertices.try_emplace(p.wanted, 0);
  }
  std::uint32_t count = 0;
  for (auto& [lock, vertex] : vertices) {
    vertex = count++;
  }
  std::vector<Arc> arcs;
  arcs.reserve(pairs.size());
  for (const InstancePair& p : pairs) {
    arcs.push_back({vertices[p.held], vertices[p.wanted]});
  }
  for (const CyclicComponent& component : find_cycles(arcs, count)) {
    add_instance_order(instance_order(pairs, component.cycles.front()));
  }
}

Finding Judge::instance_order(const std::vector<InstancePair>& pairs, const Cycle& cycle) {
  Finding finding{FindingKind::kInstanceOrder, {pairs.front().lock_class}, {}, 1, {}, {}};
  std::vector<std::string> gates = graph_.instances.at(pairs[cycle.front()]).gates;
  for (const std::size_t arc : cycle) {
    const InstanceEdge& edge = graph_.instances.at(pairs[arc]);
    std::erase_if(gates, [&edge](const std::string& gate) {
      return !std::binary_search(edge.gates.begin(), edge.gates.end(), gate);
    });
    finding.witnesses.push_back(edge.first);
  }
  std::rotate(
      finding.witnesses.begin(),
      std::max_element(finding.witnesses.begin(), finding.witnesses.end(),
                       [](const Witness& a, const Witness& b) { return a.order < b.order; }),
      finding.witnesses.end());
  if (!gates.empty()) {
    finding.gate = gates.front();
  }
  return finding;
}

// One of each class is told, and one without a gate rather than one with.
void Judge::add_instance_order(Finding finding) {
  const auto same =
      std::find_if(report_.findings.begin(), report_.findings.end(), [&finding](const Finding& f) {
        return f.kind == FindingKind::kInstanceOrder && f.classes == finding.classes;
      });
  if (same == report_.findings.end()) {
    add(std::move(finding));
    return;
  }
  const std::uint64_t count = same->count + 1;
  if (!same->hazard() && finding.hazard()) {
    finding.hazards = known_hazards(finding);
    *same = std::move(finding);
  }
  same->count = count;
}

void Judge::wait_notes() {
  for (const auto& [wait, mistake] : graph_.waits) {
    WaitNote note{
        graph_.nodes[wait.what].label(), {}, wait.operation, mistake.count, mistake.first};
    for (const NodeIndex held : wait.held) {
      note.held.push_back(graph_.nodes[held].label());
    }
    report_.waits.push_back(std::move(note));
  }
}

}  // namespace

std::size_t LockdepReport::hazard_count() const {
  const auto found = std::count_if(findings.begin(), findings.end(), std::mem_fn(&Finding::hazard));
  const auto cut = std::count_if(graph.runs.begin(), graph.runs.end(),
                                 [](const RunInfo& run) { return run.cut; });
  return static_cast<std::size_t>(found + cut);
}

std::vector<std::string> LockdepReport::hazards() const {
  std::set<std::string> names;
  for (const Finding& finding : findings) {
    if (finding.hazard()) {
      names.insert(finding.hazards.begin(), finding.hazards.end());
    }
  }
  return {names.begin(), names.end()};
}

LockdepReport lockdep(LockGraph graph) {
  LockdepReport report;
  report.graph = std::move(graph);
  report.edge_on_cycle.resize(report.graph.edges.size());
  Judge(report).judge();
  return report;
}

}  // namespace smmulab::analysis

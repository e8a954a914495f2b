// SPDX-License-Identifier: Apache-2.0
#include "analysis/lockdep_json.hpp"

#include <array>

#include <nlohmann/json.hpp>

namespace smmulab::analysis {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array<const char*, 8> kKinds = {"recursion",        "cycle",          "bad_release",
                                               "held_at_exit",     "instance_order", "wait_cycle",
                                               "leaked_reference", "blocked"};
constexpr std::array<const char*, 3> kModes = {"exclusive", "reader", "recursive_reader"};

Json link_json(const LockGraph& graph, const ChainLink& link) {
  return {{"class", graph.nodes[link.node].label()},
          {"instance", link.instance},
          {"mode", kModes.at(static_cast<std::size_t>(link.mode))},
          {"trylock", link.trylock}};
}

Json witness_json(const LockGraph& graph, const Witness& w) {
  Json held = Json::array();
  for (const ChainLink& link : w.held) {
    held.push_back(link_json(graph, link));
  }
  return {{"run", graph.runs[w.run].name},
          {"thread", w.thread},
          {"operation", w.operation},
          {"number", w.number},
          {"time_ps", to_ps(w.time)},
          {"held", std::move(held)},
          {"wanted", link_json(graph, w.wanted)}};
}

Json findings_json(const LockdepReport& report) {
  Json findings = Json::array();
  for (const Finding& f : report.findings) {
    Json witnesses = Json::array();
    for (const Witness& w : f.witnesses) {
      witnesses.push_back(witness_json(report.graph, w));
    }
    findings.push_back({{"kind", kKinds.at(static_cast<std::size_t>(f.kind))},
                        {"seen_by_lockdep", f.seen_by_lockdep()},
                        {"hazard", f.hazard()},
                        {"names", f.hazards},
                        {"classes", f.classes},
                        {"count", f.count},
                        {"gate", f.gate},
                        {"witnesses", std::move(witnesses)}});
  }
  return findings;
}

Json waits_json(const LockdepReport& report) {
  Json waits = Json::array();
  for (const WaitNote& w : report.waits) {
    waits.push_back({{"what", w.what},
                     {"held", w.held},
                     {"operation", w.operation},
                     {"count", w.count},
                     {"first", witness_json(report.graph, w.first)}});
  }
  return waits;
}

}  // namespace

std::string to_json(const LockdepReport& report, std::string_view title) {
  const LockGraph& g = report.graph;
  Json runs = Json::array();
  for (const RunInfo& run : g.runs) {
    runs.push_back({{"name", run.name}, {"failure", run.failure}});
  }
  Json nodes = Json::array();
  for (const LockNode& n : g.nodes) {
    nodes.push_back({{"class", n.label()}, {"lock", n.lock}, {"acquisitions", n.acquisitions}});
  }
  Json edges = Json::array();
  for (const LockEdge& e : g.edges) {
    edges.push_back({{"from", g.nodes[e.from].label()},
                     {"to", g.nodes[e.to].label()},
                     {"direct", e.direct},
                     {"count", e.count},
                     {"first", witness_json(g, e.first)}});
  }
  const Json document = {{"title", title},
                         {"hazards", report.hazard_count()},
                         {"names", report.hazards()},
                         {"findings", findings_json(report)},
                         {"waits", waits_json(report)},
                         {"runs", std::move(runs)},
                         {"events", g.events},
                         {"dropped", g.dropped},
                         {"max_depth", g.max_depth},
                         {"nodes", std::move(nodes)},
                         {"edges", std::move(edges)}};
  return document.dump();
}

}  // namespace smmulab::analysis

// SPDX-License-Identifier: Apache-2.0
#include <map>
#include <ostream>
#include <sstream>
#include <utility>

#include <boost/graph/adjacency_list.hpp>
#include <boost/graph/graphviz.hpp>
#include <fmt/format.h>

#include "analysis/lockdep_text.hpp"

namespace smmulab::analysis {
namespace {

struct DotNode {
  std::string label;
  bool lock = true;
};
struct DotEdge {
  std::string label;
  bool bad = false;
};
// bidirectionalS keeps a list of edges: g++ 12 suspects directedS's edge iterator of being unset.
using DotGraph =
    boost::adjacency_list<boost::vecS, boost::vecS, boost::bidirectionalS, DotNode, DotEdge>;

// The first word of an operation: "replace dev=0 pt=2" -> replace.
std::string verb(const Witness& w) {
  return w.operation.substr(0, w.operation.find(' '));
}

DotGraph dot_graph(const LockdepReport& report) {
  const LockGraph& g = report.graph;
  DotGraph dot(g.nodes.size());
  for (std::size_t i = 0; i < g.nodes.size(); ++i) {
    dot[i] = {g.nodes[i].label(), g.nodes[i].lock};
  }
  for (std::size_t i = 0; i < g.edges.size(); ++i) {
    const LockEdge& e = g.edges[i];
    if (e.direct || report.edge_on_cycle[i]) {
      boost::add_edge(e.from, e.to, {verb(e.first), report.edge_on_cycle[i]}, dot);
    }
  }
  for (const auto& [node, recursion] : g.recursions) {
    boost::add_edge(node, node, {verb(recursion.first), true}, dot);
  }
  return dot;
}

}  // namespace

std::string to_dot(const LockdepReport& report, std::string_view title) {
  const DotGraph dot = dot_graph(report);
  std::ostringstream out;
  boost::write_graphviz(
      out, dot,
      [&dot](std::ostream& o, DotGraph::vertex_descriptor v) {
        o << fmt::format("[label={}{}]", boost::escape_dot_string(dot[v].label),
                         dot[v].lock ? "" : ", style=dashed");
      },
      [&dot](std::ostream& o, const DotGraph::edge_descriptor& e) {
        o << fmt::format("[label={}{}]", boost::escape_dot_string(dot[e].label),
                         dot[e].bad ? ", color=red, fontcolor=red, penwidth=2" : "");
      },
      [title](std::ostream& o) {
        o << fmt::format(
            "label={};\nlabelloc=t;\nnode [shape=box, fontname=\"Helvetica\"];\n"
            "edge [fontsize=9, fontname=\"Helvetica\"];\n",
            boost::escape_dot_string(std::string(title)));
      });
  return out.str();
}

}  // namespace smmulab::analysis

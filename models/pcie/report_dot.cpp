// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <ostream>
#include <sstream>
#include <utility>

#include <boost/graph/adjacency_list.hpp>
#include <boost/graph/graphviz.hpp>
#include <fmt/format.h>

#include "models/pcie/report.hpp"

namespace smmulab::pcie {
namespace {

struct Node {
  std::string label;
  std::string style;
};
// bidirectionalS keeps a list of edges: g++ 12 suspects directedS's edge iterator of being unset.
using Graph = boost::adjacency_list<boost::vecS, boost::vecS, boost::bidirectionalS, Node>;

// Neighbouring numbers get colours far apart: multiples of the golden ratio around the circle.
std::string colour_of(GroupId group) {
  const double hue = std::fmod(group.value() * 0.618033988749895, 1.0);
  return fmt::format("{:.3f} 0.30 0.97", hue);
}

Node node_of(const Host& host, FunctionIndex index) {
  const Function& f = host.topology().functions()[index];
  const Assignment& mine = host.assignments()[index];
  std::string label = fmt::format("{}\n{}", to_string(f.address), name_of(f.type));
  if (!mine.group) {
    return {label + "\nno group", "style=dashed"};
  }
  label += fmt::format("\ngroup {}", mine.group->value());
  if (mine.dev_set) {
    label += fmt::format(", devset {}", mine.dev_set->value());
  }
  return {label, fmt::format("style=filled, fillcolor=\"{}\"", colour_of(*mine.group))};
}

Graph graph_of(const Host& host) {
  const Topology& topology = host.topology();
  const std::vector<Bus>& buses = topology.buses();
  const std::size_t functions = topology.functions().size();
  Graph graph(functions);
  std::vector<Graph::vertex_descriptor> roots(buses.size());
  for (FunctionIndex f = 0; f < functions; ++f) {
    graph[f] = node_of(host, f);
  }
  for (BusIndex b = 0; b < buses.size(); ++b) {
    if (!buses[b].parent) {
      roots[b] = boost::add_vertex(
          Node{fmt::format("bus {:04x}:{:02x}", buses[b].domain, buses[b].number), "shape=ellipse"},
          graph);
      for (const FunctionIndex f : buses[b].functions) {
        boost::add_edge(roots[b], f, graph);
      }
    }
  }
  for (FunctionIndex f = 0; f < functions; ++f) {
    const std::vector<FunctionIndex> above = topology.bridges_above(f);
    if (!above.empty()) {
      boost::add_edge(above.front(), f, graph);
    }
  }
  return graph;
}

}  // namespace

std::string to_dot(const Host& host) {
  const Graph graph = graph_of(host);
  std::ostringstream out;
  boost::write_graphviz(
      out, graph,
      [&graph](std::ostream& o, Graph::vertex_descriptor v) {
        o << fmt::format("[label={}, {}]", boost::escape_dot_string(graph[v].label),
                         graph[v].style);
      },
      [](std::ostream& /*o*/, const Graph::edge_descriptor& /*e*/) {},
      [&host](std::ostream& o) {
        o << fmt::format(
            "label={};\nlabelloc=t;\nrankdir=LR;\nnode [shape=box, fontname=\"Helvetica\"];\n",
            boost::escape_dot_string(host.source()));
      });
  return out.str();
}

}  // namespace smmulab::pcie

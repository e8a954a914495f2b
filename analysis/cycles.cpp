// SPDX-License-Identifier: Apache-2.0
#include "analysis/cycles.hpp"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include <boost/graph/adjacency_list.hpp>
#include <boost/graph/breadth_first_search.hpp>
#include <boost/graph/filtered_graph.hpp>
#include <boost/graph/strong_components.hpp>
#include <boost/graph/visitors.hpp>

namespace smmulab::analysis {
namespace {

// Each edge's property is its place in the list of arcs.
using Graph = boost::adjacency_list<boost::vecS, boost::vecS, boost::directedS, boost::no_property,
                                    boost::property<boost::edge_index_t, std::size_t>>;
using Vertex = boost::graph_traits<Graph>::vertex_descriptor;

struct InComponent {
  const std::vector<std::size_t>* component = nullptr;
  std::size_t wanted = 0;
  bool operator()(Vertex v) const { return (*component)[v] == wanted; }
};
using Part = boost::filtered_graph<Graph, boost::keep_all, InComponent>;

constexpr std::size_t kStarts = 256;
constexpr std::size_t kNoArc = ~std::size_t{0};

// The arcs by which a breadth-first search from one vertex first reached each other one.
class ShortestPaths : public boost::default_bfs_visitor {
 public:
  explicit ShortestPaths(std::vector<std::size_t>& reached_by) : reached_by_(&reached_by) {}
  void tree_edge(boost::graph_traits<Part>::edge_descriptor e, const Part& part) const {
    (*reached_by_)[boost::target(e, part)] = boost::get(boost::edge_index, part, e);
  }

 private:
  std::vector<std::size_t>* reached_by_;
};

class Finder {
 public:
  Finder(const std::vector<Arc>& arcs, std::size_t vertices, std::size_t limit)
      : arcs_(arcs), graph_(vertices), component_(vertices), limit_(limit) {
    for (std::size_t i = 0; i < arcs.size(); ++i) {
      boost::add_edge(arcs[i].from, arcs[i].to, i, graph_);
    }
    count_ = boost::strong_components(
        graph_,
        boost::make_iterator_property_map(component_.begin(), get(boost::vertex_index, graph_)));
  }

  std::vector<CyclicComponent> find();

 private:
  [[nodiscard]] std::vector<std::size_t> reach(const Part& part, Vertex from) const;
  // From where `reached_by` began to `to`; nothing if it was not reached.
  [[nodiscard]] std::optional<Cycle> path(const std::vector<std::size_t>& reached_by, Vertex from,
                                          Vertex to) const;
  [[nodiscard]] Cycle shortest(const Part& part, const CyclicComponent& found,
                               const std::vector<std::size_t>& inner) const;
  void add_others(const Part& part, const std::vector<std::size_t>& inner,
                  CyclicComponent& found) const;

  const std::vector<Arc>& arcs_;
  Graph graph_;
  std::vector<std::size_t> component_;
  std::size_t count_ = 0;
  std::size_t limit_;
};

std::vector<std::size_t> Finder::reach(const Part& part, Vertex from) const {
  std::vector<std::size_t> reached_by(boost::num_vertices(graph_), kNoArc);
  boost::breadth_first_search(part, from, boost::visitor(ShortestPaths(reached_by)));
  return reached_by;
}

std::optional<Cycle> Finder::path(const std::vector<std::size_t>& reached_by, Vertex from,
                                  Vertex to) const {
  Cycle arcs;
  while (to != from) {
    const std::size_t arc = reached_by[to];
    if (arc == kNoArc) {
      return std::nullopt;
    }
    arcs.push_back(arc);
    to = arcs_[arc].from;
  }
  std::reverse(arcs.begin(), arcs.end());
  return arcs;
}

Cycle Finder::shortest(const Part& part, const CyclicComponent& found,
                       const std::vector<std::size_t>& inner) const {
  Cycle best;
  const std::size_t starts = std::min(found.vertices.size(), kStarts);
  for (std::size_t i = 0; i < starts; ++i) {
    const Vertex start = found.vertices[i];
    const std::vector<std::size_t> reached_by = reach(part, start);
    for (const std::size_t arc : inner) {
      if (arcs_[arc].to != start) {
        continue;
      }
      std::optional<Cycle> there = path(reached_by, start, arcs_[arc].from);
      if (there && (best.empty() || there->size() + 1 < best.size())) {
        there->push_back(arc);
        best = std::move(*there);
      }
    }
  }
  return best;
}

void Finder::add_others(const Part& part, const std::vector<std::size_t>& inner,
                        CyclicComponent& found) const {
  std::set<std::size_t> covered(found.cycles.front().begin(), found.cycles.front().end());
  for (const std::size_t arc : inner) {
    if (covered.contains(arc)) {
      continue;
    }
    if (found.cycles.size() == limit_) {
      found.more = true;
      return;
    }
    const Vertex start = arcs_[arc].to;
    std::optional<Cycle> cycle = path(reach(part, start), start, arcs_[arc].from);
    cycle->push_back(arc);
    covered.insert(cycle->begin(), cycle->end());
    found.cycles.push_back(std::move(*cycle));
  }
}

std::vector<CyclicComponent> Finder::find() {
  std::vector<CyclicComponent> components(count_);
  std::vector<std::vector<std::size_t>> inner(count_);  // arcs within each
  for (std::uint32_t v = 0; v < component_.size(); ++v) {
    components[component_[v]].vertices.push_back(v);
  }
  for (std::size_t i = 0; i < arcs_.size(); ++i) {
    if (component_[arcs_[i].from] == component_[arcs_[i].to]) {
      inner[component_[arcs_[i].from]].push_back(i);
    }
  }
  std::vector<CyclicComponent> cyclic;
  for (std::size_t c = 0; c < count_; ++c) {
    if (inner[c].empty()) {
      continue;
    }
    const Part part(graph_, boost::keep_all{}, InComponent{&component_, c});
    CyclicComponent& found = components[c];
    found.cycles.push_back(shortest(part, found, inner[c]));
    if (found.vertices.size() <= kStarts) {
      add_others(part, inner[c], found);
    }
    cyclic.push_back(std::move(found));
  }
  std::sort(cyclic.begin(), cyclic.end(), [](const CyclicComponent& a, const CyclicComponent& b) {
    return a.vertices.front() < b.vertices.front();
  });
  return cyclic;
}

}  // namespace

std::vector<CyclicComponent> find_cycles(const std::vector<Arc>& arcs, std::size_t vertices,
                                         std::size_t limit) {
  return Finder(arcs, vertices, limit).find();
}

}  // namespace smmulab::analysis

// SPDX-License-Identifier: Apache-2.0
#include "models/pcie/isolation.hpp"

#include <map>

#include <boost/graph/adjacency_list.hpp>
#include <boost/graph/connected_components.hpp>

#include "models/pcie/quirks.hpp"

namespace smmulab::pcie {
namespace {

// Bits that the capability lacks are taken for hard-wired: what cannot be switched is not needed.
bool control_enabled(const Function& f) {
  if (!f.acs) {
    return false;
  }
  const unsigned wanted = unsigned{acs::kIsolation} & f.acs->capable;
  return (f.acs->enabled & wanted) == wanted;
}

std::bitset<256> all_aliases(const Function& f) {
  return f.dma_aliases | aliases_by_quirk(f);
}

// Requests that come through a PCIe-to-PCI bridge carry its secondary bus, device 0, function 0.
Rid taken_over(const Function& bridge) {
  return Rid{static_cast<std::uint16_t>(bridge.bridge->secondary << 8U)};
}

}  // namespace

bool acs_enabled(const Function& f) {
  if (isolated_by_quirk(f)) {
    return true;
  }
  switch (f.type) {
    case Type::kConventional:  // the bus is shared
    case Type::kPcieToPciBridge:
    case Type::kPciToPcieBridge:
    case Type::kEventCollector:
      return false;
    case Type::kRootPort:
    case Type::kDownstreamPort:
      return control_enabled(f);
    case Type::kEndpoint:
    case Type::kLegacyEndpoint:
    case Type::kUpstreamPort:
    case Type::kRootComplexEndpoint:
      return !f.multifunction || control_enabled(f);
  }
  return false;
}

bool acs_path_enabled(const Topology& topology, FunctionIndex start) {
  if (!acs_enabled(topology.functions()[start])) {
    return false;
  }
  for (const FunctionIndex bridge : topology.bridges_above(start)) {
    if (!acs_enabled(topology.functions()[bridge])) {
      return false;
    }
  }
  return true;
}

std::vector<DmaAlias> dma_aliases(const Topology& topology, FunctionIndex function) {
  const Function& f = topology.functions()[function];
  std::vector<DmaAlias> found{{function, f.address.rid()}};
  const std::bitset<256> devfns = all_aliases(f);
  for (unsigned devfn = 0; devfn < devfns.size(); ++devfn) {
    if (devfns.test(devfn)) {
      found.push_back({function, Rid{static_cast<std::uint16_t>(f.address.bus << 8U | devfn)}});
    }
  }
  for (const FunctionIndex above : topology.bridges_above(function)) {
    const Function& bridge = topology.functions()[above];
    if (bridge.translation_root) {
      break;
    }
    switch (bridge.type) {
      case Type::kPcieToPciBridge:
        found.push_back({above, taken_over(bridge)});
        break;
      case Type::kPciToPcieBridge:
        found.push_back({above, bridge.address.rid()});
        break;
      case Type::kConventional:
        found.push_back({above, hidden_pcie_bridge(topology, above) ? taken_over(bridge)
                                                                    : bridge.address.rid()});
        break;
      default:
        break;  // ports forward requests as they are
    }
  }
  return found;
}

bool alias_each_other(const Function& a, const Function& b) {
  return all_aliases(a).test(b.address.devfn) || all_aliases(b).test(a.address.devfn);
}

bool share_a_device(const Topology& topology, FunctionIndex a, FunctionIndex b) {
  const Function& one = topology.functions()[a];
  const Function& other = topology.functions()[b];
  return one.multifunction && topology.same_bus(a, b) &&
         one.address.slot() == other.address.slot() && !acs_enabled(one) && !acs_enabled(other);
}

std::vector<std::size_t> isolation_components(const Topology& topology) {
  using Graph = boost::adjacency_list<boost::vecS, boost::vecS, boost::undirectedS>;
  const std::vector<Function>& functions = topology.functions();
  Graph graph(functions.size());
  for (FunctionIndex f = 0; f < functions.size(); ++f) {
    FunctionIndex seen_as = f;
    for (const DmaAlias& alias : dma_aliases(topology, f)) {
      seen_as = alias.function;
      boost::add_edge(f, seen_as, graph);
    }
    for (const FunctionIndex bridge : topology.bridges_above(seen_as)) {
      if (acs_path_enabled(topology, bridge)) {
        break;
      }
      seen_as = bridge;
      boost::add_edge(f, seen_as, graph);
    }
    for (const FunctionIndex other : topology.bus_of(seen_as).functions) {
      if (other != seen_as && (alias_each_other(functions[seen_as], functions[other]) ||
                               share_a_device(topology, seen_as, other))) {
        boost::add_edge(seen_as, other, graph);
      }
    }
  }
  std::vector<std::size_t> components(functions.size());
  boost::connected_components(graph, components.data());
  return components;  // numbered by the first vertex of each
}

}  // namespace smmulab::pcie

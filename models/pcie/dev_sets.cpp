// SPDX-License-Identifier: Apache-2.0
#include "models/pcie/dev_sets.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

namespace smmulab::pcie {
namespace {

enum class Scope { kFunction, kSlot, kBus };
using Key = std::tuple<Scope, FunctionIndex, unsigned>;

// A bus that can be reset, with all that is behind its bridges.
bool bus_resettable(const Topology& topology, const Bus& bus) {
  const auto refuses = [&topology](FunctionIndex f) {
    const auto behind = topology.bus_behind(f);
    return topology.functions()[f].no_bus_reset ||
           (behind && !bus_resettable(topology, topology.buses()[*behind]));
  };
  return std::none_of(bus.functions.begin(), bus.functions.end(), refuses);
}

// pciehp's slot is device 0 of the bus behind its port.
bool slot_resettable(const Topology& topology, FunctionIndex f) {
  const Bus& bus = topology.bus_of(f);
  if (!bus.bridge || topology.functions()[f].address.slot() != 0) {
    return false;
  }
  const Function& port = topology.functions()[*bus.bridge];
  if (!port.bridge->hotplug_slot || port.no_bus_reset) {
    return false;
  }
  return std::all_of(bus.functions.begin(), bus.functions.end(), [&topology](FunctionIndex other) {
    const Function& function = topology.functions()[other];
    const auto behind = topology.bus_behind(other);
    return function.address.slot() != 0 ||
           (!function.no_bus_reset &&
            (!behind || bus_resettable(topology, topology.buses()[*behind])));
  });
}

Key key_of(const Topology& topology, FunctionIndex f) {
  const Function& function = topology.functions()[f];
  if (topology.on_root_bus(f) || function.physfn) {
    return {Scope::kFunction, f, 0};
  }
  const FunctionIndex first = topology.bus_of(f).functions.front();  // stands for the bus
  if (slot_resettable(topology, f)) {
    return {Scope::kSlot, first, function.address.slot()};
  }
  return {Scope::kBus, first, 0};
}

}  // namespace

std::vector<std::optional<DevSetId>> dev_sets(const Topology& topology) {
  const std::vector<Function>& functions = topology.functions();
  std::set<Address> with_vfs;
  for (const Function& f : functions) {
    if (f.physfn) {
      with_vfs.insert(*f.physfn);
    }
  }
  std::vector<std::optional<DevSetId>> sets(functions.size());
  std::map<Key, DevSetId> numbers;
  for (FunctionIndex f = 0; f < functions.size(); ++f) {
    if (functions[f].bridge || with_vfs.contains(functions[f].address)) {
      continue;
    }
    const DevSetId next{static_cast<std::uint32_t>(numbers.size())};
    sets[f] = numbers.try_emplace(key_of(topology, f), next).first->second;
  }
  return sets;
}

}  // namespace smmulab::pcie

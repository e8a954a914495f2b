// SPDX-License-Identifier: Apache-2.0
#include "models/pcie/topology.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "sim/error.hpp"

namespace smmulab::pcie {

Topology::Topology(std::vector<Function> functions, const std::string& source)
    : source_(source), functions_(std::move(functions)) {
  const auto by_address = [](const Function& a, const Function& b) {
    return std::tie(a.address, a.line) < std::tie(b.address, b.line);
  };
  std::sort(functions_.begin(), functions_.end(), by_address);
  for (std::size_t i = 1; i < functions_.size(); ++i) {
    if (functions_[i].address == functions_[i - 1].address) {
      fail(functions_[i], fmt::format("{} a second time: before at line {}",
                                      to_string(functions_[i].address), functions_[i - 1].line));
    }
  }
  add_missing_vfs();
  std::sort(functions_.begin(), functions_.end(), by_address);
  check_vfs();
  find_multifunction();
  number_buses();
  check_bus_ranges();
  link_buses();
}

void Topology::fail(const Function& at, const std::string& message) const {
  throw ConfigError(fmt::format("{}:{}: {}", source_, at.line, message));
}

std::optional<FunctionIndex> Topology::find(const Address& address) const {
  const auto at =
      std::lower_bound(functions_.begin(), functions_.end(), address,
                       [](const Function& f, const Address& a) { return f.address < a; });
  if (at == functions_.end() || at->address != address) {
    return std::nullopt;
  }
  return static_cast<FunctionIndex>(at - functions_.begin());
}

// VF i of a PF has the requester id of the PF + offset + i * stride.
void Topology::add_missing_vfs() {
  std::vector<Function> added;
  const std::size_t listed = functions_.size();
  for (std::size_t pf = 0; pf < listed; ++pf) {
    const Function physical = functions_[pf];
    if (!physical.sriov) {
      continue;
    }
    const Sriov& sriov = *physical.sriov;
    if (sriov.vfs > 0 && (sriov.offset == 0 || (sriov.vfs > 1 && sriov.stride == 0))) {
      fail(physical, "sriov: expected an offset, and a stride if there are several VFs");
    }
    for (std::uint32_t i = 0; i < sriov.vfs; ++i) {
      const std::uint32_t rid = physical.address.rid().value() + sriov.offset + sriov.stride * i;
      if (rid > 0xffff) {
        fail(physical, fmt::format("sriov: VF {} would lie beyond bus ff", i));
      }
      const Address address{physical.address.domain, static_cast<std::uint8_t>(rid >> 8U),
                            static_cast<std::uint8_t>(rid & 0xffU)};
      const auto at = std::lower_bound(
          functions_.begin(), functions_.begin() + static_cast<long>(listed), address,
          [](const Function& f, const Address& a) { return f.address < a; });
      if (at != functions_.begin() + static_cast<long>(listed) && at->address == address) {
        at->physfn = physical.address;
        at->multifunction = false;
        continue;
      }
      Function vf;
      vf.address = address;
      vf.type = physical.type;
      vf.name = physical.name.empty() ? "" : fmt::format("{} VF {}", physical.name, i);
      vf.vendor = physical.vendor;
      vf.class_code = physical.class_code;
      vf.physfn = physical.address;
      added.push_back(std::move(vf));
    }
  }
  functions_.insert(functions_.end(), added.begin(), added.end());
  std::sort(added.begin(), added.end(),
            [](const Function& a, const Function& b) { return a.address < b.address; });
  for (std::size_t i = 1; i < added.size(); ++i) {
    if (added[i].address == added[i - 1].address) {
      throw ConfigError(fmt::format("{}: {} would be a VF of both {} and {}", source_,
                                    to_string(added[i].address), to_string(*added[i].physfn),
                                    to_string(*added[i - 1].physfn)));
    }
  }
}

// A VF's requester id is above its PF's: no chain of parents can lead back.
void Topology::check_vfs() const {
  for (const Function& f : functions_) {
    if (!f.physfn) {
      continue;
    }
    const auto physical = find(*f.physfn);
    if (!physical) {
      fail(f,
           fmt::format("the PF {} of {} is missing", to_string(*f.physfn), to_string(f.address)));
    }
    if (functions_[*physical].physfn || f.physfn->domain != f.address.domain ||
        f.physfn->rid() >= f.address.rid()) {
      fail(f, fmt::format("{} cannot be a VF of {}: expected a PF below it in its domain",
                          to_string(f.address), to_string(*f.physfn)));
    }
  }
}

// A slot with a function above 0 is a multi-function device; VFs are none and make none.
void Topology::find_multifunction() {
  std::set<std::tuple<std::uint32_t, unsigned, unsigned>> slots;
  const auto slot_of = [](const Function& f) {
    return std::tuple{f.address.domain, unsigned{f.address.bus}, f.address.slot()};
  };
  for (const Function& f : functions_) {
    if (!f.physfn && f.address.function() != 0) {
      slots.insert(slot_of(f));
    }
  }
  for (Function& f : functions_) {
    f.multifunction = !f.physfn && (f.multifunction || slots.contains(slot_of(f)));
  }
}

BusIndex Topology::intern_bus(std::uint32_t domain, std::uint8_t number) {
  const auto at = std::lower_bound(
      buses_.begin(), buses_.end(), std::pair{domain, number},
      [](const Bus& b, const auto& key) { return std::pair{b.domain, b.number} < key; });
  return static_cast<BusIndex>(at - buses_.begin());
}

void Topology::number_buses() {
  std::set<std::pair<std::uint32_t, std::uint8_t>> numbers;
  for (const Function& f : functions_) {
    numbers.emplace(f.address.domain, f.address.bus);
    if (f.bridge) {
      if (f.bridge->secondary <= f.address.bus || f.bridge->subordinate < f.bridge->secondary) {
        fail(f, fmt::format("{}: expected a secondary bus above {:02x} and a subordinate bus not "
                            "below it, found {:02x} and {:02x}",
                            to_string(f.address), f.address.bus, f.bridge->secondary,
                            f.bridge->subordinate));
      }
      numbers.emplace(f.address.domain, f.bridge->secondary);
    }
  }
  for (const auto& [domain, number] : numbers) {
    buses_.push_back({domain, number, {}, {}, {}});
  }
  for (std::size_t i = 0; i < functions_.size(); ++i) {
    bus_of_.push_back(intern_bus(functions_[i].address.domain, functions_[i].address.bus));
    buses_[bus_of_.back()].functions.push_back(i);
  }
}

// Of two bridges of a domain, one leads to the other and spans all of its buses, or they share
// none.
void Topology::check_bus_ranges() const {
  const auto range = [](const Function& f) {
    return fmt::format("buses {:02x} to {:02x} of {}", f.bridge->secondary, f.bridge->subordinate,
                       to_string(f.address));
  };
  for (const Function& outer : functions_) {
    for (const Function& inner : functions_) {
      if (!outer.bridge || !inner.bridge || outer.address.domain != inner.address.domain ||
          inner.bridge->secondary <= outer.bridge->secondary ||
          inner.bridge->secondary > outer.bridge->subordinate) {
        continue;
      }
      if (inner.address.bus < outer.bridge->secondary) {
        fail(inner,
             fmt::format("{} overlap {}, and it is not behind that", range(inner), range(outer)));
      }
      if (inner.bridge->subordinate > outer.bridge->subordinate) {
        fail(inner,
             fmt::format("{} reach beyond {}, and it is behind that", range(inner), range(outer)));
      }
    }
  }
}

void Topology::link_buses() {
  behind_.resize(functions_.size());
  for (FunctionIndex i = 0; i < functions_.size(); ++i) {
    const Function& f = functions_[i];
    if (!f.bridge) {
      continue;
    }
    behind_[i] = intern_bus(f.address.domain, f.bridge->secondary);
    Bus& bus = buses_[*behind_[i]];
    if (bus.bridge) {
      fail(f, fmt::format("{} leads to bus {:02x}, and so does {}", to_string(f.address),
                          bus.number, to_string(functions_[*bus.bridge].address)));
    }
    bus.bridge = i;
    bus.parent = bus_of_[i];
  }
  for (Bus& bus : buses_) {
    if (!bus.bridge) {
      link_without_bridge(bus);
    }
  }
}

// Only VFs on it: a virtual bus. Anything else: a root bus, and no bridge may span it.
void Topology::link_without_bridge(Bus& bus) {
  for (const FunctionIndex f : bus.functions) {
    if (functions_[f].physfn) {
      continue;
    }
    for (const Function& above : functions_) {
      if (above.bridge && above.address.domain == bus.domain &&
          above.bridge->secondary < bus.number && bus.number <= above.bridge->subordinate) {
        fail(functions_[f],
             fmt::format("no bridge leads to bus {:02x} of {}, though {} spans it", bus.number,
                         to_string(functions_[f].address), to_string(above.address)));
      }
    }
    return;
  }
  bus.parent = bus_of_[find(*functions_[bus.functions.front()].physfn).value()];
}

std::vector<FunctionIndex> Topology::bridges_above(FunctionIndex f) const {
  std::vector<FunctionIndex> bridges;
  for (const Bus* bus = &bus_of(f); bus->parent; bus = &buses_[*bus->parent]) {
    if (bus->bridge) {
      bridges.push_back(*bus->bridge);
    }
  }
  return bridges;
}

void Topology::visit(BusIndex bus, std::vector<FunctionIndex>& order) const {
  for (const FunctionIndex f : buses_[bus].functions) {
    if (!functions_[f].physfn) {
      order.push_back(f);
    }
  }
  for (const FunctionIndex f : buses_[bus].functions) {
    if (behind_[f]) {
      visit(*behind_[f], order);
    }
  }
}

std::vector<FunctionIndex> Topology::enumeration_order() const {
  std::vector<FunctionIndex> order;
  for (BusIndex bus = 0; bus < buses_.size(); ++bus) {
    if (!buses_[bus].parent) {
      visit(bus, order);
    }
  }
  for (FunctionIndex f = 0; f < functions_.size(); ++f) {
    if (functions_[f].physfn) {
      order.push_back(f);
    }
  }
  return order;
}

}  // namespace smmulab::pcie

// SPDX-License-Identifier: Apache-2.0
// Topology: functions and the buses they lie on. A bus is led to by a bridge; or it is a root bus;
// or it is virtual: only VFs lie on it, whose numbers run past the bus of their PF (the kernel's
// virtfn_add_bus), and its parent is the PF's bus. VFs that a PF says it has and that are not
// listed are added. Functions are sorted by address.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "models/pcie/function.hpp"

namespace smmulab::pcie {

struct Bus {
  std::uint32_t domain = 0;
  std::uint8_t number = 0;
  std::optional<FunctionIndex> bridge;  // leads to it
  std::optional<BusIndex> parent;       // none: a root bus
  std::vector<FunctionIndex> functions;
};

class Topology {
 public:
  // Throws ConfigError, "SOURCE:LINE: ...": an address twice, a bridge that leads to no higher bus,
  // two bridges that lead to one bus or whose buses overlap though neither holds the other, a
  // function on a bus to which nothing leads within the range of a bridge, a VF without its PF.
  Topology(std::vector<Function> functions, const std::string& source);

  [[nodiscard]] const std::vector<Function>& functions() const { return functions_; }
  [[nodiscard]] const std::vector<Bus>& buses() const { return buses_; }
  [[nodiscard]] const Bus& bus_of(FunctionIndex f) const { return buses_[bus_of_[f]]; }
  [[nodiscard]] bool same_bus(FunctionIndex a, FunctionIndex b) const {
    return bus_of_[a] == bus_of_[b];
  }
  [[nodiscard]] bool on_root_bus(FunctionIndex f) const { return !bus_of(f).parent; }
  [[nodiscard]] std::optional<BusIndex> bus_behind(FunctionIndex bridge) const {
    return behind_[bridge];
  }
  [[nodiscard]] std::optional<FunctionIndex> find(const Address& address) const;
  // The bridges between a function and the root bus, nearest first.
  [[nodiscard]] std::vector<FunctionIndex> bridges_above(FunctionIndex f) const;
  // As the kernel finds them: all functions of a bus, then what is behind its bridges in turn; VFs,
  // which a driver enables later, at the end.
  [[nodiscard]] std::vector<FunctionIndex> enumeration_order() const;

 private:
  void add_missing_vfs();
  void check_vfs() const;
  void check_bus_ranges() const;
  void number_buses();
  void link_buses();
  void link_without_bridge(Bus& bus);
  void find_multifunction();
  void visit(BusIndex bus, std::vector<FunctionIndex>& order) const;
  [[noreturn]] void fail(const Function& at, const std::string& message) const;
  BusIndex intern_bus(std::uint32_t domain, std::uint8_t number);

  std::string source_;
  std::vector<Function> functions_;
  std::vector<Bus> buses_;  // sorted by domain and number
  std::vector<BusIndex> bus_of_;
  std::vector<std::optional<BusIndex>> behind_;
};

}  // namespace smmulab::pcie

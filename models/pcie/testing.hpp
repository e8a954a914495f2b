// SPDX-License-Identifier: Apache-2.0
// Hosts for tests, from the text of a topology file.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>

#include "models/pcie/host.hpp"
#include "models/pcie/read_toml.hpp"

namespace smmulab::pcie {

inline Host host_of(std::string_view toml) {
  return Host(read_toml(toml, "t.toml"));
}

// Who is in a group with whom: "01:00.0 01:00.1" of domain 0, functions without a group left out.
inline std::set<std::string> groups_of(const Host& host) {
  std::map<GroupId, std::string> members;
  for (FunctionIndex f = 0; f < host.assignments().size(); ++f) {
    if (const auto group = host.assignments()[f].group) {
      std::string& text = members[*group];
      text +=
          (text.empty() ? "" : " ") + to_string(host.topology().functions()[f].address).substr(5);
    }
  }
  std::set<std::string> sets;
  for (const auto& [group, text] : members) {
    sets.insert(text);
  }
  return sets;
}

inline const Assignment& at(const Host& host, std::string_view address) {
  return host.assignments().at(host.topology().find(parse_address(address).value()).value());
}

}  // namespace smmulab::pcie

// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "models/pcie/acs_text.hpp"
#include "models/pcie/report.hpp"

namespace smmulab::pcie {
namespace {

// "00:0d.0", with the domain if the host has several.
class Names {
 public:
  explicit Names(const Topology& topology) : topology_(topology) {
    std::set<std::uint32_t> domains;
    for (const Function& f : topology.functions()) {
      domains.insert(f.address.domain);
    }
    cut_ = domains.size() > 1 ? 0 : 5;
  }
  [[nodiscard]] std::string of(FunctionIndex f) const {
    return to_string(topology_.functions()[f].address).substr(cut_);
  }

 private:
  const Topology& topology_;
  std::size_t cut_;
};

class Tree {
 public:
  explicit Tree(const Host& host) : host_(host), names_(host.topology()) {}

  std::string text() {
    for (BusIndex bus = 0; bus < topology().buses().size(); ++bus) {
      if (!topology().buses()[bus].parent) {
        out_ += fmt::format("bus {:04x}:{:02x}\n", topology().buses()[bus].domain,
                            topology().buses()[bus].number);
        functions_of(bus, "");
      }
    }
    return std::move(out_);
  }

 private:
  [[nodiscard]] const Topology& topology() const { return host_.topology(); }

  // What lies on the bus, and on virtual buses of its VFs.
  [[nodiscard]] std::vector<FunctionIndex> members(BusIndex bus) const {
    std::vector<FunctionIndex> all = topology().buses()[bus].functions;
    for (const Bus& other : topology().buses()) {
      if (!other.bridge && other.parent == bus) {
        all.insert(all.end(), other.functions.begin(), other.functions.end());
      }
    }
    return all;
  }

  void functions_of(BusIndex bus, const std::string& indent) {
    const std::vector<FunctionIndex> all = members(bus);
    for (const FunctionIndex f : all) {
      const bool last = f == all.back();
      out_ += indent + (last ? "└─ " : "├─ ") + line_of(f) + "\n";
      if (const auto behind = topology().bus_behind(f)) {
        functions_of(*behind, indent + (last ? "   " : "│  "));
      }
    }
  }

  [[nodiscard]] std::string line_of(FunctionIndex index) const {
    const Function& f = topology().functions()[index];
    const Assignment& mine = host_.assignments()[index];
    std::string line = fmt::format("{} {}", names_.of(index), name_of(f.type));
    if (f.physfn) {
      line += fmt::format(", VF of {}", names_.of(*topology().find(*f.physfn)));
    }
    if (!f.name.empty()) {
      line += fmt::format(", {}", f.name);
    }
    if (f.acs) {
      line += fmt::format(" [ACS {}]", to_string(*f.acs));
    }
    if (mine.group) {
      std::vector<std::string> ids;
      for (const StreamId id : mine.streams->ids) {
        ids.push_back(fmt::format("{:#x}", id.value()));
      }
      line += fmt::format(": group {}, smmu {} sid {}", mine.group->value(),
                          mine.streams->smmu.value(), fmt::join(ids, ","));
    } else {
      line += fmt::format(": no group ({})", mine.why_not);
    }
    if (mine.dev_set && mine.group) {
      line += fmt::format(", devset {}", mine.dev_set->value());
    }
    return line;
  }

  const Host& host_;
  Names names_;
  std::string out_;
};

std::string counts(const Host& host) {
  std::set<GroupId> groups;
  std::set<DevSetId> sets;
  for (const Assignment& a : host.assignments()) {
    if (a.group) {
      groups.insert(*a.group);
      if (a.dev_set) {
        sets.insert(*a.dev_set);
      }
    }
  }
  return fmt::format("{} functions, {} iommu groups, {} VFIO device sets, {} SMMUs",
                     host.assignments().size(), groups.size(), sets.size(), host.smmu_count());
}

std::string remarks(const Host& host) {
  const Names names(host.topology());
  std::string text;
  for (const Split& split : host.split_components()) {
    std::vector<std::uint32_t> numbers;
    for (const GroupId group : split.groups) {
      numbers.push_back(group.value());
    }
    std::vector<std::string> without;
    for (const FunctionIndex f : split.without_group) {
      without.push_back(names.of(f));
    }
    text += fmt::format(
        "groups {}: nothing keeps them apart but the order in which they were probed{}\n",
        fmt::join(numbers, ", "),
        without.empty() ? "" : fmt::format(", or that {} has no group", fmt::join(without, ", ")));
  }
  if (!host.has_recorded_groups()) {
    return text;
  }
  const auto unlike = host.unlike_recorded();
  if (unlike.empty()) {
    return text + "groups are those that the host recorded\n";
  }
  for (const auto& [one, other] : unlike) {
    const bool together = host.assignments()[one].group == host.assignments()[other].group;
    text += fmt::format("not as recorded: {} and {} are {}, the host had them {}\n", names.of(one),
                        names.of(other), together ? "together" : "apart",
                        together ? "apart" : "together");
  }
  return text;
}

}  // namespace

std::string to_text(const Host& host) {
  return fmt::format("{}: {}\n{}{}", host.source(), counts(host), Tree(host).text(), remarks(host));
}

}  // namespace smmulab::pcie

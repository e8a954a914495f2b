// SPDX-License-Identifier: Apache-2.0
#include "models/pcie/host.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "models/pcie/dev_sets.hpp"

namespace smmulab::pcie {

Host::Host(HostDescription description) : description_(std::move(description)) {
  probe();
  find_split_components();
}

void Host::probe() {
  const Topology& topology = description_.topology;
  const std::vector<Function>& functions = topology.functions();
  assignments_.resize(functions.size());
  const auto sets = dev_sets(topology);
  for (FunctionIndex f = 0; f < functions.size(); ++f) {
    assignments_[f].dev_set = sets[f];
    assignments_[f].why_not = "not probed";
  }
  IommuGroups groups(topology);
  std::map<std::pair<SmmuIndex, StreamId>, FunctionIndex> owners;
  for (const FunctionIndex f :
       description_.probe_order ? *description_.probe_order : topology.enumeration_order()) {
    Assignment& mine = assignments_[f];
    mine.probed = true;
    mine.streams = description_.streams.streams_of(topology, f);
    if (!mine.streams) {
      mine.why_not = "no SMMU translates all of its requester ids";
      continue;
    }
    const auto taken =
        std::find_if(mine.streams->ids.begin(), mine.streams->ids.end(), [&](StreamId id) {
          const auto owner = owners.find({mine.streams->smmu, id});
          return owner != owners.end() && owner->second != f;
        });
    if (taken != mine.streams->ids.end()) {
      mine.why_not =
          fmt::format("stream id {:#x} belongs to {}", taken->value(),
                      to_string(functions[owners.at({mine.streams->smmu, *taken})].address));
      continue;
    }
    for (const StreamId id : mine.streams->ids) {
      owners.emplace(std::pair{mine.streams->smmu, id}, f);
    }
    mine.group = groups.probe(f);
    mine.why_not.clear();
  }
}

void Host::find_split_components() {
  const std::vector<std::size_t> components = isolation_components(topology());
  std::map<std::size_t, std::set<GroupId>> groups;
  std::map<std::size_t, std::vector<FunctionIndex>> without;
  for (FunctionIndex f = 0; f < components.size(); ++f) {
    if (assignments_[f].group) {
      groups[components[f]].insert(*assignments_[f].group);
    } else if (assignments_[f].probed) {
      without[components[f]].push_back(f);
    }
  }
  for (const auto& [component, found] : groups) {
    if (found.size() > 1) {
      split_.push_back({{found.begin(), found.end()}, without[component]});
    }
  }
}

bool Host::has_recorded_groups() const {
  return std::any_of(topology().functions().begin(), topology().functions().end(),
                     [](const Function& f) { return f.recorded_group.has_value(); });
}

// The first member of each group speaks for it: a pair for each function that joins or leaves.
std::vector<std::pair<FunctionIndex, FunctionIndex>> Host::unlike_recorded() const {
  std::vector<std::pair<FunctionIndex, FunctionIndex>> pairs;
  std::map<std::uint32_t, FunctionIndex> recorded;
  std::map<GroupId, FunctionIndex> computed;
  const std::vector<Function>& functions = topology().functions();
  for (FunctionIndex f = 0; f < functions.size(); ++f) {
    const std::optional<GroupId> group = assignments_[f].group;
    if (!functions[f].recorded_group || !group) {
      continue;
    }
    const FunctionIndex by_record =
        recorded.try_emplace(*functions[f].recorded_group, f).first->second;
    const FunctionIndex by_rule = computed.try_emplace(*group, f).first->second;
    if (by_record != by_rule) {
      pairs.emplace_back(by_record == f ? by_rule : by_record, f);
    }
  }
  return pairs;
}

}  // namespace smmulab::pcie

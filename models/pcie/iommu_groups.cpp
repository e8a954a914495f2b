// SPDX-License-Identifier: Apache-2.0
#include "models/pcie/iommu_groups.hpp"

#include "models/pcie/isolation.hpp"

namespace smmulab::pcie {

GroupId IommuGroups::probe(FunctionIndex function) {
  std::optional<GroupId>& group = groups_[function];
  if (!group) {
    group = find_group(function);
  }
  if (!group) {
    group = GroupId{next_++};
  }
  return *group;
}

std::optional<GroupId> IommuGroups::find_group(FunctionIndex function) const {
  FunctionIndex seen_as = function;  // the nearest point at which the IOMMU can tell it apart
  for (const DmaAlias& alias : dma_aliases(topology_, function)) {
    seen_as = alias.function;
    if (groups_[seen_as]) {
      return groups_[seen_as];
    }
  }
  for (const FunctionIndex bridge : topology_.bridges_above(seen_as)) {
    if (acs_path_enabled(topology_, bridge)) {
      break;
    }
    seen_as = bridge;
    if (groups_[seen_as]) {
      return groups_[seen_as];
    }
  }
  Visited visited;
  if (const auto group = group_of_aliases(seen_as, visited)) {
    return group;
  }
  return group_of_siblings(seen_as, visited);
}

std::optional<GroupId> IommuGroups::group_of_aliases(FunctionIndex f, Visited& visited) const {
  const Function& function = topology_.functions()[f];
  if (visited.test(function.address.devfn)) {
    return std::nullopt;
  }
  visited.set(function.address.devfn);
  if (groups_[f]) {
    return groups_[f];
  }
  for (const FunctionIndex other : topology_.bus_of(f).functions) {
    if (other == f || !alias_each_other(function, topology_.functions()[other])) {
      continue;
    }
    if (const auto group = group_of_aliases(other, visited)) {
      return group;
    }
    if (const auto group = group_of_siblings(other, visited)) {
      return group;
    }
  }
  return std::nullopt;
}

std::optional<GroupId> IommuGroups::group_of_siblings(FunctionIndex f, Visited& visited) const {
  for (const FunctionIndex other : topology_.bus_of(f).functions) {
    if (other == f || !share_a_device(topology_, f, other)) {
      continue;
    }
    if (const auto group = group_of_aliases(other, visited)) {
      return group;
    }
  }
  return std::nullopt;
}

}  // namespace smmulab::pcie

// SPDX-License-Identifier: Apache-2.0
// iommu groups as the kernel forms them: function by function in the order in which they are
// probed, each joining a group that is already there or founding the next one
// (drivers/iommu/iommu.c pci_device_group and get_pci_*alias_group, Linux 6.12). So the groups
// depend on the order: a function that is probed before the bridges it cannot be told from gets a
// group of its own. Not modelled: groups of platform devices, functions that leave and come back.
#pragma once

#include <optional>
#include <vector>

#include "models/pcie/topology.hpp"

namespace smmulab::pcie {

class IommuGroups {
 public:
  explicit IommuGroups(const Topology& topology)
      : topology_(topology), groups_(topology.functions().size()) {}

  // The kernel's iommu_probe_device of a function that an IOMMU translates.
  GroupId probe(FunctionIndex function);
  [[nodiscard]] std::optional<GroupId> group_of(FunctionIndex function) const {
    return groups_[function];
  }

 private:
  using Visited = std::bitset<256>;  // devfns of the one bus that is searched
  [[nodiscard]] std::optional<GroupId> find_group(FunctionIndex function) const;
  [[nodiscard]] std::optional<GroupId> group_of_aliases(FunctionIndex f, Visited& visited) const;
  [[nodiscard]] std::optional<GroupId> group_of_siblings(FunctionIndex f, Visited& visited) const;

  const Topology& topology_;
  std::vector<std::optional<GroupId>> groups_;
  std::uint32_t next_ = 0;
};

}  // namespace smmulab::pcie

// SPDX-License-Identifier: Apache-2.0
// Host: a topology with its stream map, probed: which function has which SMMU, stream ids, iommu
// group and VFIO device set, and where groups are apart that ACS does not keep apart.
// Rules: those of iommu_groups.hpp, dev_sets.hpp and stream_map.hpp; arm_smmu_insert_master (6.12)
// refuses a function if one of its stream ids belongs to another function already, so that behind a
// PCIe-to-PCI bridge only the first function has an SMMU.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "models/pcie/iommu_groups.hpp"
#include "models/pcie/stream_map.hpp"

namespace smmulab::pcie {

// What a file says. Without `probe_order` every function is probed, in the kernel's enumeration
// order, as since 6.15; before, a function was probed when a driver was first tried on it.
struct HostDescription {
  std::string source;  // the file
  Topology topology;
  StreamMap streams{};
  std::optional<std::vector<FunctionIndex>> probe_order{};
};

struct Assignment {
  std::optional<Streams> streams;
  std::optional<GroupId> group;
  std::optional<DevSetId> dev_set;
  std::string why_not;  // it has no group; "" if it has
  bool probed = false;
};

// Functions that ACS and aliases do not keep apart, and that are in several groups nevertheless.
struct Split {
  std::vector<GroupId> groups;               // ascending
  std::vector<FunctionIndex> without_group;  // of them: probed, and refused by the SMMU driver
  friend bool operator==(const Split&, const Split&) = default;
};

class Host {
 public:
  explicit Host(HostDescription description);

  [[nodiscard]] const std::string& source() const { return description_.source; }
  [[nodiscard]] const Topology& topology() const { return description_.topology; }
  [[nodiscard]] const std::vector<Assignment>& assignments() const { return assignments_; }
  [[nodiscard]] std::uint32_t smmu_count() const { return description_.streams.smmu_count(); }
  // Apart by the order of probing, or since a function between them has no group (a port of which
  // no SMMU translates the requester id joins nothing together, in the kernel as here).
  [[nodiscard]] const std::vector<Split>& split_components() const { return split_; }
  // Functions that the host recorded together and we have apart, or the other way round; as pairs.
  // Functions without recorded or computed group are left out.
  [[nodiscard]] std::vector<std::pair<FunctionIndex, FunctionIndex>> unlike_recorded() const;
  [[nodiscard]] bool has_recorded_groups() const;

 private:
  void probe();
  void find_split_components();

  HostDescription description_;
  std::vector<Assignment> assignments_;
  std::vector<Split> split_;
};

}  // namespace smmulab::pcie

// SPDX-License-Identifier: Apache-2.0
// A host from a copy of its sysfs: FOLDER/0000:01:00.0/config (as root: 256 or 4096 bytes), and
// where they were copied too the links iommu_group, physfn and driver, of which only the target's
// name is looked at. docs/topology.md has the command that makes such a copy.
#pragma once

#include <string>

#include "models/pcie/host.hpp"

namespace smmulab::pcie {

[[nodiscard]] HostDescription read_sysfs(const std::string& folder);

// Any of the three: a folder, a file *.toml, or else the text of lspci. `settings`: a TOML file
// with iommu_map, iommu_map_mask and probe_order for a host that has none of its own; or "".
[[nodiscard]] HostDescription read_host(const std::string& path, const std::string& settings = "");

}  // namespace smmulab::pcie

// SPDX-License-Identifier: Apache-2.0
// VFIO device sets: the functions that share a dev_set->lock because they are reset together
// (drivers/vfio/pci/vfio_pci_core.c vfio_pci_core_register_device, Linux 6.12). A function on a
// root bus and a VF are alone; else a hotplug slot that can be reset holds its functions; else all
// of the bus are one. Numbers count up in the order of functions. Not modelled: slots other than
// pciehp's (those of s390 and powernv), vfio drivers with sets of their own.
#pragma once

#include <optional>
#include <vector>

#include "models/pcie/topology.hpp"

namespace smmulab::pcie {

// By function; nothing where vfio-pci refuses to bind: bridges, and PFs with VFs enabled.
[[nodiscard]] std::vector<std::optional<DevSetId>> dev_sets(const Topology& topology);

}  // namespace smmulab::pcie

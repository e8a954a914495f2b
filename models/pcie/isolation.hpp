// SPDX-License-Identifier: Apache-2.0
// Which functions the kernel's rules keep apart: ACS and DMA aliases.
// Rules: drivers/pci/pci.c (pci_acs_enabled, pci_acs_path_enabled, pci_devs_are_dma_aliases),
// drivers/pci/search.c (pci_for_each_dma_alias), Linux 6.12.
//
// isolation_components() takes what pci_device_group() asks of a function - which bridges it cannot
// be told from, which of its neighbours - as edges of a graph (Boost.Graph) and gives its connected
// components. They do not depend on the order in which functions are probed, as iommu groups do
// (iommu_groups.hpp); a group smaller than its component is a group too many.
// Not modelled: pci_real_dma_dev (VMD), ACS overrides of the command line.
#pragma once

#include <vector>

#include "models/pcie/topology.hpp"

namespace smmulab::pcie {

// The effective ACS of a function for acs::kIsolation: can it redirect peer-to-peer requests, or
// has it no peers?
[[nodiscard]] bool acs_enabled(const Function& function);
// All from `start` up to the root bus.
[[nodiscard]] bool acs_path_enabled(const Topology& topology, FunctionIndex start);

// A requester id under which requests of a function may reach the root bus, and the function it
// belongs to: itself, or a bridge above it. The first is its own; ids may repeat.
struct DmaAlias {
  FunctionIndex function;
  Rid rid;
};
[[nodiscard]] std::vector<DmaAlias> dma_aliases(const Topology& topology, FunctionIndex function);
// One of the two sends requests as the other. REQUIRES: they lie on one bus.
[[nodiscard]] bool alias_each_other(const Function& a, const Function& b);
// Two functions of one multi-function device that may reach each other past the IOMMU.
[[nodiscard]] bool share_a_device(const Topology& topology, FunctionIndex a, FunctionIndex b);

// By function: the number of its component. Numbers count up in the order of functions.
[[nodiscard]] std::vector<std::size_t> isolation_components(const Topology& topology);

}  // namespace smmulab::pcie

// SPDX-License-Identifier: Apache-2.0
// Quirks: devices of which Linux knows that they send requests under further ids, or are isolated
// though no ACS capability says so. By vendor and device id, as of drivers/pci/quirks.c of 6.12.
// Not here: quirks of x86 chipsets (AMD southbridges, Intel PCH root ports, Intel root-complex
// endpoints, Zhaoxin, Loongson), of NTBs (Switchtec, PLX, MIC x200, PEX VCA), and those that look
// at subsystem ids (Adaptec 3405). A topology file can say what such a device does.
#pragma once

#include "models/pcie/topology.hpp"

namespace smmulab::pcie {

// Multi-function endpoints whose vendors promise that functions do not talk to each other, and root
// ports of Arm servers that keep requests apart without an ACS capability.
[[nodiscard]] bool isolated_by_quirk(const Function& function);

// devfns that the device is known to send requests as, beside its own. Empty for nearly all.
[[nodiscard]] std::bitset<256> aliases_by_quirk(const Function& function);

// A bridge without PCI Express capability below a PCI Express port that is known to be a
// PCIe-to-PCI bridge all the same.
[[nodiscard]] bool hidden_pcie_bridge(const Topology& topology, FunctionIndex bridge);

}  // namespace smmulab::pcie

// SPDX-License-Identifier: Apache-2.0
// The header of a trace for a probed PCIe host: SMMUs, groups, device sets, and a device with its
// stream ids for each function that vfio-pci can take: it has a group, is no bridge (base class 06)
// and has no VFs enabled. A thread for each device, thread i on CPU i modulo `cpus`.
// Not decided here: which functions are bound to vfio-pci together (VFIO wants that of a whole
// group), MSI windows, sockets and NUMA nodes.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "models/pcie/host.hpp"
#include "workloads/trace_header.hpp"

namespace smmulab::workloads {

inline constexpr std::uint32_t kMaxTraceCpus = 4096;  // as many as machine.cpus may be

struct TopologyTraceOptions {
  std::vector<std::string> devices;  // addresses; none: all that vfio-pci can take
  std::uint32_t cpus = 0;            // at most kMaxTraceCpus; 0: as many as devices
};

// Throws ConfigError: a device that is not there or cannot be taken, and why; no device at all;
// too many CPUs.
[[nodiscard]] TraceHeader header_of(const pcie::Host& host, const TopologyTraceOptions& options);

// A trace that can be replayed: each device is bound and attached, then moved to and fro between
// two hwpts of one IOAS `replaces` times. A .zst name compresses. `progress` is told now and then
// how many operations are written; false: Interrupted, and no file. REQUIRES: the header has
// devices.
void write_replace_trace(const std::string& path, const TraceHeader& header, std::uint64_t replaces,
                         const std::function<bool(std::uint64_t)>& progress = {});

}  // namespace smmulab::workloads

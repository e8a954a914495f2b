// SPDX-License-Identifier: Apache-2.0
// What devices access while a trace is replayed: the transactions of a DMA trace
// (docs/dma-trace.md) in their order. It has no times, so that a device issues its own in closed
// loop, over and over.
#pragma once

#include <string>
#include <vector>

#include "models/smmuv3/timed/dma_stream.hpp"
#include "workloads/trace_header.hpp"

namespace smmulab::workloads {

struct RecordedDma {
  std::string file;  // for messages
  std::vector<smmu::timed::RecordedAccess> accesses;
};

struct DeviceAccesses {
  std::vector<std::vector<smmu::timed::RecordedAccess>> devices;  // empty: it does no DMA
  std::string warning;                                            // of what no device does, or ""
};

// By StreamID, of which a device may have several; where devices of several SMMUs have the same,
// each of them issues its transactions. Throws ConfigError if none is of a device.
[[nodiscard]] DeviceAccesses by_device(const RecordedDma& recorded, const TraceHeader& header);

}  // namespace smmulab::workloads

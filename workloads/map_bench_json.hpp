// SPDX-License-Identifier: Apache-2.0
// The map+unmap loop of the DMA API on the machine of some settings, its result as JSON text:
// counts and sums over the measured rounds; durations are integers in ps.
#pragma once

#include <string>

#include "models/dma_iommu/map_bench.hpp"
#include "workloads/settings.hpp"

namespace smmulab::workloads {

// Throws ConfigError, also where machine.cpus is not set.
[[nodiscard]] std::string map_bench_json(const Settings& settings,
                                         const dma_iommu::MapBenchOptions& options);

}  // namespace smmulab::workloads

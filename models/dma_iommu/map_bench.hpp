// SPDX-License-Identifier: Apache-2.0
// The map+unmap loop: a thread on each of the first CPUs maps a buffer and unmaps it again, all in
// one domain of one SMMU, of one device, as kernel modules that measure the DMA API do (J. Garry's
// of 2020, Linux kernel/dma/map_benchmark.c). Measured is the time between two points: when every
// CPU has had its warm-up (its buffers mapped, and 16 unmaps, or two rings of them in lazy mode, so
// that IOVAs come back from flushes), and when a number of rounds was done since. Threads go on
// until the end, so that all of them contend all the time. A round takes dma.gap besides, which
// varies as CPU time does. Not modelled: the device's DMA between map and unmap.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "models/dma_iommu/flush_queue.hpp"
#include "models/dma_iommu/iova.hpp"
#include "models/dma_iommu/params.hpp"
#include "models/linux/topology.hpp"
#include "models/smmuv3/driver/command_queue.hpp"

namespace smmulab::dma_iommu {

struct MapBenchOptions {
  std::uint32_t cpus = 1;         // of the topology's, from the first
  std::uint64_t rounds = 20'000;  // in all, after the warm-up
  std::uint32_t in_flight = 1;    // buffers of a CPU that are mapped at the same time
  Bytes size{4096};
  std::uint64_t seed = 1;
  std::function<bool(std::uint64_t rounds)> progress;  // optional; false ends it (Interrupted)
};

struct MapBenchResult {
  std::uint64_t rounds = 0;
  Ps elapsed{0};
  std::uint64_t slowest = 0;  // rounds of the CPU that had fewest, and of the one that had most
  std::uint64_t fastest = 0;
  Ps mapping{0};  // sum over rounds
  Ps unmapping{0};
  smmu::CommandQueueStat queue;
  lnx::LineStat llq;  // of the main queue's words
  lnx::LineStat lock_and_owner;
  lnx::LineStat valid_map;
  std::uint64_t tlbi = 0;
  IovaStat iova;
  FlushQueueStat flush_queue;
  StaleTime stale;           // windows that ended in the measured time
  std::uint64_t events = 0;  // of the engine

  [[nodiscard]] double rounds_per_cpu_second(std::uint32_t cpus) const;
};

// Throws ConfigError: more CPUs than the topology has, nothing to do, settings that exclude each
// other.
[[nodiscard]] MapBenchResult run_map_bench(const lnx::LinuxParams& linux_kernel,
                                           const smmu::DriverParams& driver, const DmaParams& dma,
                                           const lnx::Topology& topology,
                                           const MapBenchOptions& options);

}  // namespace smmulab::dma_iommu

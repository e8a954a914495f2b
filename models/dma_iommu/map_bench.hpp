// SPDX-License-Identifier: Apache-2.0
// The map+unmap loop: a thread on each of the first CPUs maps a buffer and unmaps it again, all in
// one domain of one SMMU, of one device, as kernel modules that measure the DMA API do (J. Garry's
// of 2020, Linux kernel/dma/map_benchmark.c). Measured is the time between two points: when every
// CPU has had its warm-up (its buffers mapped, and 16 unmaps, or two rings of them in lazy mode, so
// that IOVAs come back from flushes), and when a number of rounds was done since. Threads go on
// until the end, so that all of them contend all the time. A round takes dma.gap besides, which
// varies as CPU time does. On timed hardware the device may have a DMA stream, from the start of
// the measurement: by default over all IOVAs that were mapped until then, whether they are mapped
// at the time or not, as a device that may do anything would. What it reaches after an unmap is the
// use after unmap. Not modelled: a device that uses each buffer between its map and its unmap only.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "models/dma_iommu/flush_queue.hpp"
#include "models/dma_iommu/iova.hpp"
#include "models/dma_iommu/params.hpp"
#include "models/linux/lock.hpp"
#include "models/linux/topology.hpp"
#include "models/smmuv3/driver/command_queue.hpp"
#include "models/smmuv3/driver/dma_watch.hpp"
#include "models/smmuv3/driver/stream_params.hpp"
#include "models/smmuv3/driver/timed_hardware.hpp"

namespace smmulab::dma_iommu {

struct MapBenchOptions {
  std::uint32_t cpus = 1;         // of the topology's, from the first
  std::uint64_t rounds = 20'000;  // in all, after the warm-up
  std::uint32_t in_flight = 1;    // buffers of a CPU that are mapped at the same time
  Bytes size{4096};
  std::uint64_t seed = 1;
  bool ats = false;  // the device has ATS: an unmap sends an ATC_INV, too
  std::function<void(lnx::LockRegistry&)> locks;       // optional: what is done to lock classes
  std::function<bool(std::uint64_t rounds)> progress;  // optional; false ends it (Interrupted)
};

// Timed hardware, in place of the counted.
struct MapBenchHardware {
  smmu::TimedHardwareParams smmu;
  smmu::DmaStreamParams stream;  // of the one device; footprint_kib 0: what the warm-up mapped
};

// The device's DMA in the measured time.
struct MapBenchDma {
  smmu::timed::StreamStats stream;
  smmu::UnmapDmaStat unmaps;  // use after unmap, of windows that ended in that time
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
  StaleTime stale;  // windows that ended in the measured time
  std::optional<MapBenchDma> dma;
  std::uint64_t events = 0;  // of the engine

  [[nodiscard]] double rounds_per_cpu_second(std::uint32_t cpus) const;
};

// `hardware`: none: counted. Throws ConfigError: more CPUs than the topology has, nothing to do,
// settings that exclude each other.
[[nodiscard]] MapBenchResult run_map_bench(const lnx::LinuxParams& linux_kernel,
                                           const smmu::DriverParams& driver, const DmaParams& dma,
                                           const lnx::Topology& topology,
                                           const MapBenchOptions& options,
                                           const MapBenchHardware* hardware = nullptr);

}  // namespace smmulab::dma_iommu

// SPDX-License-Identifier: Apache-2.0
// DmaStudy: a DMA trace or pattern run through the caches of an SMMU, without time: hits, misses
// and table reads; and, if asked for, through a timed SMMU beside them (dma_latency.hpp). Page
// tables are built in simulated memory and walked as ever (stage 1, 4K granule, 48 bits). A map
// over a mapping replaces it; a stream that comes with another space is attached to it, with
// CFGI_STE.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "models/smmuv3/hw/config_tables.hpp"
#include "models/smmuv3/hw/page_table.hpp"
#include "models/smmuv3/hw/params.hpp"
#include "workloads/dma/dma_latency.hpp"
#include "workloads/dma/dma_trace.hpp"

namespace smmulab::workloads::dma {

struct DmaCounts {
  std::uint64_t accesses = 0, utlb_hits = 0, mtlb_hits = 0, walks = 0, faults = 0;
  std::uint64_t config_misses = 0, config_reads = 0, walk_reads = 0;
  std::uint64_t mtlb_lookups = 0, mtlb_probes = 0;
  std::uint64_t invalidations = 0, invalidated = 0;
};

class DmaStudy {
 public:
  // `file` is for messages. Throws ConfigError on illegal parameters.
  DmaStudy(const smmu::hw::SmmuParams& params, std::string file);
  // From now on accesses are timed, too, so many under way at once. REQUIRES: before run(). Throws
  // ConfigError.
  void measure(const smmu::timed::TimedParams& params, std::uint32_t outstanding);
  // Throws TraceError (ConfigError for an op without a line).
  void run(const DmaOp& op);
  // So far; the accesses before reset() are the warm-up.
  [[nodiscard]] DmaCounts counts() const;
  // Nothing without measure(), or if nothing was accessed.
  [[nodiscard]] std::optional<Latencies> latencies();
  void reset();
  [[nodiscard]] std::uint64_t output_bytes() const { return output_bytes_; }  // 2^OAS

 private:
  struct Space {
    std::unique_ptr<smmu::hw::PageTable> table;
    std::uint64_t cd = 0;
  };
  [[nodiscard]] DmaCounts now() const;
  [[noreturn]] void fail(const DmaOp& op, const std::string& message) const;
  Space& space(std::uint16_t id);
  void map(const DmaOp& op);
  void access(const DmaOp& op);
  void invalidate(const smmu::hw::Command& command);
  void invalidate_range(const DmaOp& op);
  void attach(std::uint32_t stream, std::uint16_t to);

  void settle();

  std::string file_;
  smmu::hw::Memory memory_;
  smmu::hw::FrameAllocator frames_{memory_, 0x1000'0000};  // within the least OAS, 32 bits
  smmu::hw::StreamTable streams_{frames_, {32, true, 16}};
  smmu::hw::Features features_;
  smmu::hw::SmmuCaches caches_;
  std::optional<DmaLatency> latency_;
  std::unordered_map<std::uint16_t, Space> spaces_;
  std::unordered_map<std::uint32_t, std::uint16_t> attached_;
  std::uint64_t output_bytes_;
  DmaCounts counted_;
  DmaCounts before_;
};

// Times in ps; null if there are none.
[[nodiscard]] std::string to_json(const DmaCounts& counts,
                                  const std::optional<Latencies>& latencies = std::nullopt);

}  // namespace smmulab::workloads::dma

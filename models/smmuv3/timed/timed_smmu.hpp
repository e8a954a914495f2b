// SPDX-License-Identifier: Apache-2.0
// TimedSmmu: an SMMUv3 in time: TBUs, TCU, command processor and memory channel, and the DMA
// streams of the devices behind it, on one clock. What each part models and leaves out is in its
// header.
#pragma once

#include <deque>
#include <optional>
#include <vector>

#include "models/smmuv3/timed/command_processor.hpp"
#include "models/smmuv3/timed/dma_stream.hpp"

namespace smmulab::smmu::timed {

class TimedSmmu {
 public:
  // Throws ConfigError for parameters that check() refuses.
  TimedSmmu(const TimedParams& params, const hw::Features& features,
            const hw::StreamTableBase& streams, hw::Memory& memory, bool run_ahead = true);
  TimedSmmu(const TimedSmmu&) = delete;
  TimedSmmu& operator=(const TimedSmmu&) = delete;

  // REQUIRES, with page requests: enable_faults(). ATC_INVs reach an ATC by add_atc().
  DmaStream& add_stream(const StreamParams& params, std::uint32_t tbu = 0);

  // From now on faults are recorded, may stall, and devices may send page requests. Without it they
  // end their transactions and nobody is told. Once.
  FaultUnit& enable_faults(const FaultSetup& setup);
  // A store to GERRORN: the queue that it acknowledges goes on. REQUIRES: enable_faults().
  void write_gerrorn(std::uint32_t value);

  [[nodiscard]] Timers& timers() { return timers_; }
  [[nodiscard]] SimTime now() const { return timers_.now(); }
  [[nodiscard]] Tbu& tbu(std::uint32_t i) { return tbus_[i]; }
  [[nodiscard]] const Tcu& tcu() const { return tcu_; }
  [[nodiscard]] CommandProcessor& commands() { return commands_; }
  [[nodiscard]] MemoryPort& port() { return port_; }
  [[nodiscard]] std::vector<PmuRow> pmu() const;

 private:
  TimedParams params_;
  Timers timers_;
  MemoryPort port_;
  Tcu tcu_;
  CommandProcessor commands_;
  hw::Features features_;
  hw::StreamTableBase streams_base_;
  hw::Memory& memory_;
  std::optional<FaultUnit> faults_;
  std::deque<Tbu> tbus_;
  std::deque<AtsPort> ats_ports_;
  std::deque<DmaStream> streams_;
};

}  // namespace smmulab::smmu::timed

// SPDX-License-Identifier: Apache-2.0
// DmaLatency: what the accesses of a DMA study wait for their translation: they go, in closed loop
// and in their order, through a TimedSmmu that walks the study's tables. Tables change and commands
// are carried out between accesses, when none is under way; the time of that counts for nothing.
// Exact, not by a histogram: quantiles are look-up times to the picosecond.
// Not modelled: what a translation costs while a command is carried out; several TBUs (all streams
// are behind one).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "models/smmuv3/hw/page_table.hpp"
#include "models/smmuv3/timed/timed_smmu.hpp"

namespace smmulab::workloads::dma {

// Of a translation: from issue to its way to memory, or to its fault.
struct Latencies {
  double mean_ps = 0;
  Ps p50{0};
  Ps p99{0};
};

class DmaLatency final : public smmu::timed::StreamObserver {
 public:
  // `outstanding` accesses are under way at once. `memory` must outlive it. Throws ConfigError.
  DmaLatency(const smmu::timed::TimedParams& params, const smmu::hw::Features& features,
             const smmu::hw::StreamTableBase& streams, smmu::hw::Memory& memory,
             smmu::hw::FrameAllocator& frames, std::uint32_t outstanding);

  void access(const smmu::timed::RecordedAccess& access);
  // To be called before the tables change.
  void settle();
  void command(const smmu::hw::Command& command);
  void reset();
  // Since reset(); nothing if there was no access.
  [[nodiscard]] std::optional<Latencies> latencies();

  void transaction(const smmu::hw::Request& request, const smmu::timed::Passage& passage,
                   SimTime issued, SimTime done) override;

 private:
  [[nodiscard]] Ps quantile(std::uint64_t percent) const;

  smmu::hw::Memory& memory_;
  smmu::timed::TimedSmmu smmu_;
  std::uint32_t outstanding_;
  std::uint64_t commands_ = 0;
  std::vector<smmu::timed::RecordedAccess> waiting_;  // for settle()
  std::map<Ps, std::uint64_t> times_;
  std::uint64_t count_ = 0;
  Ps sum_{0};
};

}  // namespace smmulab::workloads::dma

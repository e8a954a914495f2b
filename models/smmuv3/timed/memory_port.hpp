// SPDX-License-Identifier: Apache-2.0
// MemoryPort: time of memory. Every access moves whole bursts through one channel, first come first
// served, then has the latency of memory before it. Table walks, configuration and command fetches
// and DMA payload share the channel.
//
// Order is that in which accesses become known: one that becomes known now for a later date (the
// payload of a TLB hit) takes its bandwidth now and its latency later.
// Not modelled: banks, rows, read/write turnaround, caches of the system in front of memory, QoS.
#pragma once

#include <algorithm>
#include <cstdint>

#include "models/smmuv3/timed/params.hpp"
#include "sim/time.hpp"

namespace smmulab::smmu::timed {

class MemoryPort {
 public:
  static constexpr std::uint32_t kBurstBytes = 64;

  explicit MemoryPort(const MemoryParams& params)
      : latency_(params.latency), burst_(params.burst) {}

  [[nodiscard]] static constexpr std::uint32_t bursts_of(std::uint64_t bytes) {
    return static_cast<std::uint32_t>((bytes + kBurstBytes - 1) / kBurstBytes);
  }
  // When an access that is made at `now` is complete.
  SimTime access(SimTime now, std::uint32_t bursts = 1) {
    free_at_ = std::max(now, free_at_) + burst_ * bursts;
    bursts_ += bursts;
    return free_at_ + latency_;
  }
  // `times` more accesses, so that the last ends `later` than the last up to now.
  void repeat(std::uint64_t times, Ps later, std::uint32_t bursts) {
    free_at_ += later;
    bursts_ += times * bursts;
  }
  [[nodiscard]] std::uint64_t bursts() const { return bursts_; }
  [[nodiscard]] Ps unloaded(std::uint32_t bursts = 1) const { return burst_ * bursts + latency_; }

 private:
  Ps latency_;
  Ps burst_;
  SimTime free_at_{};
  std::uint64_t bursts_ = 0;
};

}  // namespace smmulab::smmu::timed

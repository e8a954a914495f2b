// SPDX-License-Identifier: Apache-2.0
// A contended cache line: exclusive accesses are served one after another, each costs the transfer
// from the CPU that had it last. Accesses are granted in the order in which they were asked for.
// Not modelled: shared (read-only) copies, far atomics, bandwidth of the interconnect.
#pragma once

#include <cstdint>

#include "models/linux/topology.hpp"
#include "sim/time.hpp"

namespace smmulab::lnx {

class CacheLine {
 public:
  // Asks at `now` for exclusive access from `cpu`; gives the time until the access is done, waiting
  // for accesses before it included.
  Ps access(SimTime now, std::uint32_t cpu, const LineParams& p, const Topology& t) {
    const Ps transfer = owner_ == kNobody ? p.same_cpu : transfer_cost(p, t, owner_, cpu);
    const SimTime start = free_at_ > now ? free_at_ : now;
    free_at_ = start + transfer;
    if (owner_ == cpu) {
      return transfer;  // what it waits for is its own access, which it pays for already
    }
    owner_ = cpu;
    return free_at_ - now;
  }
  // True: nobody else had it since `cpu` did (or ever).
  [[nodiscard]] bool local_to(std::uint32_t cpu) const {
    return owner_ == cpu || owner_ == kNobody;
  }
  [[nodiscard]] bool bounces(std::uint32_t cpu) const { return !local_to(cpu); }

 private:
  static constexpr std::uint32_t kNobody = ~0U;
  SimTime free_at_{};
  std::uint32_t owner_ = kNobody;
};

}  // namespace smmulab::lnx

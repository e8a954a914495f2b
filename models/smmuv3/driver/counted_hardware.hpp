// SPDX-License-Identifier: Apache-2.0
// The command side of an SMMU as a first-in first-out server: each command takes its kind's time,
// CMD_SYNC completes after everything before it. Computed ahead when commands are published, so it
// needs no events of its own.
// Not modelled here (the full hardware has it): in-flight transactions that a SYNC waits for, TBUs,
// invalidation tokens, errors.
#pragma once

#include <array>
#include <cstdint>

#include "models/smmuv3/driver/command.hpp"
#include "models/smmuv3/driver/params.hpp"
#include "sim/time.hpp"

namespace smmulab::smmu {

class CountedHardware {
 public:
  explicit CountedHardware(const DriverParams& p)
      : doorbell_(p.hw_doorbell),
        cost_{p.hw_prefetch, p.hw_cfgi, p.hw_cfgi,    p.hw_tlbi, p.hw_tlbi,
              p.hw_tlbi,     p.hw_tlbi, p.hw_atc_inv, p.hw_sync} {}

  // The PROD register was written at `now`; what follows may be fetched after the doorbell time.
  void doorbell(SimTime now) {
    const SimTime earliest = now + doorbell_;
    if (earliest > free_at_) {
      free_at_ = earliest;
    }
  }
  // Takes the next command of the queue; gives when it completes.
  SimTime consume(Command c) {
    free_at_ += cost_[static_cast<std::size_t>(c)];
    ++counts_[static_cast<std::size_t>(c)];
    return free_at_;
  }
  [[nodiscard]] std::uint64_t count(Command c) const {
    return counts_[static_cast<std::size_t>(c)];
  }

 private:
  Ps doorbell_;
  std::array<Ps, kCommandKinds> cost_;
  std::array<std::uint64_t, kCommandKinds> counts_{};
  SimTime free_at_{};
};

}  // namespace smmulab::smmu

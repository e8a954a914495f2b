// SPDX-License-Identifier: Apache-2.0
// The command side of an SMMU: each queue is a first-in first-out server: a command takes its
// kind's time, CMD_SYNC completes after everything before it in its queue. The queues of one SMMU
// share the unit that carries out invalidations, which does one at a time; a SYNC holds up its own
// queue only. Computed ahead when commands are published, so it needs no events of its own.
// Rule: Arm IHI 0070 sections 3.5.6 (ECMDQ) and 3.21; one invalidation token per TBU, one
// invalidation at a time: MMU-600AE and MMU-700 TRMs.
// Not modelled here (TimedHardware has it): in-flight transactions that a SYNC waits for, TBUs,
// invalidation tokens, errors.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "models/smmuv3/driver/command.hpp"
#include "models/smmuv3/driver/params.hpp"
#include "sim/time.hpp"

namespace smmulab::smmu {

// What the queues of an SMMU share.
class InvalidationUnit {
 public:
  // Carries out a command that is ready at `ready`; gives when it is done.
  SimTime carry_out(SimTime ready, Ps cost) {
    free_at_ = std::max(free_at_, ready) + cost;
    return free_at_;
  }

 private:
  SimTime free_at_{};
};

class CountedHardware {
 public:
  CountedHardware(const DriverParams& p, InvalidationUnit& unit)
      : unit_(&unit),
        doorbell_(p.hw_doorbell),
        cost_{p.hw_prefetch, p.hw_cfgi, p.hw_cfgi, p.hw_tlbi,    p.hw_tlbi,
              p.hw_tlbi,     p.hw_tlbi, p.hw_tlbi, p.hw_atc_inv, p.hw_sync} {}

  // The PROD register was written at `now`; what follows may be fetched after the doorbell time.
  void doorbell(SimTime now) { free_at_ = std::max(free_at_, now + doorbell_); }
  // Takes the next command of the queue; gives when it completes.
  SimTime consume(Command c) {
    const Ps cost = cost_[static_cast<std::size_t>(c)];
    free_at_ = c == Command::kSync ? free_at_ + cost : unit_->carry_out(free_at_, cost);
    ++counts_[static_cast<std::size_t>(c)];
    return free_at_;
  }
  // Counts a command that timed hardware carries out.
  void note(Command c) { ++counts_[static_cast<std::size_t>(c)]; }
  [[nodiscard]] std::uint64_t count(Command c) const {
    return counts_[static_cast<std::size_t>(c)];
  }

 private:
  InvalidationUnit* unit_;
  Ps doorbell_;
  std::array<Ps, kCommandKinds> cost_;
  std::array<std::uint64_t, kCommandKinds> counts_{};
  SimTime free_at_{};
};

}  // namespace smmulab::smmu

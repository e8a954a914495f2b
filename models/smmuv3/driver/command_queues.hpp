// SPDX-License-Identifier: Apache-2.0
// The command queues of one SMMU, and which of them a batch goes to. single: the one. ecmdq: every
// batch of CPU i goes to ECMDQ i modulo their number. cmdqv: likewise with the VCMDQs of the host's
// VINTF, which is hypervisor-owned and so takes every command. Rule: Arm IHI 0070 section 3.5.6;
// Linux 6.12 tegra241-cmdqv.c (raw_smp_processor_id() % num_lvcmdqs; supports_cmd is set without
// hyp_own only). A SYNC completes what is before it in its own queue, which is what the issuing CPU
// waits for. Not modelled: errors of a queue, VINTFs that belong to a VM (whose VCMDQs take
// TLBI_NH_ASID, TLBI_NH_VA and ATC_INV alone), a kernel that enables or frees ECMDQs at run time.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>

#include "models/smmuv3/driver/command_queue.hpp"

namespace smmulab::smmu {

class CommandQueues {
 public:
  // `timed`: hardware at the other end of all queues; nullptr: counted hardware.
  CommandQueues(lnx::Machine& machine, const DriverParams& params, std::uint32_t smmu,
                TimedHardware* timed = nullptr);

  // The batch, with a CMD_SYNC at its end if `sync`; then waits for that SYNC.
  Task<void> issue(lnx::Thread& t, const CommandBatch& batch, bool sync) {
    return (only_ != nullptr ? *only_ : queue_for(t)).issue(t, batch, sync);
  }
  // The same in the main queue, whatever there is besides.
  Task<void> issue_in_main(lnx::Thread& t, const CommandBatch& batch, bool sync) {
    return queues_.front().issue(t, batch, sync);
  }

  [[nodiscard]] const CommandQueue& operator[](std::size_t i) const { return queues_[i]; }
  [[nodiscard]] std::size_t size() const { return queues_.size(); }  // the main queue included
  // The hardware reads the commands' operands.
  [[nodiscard]] bool timed() const { return timed_; }
  // Sums over all queues.
  [[nodiscard]] CommandQueueStat stat() const;
  [[nodiscard]] std::uint64_t count(Command c) const;

 private:
  // REQUIRES: there are several.
  [[nodiscard]] CommandQueue& queue_for(const lnx::Thread& t);

  bool timed_;
  std::unique_ptr<InvalidationUnit> unit_;
  std::deque<CommandQueue> queues_;  // the main one first
  CommandQueue* only_ = nullptr;     // if there are no others
};

}  // namespace smmulab::smmu

// SPDX-License-Identifier: Apache-2.0
// How Linux CPUs share one SMMUv3 command queue.
// Rule: Linux 6.12 arm-smmu-v3.c arm_smmu_cmdq_issue_cmdlist(): slots are reserved by cmpxchg on
// the packed prod/cons word (a loser retries with the value it got); entries and valid bits are
// written without a lock; the first CPU of a burst is the owner: it waits for the owner before it,
// closes the burst, waits for everybody's valid bits and writes PROD once for all. A CPU with a
// CMD_SYNC then waits for its completion. Local interrupts are off from start to finish. Each of
// the shared words is a CacheLine; between two accesses that another CPU takes part in, time is one
// delay. Not modelled: queue errors, ECMDQ and CMDQV; interrupts in the wait for space, where the
// kernel lets them in.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "models/linux/cache_line.hpp"
#include "models/linux/machine.hpp"
#include "models/smmuv3/driver/command.hpp"
#include "models/smmuv3/driver/counted_hardware.hpp"
#include "models/smmuv3/driver/params.hpp"

namespace smmulab::smmu {

struct CommandQueueStat {
  std::uint64_t submissions = 0;  // calls of issue()
  std::uint64_t commands = 0;     // without SYNCs
  std::uint64_t syncs = 0;
  std::uint64_t cmpxchg_failures = 0;
  std::uint64_t doorbells = 0;
  std::uint64_t full_waits = 0;  // times a CPU found the queue full
  Ps sync_wait{0};               // CPU time between publishing and learning of completion
};

class CommandQueue : public Waitable {
 public:
  CommandQueue(lnx::Machine& machine, const DriverParams& params, std::uint32_t smmu);

  // Issues the batch, with a CMD_SYNC at its end if `sync`; then waits for that SYNC.
  Task<void> issue(lnx::Thread& t, const CommandBatch& batch, bool sync);

  [[nodiscard]] const CommandQueueStat& stat() const { return stat_; }
  [[nodiscard]] const CountedHardware& hardware() const { return hardware_; }
  [[nodiscard]] std::string wait_name() const override;
  void wait_holders(std::vector<const Process*>& out) const override;

 private:
  using Slot = std::uint64_t;  // counts up
  struct Entry {
    Command command{};
    bool valid = false;
    SimTime done{};  // once published
  };
  struct Reservation {
    Slot begin;
    Slot end;
    bool owner;
  };
  struct PendingSync {
    Slot slot;
    lnx::Thread* thread;
    SimTime done;  // kTimeMax until published
  };

  [[nodiscard]] std::uint64_t space() const { return size_ - (prod_ - cons_); }
  void update_cons(SimTime now);
  Task<void> wait_not_full(lnx::Thread& t, std::uint64_t needed);
  Task<Reservation> reserve(lnx::Thread& t, std::uint32_t n);
  void mark_valid(Slot begin, Slot end);
  void record_issue(const lnx::Thread& t, Slot begin, Slot end);
  void record_completion(Slot sync);
  Task<void> publish(lnx::Thread& t, Slot begin);
  Task<void> poll_cons(lnx::Thread& t, SimTime done);
  Task<void> wait_for_sync(lnx::Thread& t, Slot slot);
  void make_room(std::uint64_t n);
  [[nodiscard]] Entry& entry(Slot s) {
    return window_[static_cast<std::size_t>(s & (window_.size() - 1))];
  }

  lnx::Machine& machine_;
  const DriverParams& params_;
  CountedHardware hardware_;
  std::uint32_t smmu_;
  std::uint64_t size_;
  // The packed word: prod with the OWNED flag, and the cons it was last told.
  Slot prod_ = 0;
  Slot cons_ = 0;
  bool owned_ = false;
  std::uint64_t version_ = 0;  // changes with every successful write of the word
  Slot owner_prod_ = 0;
  Slot published_ = 0;
  lnx::CacheLine llq_line_;
  lnx::CacheLine owner_line_;
  lnx::CacheLine valid_line_;
  lnx::CacheLine lock_line_;
  // The entries from cons_ to prod_, in a ring as large as they have ever needed: cycling through
  // the whole queue would cost the host a cache miss per command.
  std::vector<Entry> window_;
  std::vector<std::pair<Slot, lnx::Thread*>> next_owners_;
  lnx::Thread* gatherer_ = nullptr;  // the owner that waits for valid bits below gather_end_
  Slot gather_end_ = 0;
  std::uint64_t gather_missing_ = 0;
  std::vector<PendingSync> syncs_;
  std::uint32_t sharers_ = 0;  // cmdq->lock: CPUs with a SYNC in flight
  CommandQueueStat stat_;
};

}  // namespace smmulab::smmu

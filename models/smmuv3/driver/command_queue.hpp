// SPDX-License-Identifier: Apache-2.0
// How Linux CPUs share one SMMUv3 command queue (which of several: command_queues.hpp).
// Rule: Linux 6.12 arm-smmu-v3.c arm_smmu_cmdq_issue_cmdlist(): slots are reserved by cmpxchg on
// the packed prod/cons word (a loser retries with the value it got); entries and valid bits are
// written without a lock; the first CPU of a burst is the owner: it waits for the owner before it,
// closes the burst, waits for everybody's valid bits and writes PROD once for all. A CPU with a
// CMD_SYNC then waits for its completion. Local interrupts are off from start to finish. Instead of
// the cmpxchg alone (driver.cmdq_insertion): the same within a spinlock, or one atomic addition to
// prod and a count of owners, after which a CPU waits for space if there is none for it.
// Each of the shared words is a SharedLine; between two accesses that another CPU takes part in,
// time is one delay. line.model = simple: llq, valid_map, owner_prod and cmdq->lock are lines of
// their own, and a wait for owner_prod, valid bits or the SYNC costs no traffic. coherent: as
// struct arm_smmu_cmdq lies in memory: owner_prod, cmdq->lock and the pointer to valid_map share a
// line (every set or poll of valid bits reads the pointer); waiters read again after each write;
// four queue entries share a line, which its writers, waiters and the SMMU's completion writes
// (MSI) take from each other; lines 1024 entries apart are one here. Not modelled: queue errors;
// interrupts in the wait for space, where the kernel lets them in; udelay() in an MSI wait; the
// SMMU's reads.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "models/linux/machine.hpp"
#include "models/linux/shared_line.hpp"
#include "models/linux/spinlock.hpp"
#include "models/smmuv3/driver/command.hpp"
#include "models/smmuv3/driver/counted_hardware.hpp"
#include "models/smmuv3/driver/params.hpp"
#include "models/smmuv3/driver/queue_listener.hpp"

namespace smmulab::smmu {

class TimedHardware;

struct CommandQueueStat {
  std::uint64_t submissions = 0;  // calls of issue()
  std::uint64_t commands = 0;     // without SYNCs
  std::uint64_t syncs = 0;
  std::uint64_t cmpxchg_failures = 0;
  std::uint64_t doorbells = 0;
  std::uint64_t full_waits = 0;  // times a CPU found the queue full
  // CPU time, by what it was spent on:
  Ps reserving{0};   // up to the reservation, waiting for space included
  Ps writing{0};     // entries, cmdq->lock, valid bits
  Ps publishing{0};  // as owner: waiting for the owner before, gathering, doorbell
  Ps sync_wait{0};   // between that and learning of completion
  Ps releasing{0};   // cmdq->lock

  CommandQueueStat& operator+=(const CommandQueueStat& other);
  CommandQueueStat& operator-=(const CommandQueueStat& other);
};

class CommandQueue : public Waitable, private QueueListener {
 public:
  // `index`: of several queues, 0 is the SMMU's main one. `timed`: the hardware at the other end;
  // nullptr: counted hardware.
  CommandQueue(lnx::Machine& machine, const DriverParams& params, std::uint32_t smmu,
               InvalidationUnit& unit, std::uint32_t index = 0, TimedHardware* timed = nullptr);

  // Issues the batch, with a CMD_SYNC at its end if `sync`; then waits for that SYNC.
  Task<void> issue(lnx::Thread& t, const CommandBatch& batch, bool sync);

  [[nodiscard]] const CommandQueueStat& stat() const { return stat_; }
  [[nodiscard]] const CountedHardware& hardware() const { return hardware_; }
  [[nodiscard]] lnx::LineStat llq_line() const { return llq_line_.stat(); }
  [[nodiscard]] lnx::LineStat lock_line() const { return lock_line_.stat(); }
  [[nodiscard]] lnx::LineStat valid_line() const { return valid_line_.stat(); }
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
    SimTime done;          // kTimeMax until published; timed hardware: until complete
    bool watched = false;  // the thread spins until it is notified
  };

  // Less than 0: CPUs that added before they looked wait for that many slots.
  [[nodiscard]] std::int64_t space() const {
    return static_cast<std::int64_t>(size_) - static_cast<std::int64_t>(prod_ - cons_);
  }
  void consumed(std::uint64_t slot) override;
  void update_cons(SimTime now);
  Task<void> wait_not_full(lnx::Thread& t, std::int64_t needed);
  Task<void> wait_for_room(lnx::Thread& t, Slot end);
  Task<Reservation> reserve(lnx::Thread& t, std::uint32_t n);
  Task<void> cmpxchg_loop(lnx::Thread& t, std::uint32_t n);
  Reservation take(std::uint32_t n);
  [[nodiscard]] lnx::SharedLine& owner_line() { return coherent_ ? lock_line_ : owner_line_; }
  [[nodiscard]] lnx::SharedLine& entry_line(Slot slot);
  Task<void> write_entries(lnx::Thread& t, Slot begin, Slot end);
  Task<void> watch_slot(lnx::Thread& t, Slot slot);
  [[nodiscard]] std::vector<PendingSync>::iterator pending(Slot slot);
  Task<void> wait_for_owner(lnx::Thread& t, Slot begin);
  Task<void> gather(lnx::Thread& t, Slot begin, Slot end);
  void ring(const lnx::Thread& t, Slot begin, Slot end);
  void mark_valid(Slot begin, Slot end);
  void record_issue(const lnx::Thread& t, Slot begin, Slot end);
  void record_completion(Slot sync);
  Task<void> publish(lnx::Thread& t, Slot begin);
  Task<void> poll_cons(lnx::Thread& t, Slot slot);
  Task<void> wait_for_sync(lnx::Thread& t, Slot slot);
  Task<void> release(lnx::Thread& t);
  void make_room(std::uint64_t n);
  [[nodiscard]] Entry& entry(Slot s) {
    return window_[static_cast<std::size_t>(s & (window_.size() - 1))];
  }

  [[nodiscard]] RecordObject recorded(Record& record) const {
    return recorded_.in(record, [this] { return wait_name(); });
  }

  lnx::Machine& machine_;
  const DriverParams& params_;
  CountedHardware hardware_;
  TimedHardware* timed_;
  std::uint32_t timed_queue_ = 0;  // its number there
  std::uint32_t smmu_;
  std::uint32_t index_;
  RecordedObject recorded_;
  RecordedObject recorded_sync_;
  std::uint64_t size_;
  bool coherent_;
  // The packed word: prod with the OWNED flag, and the cons it was last told.
  Slot prod_ = 0;
  Slot cons_ = 0;
  bool owned_ = false;
  std::uint64_t version_ = 0;  // changes with every successful write of the word
  Slot owner_prod_ = 0;
  Slot published_ = 0;
  lnx::SharedLine llq_line_;
  lnx::SharedLine owner_line_;
  lnx::SharedLine valid_line_;
  lnx::SharedLine lock_line_;
  std::unique_ptr<lnx::Spinlock> insertion_lock_;  // driver.cmdq_insertion = spinlock
  std::deque<lnx::SharedLine> entry_lines_;        // coherent
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

// SPDX-License-Identifier: Apache-2.0
#include "models/smmuv3/driver/command_queue.hpp"

#include <algorithm>
#include <bit>
#include <utility>

#include <fmt/format.h>

namespace smmulab::smmu {
namespace {
constexpr std::size_t kFirstWindow = 16;  // a power of two
constexpr Ps kLeastPollRound{1'000};      // simulated time goes on even if polling costs nothing
}  // namespace

CommandQueue::CommandQueue(lnx::Machine& machine, const DriverParams& params, std::uint32_t smmu)
    : machine_(machine),
      params_(params),
      hardware_(params),
      smmu_(smmu),
      size_(1ULL << params.queue_log2),
      window_(kFirstWindow) {}

// REQUIRES: n <= space().
void CommandQueue::make_room(std::uint64_t n) {
  const std::uint64_t needed = prod_ + n - cons_;
  if (needed <= window_.size()) {
    return;
  }
  std::vector<Entry> larger(std::bit_ceil(needed));
  for (Slot s = cons_; s != prod_; ++s) {
    larger[static_cast<std::size_t>(s & (larger.size() - 1))] = entry(s);
  }
  window_ = std::move(larger);
}

std::string CommandQueue::wait_name() const {
  return fmt::format("smmu{} cmdq", smmu_);
}

void CommandQueue::wait_holders(std::vector<const Process*>& out) const {
  if (gatherer_ != nullptr) {
    out.push_back(gatherer_->process());
  }
}

Task<void> CommandQueue::issue(lnx::Thread& t, const CommandBatch& batch, bool sync) {
  ++stat_.submissions;
  stat_.commands += batch.size();
  stat_.syncs += sync ? 1U : 0U;
  if (machine_.control() != nullptr) [[unlikely]] {
    co_return;  // within one step, and without time, it does nothing that anyone could see
  }
  const std::uint32_t n = batch.size() + (sync ? 1U : 0U);
  t.disable_preemption();
  const Reservation mine = co_await reserve(t, n);
  t.charge(params_.cmdq_entry * n);
  for (std::uint32_t i = 0; i < batch.size(); ++i) {
    entry(mine.begin + i).command = batch[i];
  }
  if (sync) {
    entry(mine.end - 1).command = Command::kSync;
    syncs_.push_back({mine.end - 1, &t, kTimeMax});
    co_await machine_.access(t, lock_line_);
    ++sharers_;
  }
  co_await machine_.access(t, valid_line_);
  if (!mine.owner) {
    co_await t.run();  // another CPU waits for these valid bits
  }
  if (machine_.record() != nullptr) [[unlikely]] {
    record_issue(t, mine.begin, mine.end);
  }
  mark_valid(mine.begin, mine.end);
  if (mine.owner) {
    co_await publish(t, mine.begin);
  }
  if (sync) {
    Record* record = machine_.record();
    RecordObject completion{};
    if (record != nullptr) [[unlikely]] {
      completion = record->intern_object(fmt::format("CMD_SYNC#{}", smmu_));
      record->append(record_event::wait_begin(machine_.now(), t.record_id(), completion));
    }
    co_await wait_for_sync(t, mine.end - 1);
    if (record != nullptr) [[unlikely]] {
      record_completion(mine.end - 1);
      record->append(record_event::wait_end(machine_.now(), t.record_id(), completion));
    }
  }
  if (t.need_resched()) {
    co_await t.run();  // what was charged with preemption off is not to be preempted
  }
  t.enable_preemption();
}

void CommandQueue::record_issue(const lnx::Thread& t, Slot begin, Slot end) {
  Record& record = *machine_.record();
  const RecordObject queue = record.intern_object(wait_name());
  for (Slot s = begin; s != end; ++s) {
    record.append(record_event::command_issue(machine_.now(), t.record_id(), queue, s,
                                              command_opcode(entry(s).command)));
  }
}

// When a CPU learns of it: the SYNC, and with it all before.
void CommandQueue::record_completion(Slot sync) {
  Record& record = *machine_.record();
  record.append(record_event::command_complete(machine_.now(), record.intern_object(wait_name()),
                                               sync + 1, command_opcode(Command::kSync)));
}

Task<CommandQueue::Reservation> CommandQueue::reserve(lnx::Thread& t, std::uint32_t n) {
  co_await t.run(params_.cmdq_reserve);
  co_await machine_.access(t, llq_line_);
  for (;;) {
    if (space() < n) {
      co_await wait_not_full(t, n);
    }
    const std::uint64_t seen = version_;
    co_await machine_.access(t, llq_line_);  // cmpxchg
    if (version_ == seen && space() >= n) {
      break;
    }
    ++stat_.cmpxchg_failures;
  }
  const Reservation mine{prod_, prod_ + n, !owned_};
  make_room(n);
  prod_ += n;
  owned_ = true;
  ++version_;
  co_return mine;
}

void CommandQueue::update_cons(SimTime now) {
  while (cons_ < published_ && entry(cons_).done <= now) {
    ++cons_;
  }
  ++version_;
}

Task<void> CommandQueue::wait_not_full(lnx::Thread& t, std::uint64_t needed) {
  ++stat_.full_waits;
  const Ps round = std::max(params_.sync_poll, kLeastPollRound);
  co_await t.run();
  while (space() < needed) {
    SimTime next = machine_.now() + round;
    // CONS is read and told to all only with the lock exclusively; while a CPU waits for a SYNC the
    // others just look at the word, which that CPU updates in the end.
    if (sharers_ == 0) {
      co_await t.run(params_.mmio_read);
      update_cons(machine_.now());
      if (space() >= needed) {
        break;
      }
      // Nothing changes before the next command completes.
      next = machine_.now() + round;
      if (cons_ < published_) {
        next = std::max(next, entry(cons_).done);
      }
    }
    co_await t.poll_until(next);
  }
}

void CommandQueue::mark_valid(Slot begin, Slot end) {
  for (Slot s = begin; s != end; ++s) {
    entry(s).valid = true;
  }
  if (gatherer_ != nullptr && begin < gather_end_) {
    gather_missing_ -= std::min(end, gather_end_) - begin;
    if (gather_missing_ == 0) {
      gatherer_->notify_spin(Ps{0});
    }
  }
}

// The owner's part: steps 4a-4d of arm_smmu_cmdq_issue_cmdlist().
Task<void> CommandQueue::publish(lnx::Thread& t, Slot begin) {
  co_await t.run(params_.cmdq_owner);
  if (owner_prod_ != begin) {
    next_owners_.emplace_back(begin, &t);
    while (owner_prod_ != begin) {
      co_await t.spin_until_notified(*this);
    }
    std::erase_if(next_owners_, [begin](const auto& waiter) { return waiter.first == begin; });
  }
  co_await machine_.access(t, llq_line_);
  owned_ = false;
  ++version_;
  const Slot end = prod_;
  gather_missing_ = 0;
  for (Slot s = begin; s != end; ++s) {
    gather_missing_ += entry(s).valid ? 0U : 1U;
  }
  gather_end_ = end;
  while (gather_missing_ != 0) {
    gatherer_ = &t;
    co_await t.spin_until_notified(*this);
  }
  gatherer_ = nullptr;
  co_await machine_.access(t, valid_line_);
  co_await t.run(params_.mmio_write);
  ++stat_.doorbells;
  hardware_.doorbell(machine_.now());
  for (Slot s = begin; s != end; ++s) {
    entry(s).done = hardware_.consume(entry(s).command);
    entry(s).valid = false;
  }
  published_ = end;
  for (PendingSync& sync : syncs_) {
    if (sync.slot >= begin && sync.slot < end) {
      sync.done = entry(sync.slot).done;
      if (sync.thread != &t) {
        sync.thread->notify_spin(Ps{0});
      }
    }
  }
  co_await machine_.access(t, owner_line_);
  owner_prod_ = end;
  const auto next = std::find_if(next_owners_.begin(), next_owners_.end(),
                                 [end](const auto& waiter) { return waiter.first == end; });
  if (next != next_owners_.end()) {
    lnx::Thread& waiter = *next->second;
    waiter.notify_spin(machine_.transfer(t.cpu_index(), waiter.cpu_index()));
  }
}

// queue_poll(): a relax hint per round, then a CONS read; every tenth round is udelay(1, 2, 4, ..)
// instead.
Task<void> CommandQueue::poll_cons(lnx::Thread& t, SimTime done) {
  constexpr std::uint32_t kRounds = 10;  // ARM_SMMU_POLL_SPIN_COUNT
  Ps pause{1'000'000};
  for (std::uint32_t round = 1;; ++round) {
    if (round % kRounds != 0) {
      co_await t.run(params_.sync_poll);
      co_await t.poll_until(machine_.now());
    } else {
      co_await t.poll_until(machine_.now() + pause);
      pause *= 2;
    }
    co_await t.run(params_.mmio_read);
    if (machine_.now() >= done) {
      break;
    }
  }
}

Task<void> CommandQueue::wait_for_sync(lnx::Thread& t, Slot slot) {
  const SimTime start = machine_.now() + t.unpaid();
  const auto mine = [this, slot] {
    return std::find_if(syncs_.begin(), syncs_.end(),
                        [slot](const PendingSync& s) { return s.slot == slot; });
  };
  while (mine()->done == kTimeMax) {
    co_await t.spin_until_notified(*this);
  }
  const SimTime done = mine()->done;
  if (params_.sync_mode == SyncMode::kPoll) {
    co_await poll_cons(t, done);
  } else {
    co_await t.poll_until(std::max(done, machine_.now()));
    t.charge(params_.sync_poll);
    if (params_.sync_mode == SyncMode::kSev) {
      t.charge(params_.mmio_read);  // CONS; with MSI the completion is written to memory
    }
  }
  stat_.sync_wait += machine_.now() - start + t.unpaid();
  syncs_.erase(mine());
  // shared_tryunlock: the last sharer tells the others where CONS is.
  co_await machine_.access(t, lock_line_);
  if (--sharers_ == 0) {
    co_await machine_.access(t, llq_line_);
    update_cons(machine_.now());
  }
}

}  // namespace smmulab::smmu

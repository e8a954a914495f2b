// SPDX-License-Identifier: Apache-2.0
#include "models/smmuv3/driver/command_queue.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace smmulab::smmu {

CommandQueue::CommandQueue(lnx::Machine& machine, const DriverParams& params, std::uint32_t smmu)
    : machine_(machine),
      params_(params),
      hardware_(params),
      smmu_(smmu),
      size_(1ULL << params.queue_log2),
      entries_(size_),
      valid_(size_),
      done_(size_) {}

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
  const std::uint32_t n = batch.size() + (sync ? 1U : 0U);
  t.disable_preemption();
  const Reservation mine = co_await reserve(t, n);
  t.charge(params_.cmdq_entry * n);
  for (std::uint32_t i = 0; i < batch.size(); ++i) {
    entries_[place(mine.begin + i)] = batch[i];
  }
  if (sync) {
    entries_[place(mine.end - 1)] = Command::kSync;
    syncs_.push_back({mine.end - 1, &t, kTimeMax});
    co_await t.run();
    ++sharers_;
    t.charge(machine_.line_access(t, lock_line_));
  }
  co_await t.run();
  co_await t.run(machine_.line_access(t, valid_line_));
  mark_valid(mine.begin, mine.end);
  if (mine.owner) {
    co_await publish(t, mine.begin);
  }
  if (sync) {
    co_await wait_for_sync(t, mine.end - 1);
  }
  t.enable_preemption();
}

Task<CommandQueue::Reservation> CommandQueue::reserve(lnx::Thread& t, std::uint32_t n) {
  co_await t.run(params_.cmdq_reserve);
  co_await t.run(machine_.line_access(t, llq_line_));
  for (;;) {
    if (space() < n) {
      co_await wait_not_full(t, n);
    }
    const std::uint64_t seen = version_;
    co_await t.run(machine_.line_access(t, llq_line_));  // cmpxchg
    if (version_ == seen && space() >= n) {
      break;
    }
    ++stat_.cmpxchg_failures;
  }
  const Reservation mine{prod_, prod_ + n, !owned_};
  prod_ += n;
  owned_ = true;
  ++version_;
  co_return mine;
}

void CommandQueue::update_cons(SimTime now) {
  while (cons_ < published_ && done_[place(cons_)] <= now) {
    ++cons_;
  }
  ++version_;
}

Task<void> CommandQueue::wait_not_full(lnx::Thread& t, std::uint64_t needed) {
  ++stat_.full_waits;
  while (space() < needed) {
    co_await t.run(params_.mmio_read);
    update_cons(machine_.now());
    if (space() < needed) {
      // Sleep in simulated time until the next command completes; a CPU polls meanwhile.
      const SimTime next = cons_ < published_ ? done_[place(cons_)] : machine_.now();
      co_await t.poll_until(std::max(next, machine_.now() + params_.sync_poll));
    }
  }
}

void CommandQueue::mark_valid(Slot begin, Slot end) {
  for (Slot s = begin; s != end; ++s) {
    valid_[place(s)] = true;
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
  co_await t.run(machine_.line_access(t, llq_line_));
  owned_ = false;
  ++version_;
  const Slot end = prod_;
  gather_missing_ = 0;
  for (Slot s = begin; s != end; ++s) {
    gather_missing_ += valid_[place(s)] ? 0U : 1U;
  }
  gather_end_ = end;
  while (gather_missing_ != 0) {
    gatherer_ = &t;
    co_await t.spin_until_notified(*this);
  }
  gatherer_ = nullptr;
  co_await t.run(machine_.line_access(t, valid_line_));
  co_await t.run(params_.mmio_write);
  ++stat_.doorbells;
  hardware_.doorbell(machine_.now());
  for (Slot s = begin; s != end; ++s) {
    done_[place(s)] = hardware_.consume(entries_[place(s)]);
    valid_[place(s)] = false;
  }
  published_ = end;
  for (PendingSync& sync : syncs_) {
    if (sync.slot >= begin && sync.slot < end) {
      sync.done = done_[place(sync.slot)];
      if (sync.thread != &t) {
        sync.thread->notify_spin(Ps{0});
      }
    }
  }
  co_await t.run(machine_.line_access(t, owner_line_));
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
  const SimTime start = machine_.now();
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
    co_await t.run(params_.sync_poll);
  }
  stat_.sync_wait += machine_.now() - start;
  syncs_.erase(mine());
  // shared_tryunlock: the last sharer tells the others where CONS is.
  co_await t.run(machine_.line_access(t, lock_line_));
  if (--sharers_ == 0) {
    co_await t.run(machine_.line_access(t, llq_line_));
    update_cons(machine_.now());
  }
}

}  // namespace smmulab::smmu

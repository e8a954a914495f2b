// SPDX-License-Identifier: Apache-2.0
// What follows the reservation: the owner publishes a burst, and each CPU waits for its SYNC.
#include <algorithm>

#include "models/smmuv3/driver/command_queue.hpp"
#include "models/smmuv3/driver/timed_hardware.hpp"

namespace smmulab::smmu {
namespace {

constexpr std::uint32_t kQueueHome = 0;  // a CPU of the node whose memory has the queue

}  // namespace

// The owner's part: steps 4a-4d of arm_smmu_cmdq_issue_cmdlist().
Task<void> CommandQueue::publish(lnx::Thread& t, Slot begin) {
  co_await t.run(params_.cmdq_owner);
  co_await wait_for_owner(t, begin);
  co_await llq_line_.write(t);
  owned_ = false;
  ++version_;
  const Slot end = prod_;
  co_await gather(t, begin, end);
  co_await t.run(params_.mmio_write);
  ring(t, begin, end);
  co_await owner_line().write(t);
  owner_prod_ = end;
  const auto next = std::find_if(next_owners_.begin(), next_owners_.end(),
                                 [end](const auto& waiter) { return waiter.first == end; });
  if (next != next_owners_.end()) {
    lnx::Thread& waiter = *next->second;
    waiter.notify_spin(machine_.transfer(t.cpu_index(), waiter.cpu_index()));
  }
}

Task<void> CommandQueue::wait_for_owner(lnx::Thread& t, Slot begin) {
  if (coherent_) {
    co_await owner_line().read(t);
    while (owner_prod_ != begin) {
      co_await owner_line().wait_for_write(t, *this);
      co_await owner_line().read(t);
    }
    co_return;
  }
  if (owner_prod_ != begin) {
    next_owners_.emplace_back(begin, &t);
    while (owner_prod_ != begin) {
      co_await t.spin_until_notified(*this);
    }
    std::erase_if(next_owners_, [begin](const auto& waiter) { return waiter.first == begin; });
  }
}

// Until every entry of the burst is valid.
Task<void> CommandQueue::gather(lnx::Thread& t, Slot begin, Slot end) {
  gather_missing_ = 0;
  for (Slot s = begin; s != end; ++s) {
    gather_missing_ += entry(s).valid ? 0U : 1U;
  }
  gather_end_ = end;
  gatherer_ = &t;
  if (coherent_) {
    co_await lock_line_.read(t);  // the pointer to valid_map
    co_await valid_line_.read(t);
    while (gather_missing_ != 0) {
      co_await valid_line_.wait_for_write(t, *this);
      co_await valid_line_.read(t);
    }
  }
  while (gather_missing_ != 0) {
    co_await t.spin_until_notified(*this);
  }
  gatherer_ = nullptr;
  if (!coherent_) {
    co_await valid_line_.write(t);
  }
}

// The PROD write has reached the SMMU: what counted hardware will have done when can be told from
// here on; timed hardware tells at the time.
void CommandQueue::ring(const lnx::Thread& t, Slot begin, Slot end) {
  ++stat_.doorbells;
  if (timed_ != nullptr) {
    for (Slot s = begin; s != end; ++s) {
      hardware_.note(entry(s).command);
      entry(s).done = kTimeMax;
      entry(s).valid = false;
    }
    published_ = end;
    timed_->ring(timed_queue_, end);
    return;
  }
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
}

std::vector<CommandQueue::PendingSync>::iterator CommandQueue::pending(Slot slot) {
  return std::find_if(syncs_.begin(), syncs_.end(),
                      [slot](const PendingSync& s) { return s.slot == slot; });
}

// The slot of its SYNC until the SMMU has written to it. Whoever writes to the line makes it look
// again; so does the SMMU, whose write goes to the memory of the queue: the default CMA area.
Task<void> CommandQueue::watch_slot(lnx::Thread& t, Slot slot) {
  lnx::SharedLine& line = entry_line(slot);
  co_await line.read(t);
  while (machine_.now() < pending(slot)->done) {
    pending(slot)->watched = timed_ != nullptr;
    co_await line.wait_for_write(t, *this, pending(slot)->done);
    pending(slot)->watched = false;
    if (machine_.now() < pending(slot)->done) {
      co_await line.read(t);
    }
  }
  line.written_by_device(kQueueHome);
  co_await line.read(t);
  t.charge(params_.sync_poll);
}

// queue_poll(): a relax hint per round, then a CONS read; every tenth round is udelay(1, 2, 4, ..)
// instead.
Task<void> CommandQueue::poll_cons(lnx::Thread& t, Slot slot) {
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
    if (timed_ != nullptr) {
      timed_->advance();
    }
    if (machine_.now() >= pending(slot)->done) {
      break;
    }
  }
}

Task<void> CommandQueue::wait_for_sync(lnx::Thread& t, Slot slot) {
  if (coherent_ && params_.sync_mode == SyncMode::kMsi) {
    co_await watch_slot(t, slot);
    syncs_.erase(pending(slot));
    co_return;
  }
  const bool polls = params_.sync_mode == SyncMode::kPoll;
  while (pending(slot)->done == kTimeMax && !(polls && timed_ != nullptr)) {
    pending(slot)->watched = true;
    co_await t.spin_until_notified(*this);
    pending(slot)->watched = false;
  }
  if (polls) {
    co_await poll_cons(t, slot);
  } else {
    co_await t.poll_until(std::max(pending(slot)->done, machine_.now()));
    t.charge(params_.sync_poll);
    if (params_.sync_mode == SyncMode::kSev) {
      t.charge(params_.mmio_read);  // CONS; with MSI the completion is written to memory
    }
  }
  syncs_.erase(pending(slot));
}

// shared_tryunlock: the last sharer tells the others where CONS is.
Task<void> CommandQueue::release(lnx::Thread& t) {
  if (coherent_) {
    co_await lock_line_.read(t);
  }
  co_await lock_line_.write(t);
  if (--sharers_ == 0) {
    co_await llq_line_.write(t);
    update_cons(machine_.now());
  }
}

}  // namespace smmulab::smmu

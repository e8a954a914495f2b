// SPDX-License-Identifier: Apache-2.0
// Taking the semaphore. Giving it back and waking others: rwsem_wake.cpp.
#include "models/linux/rwsem.hpp"

#include <algorithm>

namespace smmulab::lnx {
namespace {
constexpr Ps kWaitTimeout{4'000'000'000};  // RWSEM_WAIT_TIMEOUT: 4 ms, in whole jiffies
}  // namespace

// Brings the count's line to t's CPU, after those who asked before; gives what that costs.
Ps Rwsem::touch(Thread& t) {
  return machine().line_access(t, line_);
}

void Rwsem::need_slow() {
  if (!slow_) {
    slow_ = std::make_unique<Slow>();
  }
}

std::int64_t Rwsem::jiffies() const {
  return machine().now().time_since_epoch() / machine().params().sched.tick;
}

Rwsem::Waiter Rwsem::make_waiter(Thread& t, LockMode mode) const {
  const Ps tick = machine().params().sched.tick;  // 1 / CONFIG_HZ
  const std::int64_t timeout = (kWaitTimeout + tick - Ps{1}) / tick;
  return {&t, mode, jiffies() + timeout};
}

Rwsem::OwnerState Rwsem::owner_state() const {
  if (nonspinnable_) {
    return OwnerState::kNonSpinnable;
  }
  if (reader_owned_) {
    return OwnerState::kReader;
  }
  return writer_ != nullptr ? OwnerState::kWriter : OwnerState::kNull;
}

void Rwsem::set_reader_owned() {
  if (!reader_owned_) {
    reader_owned_ = true;
    notify_spinners();
  }
}

void Rwsem::take_write(Thread& t) {
  flags_ |= kWriter;
  writer_ = &t;
  reader_owned_ = false;
  nonspinnable_ = false;
  notify_spinners();
}

void Rwsem::notify_spinners() {
  if (!slow_) {
    return;
  }
  for (Thread* spinner : slow_->spinners) {
    if (spinner != nullptr) {
      spinner->notify_spin(Ps{0});  // it pays for the line when it tries
    }
  }
}

bool Rwsem::try_read_lock(Thread& t, unsigned subclass) {
  if (lock_class().elided) {
    return true;
  }
  if (is_split()) [[unlikely]] {
    return part_for<Rwsem>(t).try_read_lock(t, subclass);
  }
  Acquisition how;
  how.asked = machine().now();
  how.bounced = line_.bounces(t.cpu_index());
  t.charge(machine().params().lock.rwsem_read + touch(t));
  if (const StepControl* control = machine().control()) [[unlikely]] {
    t.touch(*this, Access::kRead);
    if (control->writer_waits(*this)) {
      return false;
    }
  }
  if (flags_ != 0) {
    return false;
  }
  how.tried = true;
  note_request(t, LockMode::kRead, subclass, true);
  ++readers_;
  holders_.push_back(&t);
  set_reader_owned();
  note_acquired(t, LockMode::kRead, subclass, how);
  return true;
}

Task<void> Rwsem::read_lock(Thread& t, unsigned subclass) {
  const LinuxParams& p = machine().params();
  if (lock_class().elided) {
    co_await t.run();
    co_return;
  }
  if (is_split()) [[unlikely]] {
    co_await part_for<Rwsem>(t).read_lock(t, subclass);
    co_return;
  }
  if (p.sched.preempt != Preempt::kNone && t.need_resched()) {
    co_await t.schedule();  // might_sleep()
  }
  note_request(t, LockMode::kRead, subclass);
  if (machine().control() != nullptr) [[unlikely]] {
    co_await t.step({.kind = NextStep::Kind::kLock, .mode = LockMode::kRead, .lock = this});
  }
  Acquisition how;
  how.bounced = line_.bounces(t.cpu_index());
  t.charge(p.lock.rwsem_read);
  co_await machine().access(t, line_);
  co_await t.run();
  how.asked = machine().now();
  ++readers_;
  if (flags_ == 0) [[likely]] {
    holders_.push_back(&t);
    set_reader_owned();
  } else {
    how.contended = true;
    const std::uint64_t slept = t.sleeps();
    t.disable_preemption();
    co_await read_slow(t);
    t.enable_preemption();
    how.slept = t.sleeps() != slept;
  }
  note_acquired(t, LockMode::kRead, subclass, how);
}

// REQUIRES: t added its bias at this very time.
Task<void> Rwsem::read_slow(Thread& t) {
  const LinuxParams& p = machine().params();
  need_slow();
  const bool behind_readers = reader_owned_ && readers_ > 1 && (flags_ & kWriter) == 0;
  if (!behind_readers && (flags_ & (kWriter | kHandoff)) == 0) {  // steal
    holders_.push_back(&t);
    set_reader_owned();
    if (readers_ == 1 && has_waiters()) {
      co_await t.run(p.lock.rwsem_slow);
      if (!slow_->queue.empty()) {
        mark_wake(Wake::kReadOwned, t);
      }
    }
    co_return;
  }
  co_await t.run(p.lock.rwsem_slow);
  if (slow_->queue.empty() && (flags_ & kWriter) == 0) {  // the bias is in already
    holders_.push_back(&t);
    set_reader_owned();
    co_return;
  }
  Waiter waiter = make_waiter(t, LockMode::kRead);
  slow_->queue.push_back(&waiter);
  flags_ |= kWaiters;
  --readers_;
  if (readers_ == 0) {
    notify_spinners();
  }
  wake_after_queueing(t);
  for (;;) {
    t.prepare_to_sleep();
    if (waiter.granted) {
      break;
    }
    co_await t.block(*this);
  }
  t.cancel_sleep();
}

Task<void> Rwsem::write_lock(Thread& t, unsigned subclass) {
  const LinuxParams& p = machine().params();
  if (lock_class().elided) {
    co_await t.run();
    co_return;
  }
  if (is_split()) [[unlikely]] {
    co_await part_for<Rwsem>(t).write_lock(t, subclass);
    co_return;
  }
  if (p.sched.preempt != Preempt::kNone && t.need_resched()) {
    co_await t.schedule();  // might_sleep()
  }
  note_request(t, LockMode::kWrite, subclass);
  if (machine().control() != nullptr) [[unlikely]] {
    co_await t.step({.kind = NextStep::Kind::kLock, .lock = this});
  }
  Acquisition how;
  how.bounced = line_.bounces(t.cpu_index());
  t.charge(p.lock.rwsem_write);
  co_await machine().access(t, line_);
  co_await t.run();
  how.asked = machine().now();
  if (flags_ == 0 && readers_ == 0) [[likely]] {
    take_write(t);
  } else {
    how.contended = true;
    const Ps spun = t.spin_time();
    const std::uint64_t slept = t.sleeps();
    co_await write_slow(t);
    how.spin = t.spin_time() - spun;
    how.slept = t.sleeps() != slept;
  }
  note_acquired(t, LockMode::kWrite, subclass, how);
}

Task<void> Rwsem::write_slow(Thread& t) {
  need_slow();
  t.disable_preemption();
  bool taken = false;
  const bool owner_asleep = owner_state() == OwnerState::kWriter && !writer_->on_cpu();
  if (machine().params().lock.spin_on_owner && !t.need_resched() && !nonspinnable_ &&
      !owner_asleep) {
    taken = co_await spin_optimistically(t);
  }
  if (!taken) {
    co_await queue_writer(t);
  }
  t.enable_preemption();
}

Task<bool> Rwsem::spin_optimistically(Thread& t) {
  SpinQueue::Node node;
  const bool head = co_await slow_->osq.lock(t, node, *this);
  if (!head) {
    co_return false;
  }
  const bool taken = co_await spin_as_head(t);
  slow_->osq.unlock(t, node);
  co_return taken;
}

Task<bool> Rwsem::spin_as_head(Thread& t) {
  OwnerState before = OwnerState::kNull;
  SimTime limit = kTimeMax;  // of spinning on this reader phase
  for (;;) {
    const OwnerState state = co_await spin_on_owner(t, kHead);
    if (state == OwnerState::kNonSpinnable) {
      co_return false;
    }
    co_await t.run(touch(t));
    if (try_write_unqueued(t)) {
      co_return true;
    }
    if (state != OwnerState::kReader) {
      limit = kTimeMax;
    } else if (before != OwnerState::kReader) {
      limit = machine().now() + Ps{(20 + std::min(readers_, 30U)) * 500'000LL};  // half us
    } else if (machine().now() >= limit) {
      nonspinnable_ = reader_owned_;
      co_return false;
    }
    if (state != OwnerState::kWriter && t.need_resched()) {
      co_return false;
    }
    before = state;
    // Looking on brings nothing as long as the owner word stays: skip to the next change.
    if (state != OwnerState::kWriter && owner_state() == state) {
      co_await spin_for_change(t, kHead, limit);
    }
  }
}

// Spins while the same writer holds the lock and runs.
Task<Rwsem::OwnerState> Rwsem::spin_on_owner(Thread& t, std::size_t slot) {
  const Thread* const owner = writer_;
  if (owner_state() != OwnerState::kWriter) {
    co_return owner_state();
  }
  while (writer_ == owner) {
    if (t.need_resched() || !owner->on_cpu()) {
      co_return OwnerState::kNonSpinnable;
    }
    co_await spin_for_change(t, slot, kTimeMax);
  }
  co_return owner_state();
}

Task<void> Rwsem::spin_for_change(Thread& t, std::size_t slot, SimTime deadline) {
  slow_->spinners[slot] = &t;
  co_await t.spin(*this, deadline);
  slow_->spinners[slot] = nullptr;
}

// For spinners: waiters do not count, HANDOFF does.
bool Rwsem::try_write_unqueued(Thread& t) {
  if (!free_for_writer() || handoff()) {
    return false;
  }
  take_write(t);
  return true;
}

Task<void> Rwsem::queue_writer(Thread& t) {
  co_await t.run(machine().params().lock.rwsem_slow);
  auto& queue = slow_->queue;
  Waiter waiter = make_waiter(t, LockMode::kWrite);
  queue.push_back(&waiter);
  if (queue.front() != &waiter) {
    wake_after_queueing(t);
  }
  flags_ |= kWaiters;
  for (;;) {
    t.prepare_to_sleep();
    if (try_write_queued(waiter)) {
      break;
    }
    if (waiter.handoff_set && machine().params().lock.spin_on_owner) {
      const OwnerState state = co_await spin_on_owner(t, kFirstWaiter);
      if (state == OwnerState::kNull) {
        // Free, but for readers that will take their bias back: they tell.
        while (owner_state() == OwnerState::kNull && readers_ != 0) {
          slow_->spinners[kFirstWaiter] = &t;
          co_await t.spin_until_notified(*this);
          slow_->spinners[kFirstWaiter] = nullptr;
        }
        continue;
      }
    }
    co_await t.block(*this);
  }
  t.cancel_sleep();
}

bool Rwsem::try_write_queued(Waiter& w) {
  auto& queue = slow_->queue;
  Waiter& first = *queue.front();
  if (handoff() && first.handoff_set && &w != &first) {
    return false;
  }
  if (!free_for_writer()) {
    if (!handoff() && timed_out(w)) {
      flags_ |= kHandoff;
      first.handoff_set = true;
    }
    return false;
  }
  queue.erase(std::find(queue.begin(), queue.end(), &w));
  flags_ &= static_cast<std::uint8_t>(queue.empty() ? ~(kHandoff | kWaiters) : ~kHandoff);
  take_write(*w.thread);
  return true;
}

}  // namespace smmulab::lnx

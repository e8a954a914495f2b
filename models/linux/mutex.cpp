// SPDX-License-Identifier: Apache-2.0
#include "models/linux/mutex.hpp"

#include <utility>

namespace smmulab::lnx {

// Brings the lock word to t's CPU; gives what that costs.
Ps Mutex::touch(const Thread& t) {
  const auto cpu = static_cast<std::uint16_t>(t.cpu_index());
  const Ps cost = last_cpu_ == 0xffff ? Ps{0} : machine().transfer(last_cpu_, cpu);
  last_cpu_ = cpu;
  return cost;
}

bool Mutex::try_take(Thread& t) {
  if (owner_ == nullptr) {
    owner_ = &t;
    return true;
  }
  if (owner_ == &t && (flags_ & kPickup) != 0) {
    flags_ &= static_cast<std::uint8_t>(~kPickup);
    return true;
  }
  return false;
}

bool Mutex::try_take_or_handoff(Thread& t, bool first) {
  if (try_take(t)) {
    return true;
  }
  if (first && (flags_ & kPickup) == 0) {
    flags_ |= kHandoff;
  }
  return false;
}

Task<void> Mutex::lock(Thread& t, unsigned subclass) {
  const LinuxParams& p = machine().params();
  if (lock_class().elided) {
    co_await t.run();
    co_return;
  }
  if (is_split()) [[unlikely]] {
    co_await part_for<Mutex>(t).lock(t, subclass);
    co_return;
  }
  if (p.sched.preempt != Preempt::kNone && t.need_resched()) {
    co_await t.schedule();  // might_sleep()
  }
  note_request(t, LockMode::kWrite, subclass);
  if (machine().control() != nullptr && !lock_class().leaf) [[unlikely]] {
    co_await t.step({.kind = NextStep::Kind::kLock, .lock = this});
  }
  Acquisition how;
  how.bounced = last_cpu_ != t.cpu_index() && last_cpu_ != 0xffff;
  co_await t.run(p.lock.mutex_lock + touch(t));
  how.asked = machine().now();
  if (owner_ == nullptr && flags_ == 0) {
    owner_ = &t;
  } else {
    how.contended = true;
    const Ps spun = t.spin_time();
    const std::uint64_t slept = t.sleeps();
    co_await lock_slow(t);
    how.spin = t.spin_time() - spun;
    how.slept = t.sleeps() != slept;
  }
  note_acquired(t, LockMode::kWrite, subclass, how);
}

Task<void> Mutex::lock_slow(Thread& t) {
  const LinuxParams& p = machine().params();
  if (!slow_) {
    slow_ = std::make_unique<Slow>();
  }
  t.disable_preemption();
  co_await t.run(p.lock.mutex_slow);
  if (!try_take(t)) {
    bool taken = false;
    if (p.lock.spin_on_owner && !t.need_resched() && (owner_ == nullptr || owner_->on_cpu())) {
      taken = co_await spin_optimistically(t);
    }
    if (!taken) {
      co_await sleep(t);
    }
  }
  t.enable_preemption();
}

Task<bool> Mutex::spin_optimistically(Thread& t) {
  SpinQueue::Node node;
  const bool head = co_await slow_->osq.lock(t, node, *this);
  if (!head) {
    co_return false;
  }
  const bool taken = co_await spin_on_owner(t, 0);
  slow_->osq.unlock(t, node);
  co_return taken;
}

Task<bool> Mutex::spin_on_owner(Thread& t, std::size_t slot) {
  for (;;) {
    co_await t.run(touch(t));
    if (try_take(t)) {
      co_return true;
    }
    if (!owner_->on_cpu() || t.need_resched()) {
      co_return false;
    }
    slow_->owner_spinners[slot] = &t;
    const bool notified = co_await t.spin(*this);
    slow_->owner_spinners[slot] = nullptr;
    if (!notified) {
      co_return false;
    }
  }
}

Task<void> Mutex::sleep(Thread& t) {
  const LinuxParams& p = machine().params();
  if (t.need_resched()) {
    co_await t.schedule();
  }
  co_await t.run(p.lock.mutex_queue);
  if (try_take(t)) {
    co_return;
  }
  Waiter waiter{&t, nullptr};
  if (slow_->first == nullptr) {
    slow_->first = &waiter;
    flags_ |= kWaiters;
  } else {
    slow_->last->next = &waiter;
  }
  slow_->last = &waiter;
  bool yielded = false;  // stays runnable, and goes on trying
  for (;;) {
    t.prepare_to_sleep();
    if (try_take(t)) {
      break;
    }
    if (!std::exchange(yielded, false)) {
      co_await t.block(*this);
    }
    const bool first = slow_->first == &waiter;
    if (try_take_or_handoff(t, first)) {
      break;
    }
    if (first && p.lock.spin_on_owner) {
      const bool taken = co_await spin_on_owner(t, 1);
      if (taken) {
        break;
      }
      if (t.need_resched()) {
        co_await t.schedule();
        yielded = true;
      }
    }
  }
  t.cancel_sleep();
  remove(waiter);
}

void Mutex::remove(const Waiter& w) {
  Waiter* before = nullptr;
  for (Waiter* it = slow_->first; it != &w; it = it->next) {
    before = it;
  }
  (before == nullptr ? slow_->first : before->next) = w.next;
  if (slow_->last == &w) {
    slow_->last = before;
  }
  if (slow_->first == nullptr) {
    flags_ = 0;
  }
}

void Mutex::release(Thread& t) {
  if (lock_class().elided) {
    return;
  }
  note_release(t, LockMode::kWrite);
  last_cpu_ = static_cast<std::uint16_t>(t.cpu_index());
  if (flags_ == 0) [[likely]] {
    owner_ = nullptr;
    notify_spinners();
    return;
  }
  const bool handoff = (flags_ & kHandoff) != 0;
  if (!handoff) {
    owner_ = nullptr;
    notify_spinners();
  }
  if (slow_->first == nullptr) {
    return;
  }
  const LinuxParams& p = machine().params();
  Thread& next = *slow_->first->thread;
  if (handoff) {
    owner_ = &next;
    flags_ = static_cast<std::uint8_t>((flags_ & ~kHandoff) | kPickup);
    notify_spinners();
  }
  t.charge(p.lock.mutex_queue + machine().wake(next, Ps{0}, &t));
}

void Mutex::notify_spinners() {
  if (!slow_) {
    return;
  }
  for (Thread* spinner : slow_->owner_spinners) {
    if (spinner != nullptr) {
      spinner->notify_spin(Ps{0});  // it pays for the line when it tries
    }
  }
}

void Mutex::holder_off_cpu() {
  notify_spinners();
}

void Mutex::wait_holders(std::vector<const Process*>& out) const {
  if (owner_ != nullptr) {
    out.push_back(owner_->process());
  }
}

}  // namespace smmulab::lnx

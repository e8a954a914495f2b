// SPDX-License-Identifier: Apache-2.0
#include "models/linux/spinlock.hpp"

#include <memory>

#include <fmt/format.h>

namespace smmulab::lnx {

Task<void> Spinlock::lock(Thread& t, unsigned subclass) {
  if (lock_class().elided) {
    co_await t.run();
    co_return;
  }
  if (is_split()) [[unlikely]] {
    co_await part_for<Spinlock>(t).lock(t, subclass);
    co_return;
  }
  note_request(t, LockMode::kWrite, subclass);
  if (machine().control() != nullptr && !lock_class().leaf) [[unlikely]] {
    co_await t.step({.kind = NextStep::Kind::kLock, .lock = this});
  }
  t.disable_preemption();
  Acquisition how;
  if (coherent()) [[unlikely]] {
    const SimTime asked = machine().now() + t.unpaid();
    const Ps spun = t.spin_time();
    how.contended = co_await lock_coherent(t);
    how.asked = how.contended ? asked : machine().now();
    how.spin = t.spin_time() - spun;
    note_acquired(t, LockMode::kWrite, subclass, how);
    co_return;
  }
  how.bounced = line_.bounces(t.cpu_index());
  t.charge(machine().params().lock.spin_lock);
  co_await machine().access(t, line_);
  co_await t.run();
  how.asked = machine().now();
  if (word_is_zero()) [[likely]] {
    owner_ = &t;
  } else {
    how.contended = true;
    const Ps spun = t.spin_time();
    co_await lock_slow(t);
    how.spin = t.spin_time() - spun;
  }
  note_acquired(t, LockMode::kWrite, subclass, how);
}

Task<void> Spinlock::lock_slow(Thread& t) {
  if (!slow_) {
    slow_ = std::make_unique<Slow>();
  }
  if (slow_->pending == nullptr && slow_->queue.empty()) {
    co_await wait_pending(t);
    co_return;
  }
  co_await t.run(machine().line_access(t, line_));  // our node, then xchg of the tail
  if (word_is_zero()) {
    owner_ = &t;
    co_return;
  }
  co_await wait_in_queue(t);
}

Task<void> Spinlock::wait_pending(Thread& t) {
  slow_->pending = &t;
  while (owner_ != nullptr) {
    co_await t.spin_until_notified(*this);
  }
  slow_->pending = nullptr;
  owner_ = &t;
}

Task<void> Spinlock::wait_in_queue(Thread& t) {
  slow_->queue.push_back(&t);
  while (slow_->queue.front() != &t || owner_ != nullptr || slow_->pending != nullptr) {
    co_await t.spin_until_notified(*this);
  }
  owner_ = &t;
  slow_->queue.erase(slow_->queue.begin());
  if (!slow_->queue.empty()) {
    notify(t, *slow_->queue.front());
  }
}

Task<bool> Spinlock::lock_coherent(Thread& t) {
  if (!word_) {
    word_ = std::make_unique<SharedLine>(machine(),
                                         fmt::format("{} {}", lock_class().name, instance()));
  }
  t.charge(machine().params().lock.spin_lock);
  co_await word_->write(t);  // cmpxchg
  if (word_is_zero()) {
    owner_ = &t;
    co_return false;
  }
  if (!slow_) {
    slow_ = std::make_unique<Slow>();
  }
  if (slow_->pending == nullptr && slow_->queue.empty()) {
    co_await wait_pending_coherent(t);
  } else {
    co_await wait_in_queue_coherent(t);
  }
  co_return true;
}

// The pending bit comes with an atomic of its own; others may have come in between.
Task<void> Spinlock::wait_pending_coherent(Thread& t) {
  co_await word_->write(t);
  if (slow_->pending != nullptr || !slow_->queue.empty()) {
    co_await wait_in_queue_coherent(t);
    co_return;
  }
  slow_->pending = &t;
  while (owner_ != nullptr) {
    co_await word_->wait_for_write(t, *this);
    co_await word_->read(t);
  }
  slow_->pending = nullptr;
  owner_ = &t;
  co_await word_->write(t);
}

Task<void> Spinlock::wait_in_queue_coherent(Thread& t) {
  co_await word_->write(t);  // xchg of the tail
  slow_->queue.push_back(&t);
  while (slow_->queue.front() != &t) {
    co_await t.spin_until_notified(*this);
  }
  co_await word_->read(t);
  while (owner_ != nullptr || slow_->pending != nullptr) {
    co_await word_->wait_for_write(t, *this);
    co_await word_->read(t);
  }
  owner_ = &t;
  co_await word_->write(t);  // the locked byte
  slow_->queue.erase(slow_->queue.begin());
  if (!slow_->queue.empty()) {
    notify(t, *slow_->queue.front());
  }
}

Task<void> Spinlock::unlock_coherent(Thread& t) {
  co_await t.run(machine().params().lock.spin_unlock);
  co_await word_->write(t);
}

void Spinlock::release(Thread& t) {
  if (lock_class().elided) {
    return;
  }
  note_release(t, LockMode::kWrite);
  owner_ = nullptr;
  t.enable_preemption();
  if (!slow_ || word_) [[likely]] {
    return;  // coherent: the store itself woke those who look at the word
  }
  // Queue behind pending: its head looks again when the pending one has come and gone.
  if (slow_->pending != nullptr) {
    notify(t, *slow_->pending);
  } else if (!slow_->queue.empty()) {
    notify(t, *slow_->queue.front());
  }
}

// A store of `from` that `to` spins on: seen once the line has moved.
void Spinlock::notify(const Thread& from, Thread& to) {
  to.notify_spin(machine().transfer(from.cpu_index(), to.cpu_index()));
}

void Spinlock::wait_holders(std::vector<const Process*>& out) const {
  if (owner_ != nullptr) {
    out.push_back(owner_->process());
  }
}

}  // namespace smmulab::lnx

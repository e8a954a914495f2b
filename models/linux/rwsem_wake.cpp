// SPDX-License-Identifier: Apache-2.0
// struct rw_semaphore: giving it back, and passes over the queue of waiters.
#include <algorithm>

#include "models/linux/rwsem.hpp"
#include "sim/check.hpp"

namespace smmulab::lnx {

unsigned Rwsem::held_subclass(Thread& t) const {
  const auto it = std::find_if(t.held().begin(), t.held().end(),
                               [this](const HeldLock& held) { return held.lock == this; });
  return it == t.held().end() ? 0U : it->subclass;
}

// Changes the count; gives the pass that is to follow.
Rwsem::Wake Rwsem::release(Thread& t, Release kind) {
  if (lock_class().elided) {
    return Wake::kNobody;
  }
  const unsigned subclass = kind == Release::kDowngrade ? held_subclass(t) : 0;
  note_release(t, kind == Release::kRead ? LockMode::kRead : LockMode::kWrite);
  if (kind == Release::kRead) {
    const auto it = std::find(holders_.rbegin(), holders_.rend(), &t);
    SMMULAB_CHECK(it != holders_.rend(), "rwsem: a reader is not among the holders");
    *it = holders_.back();
    holders_.pop_back();
    --readers_;
    if (readers_ != 0 || (flags_ & kWriter) != 0) {
      return Wake::kNobody;
    }
    notify_spinners();
    if (!has_waiters()) {
      return Wake::kNobody;
    }
    nonspinnable_ = false;
    return Wake::kAny;
  }
  writer_ = nullptr;
  flags_ &= static_cast<std::uint8_t>(~kWriter);
  if (kind == Release::kWrite) {
    notify_spinners();
    return has_waiters() ? Wake::kAny : Wake::kNobody;
  }
  ++readers_;
  holders_.push_back(&t);
  set_reader_owned();
  note_acquired(t, LockMode::kRead, subclass, {.asked = machine().now()});
  return has_waiters() ? Wake::kReadOwned : Wake::kNobody;
}

// The lock is free when the count changed; the pass over the queue takes time, in which others may
// take it.
Task<void> Rwsem::release_slow(Thread& t, Release kind, Ps cost) {
  co_await t.run(cost);
  t.disable_preemption();
  const Wake whom = release(t, kind);
  if (whom != Wake::kNobody) {
    co_await t.run(machine().params().lock.rwsem_slow);
    if (!slow_->queue.empty()) {
      mark_wake(whom, t);
    }
  }
  t.enable_preemption();
}

// A waiter that has just joined the queue, or taken back its bias, may have to wake the others.
void Rwsem::wake_after_queueing(Thread& t) {
  if ((flags_ & kWriter) != 0) {
    return;
  }
  if (readers_ != 0) {
    mark_wake(Wake::kReaders, t);
    return;
  }
  nonspinnable_ = false;
  mark_wake(Wake::kAny, t);
}

// REQUIRES: the queue is not empty.
void Rwsem::mark_wake(Wake whom, Thread& waker) {
  Waiter& first = *slow_->queue.front();
  if (first.mode == LockMode::kWrite) {
    if (whom == Wake::kAny && first.thread != &waker) {
      waker.charge(machine().wake(*first.thread, Ps{0}, &waker));
    }
    return;
  }
  if (whom != Wake::kReadOwned) {
    if ((flags_ & kWriter) != 0) {  // stolen since the release
      if (timed_out(first)) {
        flags_ |= kHandoff;
        first.handoff_set = true;
      }
      return;
    }
    set_reader_owned();
  }
  grant_readers(waker);
}

// Phase fair: all readers in the queue, writers stay.
void Rwsem::grant_readers(Thread& waker) {
  auto& queue = slow_->queue;
  std::size_t granted = 0;
  std::size_t kept = 0;
  Ps woken{0};
  for (Waiter* waiter : queue) {
    if (waiter->mode == LockMode::kWrite || granted == kMaxReadersWakeup) {
      queue[kept++] = waiter;
      continue;
    }
    ++granted;
    ++readers_;
    holders_.push_back(waiter->thread);
    waiter->granted = true;
    if (waiter->thread != &waker) {
      woken += machine().wake(*waiter->thread, woken, &waker);
    }
  }
  queue.resize(kept);
  flags_ &= static_cast<std::uint8_t>(queue.empty() ? ~(kHandoff | kWaiters) : ~kHandoff);
  waker.charge(woken);
}

// Writers spin on readers whether these run or not.
void Rwsem::holder_off_cpu() {
  if (writer_ != nullptr) {
    notify_spinners();
  }
}

void Rwsem::wait_holders(std::vector<const Process*>& out) const {
  if (writer_ != nullptr) {
    out.push_back(writer_->process());
  }
  for (const Thread* reader : holders_) {
    out.push_back(reader->process());
  }
}

}  // namespace smmulab::lnx

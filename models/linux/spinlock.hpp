// SPDX-License-Identifier: Apache-2.0
// spinlock_t as a queued spinlock. The second contender sets the pending bit and spins on the lock
// byte; from the third on they queue (MCS), each spins on its own node and only the head looks at
// the lock. The order is FIFO, except that a pending contender may pass one that is still on its
// way into the queue. Unlock is a store. Rule: Linux 6.12 kernel/locking/qspinlock.c (no
// paravirtual part; _Q_PENDING_LOOPS is 1 on arm64, which here is no wait at all). Preemption is
// off from lock() to unlock(), while spinning too. One class serves spin_lock(), _irq and _irqsave:
// interrupts are not modelled. Not modelled: interrupts' nested nodes, raw_spinlock_t on PREEMPT_RT
// (the same), qrwlock. With line.model = coherent the lock word is a SharedLine: the attempt, the
// exchange of the tail, each look of the queue's head and the unlocking store are accesses to it.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "models/linux/cache_line.hpp"
#include "models/linux/lock.hpp"
#include "models/linux/machine.hpp"
#include "models/linux/shared_line.hpp"

namespace smmulab::lnx {

class Spinlock final : public LockBase {
 public:
  using LockBase::LockBase;

  Task<void> lock(Thread& t, unsigned subclass = 0);
  struct UnlockAwaiter;
  [[nodiscard]] UnlockAwaiter unlock(Thread& t);

  [[nodiscard]] const Thread* owner() const { return owner_; }
  [[nodiscard]] bool held_by(const Thread& t) const { return owner_ == &t; }

  void holder_off_cpu() override {}  // spinners do not care
  void wait_holders(std::vector<const Process*>& out) const override;

 private:
  // Made at the first contention.
  struct Slow {
    Thread* pending = nullptr;
    std::vector<Thread*> queue;  // MCS nodes, head first
  };

  // The whole word: lock byte, pending bit, tail.
  [[nodiscard]] bool word_is_zero() const {
    return owner_ == nullptr && (!slow_ || (slow_->pending == nullptr && slow_->queue.empty()));
  }
  Task<void> lock_slow(Thread& t);
  Task<void> wait_pending(Thread& t);
  Task<void> wait_in_queue(Thread& t);
  [[nodiscard]] bool coherent() const {
    return machine().params().line.model == LineModel::kCoherent;
  }
  Task<bool> lock_coherent(Thread& t);  // whether it had to wait
  Task<void> wait_pending_coherent(Thread& t);
  Task<void> wait_in_queue_coherent(Thread& t);
  Task<void> unlock_coherent(Thread& t);
  void release(Thread& t);
  void notify(const Thread& from, Thread& to);

  Thread* owner_ = nullptr;
  std::unique_ptr<Slow> slow_;
  CacheLine line_;
  std::unique_ptr<SharedLine> word_;  // coherent: made at the first use
};

struct Spinlock::UnlockAwaiter {
  Spinlock& spinlock;
  Thread& thread;
  Thread::RunAwaiter run;
  Task<void> storing;  // coherent
  [[nodiscard]] bool await_ready() { return !storing.valid() && run.await_ready(); }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> h) {
    return storing.valid() ? storing.await_suspend(h) : run.await_suspend(h);
  }
  void await_resume() {
    if (storing.valid()) {
      storing.await_resume();
    } else {
      run.await_resume();
    }
    spinlock.release(thread);
  }
};

inline Spinlock::UnlockAwaiter Spinlock::unlock(Thread& t) {
  if (is_split()) [[unlikely]] {
    return part_for<Spinlock>(t).unlock(t);
  }
  if (word_) [[unlikely]] {
    return {*this, t, t.run(), unlock_coherent(t)};
  }
  return {*this, t, t.run(lock_class().elided ? Ps{0} : machine().params().lock.spin_unlock), {}};
}

}  // namespace smmulab::lnx

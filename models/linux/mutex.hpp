// SPDX-License-Identifier: Apache-2.0
// struct mutex: fast path, optimistic spinning, sleep path with HANDOFF.
// Rule: Linux 6.12 kernel/locking/mutex.c. LOCK: cmpxchg of a free word without flags; else try,
// else spin behind the SpinQueue while the owner is on a CPU, else queue FIFO and sleep. A waiter
// that is first, wakes and fails sets HANDOFF at once and spins on the owner by itself. UNLOCK:
// with HANDOFF the lock passes to the first waiter and nobody can steal it; otherwise it is free
// from that moment on, and whoever comes first has it. Not modelled: ww_mutex, interruptible
// variants, CONFIG_DEBUG_MUTEXES, wait_lock as a lock.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "models/linux/lock.hpp"
#include "models/linux/machine.hpp"
#include "models/linux/spin_queue.hpp"

namespace smmulab::lnx {

class Mutex final : public LockBase {
 public:
  using LockBase::LockBase;

  Task<void> lock(Thread& t, unsigned subclass = 0);
  struct UnlockAwaiter;
  [[nodiscard]] UnlockAwaiter unlock(Thread& t);

  [[nodiscard]] const Thread* owner() const { return owner_; }
  [[nodiscard]] bool held_by(const Thread& t) const { return owner_ == &t; }

  void holder_off_cpu() override;
  void wait_holders(std::vector<const Process*>& out) const override;

 private:
  struct Waiter {
    Thread* thread;
    Waiter* next;
  };
  // Made at the first contention, so that a million quiet locks stay small.
  struct Slow {
    SpinQueue osq;
    Waiter* first = nullptr;
    Waiter* last = nullptr;
    std::array<Thread*, 2> owner_spinners{};  // the SpinQueue's head; the first waiter
  };
  enum Flag : std::uint8_t { kWaiters = 1, kHandoff = 2, kPickup = 4 };

  Ps touch(const Thread& t);
  bool try_take(Thread& t);
  bool try_take_or_handoff(Thread& t, bool first);
  void release(Thread& t);
  void notify_spinners();
  Task<void> lock_slow(Thread& t);
  Task<bool> spin_optimistically(Thread& t);
  Task<bool> spin_on_owner(Thread& t, std::size_t slot);
  Task<void> sleep(Thread& t);
  void remove(const Waiter& w);

  std::uint8_t flags_ = 0;  // the small ones first: they fit behind LockBase's last
  std::uint16_t last_cpu_ = 0xffff;
  Thread* owner_ = nullptr;
  std::unique_ptr<Slow> slow_;
};

struct Mutex::UnlockAwaiter {
  Mutex& mutex;
  Thread& thread;
  Thread::RunAwaiter run;
  [[nodiscard]] bool await_ready() { return run.await_ready(); }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> h) { return run.await_suspend(h); }
  void await_resume() {
    run.await_resume();
    mutex.release(thread);
  }
};

inline Mutex::UnlockAwaiter Mutex::unlock(Thread& t) {
  if (is_split()) [[unlikely]] {
    return part_for<Mutex>(t).unlock(t);
  }
  return {*this, t, t.run(lock_class().elided ? Ps{0} : machine().params().lock.mutex_unlock)};
}

}  // namespace smmulab::lnx

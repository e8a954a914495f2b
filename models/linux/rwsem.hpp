// SPDX-License-Identifier: Apache-2.0
// struct rw_semaphore: reader bias, reader and writer stealing, optimistic spinning of writers,
// phase-fair wake-ups, HANDOFF after a time-out.
// Rule: Linux 6.12 kernel/locking/rwsem.c. READERS add their bias first; without writer, waiters
// and HANDOFF they have the lock. Else they steal it if no writer holds it, no HANDOFF is set and
// it is not held by other readers; else they queue, take the bias back and sleep until granted:
// readers never spin. WRITERS spin behind the SpinQueue while a writer runs, and up to 10..25 us on
// readers; else they queue, and retry whenever they are woken: a spinner may be faster, until one
// that waited longer than RWSEM_WAIT_TIMEOUT sets HANDOFF. A RELEASE that leaves the lock free (or
// a writer's, or a downgrade) wakes the first waiter if it is a writer, else all readers in the
// queue, 256 at most, which have the lock from then on.
// Not modelled: real-time and deadline tasks, interruptible variants, wait_lock as a lock of its
// own (LockParams::rwsem_slow is the cost of one pass under it), PREEMPT_RT's rwbase.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "models/linux/cache_line.hpp"
#include "models/linux/lock.hpp"
#include "models/linux/machine.hpp"
#include "models/linux/spin_queue.hpp"

namespace smmulab::lnx {

class Rwsem final : public LockBase {
 public:
  using LockBase::LockBase;

  Task<void> read_lock(Thread& t, unsigned subclass = 0);
  Task<void> write_lock(Thread& t, unsigned subclass = 0);
  // Never waits: false if a writer holds the lock or anybody waits for it. Its cost is charged.
  [[nodiscard]] bool try_read_lock(Thread& t, unsigned subclass = 0);

  // No coroutine frame unless somebody waits. co_await sem.read_unlock(thread).
  struct ReleaseAwaiter;
  [[nodiscard]] ReleaseAwaiter read_unlock(Thread& t);
  [[nodiscard]] ReleaseAwaiter write_unlock(Thread& t);
  // The writer goes on as a reader; waiting readers join it.
  [[nodiscard]] ReleaseAwaiter downgrade(Thread& t);

  [[nodiscard]] const Thread* writer() const { return writer_; }
  // Readers that hold it, those on their way from a grant included.
  [[nodiscard]] const std::vector<const Thread*>& readers() const { return holders_; }
  [[nodiscard]] bool held_for_write_by(const Thread& t) const { return writer_ == &t; }
  [[nodiscard]] bool has_waiters() const { return (flags_ & kWaiters) != 0; }
  [[nodiscard]] bool handoff() const { return (flags_ & kHandoff) != 0; }

  void holder_off_cpu() override;
  void wait_holders(std::vector<const Process*>& out) const override;

 private:
  enum Flag : std::uint8_t { kWriter = 1, kWaiters = 2, kHandoff = 4 };  // bits of sem->count
  enum class OwnerState : std::uint8_t { kNull, kWriter, kReader, kNonSpinnable };
  enum class Release : std::uint8_t { kRead, kWrite, kDowngrade };
  // Whom a pass over the queue may wake; kNobody: no pass.
  enum class Wake : std::uint8_t { kNobody, kAny, kReaders, kReadOwned };
  struct Waiter {
    Thread* thread;
    LockMode mode;
    std::int64_t timeout;      // in jiffies
    bool handoff_set = false;  // HANDOFF was set for this waiter
    bool granted = false;      // readers: it has the lock
  };
  // Made at the first contention.
  struct Slow {
    SpinQueue osq;
    std::vector<Waiter*> queue;         // FIFO; each lives in its thread's frame
    std::array<Thread*, 2> spinners{};  // the SpinQueue's head; the first waiter
  };
  static constexpr std::size_t kMaxReadersWakeup = 256;
  static constexpr std::size_t kHead = 0;
  static constexpr std::size_t kFirstWaiter = 1;

  [[nodiscard]] Ps touch(Thread& t);
  void need_slow();
  [[nodiscard]] std::int64_t jiffies() const;
  [[nodiscard]] bool timed_out(const Waiter& w) const { return jiffies() > w.timeout; }
  [[nodiscard]] Waiter make_waiter(Thread& t, LockMode mode) const;
  [[nodiscard]] OwnerState owner_state() const;
  [[nodiscard]] bool free_for_writer() const { return (flags_ & kWriter) == 0 && readers_ == 0; }
  void set_reader_owned();
  void take_write(Thread& t);
  void notify_spinners();

  Task<void> read_slow(Thread& t);
  Task<void> write_slow(Thread& t);
  Task<bool> spin_optimistically(Thread& t);
  Task<bool> spin_as_head(Thread& t);
  Task<OwnerState> spin_on_owner(Thread& t, std::size_t slot);
  Task<void> spin_for_change(Thread& t, std::size_t slot, SimTime deadline);
  Task<void> queue_writer(Thread& t);
  bool try_write_unqueued(Thread& t);
  bool try_write_queued(Waiter& w);

  ReleaseAwaiter release_awaiter(Thread& t, Release kind, Ps cost);
  [[nodiscard]] unsigned held_subclass(Thread& t) const;
  Wake release(Thread& t, Release kind);
  Task<void> release_slow(Thread& t, Release kind, Ps cost);
  void wake_after_queueing(Thread& t);
  void mark_wake(Wake whom, Thread& waker);
  void grant_readers(Thread& waker);

  std::unique_ptr<Slow> slow_;
  Thread* writer_ = nullptr;
  std::vector<const Thread*> holders_;  // readers
  CacheLine line_;
  std::uint32_t readers_ = 0;  // reader bias: holders, and readers about to take theirs back
  std::uint8_t flags_ = 0;
  bool reader_owned_ = false;  // stays set after the last reader, as in the kernel
  bool nonspinnable_ = false;  // writers spun on these readers for too long
};

struct Rwsem::ReleaseAwaiter {
  Rwsem& sem;
  Thread& thread;
  Release kind;
  Thread::RunAwaiter run;
  Task<void> slow;

  [[nodiscard]] bool await_ready() { return !sem.has_waiters() && run.await_ready(); }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> h) {
    if (!sem.has_waiters()) [[likely]] {
      return run.await_suspend(h);
    }
    slow = sem.release_slow(thread, kind, run.cost);
    return slow.await_suspend(h);
  }
  void await_resume() {
    if (slow.valid()) [[unlikely]] {
      slow.await_resume();
      return;
    }
    run.await_resume();
    const Wake whom = sem.release(thread, kind);
    if (whom != Wake::kNobody) [[unlikely]] {  // they came during the last few nanoseconds
      sem.mark_wake(whom, thread);
      thread.charge(sem.machine().params().lock.rwsem_slow);
    }
  }
};

inline Rwsem::ReleaseAwaiter Rwsem::release_awaiter(Thread& t, Release kind, Ps cost) {
  if (is_split()) [[unlikely]] {
    return part_for<Rwsem>(t).release_awaiter(t, kind, cost);
  }
  return {*this, t, kind, t.run(lock_class().elided ? Ps{0} : cost + touch(t)), {}};
}
inline Rwsem::ReleaseAwaiter Rwsem::read_unlock(Thread& t) {
  return release_awaiter(t, Release::kRead, machine().params().lock.rwsem_read);
}
inline Rwsem::ReleaseAwaiter Rwsem::write_unlock(Thread& t) {
  return release_awaiter(t, Release::kWrite, machine().params().lock.rwsem_write);
}
inline Rwsem::ReleaseAwaiter Rwsem::downgrade(Thread& t) {
  return release_awaiter(t, Release::kDowngrade, machine().params().lock.rwsem_write);
}

}  // namespace smmulab::lnx

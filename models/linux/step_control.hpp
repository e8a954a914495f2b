// SPDX-License-Identifier: Apache-2.0
// StepControl: who decides, step by step, which thread goes on. Without one (always, but for an
// explorer of interleavings) the engine's clock decides, and all of this costs a test of a pointer.
// A thread arrives at a point before each lock it may wait for, before each access to shared state
// that no lock covers, and before it sleeps; from one point to the next it runs alone: that is a
// step. A step tells what it touches, so that the control knows which steps commute.
// REQUIRES: one CPU for each thread, and no costs: time stands still under a control.
// Not modelled under a control: what happens inside a lock primitive (spinning, queues, hand-off);
// a lock is taken in one step, once it is free.
#pragma once

#include <cstdint>

#include "sim/lock_stat.hpp"
#include "sim/process.hpp"

namespace smmulab::lnx {

class LockBase;
class Thread;

// Two reads commute, so do two updates (of counters, whose value is looked at by reads alone).
enum class Access : std::uint8_t { kRead, kUpdate, kWrite };

// Shared state that is no lock: the kinds are those of whoever uses them.
struct SharedObject {
  std::uint32_t kind;
  std::uint32_t id;
};

// What a thread is about to do.
struct NextStep {
  enum class Kind : std::uint8_t { kStart, kLock, kAccess, kSleep };
  Kind kind;
  LockMode mode = LockMode::kWrite;  // kLock
  const LockBase* lock = nullptr;    // kLock; kAccess to what it covers
  const Waitable* what = nullptr;    // kSleep
  SharedObject object{};             // kAccess, unless there is a lock
  Access access = Access::kRead;     // kAccess
};

class StepControl {
 public:
  virtual ~StepControl() = default;
  StepControl(const StepControl&) = delete;
  StepControl& operator=(const StepControl&) = delete;

  // True: the thread goes on at once. False: it parks until the control unparks it.
  virtual bool arrive(Thread& t, const NextStep& next) = 0;
  // The thread sleeps until woken. True, false: as arrive().
  virtual bool sleep(Thread& t) = 0;
  // The sleeper may go on.
  virtual void wake(Thread& sleeper) = 0;

  virtual void touch(SharedObject object, Access access) = 0;
  virtual void touch(const LockBase& lock, Access access) = 0;
  virtual void acquired(const Thread& t, const LockBase& lock, LockMode mode) = 0;
  virtual void released(const Thread& t, const LockBase& lock, LockMode mode) = 0;
  // down_read_trylock() fails if a writer waits.
  [[nodiscard]] virtual bool writer_waits(const LockBase& lock) const = 0;

  // For the lock now made: a number that is its own in every run of the same steps of its maker.
  [[nodiscard]] virtual std::uint32_t new_lock() = 0;
  // A number among those its thread makes; equal in every run of the same steps of that thread.
  [[nodiscard]] virtual std::uint32_t new_id() = 0;

 protected:
  StepControl() = default;
};

}  // namespace smmulab::lnx

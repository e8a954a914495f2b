// SPDX-License-Identifier: Apache-2.0
#include "workloads/explore/scheduler.hpp"

#include <utility>

#include "sim/check.hpp"

namespace smmulab::explore {
namespace {

constexpr std::uint64_t kLockKey = 1ULL << 63U;
constexpr std::uint32_t kWakeKind = 0x7fffffff;
constexpr std::uint32_t kUnknown = ~0U;
constexpr std::uint32_t kIdsOfThread = 1U << 16U;

lnx::Access access_of(LockMode mode) {
  return mode == LockMode::kRead ? lnx::Access::kRead : lnx::Access::kWrite;
}

}  // namespace

Scheduler::Scheduler() {
  near_numbers_.fill(kUnknown);
}

void Scheduler::reset(std::size_t threads) {
  SMMULAB_CHECK(threads <= kMaxThreads, "too many threads to explore");
  threads_ = threads;
  active_ = false;
  end_ = End::kRunning;
  arrived_ = 0;
  current_ = -1;
  at_.fill({});
  locks_made_.fill(0);
  ids_made_.fill(0);
  locks_.assign(numbers_.size(), {});
  size_ = 0;
  holds_.clear();
  op_ends_.clear();
  log_.clear();
}

void Scheduler::activate(Chooser& chooser, std::size_t first_thread_id) {
  chooser_ = &chooser;
  first_ = first_thread_id;
  active_ = true;
}

std::uint32_t Scheduler::number(std::uint64_t key) {
  return numbers_.try_emplace(key, static_cast<std::uint32_t>(numbers_.size())).first->second;
}

std::uint32_t Scheduler::number(lnx::SharedObject object) {
  const std::uint64_t key = (std::uint64_t{object.kind} << 32U) | object.id;
  if (object.kind >= kNearKinds || object.id >= kNearIds) {
    return number(key);
  }
  std::uint32_t& near = near_numbers_[object.kind * kNearIds + object.id];
  if (near == kUnknown) {
    near = number(key);
  }
  return near;
}

std::uint32_t Scheduler::new_lock() {
  const std::size_t maker = current_ < 0 ? kMaxThreads : static_cast<std::size_t>(current_);
  const std::uint32_t nth = locks_made_[maker]++;
  std::vector<std::uint32_t>& known = lock_numbers_[maker];
  if (nth == known.size()) {
    known.push_back(number(kLockKey | (std::uint64_t{maker} << 32U) | nth));
  }
  return known[nth];
}

std::uint32_t Scheduler::new_id() {
  const std::size_t maker = current_ < 0 ? kMaxThreads : static_cast<std::size_t>(current_);
  return static_cast<std::uint32_t>(maker) * kIdsOfThread + ids_made_[maker]++;
}

Scheduler::LockState& Scheduler::lock_state(std::uint32_t lock) {
  if (lock >= locks_.size()) {
    locks_.resize(lock + 1);
  }
  return locks_[lock];
}

Scheduler::LockState Scheduler::peek(std::uint32_t lock) const {
  return lock < locks_.size() ? locks_[lock] : LockState{};
}

void Scheduler::touch(std::uint32_t object, lnx::Access access) {
  Footprint& footprint = steps_[size_ - 1].footprint;
  for (Touch& known : footprint) {
    if (known.object == object) {
      if (known.access != access) {
        known.access = lnx::Access::kWrite;
      }
      return;
    }
  }
  footprint.push_back({object, access});
}

void Scheduler::touch(lnx::SharedObject object, lnx::Access access) {
  if (current_ >= 0) {
    touch(number(object), access);
  }
}

void Scheduler::touch(const lnx::LockBase& lock, lnx::Access access) {
  if (current_ >= 0) {
    touch(lock.step_id(), access);
  }
}

void Scheduler::acquired(const lnx::Thread& t, const lnx::LockBase& lock, LockMode mode) {
  LockState& state = lock_state(lock.step_id());
  if (current_ < 0) {
    SMMULAB_CHECK(!active_, "a lock is taken outside of any step");
    // Set-up: nothing stays locked, but for a reference that leaks; its holder is nobody here.
    return;
  }
  if (mode == LockMode::kWrite) {
    state.writer = current_;
  } else {
    state.readers |= bit(static_cast<std::size_t>(current_));
  }
  touch(lock.step_id(), access_of(mode));
  holds_.push_back({lock.step_id(), static_cast<std::uint8_t>(index(t)), mode,
                    static_cast<std::uint32_t>(size_ - 1), kOpen});
  if (logging_) {
    say((mode == LockMode::kRead ? "+R " : "+ ") + names_(lock));
  }
}

void Scheduler::released(const lnx::Thread& t, const lnx::LockBase& lock, LockMode mode) {
  if (current_ < 0) {
    return;
  }
  LockState& state = lock_state(lock.step_id());
  if (mode == LockMode::kWrite) {
    state.writer = -1;
  } else {
    state.readers &= ~bit(index(t));
  }
  touch(lock.step_id(), access_of(mode));
  for (std::size_t i = holds_.size(); i-- > 0;) {
    Hold& hold = holds_[i];
    if (hold.lock == lock.step_id() && hold.thread == index(t) && hold.to == kOpen) {
      hold.to = static_cast<std::uint32_t>(size_ - 1);
      break;
    }
  }
  if (logging_) {
    say((mode == LockMode::kRead ? "-R " : "- ") + names_(lock));
  }
}

bool Scheduler::writer_waits(const lnx::LockBase& lock) const {
  for (std::size_t i = 0; i < threads_; ++i) {
    if (at_[i].announced && at_[i].next.lock == &lock) {
      return true;
    }
  }
  return false;
}

lnx::Thread::StepAwaiter Scheduler::begin(lnx::Thread& t, const std::vector<std::uint32_t>* after) {
  if (active_) {
    at_[index(t)].after = after;
  }
  return t.step({.kind = lnx::NextStep::Kind::kStart});
}

void Scheduler::ended(std::uint32_t op) {
  if (op >= op_ends_.size()) {
    op_ends_.resize(op + 1);
  }
  op_ends_[op] = static_cast<std::uint32_t>(size_);
}

void Scheduler::finish(lnx::Thread& t) {
  At& at = at_[index(t)];
  at.place = Place::kDone;
  hand_over(-1);
}

void Scheduler::say(std::string text) {
  if (logging_ && current_ >= 0) {
    log_.push_back({size_ - 1, static_cast<std::size_t>(current_), std::move(text)});
  }
}

bool Scheduler::announces(const At& at) const {
  if (threads_ < 3 || at.announced || at.place != Place::kPoint ||
      at.next.kind != lnx::NextStep::Kind::kLock || at.next.mode != LockMode::kWrite ||
      at.next.lock->lock_class().kind != lnx::LockKind::kRwsem) {
    return false;
  }
  const LockState state = peek(at.next.lock->step_id());
  return state.writer < 0 && state.readers != 0;
}

bool Scheduler::lock_free(std::size_t thread, const At& at) const {
  const LockState state = peek(at.next.lock->step_id());
  if (state.writer >= 0) {
    return false;
  }
  if (at.next.mode == LockMode::kWrite) {
    return state.readers == 0;
  }
  if (state.readers == 0) {
    return true;
  }
  for (std::size_t i = 0; i < threads_; ++i) {
    if (i != thread && at_[i].announced && at_[i].next.lock == at.next.lock) {
      return false;
    }
  }
  return true;
}

bool Scheduler::enabled(std::size_t thread) const {
  const At& at = at_[thread];
  if (at.place == Place::kWoken) {
    return true;
  }
  if (at.place != Place::kPoint) {
    return false;
  }
  if (at.next.kind == lnx::NextStep::Kind::kLock) {
    return lock_free(thread, at) || announces(at);
  }
  if (at.next.kind == lnx::NextStep::Kind::kStart && at.after != nullptr) {
    return std::ranges::all_of(
        *at.after, [this](std::uint32_t op) { return op < op_ends_.size() && op_ends_[op] != 0; });
  }
  return true;
}

void Scheduler::begin_step(std::size_t thread) {
  At& at = at_[thread];
  if (size_ == steps_.size()) {
    steps_.emplace_back();
  }
  Step& step = steps_[size_++];
  step.thread = static_cast<std::uint8_t>(thread);
  step.takes_lock = false;
  step.kind = at.next.kind;
  step.footprint.clear();
  step.enablers.clear();
  current_ = static_cast<int>(thread);
  if (at.place == Place::kWoken) {
    step.enablers.push_back(at.waker);
    return;
  }
  switch (at.next.kind) {
    case lnx::NextStep::Kind::kStart:
      for (std::size_t i = 0; at.after != nullptr && i < at.after->size(); ++i) {
        step.enablers.push_back(op_ends_[(*at.after)[i]] - 1);
      }
      break;
    case lnx::NextStep::Kind::kLock:
      if (announces(at)) {
        touch(*at.next.lock, lnx::Access::kWrite);
        return;
      }
      step.takes_lock = true;
      step.mode = at.next.mode;
      step.lock = at.next.lock->step_id();
      touch(step.lock, access_of(at.next.mode));
      break;
    case lnx::NextStep::Kind::kAccess:
      if (at.next.lock != nullptr) {
        touch(*at.next.lock, at.next.access);
      } else {
        touch(at.next.object, at.next.access);
      }
      break;
    case lnx::NextStep::Kind::kSleep:
      touch(lnx::SharedObject{kWakeKind, static_cast<std::uint32_t>(thread)}, lnx::Access::kWrite);
      break;
  }
}

int Scheduler::next_thread() {
  for (;;) {
    ThreadMask mask = 0;
    bool all_done = true;
    for (std::size_t i = 0; i < threads_; ++i) {
      mask |= enabled(i) ? bit(i) : 0;
      all_done = all_done && at_[i].place == Place::kDone;
    }
    current_ = -1;
    if (mask == 0) {
      end_ = all_done ? End::kFinished : End::kStuck;
      return -1;
    }
    const int chosen = chooser_->choose(mask);
    if (chosen < 0) {
      end_ = End::kStopped;
      return -1;
    }
    const auto thread = static_cast<std::size_t>(chosen);
    SMMULAB_CHECK((mask & bit(thread)) != 0, "the schedule takes a thread that has to wait");
    At& at = at_[thread];
    const bool announcing = at.place == Place::kPoint && announces(at);
    begin_step(thread);
    if (!announcing) {
      at.announced = false;
      return chosen;
    }
    at.announced = true;
    if (logging_) {
      say("waits to write " + names_(*at.next.lock));
    }
  }
}

// True: `self` goes on. The thread that does is woken.
bool Scheduler::hand_over(int self) {
  const int next = next_thread();
  if (next < 0) {
    return false;
  }
  At& at = at_[static_cast<std::size_t>(next)];
  at.place = Place::kPoint;
  if (next == self) {
    return true;
  }
  at.engine->unpark(*at.process);
  return false;
}

bool Scheduler::arrive(lnx::Thread& t, const lnx::NextStep& next) {
  if (!active_) {
    return true;
  }
  const std::size_t i = index(t);
  At& at = at_[i];
  const bool first = at.place == Place::kNew;
  at.place = Place::kPoint;
  at.next = next;
  at.lock = next.lock != nullptr ? next.lock->step_id() : 0;
  at.engine = &t.machine().engine();
  at.process = &at.engine->current();
  if (first && ++arrived_ < threads_) {
    return false;
  }
  return hand_over(static_cast<int>(i));
}

bool Scheduler::sleep(lnx::Thread& t) {
  At& at = at_[index(t)];
  at.place = Place::kAsleep;
  at.sleeps_on = at.next.what;
  if (logging_) {
    say("sleeps on " + at.sleeps_on->wait_name());
  }
  return hand_over(-1);
}

void Scheduler::wake(lnx::Thread& sleeper) {
  if (!active_) {
    return;
  }
  const std::size_t i = index(sleeper);
  touch(lnx::SharedObject{kWakeKind, static_cast<std::uint32_t>(i)}, lnx::Access::kWrite);
  if (logging_) {
    say("wakes " + sleeper.name());
  }
  if (at_[i].place == Place::kAsleep) {
    at_[i].place = Place::kWoken;
    at_[i].waker = static_cast<std::uint32_t>(size_ - 1);
  }
}

Scheduler::Waiting Scheduler::waiting(std::size_t thread) const {
  const At& at = at_[thread];
  Waiting w;
  if (at.place == Place::kAsleep) {
    w.sleeps_on = at.sleeps_on;
  } else if (at.place == Place::kPoint && at.next.kind == lnx::NextStep::Kind::kLock) {
    w.lock = at.next.lock;
    w.object = at.lock;
    w.mode = at.next.mode;
    const LockState state = peek(w.object);
    w.holders = state.writer >= 0 ? bit(static_cast<std::size_t>(state.writer)) : state.readers;
    for (std::size_t i = 0; w.mode == LockMode::kRead && i < threads_; ++i) {
      if (i != thread && state.writer < 0 && at_[i].announced && at_[i].next.lock == at.next.lock) {
        w.behind_writer = true;
        w.holders = bit(i);
      }
    }
  } else {
    w.dependency = at.place == Place::kPoint && at.after != nullptr;
  }
  return w;
}

}  // namespace smmulab::explore

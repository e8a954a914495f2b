// SPDX-License-Identifier: Apache-2.0
#include "models/linux/thread.hpp"

#include <algorithm>

#include "models/linux/machine.hpp"

namespace smmulab::lnx {

Thread::Thread(Machine& machine, std::uint32_t id, std::string name, std::uint32_t affinity)
    : machine_(&machine), affinity_(affinity), id_(id), name_(std::move(name)) {
  constexpr std::size_t kUsualDepth = 8;  // of locks
  held_.reserve(kUsualDepth);
  sched_.thread = this;
}

bool Thread::need_resched() const {
  return machine_->now() >= cpu_->resched_at_;
}

bool Thread::interruptible_run() const {
  const SchedParams& p = machine_->params().sched;
  return p.multiplexed || (p.preempt == Preempt::kFull && preempt_count_ == 0);
}

Task<void> Thread::run_slow(Ps cost, bool preemptible) {
  Engine& engine = machine_->engine();
  const SchedParams& p = machine_->params().sched;
  if (p.preempt == Preempt::kFull && preempt_count_ == 0) {
    preemptible = true;
  }
  while (cost > Ps{0}) {
    if (preemptible && need_resched()) {
      co_await schedule();
      continue;
    }
    SimTime stop = engine.now() + cost;
    if (preemptible) {
      stop = std::min(stop, cpu_->resched_at_);
    }
    if (p.multiplexed) {
      machine_->host_request(*cpu_);
      while (machine_->host_taken_by_other(*cpu_)) {
        co_await engine.park();
      }
      stop = std::min(engine.now() + cost, machine_->tick_after(engine.now()));
    }
    const SimTime start = engine.now();
    split_run_ = preemptible;
    host_turn_ = p.multiplexed;
    co_await engine.park_until(stop);
    host_turn_ = split_run_ = false;
    cost -= engine.now() - start;
    const bool timer = std::exchange(cpu_->turn_over_, false);
    if (p.multiplexed && (timer || engine.now() == machine_->tick_at_or_after(engine.now()))) {
      machine_->host_pass(*cpu_, true);
    }
    cost += std::exchange(debt_, Ps{0});
  }
}

Task<void> Thread::user(Ps cost) {
  cost += std::exchange(debt_, Ps{0});
  if (need_resched()) {
    co_await schedule();
  }
  co_await run_slow(cost, true);
}

Task<void> Thread::poll_until(SimTime t) {
  Engine& engine = machine_->engine();
  if (!interruptible_run()) {
    const SimTime end = std::max(t, engine.now() + std::exchange(debt_, Ps{0}));
    if (engine.now() < end) {
      co_await engine.delay(end - engine.now());
    }
    co_return;
  }
  co_await run();
  if (machine_->params().sched.multiplexed) {
    // A polling loop executes at least one cpu_relax().
    machine_->host_request(*cpu_);
    machine_->host_pass(*cpu_, true);
    while (machine_->host_taken_by_other(*cpu_)) {
      co_await engine.park();
    }
    co_await run();
    if (engine.now() < t) {
      co_await run(t - engine.now());
    }
  } else if (engine.now() < t) {
    co_await engine.delay(t - engine.now());
  }
}

Task<bool> Thread::spin(const Waitable& what, SimTime deadline) {
  return spin_wait(what, true, deadline);
}

Task<void> Thread::spin_until_notified(const Waitable& what, SimTime deadline) {
  co_await spin_wait(what, false, deadline);
}

Task<bool> Thread::spin_wait(const Waitable& what, bool heed_scheduler, SimTime deadline) {
  Engine& engine = machine_->engine();
  co_await run();
  const SimTime start = engine.now();
  if (machine_->params().sched.multiplexed) {
    machine_->host_pass(*cpu_, false);
    cpu_->want_ = Cpu::Want::kSpin;
  }
  spinning_ = true;
  while (!spin_notified_ && !(heed_scheduler && need_resched()) && engine.now() < deadline) {
    co_await engine.park_until(heed_scheduler ? std::min(cpu_->resched_at_, deadline) : deadline,
                               &what);
  }
  spinning_ = false;
  if (machine_->params().sched.multiplexed) {
    machine_->host_request(*cpu_);
    while (machine_->host_taken_by_other(*cpu_)) {
      co_await engine.park(&what);
    }
  }
  spin_time_ += engine.now() - start;
  co_return std::exchange(spin_notified_, false);
}

void Thread::notify_spin(Ps after) {
  spin_notified_ = true;
  if (spinning_ && process_->parked()) {
    machine_->engine().unpark(*process_, after);
  }
}

Task<void> Thread::wait_for_cpu() {
  Engine& engine = machine_->engine();
  while (!granted_) {
    co_await engine.park(cpu_);
  }
  granted_ = false;
  if (grant_latency_ > Ps{0}) {
    co_await engine.delay(std::exchange(grant_latency_, Ps{0}));
  }
  state_ = State::kRunning;
  on_cpu_ = true;
  run_start_ = engine.now();
  ready_time_ += run_start_ - ready_since_;
  machine_->request_resched(*cpu_);
  if (Record* record = machine_->record()) [[unlikely]] {
    record->append(record_event::cpu_on(run_start_, record_id_, cpu_->recorded(*record)));
  }
  co_await run(machine_->params().sched.context_switch);
}

// Gives up the CPU. If state_ is kRunning still, the thread stays runnable.
void Thread::leave_cpu() {
  Machine& m = *machine_;
  Cpu& cpu = *cpu_;
  const Ps ran = m.now() - run_start_;
  run_time_ += ran;
  on_cpu_ = false;
  cpu.current_ = nullptr;
  cpu.resched_at_ = kTimeMax;
  if (Record* record = m.record()) [[unlikely]] {
    record->append(record_event::cpu_off(m.now(), record_id_, cpu.recorded(*record),
                                         state_ == State::kRunning));
  }
  for (const HeldLock& held : held_) {
    held.lock->holder_off_cpu();
  }
  if (state_ == State::kRunning) {
    cpu.queue_.put_back(m.now());
    state_ = State::kRunnable;
    ready_since_ = m.now();
  } else if (state_ == State::kDone) {
    cpu.queue_.exit(m.now());
  } else {
    cpu.queue_.sleep(m.now());
  }
  m.dispatch(cpu, Ps{0});
  if (cpu.current_ == nullptr) {
    m.pull_work(cpu);
  }
  if (m.params().sched.multiplexed && cpu.current_ == nullptr) {
    m.host_pass(cpu, false);
  }
}

Task<void> Thread::schedule() {
  co_await run();
  if (cpu_->queue_.keeps(machine_->now())) {
    cpu_->resched_at_ = kTimeMax;
    machine_->request_resched(*cpu_);
    co_return;
  }
  leave_cpu();
  co_await wait_for_cpu();
}

// Under a control a thread sleeps on its CPU.
Task<void> Thread::sleep_controlled(const Waitable& what) {
  co_await step({.kind = NextStep::Kind::kSleep, .what = &what});
  about_to_sleep_ = false;
  const bool on = std::exchange(woken_, false);
  if (!on && !machine_->control()->sleep(*this)) {
    co_await machine_->engine().park(&what);
  }
}

Task<void> Thread::block(const Waitable& what) {
  if (machine_->control() != nullptr) [[unlikely]] {
    co_return co_await sleep_controlled(what);
  }
  co_await run();
  about_to_sleep_ = false;
  if (std::exchange(woken_, false)) {
    if (need_resched()) {
      co_await schedule();
    }
    co_return;
  }
  ++sleeps_;
  if (Record* record = machine_->record()) [[unlikely]] {
    record->append(record_event::thread_sleep(machine_->now(), record_id_));
  }
  state_ = State::kSleeping;
  leave_cpu();
  while (state_ == State::kSleeping) {
    co_await machine_->engine().park(&what);
  }
  co_await wait_for_cpu();
}

Task<void> Thread::sleep_for(Ps d, Ps slack) {
  Engine& engine = machine_->engine();
  const Ps half = machine_->params().sched.timed_sleep / 2;
  co_await run(half);
  state_ = State::kSleeping;
  Cpu& base = *cpu_;
  leave_cpu();
  timer_from_ = engine.now() + d;
  timer_until_ = timer_from_ + slack;
  base.timers_.push_back(this);
  const bool with_another = co_await engine.park_until(timer_until_);
  std::erase(base.timers_, this);
  if (!with_another) {
    machine_->expire_timers(base);
  }
  machine_->wake_sleeper(*this);
  cpu_->current_->charge(half);
  machine_->host_timer(*cpu_);
  co_await wait_for_cpu();
}

}  // namespace smmulab::lnx

// SPDX-License-Identifier: Apache-2.0
#include "models/linux/machine.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "sim/error.hpp"

namespace smmulab::lnx {

std::string Cpu::wait_name() const {
  return fmt::format("cpu {}", index_);
}

void Cpu::wait_holders(std::vector<const Process*>& out) const {
  if (current_ != nullptr) {
    out.push_back(current_->process());
  }
}

Machine::Machine(Engine& engine, const LinuxParams& params, Topology topology, StepControl* control,
                 std::uint64_t seed)
    : engine_(engine),
      params_(params),
      topology_(std::move(topology)),
      control_(control),
      seed_(seed) {
  if (params.line.model == LineModel::kCoherent && params.sched.multiplexed) {
    throw ConfigError(
        "line.model = coherent needs CPUs that run at the same time, but sched.multiplexed is set");
  }
  for (std::uint32_t i = 0; i < topology_.size(); ++i) {
    cpus_.emplace_back(i, params.sched);
  }
}

Thread& Machine::spawn_thread(std::string name, std::uint32_t affinity,
                              const std::function<Task<void>(Thread&)>& body, bool daemon) {
  if (affinity != kAnyCpu && affinity >= cpus_.size()) {
    throw ConfigError(fmt::format("thread {} is pinned to CPU {}, but there are {} CPUs", name,
                                  affinity, cpus_.size()));
  }
  Thread& t = threads_.emplace_back(*this, static_cast<std::uint32_t>(threads_.size()),
                                    std::move(name), affinity);
  t.cpu_ = &cpus_[affinity == kAnyCpu ? t.id_ % cpus_.size() : affinity];
  if (record_ != nullptr) {
    t.record_id_ = record_->intern_thread(t.name_);
  }
  t.process_ = &engine_.spawn(thread_main(t, body),
                              {.name = t.name_, .component = "threads", .daemon = daemon});
  return t;
}

Task<void> Machine::thread_main(Thread& t, std::function<Task<void>(Thread&)> body) {
  enqueue(select_cpu(t), t);
  co_await t.wait_for_cpu();
  co_await body(t);
  co_await t.run();
  SMMULAB_CHECK(t.held_.empty(), "thread " + t.name_ + " ended with locks held");
  t.state_ = Thread::State::kDone;
  t.leave_cpu();
}

Ps Machine::wake(Thread& t, Ps after, const Thread* waker) {
  note(record_, record_event::thread_wake(now(), t.record_id(),
                                          waker == nullptr ? kNoThread : waker->record_id()));
  if (control_ != nullptr) [[unlikely]] {
    control_->wake(t);
    if (t.about_to_sleep_) {
      t.woken_ = true;
    }
    return params_.sched.wake_up;
  }
  if (t.state_ == Thread::State::kSleeping) {
    wake_sleeper(t, after);
    return params_.sched.wake_up;
  }
  if (t.about_to_sleep_) {
    t.woken_ = true;
  }
  return params_.sched.wake_awake;
}

Task<void> Machine::fetch(Thread& t, CacheLine& line) {
  co_await t.run();
  co_await t.run(line_access(t, line));
}

// The last CPU if idle, else an idle one as near as possible, else the last CPU
// [kernel/sched/fair.c select_task_rq_fair, reduced].
Cpu& Machine::select_cpu(const Thread& t) {
  Cpu& last = *t.cpu_;
  if (t.affinity_ != kAnyCpu || (last.current_ == nullptr && last.queue_.waiting().empty())) {
    return last;
  }
  Cpu* best = &last;
  Ps best_distance = Ps::max();
  for (Cpu& cpu : cpus_) {
    if (cpu.current_ == nullptr && cpu.queue_.waiting().empty()) {
      const Ps distance = transfer(last.index_, cpu.index_);
      if (distance < best_distance) {
        best = &cpu;
        best_distance = distance;
      }
    }
  }
  if (best_distance != Ps::max()) {
    return *best;
  }
  for (Cpu& cpu : cpus_) {
    if (cpu.queue_.waiting().size() < best->queue_.waiting().size()) {
      best = &cpu;
    }
  }
  return *best;
}

void Machine::insert(Cpu& cpu, Thread& t) {
  t.cpu_ = &cpu;
  t.state_ = Thread::State::kRunnable;
  t.ready_since_ = now();
  cpu.queue_.add(t.sched_, now());
}

void Machine::enqueue(Cpu& cpu, Thread& t, Ps after) {
  insert(cpu, t);
  if (cpu.current_ == nullptr) {
    dispatch(cpu, after + params_.sched.wake_latency);
  } else {
    request_resched(cpu, &t.sched_);
  }
}

void Machine::wake_sleeper(Thread& t, Ps after) {
  if (!t.sched_.delayed) {
    enqueue(select_cpu(t), t, after);
    return;
  }
  t.state_ = Thread::State::kRunnable;
  t.ready_since_ = now();
  t.cpu_->queue_.add_delayed(t.sched_, now());
  request_resched(*t.cpu_, &t.sched_);
}

// In the order of their latest times, until one that may not end yet, as __hrtimer_run_queues() has
// it: others behind that one wait for their own.
void Machine::expire_timers(Cpu& cpu) {
  std::ranges::stable_sort(cpu.timers_, {}, &Thread::timer_until_);
  for (Thread* const t : cpu.timers_) {
    if (t->timer_from_ > now()) {
      return;
    }
    if (t->process_->parked()) {
      engine_.unpark(*t->process_);
    }
  }
}

bool Machine::anyone_awake() const {
  return std::ranges::any_of(threads_, [](const Thread& t) {
    if (t.process_ == nullptr) {
      return true;  // yet to begin
    }
    if (t.process_->daemon() || t.state_ == Thread::State::kDone) {
      return false;
    }
    const Waitable* const what = t.process_->waiting_for();
    const bool waits = t.process_->parked() && what != nullptr;
    return !waits ||
           (t.state_ != Thread::State::kSleeping && dynamic_cast<const LockBase*>(what) == nullptr);
  });
}

void Machine::dispatch(Cpu& cpu, Ps latency) {
  SchedEntity* const picked = cpu.queue_.pick(now() + latency);
  if (picked == nullptr) {
    return;
  }
  Thread& next = *picked->thread;
  cpu.current_ = &next;
  next.granted_ = true;
  next.grant_latency_ = latency;
  if (next.process_ != nullptr && next.process_->parked()) {
    engine_.unpark(*next.process_);
  }
}

// Going idle: take a thread that may run here from the longest queue.
void Machine::pull_work(Cpu& idle) {
  const auto movable = [](const SchedEntity* e) {
    return !e->delayed && e->thread->affinity_ == kAnyCpu;
  };
  Cpu* busiest = nullptr;
  for (Cpu& cpu : cpus_) {
    const auto& waiting = cpu.queue_.waiting();
    if (std::any_of(waiting.begin(), waiting.end(), movable) &&
        (busiest == nullptr || waiting.size() > busiest->queue_.waiting().size())) {
      busiest = &cpu;
    }
  }
  if (busiest == nullptr) {
    return;
  }
  const auto& waiting = busiest->queue_.waiting();
  Thread& t = *(*std::find_if(waiting.begin(), waiting.end(), movable))->thread;
  busiest->queue_.take(t.sched_, now());
  if (waiting.empty()) {
    busiest->resched_at_ = kTimeMax;
  }
  const SimTime since = t.ready_since_;
  insert(idle, t);
  t.ready_since_ = since;
  dispatch(idle, Ps{0});
}

// When is the running thread to give way, now that `woken` came (if any)?
void Machine::request_resched(Cpu& cpu, const SchedEntity* woken) {
  if (cpu.resched_at_ <= now()) {
    return;
  }
  const bool at_once = cpu.queue_.requested() || (woken != nullptr && cpu.queue_.preempts(*woken));
  const SimTime before =
      std::exchange(cpu.resched_at_, at_once ? now() : cpu.queue_.next_tick_request(now()));
  const Thread& running = *cpu.current_;
  if (cpu.resched_at_ < before && (running.spinning_ || running.split_run_) &&
      running.process_->parked()) {
    engine_.unpark(*running.process_);  // it waits with a deadline that is now wrong
  }
}

SimTime Machine::tick_at_or_after(SimTime t) const {
  const Ps tick = params_.sched.tick;
  const Ps over = t.time_since_epoch() % tick;
  return over == Ps{0} ? t : t + (tick - over);
}

SimTime Machine::tick_after(SimTime t) const {
  return tick_at_or_after(t + Ps{1});
}

bool Machine::host_taken_by_other(const Cpu& cpu) const {
  return host_ != nullptr && host_ != &cpu;
}

void Machine::host_request(Cpu& cpu) {
  cpu.want_ = Cpu::Want::kWork;
  if (host_ == nullptr) {
    host_ = &cpu;
  }
}

// The host thread goes to the next CPU, in turn, that has work; CPUs that spin on the way burn a
// turn each. If none has work it stays free: spinning alone changes nothing until a timer does.
void Machine::host_pass(Cpu& from, bool wants_more) {
  from.want_ = wants_more ? Cpu::Want::kWork : Cpu::Want::kNothing;
  if (host_ != &from) {
    return;
  }
  host_ = nullptr;
  Ps after{0};
  for (std::uint32_t i = 1; i <= cpus_.size(); ++i) {
    Cpu& cpu = cpus_[(from.index_ + i) % cpus_.size()];
    if (cpu.want_ == Cpu::Want::kSpin) {
      after += params_.sched.spin_turn + params_.sched.relax_switch;
    } else if (cpu.want_ == Cpu::Want::kWork) {
      host_grant(cpu, &cpu == &from ? after : after + params_.sched.relax_switch);
      return;
    }
  }
}

// A sleep that ends on `cpu`: the budget of the CPU that has the host thread was counted up to
// then.
void Machine::host_timer(Cpu& cpu) {
  if (!params_.sched.multiplexed || host_ == nullptr) {
    return;
  }
  if (cpu.want_ == Cpu::Want::kNothing) {
    cpu.want_ = Cpu::Want::kWork;  // it takes the interrupt
  }
  Thread* const worker = host_->current_;
  if (worker != nullptr && worker->host_turn_) {
    host_->turn_over_ = true;
    if (worker->process_->parked()) {
      engine_.unpark(*worker->process_);
    }
  }
}

void Machine::host_grant(Cpu& cpu, Ps after) {
  host_ = &cpu;
  Process* process = cpu.current_->process_;
  if (process->parked()) {
    engine_.unpark(*process, after);
  } else {
    cpu.current_->charge(after);
  }
}

}  // namespace smmulab::lnx

// SPDX-License-Identifier: Apache-2.0
// Machine: CPUs, their run queues, the threads on them and the lock classes: what one running
// kernel is to the models above. "multiplexed" machines: all CPUs share one host thread, as under
// QEMU TCG -icount (one thread, round robin) or a hypervisor that over-commits. A CPU keeps the
// host thread until it executes a relax hint (cpu_relax() in a polling or spinning loop), idles, or
// a timer falls due, of whichever CPU: a tick, or the end of a sleep [QEMU 7.2
// accel/tcg/tcg-accel-ops-rr.c: the loop leaves a CPU at EXCP_YIELD, halt, or when the instruction
// budget up to the next timer is used up]. Not modelled:
// interrupts' cost, SMT, frequency.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "models/linux/cache_line.hpp"
#include "models/linux/lock.hpp"
#include "models/linux/params.hpp"
#include "models/linux/run_queue.hpp"
#include "models/linux/thread.hpp"
#include "models/linux/topology.hpp"
#include "sim/engine.hpp"
#include "sim/record.hpp"

namespace smmulab::lnx {

class Cpu : public Waitable {
 public:
  Cpu(std::uint32_t index, const SchedParams& p) : index_(index), queue_(p.slice, p.tick) {}
  [[nodiscard]] std::uint32_t index() const { return index_; }
  [[nodiscard]] Thread* current() const { return current_; }
  [[nodiscard]] std::string wait_name() const override;
  void wait_holders(std::vector<const Process*>& out) const override;
  [[nodiscard]] RecordObject recorded(Record& record) const {
    return recorded_.in(record, [this] { return wait_name(); });
  }

 private:
  friend class Machine;
  friend class Thread;
  enum class Want : std::uint8_t { kNothing, kWork, kSpin };

  std::uint32_t index_;
  Want want_ = Want::kNothing;  // multiplexed: what it would do with the host thread
  bool turn_over_ = false;      // multiplexed: a timer ended its turn
  Thread* current_ = nullptr;
  RunQueue queue_;
  std::vector<Thread*> timers_;    // asleep for a time, since they were on this CPU
  SimTime resched_at_ = kTimeMax;  // from then on need_resched() is set
  RecordedObject recorded_;
};

class Machine {
 public:
  // `seed`: of what the machine draws (the order of requests that meet at a SharedLine). Throws
  // ConfigError for settings that exclude each other.
  Machine(Engine& engine, const LinuxParams& params, Topology topology,
          StepControl* control = nullptr, std::uint64_t seed = 0);
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  [[nodiscard]] Engine& engine() const { return engine_; }
  [[nodiscard]] SimTime now() const { return engine_.now(); }
  [[nodiscard]] const LinuxParams& params() const { return params_; }
  [[nodiscard]] const Topology& topology() const { return topology_; }
  [[nodiscard]] LockRegistry& locks() { return locks_; }
  [[nodiscard]] const std::deque<Thread>& threads() const { return threads_; }
  [[nodiscard]] std::size_t cpu_count() const { return cpus_.size(); }
  [[nodiscard]] const Cpu& cpu(std::uint32_t index) const { return cpus_[index]; }
  void set_record(Record* record) { record_ = record; }
  [[nodiscard]] Record* record() const { return record_; }
  [[nodiscard]] StepControl* control() const { return control_; }
  [[nodiscard]] std::uint64_t seed() const { return seed_; }

  // A thread that runs `body` and ends. `affinity`: its only CPU, or kAnyCpu. `daemon`: a kernel
  // thread that nobody waits for, whose sleep is no deadlock. Throws ConfigError if there is no
  // such CPU.
  Thread& spawn_thread(std::string name, std::uint32_t affinity,
                       const std::function<Task<void>(Thread&)>& body, bool daemon = false);
  // Makes a sleeping thread runnable (or cancels a sleep it prepares). Gives what that costs the
  // waker, which the caller charges; `after`: what it does before this wake-up, when it wakes
  // several in a row. `waker`: for the record.
  Ps wake(Thread& t, Ps after = Ps{0}, const Thread* waker = nullptr);

  // Some thread that is no daemon goes on by itself: it runs, waits for a CPU, sleeps for a time or
  // busy-waits for something else than a lock. False: all have ended or wait for one another.
  [[nodiscard]] bool anyone_awake() const;

  // CPU time until `t` has exclusive access to the line.
  [[nodiscard]] Ps line_access(Thread& t, CacheLine& line) const {
    return line.access(now(), t.cpu_index(), params_.line, topology_);
  }
  // co_await machine.access(t, line): exclusive access. A line of this CPU's own cache is only
  // charged: no other CPU could tell that access from the work around it. Any other is waited for.
  struct LineAwaiter;
  [[nodiscard]] LineAwaiter access(Thread& t, CacheLine& line);
  [[nodiscard]] Ps transfer(std::uint32_t from, std::uint32_t to) const {
    return transfer_cost(params_.line, topology_, from, to);
  }

 private:
  friend class Thread;

  Task<void> thread_main(Thread& t, std::function<Task<void>(Thread&)> body);
  Task<void> fetch(Thread& t, CacheLine& line);
  [[nodiscard]] Cpu& select_cpu(const Thread& t);
  void enqueue(Cpu& cpu, Thread& t, Ps after = Ps{0});
  void insert(Cpu& cpu, Thread& t);
  void dispatch(Cpu& cpu, Ps latency);
  void pull_work(Cpu& idle);
  void wake_sleeper(Thread& t, Ps after = Ps{0});
  // A timer's interrupt ends all sleeps that may end by now.
  void expire_timers(Cpu& cpu);
  void request_resched(Cpu& cpu, const SchedEntity* woken = nullptr);
  [[nodiscard]] SimTime tick_at_or_after(SimTime t) const;
  [[nodiscard]] SimTime tick_after(SimTime t) const;

  // Multiplexed machines: who has the host thread.
  [[nodiscard]] bool host_taken_by_other(const Cpu& cpu) const;
  void host_request(Cpu& cpu);
  void host_pass(Cpu& from, bool wants_more);
  void host_timer(Cpu& cpu);
  void host_grant(Cpu& cpu, Ps after);

  Engine& engine_;
  const LinuxParams& params_;
  Topology topology_;
  std::deque<Cpu> cpus_;
  std::deque<Thread> threads_;
  LockRegistry locks_;
  Record* record_ = nullptr;
  StepControl* control_;
  std::uint64_t seed_;
  Cpu* host_ = nullptr;  // multiplexed: the CPU that has the host thread
};

// co_await thread.run(cost): one delay in the common case, no coroutine frame.
struct Thread::RunAwaiter {
  Thread& thread;
  Ps cost;
  Task<void> slow;

  [[nodiscard]] bool await_ready() {
    cost += std::exchange(thread.debt_, Ps{0});
    return cost == Ps{0};
  }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> h) {
    if (!thread.interruptible_run()) [[likely]] {
      if (thread.machine_->engine().delay(cost).await_suspend(h)) {
        return std::noop_coroutine();
      }
      return h;
    }
    slow = thread.run_slow(cost, false);
    return slow.await_suspend(h);
  }
  void await_resume() {
    if (slow.valid()) {
      slow.await_resume();
    }
  }
};

inline Thread::RunAwaiter Thread::run(Ps cost) {
  return RunAwaiter{*this, cost, {}};
}

struct Thread::StepAwaiter {
  Thread& thread;
  NextStep next;
  [[nodiscard]] bool await_ready() const {
    StepControl* control = thread.machine_->control();
    return control == nullptr || control->arrive(thread, next);
  }
  void await_suspend(std::coroutine_handle<> h) const {
    const Waitable* what = next.lock != nullptr ? next.lock : next.what;
    thread.machine_->engine().park(what).await_suspend(h);
  }
  void await_resume() const noexcept {}
};

inline Thread::StepAwaiter Thread::step(const NextStep& next) {
  return {*this, next};
}
inline Thread::StepAwaiter Thread::access(SharedObject object, Access access) {
  return {*this, {.kind = NextStep::Kind::kAccess, .object = object, .access = access}};
}
inline Thread::StepAwaiter Thread::access(const LockBase& lock, Access access) {
  return {*this, {.kind = NextStep::Kind::kAccess, .lock = &lock, .access = access}};
}
inline void Thread::touch(SharedObject object, Access access) {
  if (StepControl* control = machine_->control()) [[unlikely]] {
    control->touch(object, access);
  }
}
inline void Thread::touch(const LockBase& lock, Access access) {
  if (StepControl* control = machine_->control()) [[unlikely]] {
    control->touch(lock, access);
  }
}

struct Machine::LineAwaiter {
  Machine& machine;
  Thread& thread;
  CacheLine& line;
  Task<void> fetching;

  [[nodiscard]] bool await_ready() {
    if (!line.local_to(thread.cpu_index())) {
      return false;
    }
    thread.charge(machine.line_access(thread, line));
    return true;
  }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> h) {
    fetching = machine.fetch(thread, line);
    return fetching.await_suspend(h);
  }
  void await_resume() {
    if (fetching.valid()) {
      fetching.await_resume();
    }
  }
};

inline Machine::LineAwaiter Machine::access(Thread& t, CacheLine& line) {
  return {*this, t, line, {}};
}
inline std::uint32_t Thread::cpu_index() const {
  return cpu_->index();
}

}  // namespace smmulab::lnx

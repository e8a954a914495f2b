// SPDX-License-Identifier: Apache-2.0
// Thread: a Linux task. It burns CPU time (run, user), spins, sleeps, is preempted, and holds
// locks. Kernel code charges small costs as it goes and pays them at the next run(): between two
// points that other threads can see, time is one delay. Every lock operation is such a point.
// Source of the rules: Linux 6.12 kernel/sched (run_queue.hpp says who runs). Not modelled:
// priorities, deadline and RT classes, cgroups, load balancing other than at wake-up and
// at going idle, CPU frequency.
#pragma once

#include <coroutine>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "models/linux/lock.hpp"
#include "models/linux/run_queue.hpp"
#include "models/linux/step_control.hpp"
#include "sim/engine.hpp"
#include "sim/task.hpp"

namespace smmulab::lnx {

class Cpu;
class Machine;

inline constexpr std::uint32_t kAnyCpu = ~0U;

class Thread {
 public:
  enum class State : std::uint8_t { kNew, kRunnable, kRunning, kSleeping, kDone };

  Thread(Machine& machine, std::uint32_t id, std::string name, std::uint32_t affinity);
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;

  // Kernel-mode CPU time: what was charged so far and `cost`. Interrupted by the scheduler only
  // where the machine's preemption model allows it. co_await thread.run(cost).
  struct RunAwaiter;
  [[nodiscard]] RunAwaiter run(Ps cost = Ps{0});
  void charge(Ps cost) { debt_ += cost; }
  [[nodiscard]] Ps unpaid() const { return debt_; }

  // User-mode CPU time: preemptible at any tick.
  Task<void> user(Ps cost);
  // Sleeps for `d` off the CPU (usleep, a timer). The interrupt that ends it is at the cost of
  // whoever runs there; of several that end together each pays for its own wake-up. It comes up to
  // `slack` later, or with the interrupt of another sleep that began on this CPU, if none that has
  // to end before this one may not yet [Linux 6.12 kernel/time/hrtimer.c: __hrtimer_run_queues()].
  // Not modelled: that a tick's interrupt ends sleeps, too.
  Task<void> sleep_for(Ps d, Ps slack = Ps{0});
  // Busy-waits until `t` with interrupts off (polling hardware); gives the CPU away only on a
  // multiplexed machine, where each turn of the polling loop lets other CPUs run.
  Task<void> poll_until(SimTime t);
  // might_sleep(), return to user mode: goes through the scheduler if it was asked to.
  Task<void> schedule();
  [[nodiscard]] bool need_resched() const;

  // A wait that burns the CPU. True: notify_spin() came; false: the scheduler wants the CPU, or it
  // is `deadline`.
  Task<bool> spin(const Waitable& what, SimTime deadline = kTimeMax);
  // The same with preemption disabled: the scheduler does not end it.
  Task<void> spin_until_notified(const Waitable& what, SimTime deadline = kTimeMax);
  void notify_spin(Ps after);
  // prepare_to_sleep(); ...; co_await block(): a wake() in between is not lost.
  void prepare_to_sleep() {
    about_to_sleep_ = true;
    woken_ = false;
  }
  void cancel_sleep() { about_to_sleep_ = false; }
  Task<void> block(const Waitable& what);

  // For a step control (step_control.hpp); nothing without one. An access to shared state that no
  // lock covers is a step of its own; touch() is for what goes with the step under way. An access
  // without the lock that covers the state counts as one to the lock.
  struct StepAwaiter;
  [[nodiscard]] StepAwaiter step(const NextStep& next);
  [[nodiscard]] StepAwaiter access(SharedObject object, Access access);
  [[nodiscard]] StepAwaiter access(const LockBase& lock, Access access);
  void touch(SharedObject object, Access access);
  void touch(const LockBase& lock, Access access);

  void disable_preemption() { ++preempt_count_; }
  void enable_preemption() { --preempt_count_; }

  [[nodiscard]] Machine& machine() const { return *machine_; }
  [[nodiscard]] Cpu& cpu() const { return *cpu_; }
  [[nodiscard]] std::uint32_t cpu_index() const;
  [[nodiscard]] std::uint32_t id() const { return id_; }
  [[nodiscard]] RecordThread record_id() const { return record_id_; }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] bool on_cpu() const { return on_cpu_; }
  [[nodiscard]] const Process* process() const { return process_; }
  [[nodiscard]] std::vector<HeldLock>& held() { return held_; }
  [[nodiscard]] Ps spin_time() const { return spin_time_; }
  [[nodiscard]] Ps run_time() const { return run_time_; }         // on a CPU, spinning included
  [[nodiscard]] Ps ready_time() const { return ready_time_; }     // runnable, but not on a CPU
  [[nodiscard]] std::uint64_t sleeps() const { return sleeps_; }  // in block()

 private:
  // The scheduler (machine.cpp) and the thread are one mechanism in two places.
  friend class Machine;

  [[nodiscard]] bool interruptible_run() const;
  Task<void> run_slow(Ps cost, bool preemptible);
  Task<bool> spin_wait(const Waitable& what, bool heed_scheduler, SimTime deadline);
  Task<void> sleep_controlled(const Waitable& what);
  Task<void> wait_for_cpu();
  void leave_cpu();

  Machine* machine_;
  Cpu* cpu_ = nullptr;
  Process* process_ = nullptr;
  Ps debt_{0};
  State state_ = State::kNew;
  bool on_cpu_ = false;
  bool granted_ = false;    // the CPU was given to us, we have not noticed yet
  bool spinning_ = false;   // parked in spin()
  bool split_run_ = false;  // parked in run_slow()
  bool host_turn_ = false;  // parked there with the host thread (multiplexed)
  bool spin_notified_ = false;
  bool about_to_sleep_ = false;
  bool woken_ = false;
  std::uint32_t preempt_count_ = 0;
  std::uint32_t affinity_;
  std::uint32_t id_;
  RecordThread record_id_ = kNoThread;
  SimTime timer_from_{}, timer_until_{};  // sleep_for(): when it may end, and has to
  SimTime run_start_{};
  SimTime ready_since_{};
  Ps grant_latency_{0};
  SchedEntity sched_;
  Ps spin_time_{0};
  Ps run_time_{0};
  Ps ready_time_{0};
  std::uint64_t sleeps_ = 0;
  std::vector<HeldLock> held_;
  std::string name_;
};

}  // namespace smmulab::lnx

// SPDX-License-Identifier: Apache-2.0
// Engine: simulated time and the processes that live in it. Model code uses these verbs and never
// knows which engine runs it:
//   now()            the current simulated time
//   delay(d)         go on after d (0 lets everything already due at this time run first)
//   park()           wait until another process calls unpark()
//   park_until(t)    the same, but at most until t; gives true if unparked, false at t
//   unpark(p, d)     let the parked process p go on after d
//   spawn(task, ..)  a new process; its first step is due at once
//   run(), run_until(t)
// Order: wake-ups run in the total order (time, priority, sequence); the sequence counts the calls
// that made them. Two runs of the same program are therefore equal, step by step, on both engines.
// This class is the native engine; SimGridEngine (simgrid_engine.hpp) is the other one.
// Not provided: killing a process from outside, real time, parallel execution.
#pragma once

#include <coroutine>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "sim/check.hpp"
#include "sim/event_heap.hpp"
#include "sim/process.hpp"
#include "sim/task.hpp"
#include "sim/time.hpp"

namespace smmulab {

// Among wake-ups of one time the lower value runs first.
enum class Priority : std::uint8_t { kFirst = 1, kHardware = 64, kNormal = 128, kLast = 255 };

struct SpawnOptions {
  std::string name;       // shown in errors and records
  std::string component;  // where in the model the process belongs
  Ps start_after{0};
  bool daemon = false;  // a daemon's waiting is no deadlock, and run() ends without it
};

enum class RunEnd : std::uint8_t { kFinished, kTimeLimit };

class Engine {
 public:
  Engine();
  virtual ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  [[nodiscard]] SimTime now() const { return now_; }
  [[nodiscard]] Process& current() const { return *current_; }
  [[nodiscard]] std::uint64_t events() const { return events_; }  // steps run so far
  [[nodiscard]] bool tearing_down() const { return tearing_down_; }
  [[nodiscard]] virtual const char* name() const { return "native"; }

  Process& spawn(Task<void> task, SpawnOptions options);

  // Runs until every process that is no daemon has ended. Throws DeadlockError when nothing can run
  // any more, ModelError (with the cause nested) when a task throws, Interrupted.
  void run();
  // The same, but stops before the first step that is later than `limit`.
  RunEnd run_until(SimTime limit);

  // Asked every `every_events` steps; true ends the run with Interrupted.
  void set_interrupt_check(std::function<bool()> check, std::uint32_t every_events = 1U << 16U);

  // REQUIRES: p is parked.
  void unpark(Process& p, Ps after = Ps{0}, Priority priority = Priority::kNormal) {
    SMMULAB_CHECK(p.state_ == Process::State::kParked, "unpark of a process that is not parked");
    p.state_ = Process::State::kScheduled;
    p.wake_ = Process::Wake::kUnparked;
    p.waiting_for_ = nullptr;
    schedule(p, now_ + after, priority);
  }

  struct DelayAwaiter {
    Engine& engine;
    Ps duration;
    Priority priority;
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> h) {
      return engine.begin_delay(h, duration, priority);
    }
    void await_resume() const noexcept {}
  };
  struct ParkAwaiter {
    Engine& engine;
    SimTime deadline;
    const Waitable* what;
    Priority priority;
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> h) {
      engine.begin_park(h, deadline, what, priority);
    }
    [[nodiscard]] bool await_resume() const noexcept {
      return engine.current_->wake_ == Process::Wake::kUnparked;
    }
  };

  // REQUIRES of all three: called from a process of this engine; d >= 0.
  [[nodiscard]] DelayAwaiter delay(Ps d, Priority priority = Priority::kNormal) {
    return {*this, d, priority};
  }
  [[nodiscard]] ParkAwaiter park(const Waitable* what = nullptr) {
    return {*this, kTimeMax, what, Priority::kNormal};
  }
  [[nodiscard]] ParkAwaiter park_until(SimTime deadline, const Waitable* what = nullptr,
                                       Priority priority = Priority::kNormal) {
    return {*this, deadline, what, priority};
  }

 protected:
  // For another engine: is told of each new wake-up, and runs everything until stop_requested().
  struct Backend {
    virtual ~Backend() = default;
    virtual void scheduled(Process& p, const Event& event) = 0;
    virtual void execute() = 0;
  };
  void set_backend(Backend* backend) { backend_ = backend; }
  void step(const Event& event);  // runs one process's next step
  [[nodiscard]] bool finished() const { return live_ == 0 || failure_ != nullptr; }
  [[nodiscard]] SimTime limit() const { return limit_; }

 private:
  // Delays of a process that goes on at once, in a row. AddressSanitizer's frames keep g++ from
  // making tail calls, so that each of them leaves its frames on the stack.
#if defined(__SANITIZE_ADDRESS__)
  static constexpr std::uint32_t kRunAhead = 32;
#else
  static constexpr std::uint32_t kRunAhead = 512;
#endif

  static EventOrder order_of(Priority priority, std::uint64_t sequence) {
    return (static_cast<EventOrder>(priority) << 56U) | sequence;
  }
  void schedule(Process& p, SimTime at, Priority priority) {
    const Event event{at, order_of(priority, ++sequence_), &p};
    p.pending_ = event.order;
    if (backend_ == nullptr) [[likely]] {
      heap_.push(event);
    } else {
      backend_->scheduled(p, event);
    }
  }
  // False: nothing else is due before, so the process goes on at once at the later time.
  bool begin_delay(std::coroutine_handle<> h, Ps duration, Priority priority) {
    SMMULAB_ASSERT(duration >= Ps{0}, "negative delay");
    const SimTime at = now_ + duration;
    if (backend_ == nullptr && run_ahead_ != 0 && at <= limit_ &&
        (heap_.empty() || at < heap_.top().time)) {
      --run_ahead_;
      ++events_;
      now_ = at;
      return false;
    }
    Process& p = *current_;
    p.resume_point_ = h;
    p.state_ = Process::State::kScheduled;
    p.wake_ = Process::Wake::kTimer;
    schedule(p, at, priority);
    return true;
  }
  void begin_park(std::coroutine_handle<> h, SimTime deadline, const Waitable* what,
                  Priority priority) {
    Process& p = *current_;
    p.resume_point_ = h;
    p.state_ = Process::State::kParked;
    p.wake_ = Process::Wake::kTimer;
    p.waiting_for_ = what;
    p.pending_ = 0;
    if (deadline != kTimeMax) {
      schedule(p, deadline < now_ ? now_ : deadline, priority);
    } else if (backend_ != nullptr) {
      backend_->scheduled(p, Event{kTimeMax, 0, &p});
    }
  }
  void check_interrupt();
  void run_native();
  Task<void> reaper();
  void finish_current();
  [[noreturn]] void throw_deadlock() const;
  static std::vector<const Process*> cycle_among(const std::vector<const Process*>& waiting);

  SimTime now_{};
  Process* current_ = nullptr;
  std::uint32_t run_ahead_ = kRunAhead;
  SimTime limit_ = kTimeMax;
  EventHeap heap_;
  Backend* backend_ = nullptr;
  std::uint64_t sequence_ = 0;
  std::uint64_t events_ = 0;
  std::uint64_t next_check_ = std::numeric_limits<std::uint64_t>::max();
  std::uint32_t check_every_ = 0;
  std::function<bool()> interrupt_check_;
  std::uint32_t live_ = 0;  // processes that are no daemons and have not ended
  std::exception_ptr failure_;
  std::uint32_t next_id_ = 0;
  bool tearing_down_ = false;
  std::deque<Process> processes_;
  std::vector<Process*> free_;
  Task<void> reaper_;
};

}  // namespace smmulab

// SPDX-License-Identifier: Apache-2.0
// Scheduler: runs the threads of one Run one step at a time, in the order that a Chooser says, and
// keeps what each step touched. A step is what a thread does from one point to the next
// (models/linux/step_control.hpp). A thread that would have to wait is not offered: a lock is taken
// in one step once it is free. A writer that finds a rwsem with readers keeps later readers out
// from then on; that it does so is a step of its own (with three threads or more: with two it
// changes nothing).
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <tsl/robin_map.h>

#include "models/linux/machine.hpp"
#include "workloads/explore/footprint.hpp"

namespace smmulab::explore {

class Chooser {
 public:
  virtual ~Chooser() = default;
  // The thread to take the next step, or -1 to stop. `enabled` is not 0.
  virtual int choose(ThreadMask enabled) = 0;
};

struct Step {
  std::uint8_t thread = 0;
  bool takes_lock = false;
  lnx::NextStep::Kind kind{};
  LockMode mode{};
  std::uint32_t lock = 0;  // takes_lock
  Footprint footprint;
  std::vector<std::uint32_t> enablers;  // steps that had to come before
};

// One hold of a lock.
struct Hold {
  std::uint32_t lock;
  std::uint8_t thread;
  LockMode mode;
  std::uint32_t from;  // the step that took it
  std::uint32_t to;    // the step that gave it back; ~0: none
};

struct LogLine {
  std::size_t step;
  std::size_t thread;
  std::string text;
};

class Scheduler final : public lnx::StepControl {
 public:
  static constexpr std::uint32_t kOpen = ~0U;
  Scheduler();

  enum class End : std::uint8_t { kRunning, kFinished, kStuck, kStopped };

  // A new run. Numbers of objects stay.
  void reset(std::size_t threads);
  void set_logging(bool on) { logging_ = on; }
  void set_names(std::function<std::string(const lnx::LockBase&)> names) {
    names_ = std::move(names);
  }
  // From now on steps are chosen; the threads to come are those of the program, in order.
  void activate(Chooser& chooser, std::size_t first_thread_id);

  // --- for a thread's body
  // A point before an operation, which may begin once those of `after` have ended.
  [[nodiscard]] lnx::Thread::StepAwaiter begin(lnx::Thread& t,
                                               const std::vector<std::uint32_t>* after = nullptr);
  void ended(std::uint32_t op);
  void finish(lnx::Thread& t);
  [[nodiscard]] bool logging() const { return logging_; }
  void say(std::string text);

  // --- what happened
  [[nodiscard]] End end() const { return end_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] const Step& step(std::size_t i) const { return steps_[i]; }
  [[nodiscard]] const std::vector<Hold>& holds() const { return holds_; }
  [[nodiscard]] std::size_t objects() const { return numbers_.size(); }
  [[nodiscard]] const std::vector<LogLine>& log() const { return log_; }
  // The lock a thread waits for at the end, if it does.
  struct Waiting {
    const lnx::LockBase* lock = nullptr;
    const Waitable* sleeps_on = nullptr;
    std::uint32_t object = 0;
    LockMode mode{};
    ThreadMask holders = 0;  // of the lock
    bool behind_writer = false;
    bool dependency = false;
  };
  [[nodiscard]] bool done(std::size_t thread) const { return at_[thread].place == Place::kDone; }
  [[nodiscard]] Waiting waiting(std::size_t thread) const;

  // --- StepControl
  bool arrive(lnx::Thread& t, const lnx::NextStep& next) override;
  bool sleep(lnx::Thread& t) override;
  void wake(lnx::Thread& sleeper) override;
  void touch(lnx::SharedObject object, lnx::Access access) override;
  void touch(const lnx::LockBase& lock, lnx::Access access) override;
  void acquired(const lnx::Thread& t, const lnx::LockBase& lock, LockMode mode) override;
  void released(const lnx::Thread& t, const lnx::LockBase& lock, LockMode mode) override;
  [[nodiscard]] bool writer_waits(const lnx::LockBase& lock) const override;
  [[nodiscard]] std::uint32_t new_lock() override;
  [[nodiscard]] std::uint32_t new_id() override;

 private:
  enum class Place : std::uint8_t { kNew, kPoint, kAsleep, kWoken, kDone };
  struct At {
    Place place = Place::kNew;
    bool announced = false;  // a writer that keeps readers out
    lnx::NextStep next{};
    std::uint32_t lock = 0;  // next.lock's id, which outlives it
    const std::vector<std::uint32_t>* after = nullptr;
    const Waitable* sleeps_on = nullptr;
    std::uint32_t waker = 0;  // step
    Process* process = nullptr;
    Engine* engine = nullptr;
  };
  struct LockState {
    int writer = -1;
    ThreadMask readers = 0;
  };

  [[nodiscard]] std::size_t index(const lnx::Thread& t) const { return t.id() - first_; }
  [[nodiscard]] std::uint32_t number(std::uint64_t key);
  [[nodiscard]] std::uint32_t number(lnx::SharedObject object);
  void touch(std::uint32_t object, lnx::Access access);
  [[nodiscard]] LockState& lock_state(std::uint32_t lock);
  [[nodiscard]] LockState peek(std::uint32_t lock) const;
  [[nodiscard]] bool announces(const At& at) const;
  [[nodiscard]] bool lock_free(std::size_t thread, const At& at) const;
  [[nodiscard]] bool enabled(std::size_t thread) const;
  // The next thread to run, `self` included; -1: nobody.
  int next_thread();
  void begin_step(std::size_t thread);
  bool hand_over(int self);

  Chooser* chooser_ = nullptr;
  bool active_ = false;
  bool logging_ = false;
  End end_ = End::kRunning;
  std::size_t threads_ = 0;
  std::size_t first_ = 0;
  std::size_t arrived_ = 0;
  int current_ = -1;
  std::array<At, kMaxThreads> at_;
  std::array<std::uint32_t, kMaxThreads + 1> locks_made_{};
  std::array<std::uint32_t, kMaxThreads + 1> ids_made_{};
  tsl::robin_map<std::uint64_t, std::uint32_t> numbers_;
  // What numbers_ says of most objects and of locks, without hashing.
  static constexpr std::uint32_t kNearKinds = 4;
  static constexpr std::uint32_t kNearIds = 64;
  std::array<std::uint32_t, kNearKinds * kNearIds> near_numbers_;
  std::array<std::vector<std::uint32_t>, kMaxThreads + 1> lock_numbers_;  // by maker, then nth
  std::vector<LockState> locks_;
  std::vector<Step> steps_;  // the first size_ are this run's
  std::size_t size_ = 0;
  std::vector<Hold> holds_;
  std::vector<std::uint32_t> op_ends_;  // step + 1, by operation; 0: not yet
  std::vector<LogLine> log_;
  std::function<std::string(const lnx::LockBase&)> names_;
};

}  // namespace smmulab::explore

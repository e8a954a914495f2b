// SPDX-License-Identifier: Apache-2.0
// What the unit tests of this folder share: a machine on which nothing costs time unless a test
// says so, threads whose steps are lined up on one time line, and a log of what happened when.
// Tests state their time line in a comment; the log is compared line by line, to the picosecond.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "models/linux/machine.hpp"
#include "models/linux/mutex.hpp"
#include "models/linux/rwsem.hpp"
#include "models/linux/spinlock.hpp"

namespace smmulab::lnx {

// All costs 0, kernel code never preempted, ticks and slices as in params.hpp.
[[nodiscard]] inline LinuxParams params_without_costs() {
  LinuxParams p;
  p.sched.preempt = Preempt::kNone;
  p.sched.context_switch = p.sched.wake_latency = Ps{0};
  p.sched.wake_up = p.sched.wake_awake = Ps{0};
  p.line.same_cpu = p.line.same_cluster = p.line.same_node = Ps{0};
  p.line.cross_node = p.line.cross_socket = Ps{0};
  p.lock.mutex_lock = p.lock.mutex_unlock = p.lock.mutex_slow = p.lock.mutex_queue = Ps{0};
  p.lock.rwsem_read = p.lock.rwsem_write = p.lock.rwsem_slow = Ps{0};
  p.lock.spin_lock = p.lock.spin_unlock = p.lock.osq = p.lock.atomic = Ps{0};
  return p;
}

class LinuxTest : public ::testing::Test {
 protected:
  using Lines = std::vector<std::string>;
  using Body = std::function<Task<void>(Thread&)>;

  // Threads need some time to get onto their CPUs; the time line begins after that.
  static constexpr SimTime kStart = SimTime{Ps{10'000'000}};

  // The machine, made at the first call with the params of that moment.
  Machine& machine() {
    if (!machine_) {
      machine_.emplace(engine, params, uniform_topology(cpus));
    }
    return *machine_;
  }
  LockClass& lock_class(std::string_view name, LockKind kind = LockKind::kMutex) {
    return machine().locks().get(name, kind);
  }
  Thread& thread(std::string name, std::uint32_t cpu, const Body& body) {
    return machine().spawn_thread(std::move(name), cpu, body);
  }
  // Keeps t's CPU busy, in kernel mode, until `offset` on the time line.
  Task<void> until(Thread& t, Ps offset) { co_await t.run(kStart + offset - engine.now()); }

  // "<offset> <thread> <what>"
  void say(const Thread& t, std::string_view what) {
    log.push_back(fmt::format("{} {} {}", format_duration(engine.now() - kStart), t.name(), what));
  }
  // From `from` on: lock, hold while running, unlock.
  Task<void> mutex_user(Thread& t, Mutex& m, Ps from, Ps hold) {
    co_await until(t, from);
    co_await m.lock(t);
    say(t, "has");
    co_await t.run(hold);
    co_await m.unlock(t);
  }
  Task<void> reader(Thread& t, Rwsem& s, Ps from, Ps hold) {
    co_await until(t, from);
    co_await s.read_lock(t);
    say(t, "reads");
    co_await t.run(hold);
    co_await s.read_unlock(t);
  }
  Task<void> writer(Thread& t, Rwsem& s, Ps from, Ps hold) {
    co_await until(t, from);
    co_await s.write_lock(t);
    say(t, "writes");
    co_await t.run(hold);
    co_await s.write_unlock(t);
  }
  // The message of the ModelError that run() must end with.
  std::string model_error() {
    try {
      engine.run();
    } catch (const ModelError& e) {
      return e.what();
    }
    return "no ModelError";
  }

  Engine engine;
  LinuxParams params = params_without_costs();
  std::uint32_t cpus = 4;
  Lines log;

 private:
  std::optional<Machine> machine_;
};

}  // namespace smmulab::lnx

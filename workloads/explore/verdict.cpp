// SPDX-License-Identifier: Apache-2.0
#include "workloads/explore/verdict.hpp"

#include <algorithm>
#include <bit>
#include <exception>

#include <fmt/format.h>

#include "sim/error.hpp"

namespace smmulab::explore {
namespace {

constexpr Ps kNever{1'000'000'000'000};

Schedule schedule_of(const Scheduler& scheduler) {
  Schedule schedule;
  schedule.reserve(scheduler.size());
  for (std::size_t i = 0; i < scheduler.size(); ++i) {
    schedule.push_back(scheduler.step(i).thread);
  }
  return schedule;
}

// Threads that wait for each other in a circle; empty: there is none.
std::vector<std::size_t> cycle_of(const Scheduler& scheduler, std::size_t threads) {
  for (std::size_t start = 0; start < threads; ++start) {
    std::vector<std::size_t> path;
    std::size_t at = start;
    while (std::ranges::find(path, at) == path.end()) {
      path.push_back(at);
      const ThreadMask holders = scheduler.waiting(at).holders;
      if (holders == 0) {
        break;
      }
      at = static_cast<std::size_t>(std::countr_zero(holders));
    }
    if (scheduler.waiting(path.back()).holders != 0 && at == start) {
      return path;
    }
  }
  return {};
}

std::string names_of(const Program& program, ThreadMask mask) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < program.threads.size(); ++i) {
    if ((mask & bit(i)) != 0) {
      names.push_back(program.threads[i]);
    }
  }
  return names.empty() ? "nobody" : fmt::format("{}", fmt::join(names, ", "));
}

std::string describe_wait(const Program& program, const Run& run, const Scheduler& scheduler,
                          std::size_t thread) {
  const Scheduler::Waiting waiting = scheduler.waiting(thread);
  const std::string& name = program.threads[thread];
  if (waiting.lock != nullptr) {
    return fmt::format("{} waits for {}, {} {}", name, run.lock_name(*waiting.lock),
                       waiting.behind_writer ? "behind the waiting writer" : "held by",
                       names_of(program, waiting.holders));
  }
  if (waiting.sleeps_on != nullptr) {
    return fmt::format("{} sleeps on {}", name, waiting.sleeps_on->wait_name());
  }
  return fmt::format("{} waits for operations of others", name);
}

Failure stuck(const Program& program, const Run& run, const Scheduler& scheduler) {
  const std::size_t threads = program.threads.size();
  std::vector<std::size_t> cycle = cycle_of(scheduler, threads);
  std::vector<std::size_t> waiting;
  bool sleeps = false;
  for (std::size_t i = 0; i < threads; ++i) {
    if (!scheduler.done(i)) {
      waiting.push_back(i);
      sleeps = sleeps || scheduler.waiting(i).sleeps_on != nullptr;
    }
  }
  Failure failure;
  failure.kind = cycle.empty() && sleeps ? FailureKind::kLostWakeUp : FailureKind::kDeadlock;
  std::vector<std::string> texts;
  std::vector<std::string> classes;
  for (const std::size_t i : waiting) {
    texts.push_back(describe_wait(program, run, scheduler, i));
  }
  for (const std::size_t i : cycle.empty() ? waiting : cycle) {
    const Scheduler::Waiting w = scheduler.waiting(i);
    classes.push_back(w.lock != nullptr        ? w.lock->lock_class().name
                      : w.sleeps_on != nullptr ? "a wake-up"
                                               : "operations of others");
  }
  std::ranges::sort(classes);
  failure.id = fmt::format("{}", fmt::join(classes, ", "));
  failure.message = fmt::format("{}", fmt::join(texts, "; "));
  return failure;
}

void run_threads(const Program& program, Engine& engine, Run& run, Scheduler& scheduler,
                 Chooser& chooser) {
  lnx::Machine& machine = run.machine();
  machine.spawn_thread("set-up", 0, [&run](lnx::Thread& t) { return run.set_up(t); });
  engine.run();
  scheduler.activate(chooser, machine.threads().size());
  for (std::size_t i = 0; i < program.threads.size(); ++i) {
    machine.spawn_thread(program.threads[i], static_cast<std::uint32_t>(i),
                         [&run, &scheduler, i](lnx::Thread& t) -> Task<void> {
                           return [](Run& r, Scheduler& s, lnx::Thread& thread,
                                     std::size_t index) -> Task<void> {
                             co_await s.begin(thread);
                             co_await r.body(thread, index);
                             s.finish(thread);
                           }(run, scheduler, t, i);
                         });
  }
  // Keeps the engine from calling a run that ends early a deadlock.
  engine.spawn([](Engine& e) -> Task<void> { co_await e.delay(kNever); }(engine),
               {.name = "end", .component = "explorer", .start_after = Ps{0}, .daemon = true});
  engine.run_until(engine.now());
}

// A scripted protocol's mistake is its author's to mend, not a failure of one schedule.
void throw_input_error(const ModelError& error) {
  try {
    std::rethrow_if_nested(error);
  } catch (const ConfigError&) {
    throw;
  } catch (const std::exception&) {
    return;  // the model error says it
  }
}

}  // namespace

std::vector<Failure> run_program(const Program& program, Scheduler& scheduler, Chooser& chooser,
                                 const std::function<void(Run& run, Scheduler::End end)>& at_end) {
  Engine engine;
  scheduler.reset(program.threads.size());
  const std::unique_ptr<Run> run = program.start(engine, scheduler);
  scheduler.set_names([&run](const lnx::LockBase& lock) { return run->lock_name(lock); });
  std::vector<Failure> failures;
  try {
    run_threads(program, engine, *run, scheduler, chooser);
    const Scheduler::End end = scheduler.end();
    if (end == Scheduler::End::kRunning) {
      throw ModelError("explore: a thread waits within a lock or for time to pass");
    }
    if (end == Scheduler::End::kStuck) {
      failures.push_back(stuck(program, *run, scheduler));
    }
    if (end != Scheduler::End::kStopped) {
      for (Breach& breach : run->check_end()) {
        failures.push_back(
            {FailureKind::kWrongState, std::move(breach.rule), std::move(breach.detail), {}, 1});
      }
    }
    if (at_end) {
      at_end(*run, end);
    }
  } catch (const ModelError& e) {
    throw_input_error(e);
    failures.push_back({FailureKind::kModelError, "model error", e.what(), {}, 1});
  }
  for (Failure& failure : failures) {
    failure.schedule = schedule_of(scheduler);
    failure.schedules = 1;
  }
  return failures;
}

}  // namespace smmulab::explore

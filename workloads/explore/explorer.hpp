// SPDX-License-Identifier: Apache-2.0
// Explorer: runs a Program under every order of its steps that matters, each from the start, and
// says what went wrong in any. Depth first, with dynamic partial-order reduction: of the orders
// that differ only in neighbouring steps that commute, one is run.
// Rule: Flanagan and Godefroid, "Dynamic partial-order reduction for model checking software"
// (POPL 2005): where two steps of a run touch the same, in neither order forced, the other order is
// to be tried from where the first began; as set to choose from, the initials of Abdulla, Aronsson,
// Jonsson and Sagonas, "Optimal dynamic partial order reduction" (POPL 2014, source sets); sleep
// sets (Godefroid 1996) cut runs that would repeat one. What a step touches is known once it ran.
// Two steps with a lock in common race from where the earlier thread took it, not from within.
// Not found: what needs two steps of one thread to be cut apart (docs/explore.md says when that
// cannot matter), or an order within a lock primitive.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "workloads/explore/program.hpp"
#include "workloads/explore/scheduler.hpp"

namespace smmulab::explore {

using Schedule = std::vector<std::uint8_t>;  // the thread of each step

struct ExploreOptions {
  std::uint64_t max_schedules = 1'000'000;
  bool reduce = true;                                        // false: every order of all steps
  std::function<bool(std::uint64_t schedules)> progress;     // optional; false: Interrupted
  std::function<void(Run& run, Scheduler::End end)> at_end;  // optional
};

enum class FailureKind : std::uint8_t { kDeadlock, kLostWakeUp, kWrongState, kModelError };
[[nodiscard]] std::string_view failure_name(FailureKind kind);

struct Failure {
  FailureKind kind{};
  std::string id;               // the same for all failures of its sort
  std::string message;          // of the shortest
  Schedule schedule;            // the shortest: fewest steps, then fewest changes of thread
  std::uint64_t schedules = 0;  // that failed so
};

struct ExploreResult {
  std::uint64_t schedules = 0;  // run to their end
  std::uint64_t cut = 0;        // begun, then seen to repeat another
  std::uint64_t skipped = 0;    // places where another thread could have gone on, to no effect
  std::uint64_t steps = 0;      // of all runs
  std::size_t longest = 0;      // steps
  double orders = 0;            // of the steps of the longest run, had none to wait
  bool exhaustive = true;
  std::vector<Failure> failures;  // by length of their schedule
};

// Throws ConfigError, Interrupted.
[[nodiscard]] ExploreResult explore(const Program& program, const ExploreOptions& options);

struct ReplayedSchedule {
  std::vector<LogLine> lines;
  std::vector<Failure> failures;
};
// Runs one schedule; when it is over the threads go on in order.
// Throws ConfigError if a thread of the schedule cannot go on.
[[nodiscard]] ReplayedSchedule replay_schedule(const Program& program, const Schedule& schedule);

// "0*5,1*3"
[[nodiscard]] std::string schedule_text(const Schedule& schedule);
// Throws ConfigError.
[[nodiscard]] Schedule parse_schedule(std::string_view text, std::size_t threads);

}  // namespace smmulab::explore

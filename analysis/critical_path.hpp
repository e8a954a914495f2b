// SPDX-License-Identifier: Apache-2.0
// The critical path of a run: back from its last event through what each thing had to wait for
// last, to the beginning. The edges of the happens-before graph it goes along: program order; a
// release and the acquisition it let in; a wake-up and its thread's first instruction; leaving a
// CPU and the next thread on it; a CMD_SYNC and its completion. Of two reasons for a wait the later
// one counts (a thread that was still being woken when its lock became free waited for the
// wake-up). The path has no gap and no slack: its length is the time of the run's last event. Not
// here: the order within the command queue (a wait for a CMD_SYNC is the hardware's time, also
// where another CPU had yet to publish the commands), cache lines, the slack of what is off the
// path. Sleep until a timer has no cause: it counts as kAsleep, and closed replays have none.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "analysis/timelines.hpp"

namespace smmulab::analysis {

enum class PathState : std::uint8_t {
  kRuns,        // lock_class: the lock taken last of those it holds
  kHandedOver,  // from a release to the acquisition it let in
  kWaits,       // for an object: `awaited`; lock_class as for kRuns
  kWakes,       // from a wake-up to the woken thread on its CPU
  kNeedsCpu,    // runnable: from another thread leaving the CPU to this one on it
  kAsleep,      // nobody known to have ended it
};

struct PathRow {
  std::string thread;
  std::string op;  // "": outside operations
  PathState state;
  std::string lock_class;
  std::string awaited;
  Ps total{0};
  Ps longest{0};            // stretch
  std::uint64_t count = 0;  // stretches
};

struct CriticalPath {
  Ps length{0};
  SimTime end{};               // time of the record's last event
  std::uint64_t switches = 0;  // from one thread to another
  std::vector<PathRow> rows;   // most time first, then by name
};

[[nodiscard]] CriticalPath critical_path(const Timelines& timelines);
[[nodiscard]] std::string to_json(const CriticalPath& path);

}  // namespace smmulab::analysis

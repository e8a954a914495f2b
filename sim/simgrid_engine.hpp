// SPDX-License-Identifier: Apache-2.0
// SimGridEngine: the second engine. Every process is an S4U actor of SimGrid, and SimGrid's clock
// carries time; a baton gives it the native engine's total order (time, priority, sequence), so
// both engines run every program equal, step by step.
//
// Baton: all wake-ups lie in one heap. An actor whose date has come runs its process's next step
// only if its wake-up is the least; else it waits at its own gate (a semaphore) until the actor
// that ran before hands over. A step makes no call into SimGrid (such a call lets other actors
// run): it only collects the wake-ups it causes, and its actor acts on them when the step has
// ended.
//
// Time: one SimGrid second stands for one picosecond, so that a double holds every date up to 2^53
// ps (2.5 hours) exactly. Past that dates round, and the order still holds: keys decide who runs,
// and the clock only says when an actor may ask. Every sleep is made from its absolute date.
//
// No actor outlives a run: run() and run_until() end with all actors returned, and the next run
// makes new ones for the processes that are left.
//
// SimGrid's limit: one engine in the life of an operating system process. Tasks, and the interrupt
// check, run on actors' stacks (1 MiB in optimized builds). Not used: SimGrid's hosts and links
// (one host carries all actors), its locks, its parallel execution.
#pragma once

#include <memory>
#include <string>

#include "sim/engine.hpp"

namespace smmulab {

class SimGridEngine final : public Engine {
 public:
  // Throws ConfigError if this operating system process has had a SimGrid engine before.
  SimGridEngine();
  ~SimGridEngine() override;
  SimGridEngine(const SimGridEngine&) = delete;
  SimGridEngine& operator=(const SimGridEngine&) = delete;

  [[nodiscard]] const char* name() const override { return "simgrid"; }
  // SimGrid's own clock. Tests compare it with now(); models use now().
  [[nodiscard]] double simgrid_clock() const;
  // Of the shared library in use, for instance "3.32".
  [[nodiscard]] static std::string library_version();

 private:
  class Actors;
  std::unique_ptr<Actors> actors_;
};

}  // namespace smmulab

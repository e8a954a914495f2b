// SPDX-License-Identifier: Apache-2.0
// What an explorer runs: a few threads, from the same state each time.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "models/linux/machine.hpp"

namespace smmulab::explore {

class Scheduler;

// Something that must not be once all threads have ended.
struct Breach {
  std::string rule;  // the same for all breaches of its kind
  std::string detail;
};

// One run: a machine with a CPU for each thread, no costs and the scheduler as its control.
class Run {
 public:
  virtual ~Run() = default;
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  [[nodiscard]] virtual lnx::Machine& machine() = 0;
  // Before the threads begin, alone.
  virtual Task<void> set_up(lnx::Thread& /*t*/) { co_return; }
  virtual Task<void> body(lnx::Thread& t, std::size_t thread) = 0;
  [[nodiscard]] virtual std::vector<Breach> check_end() { return {}; }
  [[nodiscard]] virtual std::string lock_name(const lnx::LockBase& lock) const {
    return lock.wait_name();
  }

 protected:
  Run() = default;
};

struct Program {
  std::vector<std::string> threads;  // their names
  std::function<std::unique_ptr<Run>(Engine&, Scheduler&)> start;
};

}  // namespace smmulab::explore

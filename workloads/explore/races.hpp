// SPDX-License-Identifier: Apache-2.0
// The races of one run: pairs of steps that could have come the other way round.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "workloads/explore/scheduler.hpp"

namespace smmulab::explore {

// One of `any` must be tried at step `at`; best one of `best`.
struct Race {
  std::size_t at;
  ThreadMask any;
  ThreadMask best;
};

class RaceFinder {
 public:
  // Of the run's steps from `first` on, and of what threads still wait for.
  void find(const Scheduler& run, std::size_t threads, std::size_t first,
            const std::function<void(const Race&)>& sink);

 private:
  struct Event {
    std::size_t index;  // in the run; its size for one that did not come to run
    std::size_t thread;
    const Footprint* footprint;
    bool takes_lock;
    std::uint32_t lock;
    LockMode mode;
  };
  static constexpr std::int32_t kNever = -1;
  static constexpr std::size_t kAccesses = 3;
  // Of an object: the threads that touched it, and each one's last step of each access.
  struct LastSteps {
    ThreadMask threads = 0;
    std::array<std::array<std::int32_t, kAccesses>, kMaxThreads> steps{};
  };

  // `full`: its clock with the steps that it conflicts with.
  void detect(const Scheduler& run, const Event& event, const Clock& before, const Clock& full,
              const std::function<void(const Race&)>& sink);
  // conflict(step), for the last steps of other threads that do not commute with the footprint.
  template <class Conflict>
  void each_conflict(const Footprint& footprint, std::size_t thread, Conflict&& conflict) const;
  void join(Clock& clock, const Clock& other) const;
  [[nodiscard]] std::size_t where_taken(const Scheduler& run, const Event& event,
                                        std::size_t step) const;
  [[nodiscard]] Race race(const Scheduler& run, const Event& event, std::size_t at,
                          const Clock& full) const;
  [[nodiscard]] Clock with_conflicts(const Clock& before, const Footprint& footprint,
                                     std::size_t thread) const;
  void note(const Footprint& footprint, std::size_t thread, std::size_t step);

  std::size_t threads_ = 0;
  std::vector<LastSteps> last_;  // by object
  std::vector<Clock> clocks_;    // by step
  std::vector<std::size_t> found_;
};

}  // namespace smmulab::explore

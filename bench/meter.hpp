// SPDX-License-Identifier: Apache-2.0
// What a workload did and what that cost. CPU time is what ratios are taken from (another program
// on the machine does not touch it), wall-clock time what a user waits.
#pragma once

#include <chrono>
#include <cstdint>
#include <ctime>

namespace smmulab::bench {

struct Sample {
  std::uint64_t count = 0;  // events or operations
  double cpu_s = 0;
  double wall_s = 0;
  [[nodiscard]] double per_cpu_second() const { return static_cast<double>(count) / cpu_s; }
  [[nodiscard]] double per_wall_second() const { return static_cast<double>(count) / wall_s; }
};

// From its making to stop().
class Meter {
 public:
  [[nodiscard]] Sample stop(std::uint64_t count) const {
    const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - wall_;
    return {count, cpu_seconds() - cpu_, wall.count()};
  }

 private:
  [[nodiscard]] static double cpu_seconds() {
    timespec t{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
  }

  std::chrono::steady_clock::time_point wall_ = std::chrono::steady_clock::now();
  double cpu_ = cpu_seconds();
};

}  // namespace smmulab::bench

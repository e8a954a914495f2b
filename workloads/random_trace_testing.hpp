// SPDX-License-Identifier: Apache-2.0
// For tests: random recordings that a kernel could have made. Operations take effect one after
// another at one instant each (which keeps the objects and areas consistent), are issued some time
// before and end some time after it; so operations of different threads overlap and their order by
// issue differs from the order in which they took effect. Ids are reused at once, as the kernel
// does.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "workloads/op.hpp"
#include "workloads/trace_header.hpp"

namespace smmulab::workloads::testing {

// splitmix64.
class TestRandom {
 public:
  explicit TestRandom(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next();
  std::uint64_t below(std::uint64_t n) { return next() % n; }
  bool chance(std::uint64_t percent) { return below(100) < percent; }

 private:
  std::uint64_t state_;
};

// What the generator knows of an operation beyond what a trace tells.
struct Truth {
  std::uint64_t effect = 0;  // rank in the order in which operations took effect
  std::uint64_t device = 0;  // generations (0 = none) of what the operation names
  std::uint64_t object = 0;
  std::uint64_t pt = 0;
};

struct RandomTrace {
  TraceHeader header;
  std::vector<Op> ops;  // by issue
  std::vector<Truth> truth;
};

struct RandomTraceOptions {
  std::uint32_t threads = 4;
  std::uint32_t devices = 3;
  std::uint32_t operations = 200;
  bool durations = true;
  // An object may be destroyed while an operation that still succeeds on it is under way.
  bool destroy_races = true;
};

[[nodiscard]] RandomTrace random_trace(std::uint64_t seed, const RandomTraceOptions& options);

}  // namespace smmulab::workloads::testing

// SPDX-License-Identifier: Apache-2.0
// The delays of a timed-event workload: xorshift64, a few instructions, so that what is measured is
// the engine and not the generator. Equal seeds give equal delays on every engine.
#pragma once

#include <cstdint>

#include "sim/time.hpp"

namespace smmulab::bench {

class Delays {
 public:
  explicit Delays(std::uint32_t process) : state_(0x9e3779b97f4a7c15ULL * (process + 1ULL)) {}

  // 1 ps to about a microsecond.
  Ps next() {
    state_ ^= state_ << 13U;
    state_ ^= state_ >> 7U;
    state_ ^= state_ << 17U;
    return Ps{static_cast<std::int64_t>(state_ >> 44U) + 1};
  }

 private:
  std::uint64_t state_;
};

}  // namespace smmulab::bench

// SPDX-License-Identifier: Apache-2.0
// SteadyState: tells when the transactions of a stream have come to repeat themselves: each goes
// `step` after the one before, and link, look-up pipeline, memory channel and the completions to
// come are as they were, only `step` later. What comes next follows from these alone, so it goes on
// like that until something else happens, and need not be worked out one by one.
#pragma once

#include <cstdint>

#include "models/smmuv3/timed/pace.hpp"
#include "sim/time.hpp"

namespace smmulab::smmu::timed {

class SteadyState {
 public:
  // A transaction: how long after the one before, from there until it may go to memory, and until
  // it is complete; `pace` has it already. True: steady, with this step. The two times say where
  // pipeline and channel are; the completions must be a step apart, once and then once more.
  bool note(Ps step, Ps translation, Ps complete, const Pace& pace) {
    const std::uint32_t under_way = pace.under_way();
    if (step != step_ || translation != translation_ || complete != complete_ ||
        under_way != under_way_) {
      step_ = step;
      translation_ = translation;
      complete_ = complete;
      under_way_ = under_way;
      alike_ = 0;
      spaced_ = false;
      return false;
    }
    if (spaced_) {
      return true;
    }
    if (++alike_ >= under_way) {
      alike_ = 0;
      spaced_ = step > Ps{0} && pace.goes_by(step);
    }
    return false;
  }

 private:
  Ps step_{-1}, translation_{0}, complete_{0};
  std::uint32_t under_way_ = 0;
  std::uint32_t alike_ = 0;  // in a row
  bool spaced_ = false;      // the completions to come are a step apart
};

}  // namespace smmulab::smmu::timed

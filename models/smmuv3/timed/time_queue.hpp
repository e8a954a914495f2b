// SPDX-License-Identifier: Apache-2.0
// TimeQueue: times in order, the earliest first, with room for all of them from the start. Cheap
// where a time that comes in is nearly always the latest.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

#include "sim/check.hpp"
#include "sim/time.hpp"

namespace smmulab::smmu::timed {

class TimeQueue {
 public:
  explicit TimeQueue(std::uint32_t capacity)
      : times_(std::bit_ceil(capacity)), mask_(std::bit_ceil(capacity) - 1) {}
  [[nodiscard]] bool empty() const { return first_ == end_; }
  [[nodiscard]] std::uint32_t size() const { return end_ - first_; }
  [[nodiscard]] SimTime first() const { return times_[slot(first_)]; }  // REQUIRES: not empty
  void drop_first() { ++first_; }                                       // REQUIRES: not empty
  void drop_until(SimTime now) {
    while (!empty() && first() <= now) {
      drop_first();
    }
  }
  // REQUIRES: there is room.
  void insert(SimTime time) {
    SMMULAB_ASSERT(size() <= mask_, "time queue is full");
    std::uint32_t at = end_++;
    if (at == first_ || last_ <= time) [[likely]] {
      last_ = time;
    } else {
      for (; at != first_ && times_[slot(at - 1)] > time; --at) {
        times_[slot(at)] = times_[slot(at - 1)];
      }
    }
    times_[slot(at)] = time;
  }

  [[nodiscard]] bool is_spaced(Ps step) const {
    for (std::uint32_t i = 1; i < size(); ++i) {
      if (times_[slot(first_ + i)] - times_[slot(first_ + i - 1)] != step) {
        return false;
      }
    }
    return true;
  }
  // All of them later.
  void shift(Ps by) {
    for (std::uint32_t at = first_; at != end_; ++at) {
      times_[slot(at)] += by;
    }
    last_ += by;
  }

 private:
  [[nodiscard]] std::size_t slot(std::uint32_t at) const { return at & mask_; }
  std::vector<SimTime> times_;  // a power of 2
  std::uint32_t mask_;
  SimTime last_{};                     // if there is one
  std::uint32_t first_ = 0, end_ = 0;  // counted without wrap
};

}  // namespace smmulab::smmu::timed

// SPDX-License-Identifier: Apache-2.0
// Pace: when the next transaction of a DMA stream may go: link, due time, and the limit of those
// under way. A value: whoever issues many in a row works on a copy, or moves it out and back.
#pragma once

#include <algorithm>

#include "models/smmuv3/timed/time_queue.hpp"

namespace smmulab::smmu::timed {

class Pace {
 public:
  // `link_time` of one transaction; `interval` 0: closed loop.
  Pace(SimTime start, Ps interval, Ps link_time, std::uint32_t outstanding)
      : due_(start),
        interval_(interval),
        link_time_(link_time),
        outstanding_(outstanding),
        done_(outstanding) {}

  // kTimeMax: not before one of the `pending` translations comes back.
  [[nodiscard]] SimTime next(SimTime now, std::uint32_t pending) const {
    const SimTime at = std::max({now, link_free_, due_});
    if (pending + done_.size() != outstanding_) {
      return at;
    }
    return done_.empty() ? kTimeMax : std::max(at, done_.first());
  }
  // From when on a transaction that is issued now counts.
  [[nodiscard]] SimTime due(SimTime now) const { return interval_ > Ps{0} ? due_ : now; }
  void issued(SimTime now) {
    link_free_ = now + link_time_;
    due_ += interval_;
  }
  // Transactions that go every `step` leave this as it is, but for the time, if their completions
  // are as far apart.
  [[nodiscard]] bool goes_by(Ps step) const {
    return (interval_ == Ps{0} || interval_ == step) && done_.is_spaced(step);
  }
  // So many of those. REQUIRES: goes_by(step).
  void pass(std::uint64_t times, Ps step) {
    const Ps all = step * static_cast<std::int64_t>(times);
    link_free_ += all;
    due_ += interval_ * static_cast<std::int64_t>(times);
    done_.shift(all);
  }
  void completes(SimTime done) { done_.insert(done); }
  void drop_until(SimTime now) { done_.drop_until(now); }
  [[nodiscard]] SimTime first_done() const { return done_.first(); }  // REQUIRES: not all dropped
  [[nodiscard]] std::uint32_t under_way() const { return done_.size(); }  // translated

 private:
  SimTime due_;
  Ps interval_;
  SimTime link_free_{};
  Ps link_time_;
  std::uint32_t outstanding_;
  TimeQueue done_;  // completions to come
};

}  // namespace smmulab::smmu::timed

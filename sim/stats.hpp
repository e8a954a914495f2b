// SPDX-License-Identifier: Apache-2.0
// Statistics that are values: a snapshot is a copy; += merges what two runs (or shards) observed;
// end -= begin leaves what was observed between two snapshots of one run (the region of interest is
// end - warm-up); == compares everything. Histogram and LockStat, in their own headers, follow the
// same rules.
//
// Counts, sums and integrals subtract exactly. A minimum or maximum cannot be taken apart: the
// difference keeps the later snapshot's, which is the window's own value if it was reached in the
// window (or nothing came before), and else a bound on it (not above the true minimum, not below
// the true maximum). Who needs exact extremes of a window resets the statistic at the window's
// start.
//
// Not modelled: sampling. Everything is counted at the event that changes it.
#pragma once

#include <algorithm>
#include <cstdint>

#include "sim/check.hpp"
#include "sim/time.hpp"

namespace smmulab {

// 128-bit integers, for sums of 64-bit values that must stay exact.
using UInt128 = unsigned __int128;
using Int128 = __int128;

// A number of events.
class Counter {
 public:
  constexpr Counter() = default;
  constexpr explicit Counter(std::uint64_t value) : value_(value) {}

  void add(std::uint64_t n) { value_ += n; }
  Counter& operator++() {
    ++value_;
    return *this;
  }
  [[nodiscard]] std::uint64_t value() const { return value_; }

  Counter& operator+=(const Counter& other) {
    value_ += other.value_;
    return *this;
  }
  Counter& operator-=(const Counter& begin) {
    SMMULAB_CHECK(begin.value_ <= value_, "counter: the subtracted snapshot is not an earlier one");
    value_ -= begin.value_;
    return *this;
  }
  friend bool operator==(const Counter&, const Counter&) = default;

 private:
  std::uint64_t value_ = 0;
};

// What a level did over a stretch of time. Merging pools two stretches (of two runs, or one after
// the other): times and integrals add, so the mean stays weighted by time. It is not the level of
// two things added up.
struct GaugeWindow {
  Int128 integral = 0;  // sum of level x picoseconds
  Ps observed{0};       // the stretch's length; 0: nothing was observed, all else is ignored
  std::int64_t min = 0;
  std::int64_t max = 0;
  std::int64_t last = 0;  // level at the end

  // The level averaged over time; the last level if no time passed.
  [[nodiscard]] double mean() const {
    return observed == Ps{0}
               ? static_cast<double>(last)
               : static_cast<double>(integral) / static_cast<double>(observed.count());
  }
  GaugeWindow& operator+=(const GaugeWindow& other) {
    if (other.observed == Ps{0}) {
      return *this;
    }
    if (observed == Ps{0}) {
      return *this = other;
    }
    integral += other.integral;
    observed += other.observed;
    min = std::min(min, other.min);
    max = std::max(max, other.max);
    last = other.last;
    return *this;
  }
  GaugeWindow& operator-=(const GaugeWindow& begin) {
    SMMULAB_CHECK(begin.observed <= observed,
                  "gauge: the subtracted snapshot is not an earlier one");
    integral -= begin.integral;
    observed -= begin.observed;
    return *this;
  }
  friend bool operator==(const GaugeWindow&, const GaugeWindow&) = default;
};

// A level that holds until it is set anew (a queue's length, entries in use), weighted by time. A
// level that lasts no time does not move the mean, but counts for min and max.
class Gauge {
 public:
  explicit Gauge(SimTime start = kTimeZero, std::int64_t level = 0) { restart(start, level); }

  // REQUIRES: now is not before the last change.
  void set(SimTime now, std::int64_t level) {
    advance(now);
    window_.last = level;
    window_.min = std::min(window_.min, level);
    window_.max = std::max(window_.max, level);
  }
  void add(SimTime now, std::int64_t delta) { set(now, window_.last + delta); }
  [[nodiscard]] std::int64_t level() const { return window_.last; }

  // Everything from the start to now. REQUIRES: as set().
  [[nodiscard]] GaugeWindow at(SimTime now) const {
    Gauge copy = *this;
    copy.advance(now);
    return copy.window_;
  }
  // Forgets the past: the level goes on, its window starts at now.
  void reset(SimTime now) { restart(now, window_.last); }

 private:
  void restart(SimTime now, std::int64_t level) {
    changed_ = now;
    window_ = {.integral = 0, .observed = Ps{0}, .min = level, .max = level, .last = level};
  }
  void advance(SimTime now) {
    const Ps held = now - changed_;
    SMMULAB_CHECK(held >= Ps{0}, "gauge: time went backwards");
    window_.integral += Int128{window_.last} * held.count();
    window_.observed += held;
    changed_ = now;
  }

  SimTime changed_;
  GaugeWindow window_;
};

// a + b and a - b, for these and for the statistics of other headers that follow the rules above.
template <class T>
inline constexpr bool kIsStatistic = false;
template <>
inline constexpr bool kIsStatistic<Counter> = true;
template <>
inline constexpr bool kIsStatistic<GaugeWindow> = true;

template <class T>
  requires kIsStatistic<T>
[[nodiscard]] T operator+(T a, const T& b) {
  a += b;
  return a;
}
template <class T>
  requires kIsStatistic<T>
[[nodiscard]] T operator-(T end, const T& begin) {
  end -= begin;
  return end;
}

}  // namespace smmulab

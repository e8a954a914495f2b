// SPDX-License-Identifier: Apache-2.0
// Simulated time: a signed 64-bit count of picoseconds (spans +-106 days). Strong types, so that a
// bare integer never stands for a time. Not modelled: clock domains, drift, leap of any kind.
#pragma once

#include <chrono>
#include <cstdint>

namespace smmulab {

// A duration in picoseconds.
using Ps = std::chrono::duration<std::int64_t, std::pico>;

struct SimClock {
  using duration = Ps;
  using rep = Ps::rep;
  using period = Ps::period;
  using time_point = std::chrono::time_point<SimClock>;
  static constexpr bool is_steady = true;
};

// A point of simulated time; the epoch is the start of the run.
using SimTime = SimClock::time_point;

inline constexpr SimTime kTimeZero{};
inline constexpr SimTime kTimeMax = SimTime::max();

inline namespace time_literals {
constexpr Ps operator""_ps(unsigned long long v) {
  return Ps{static_cast<std::int64_t>(v)};
}
constexpr Ps operator""_ns(unsigned long long v) {
  return Ps{static_cast<std::int64_t>(v) * 1'000};
}
constexpr Ps operator""_us(unsigned long long v) {
  return Ps{static_cast<std::int64_t>(v) * 1'000'000};
}
constexpr Ps operator""_ms(unsigned long long v) {
  return Ps{static_cast<std::int64_t>(v) * 1'000'000'000};
}
}  // namespace time_literals

// Picoseconds since the start of the run.
[[nodiscard]] constexpr std::int64_t to_ps(SimTime t) {
  return t.time_since_epoch().count();
}

}  // namespace smmulab

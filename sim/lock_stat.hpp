// SPDX-License-Identifier: Apache-2.0
// LockStat: what Linux counts for a lock class in /proc/lock_stat, with its words and at its points
// (Documentation/locking/lockstat.rst; kernel/locking/lockdep.c, v6.12), split into read and write:
//   on_contended  an acquirer finds the lock taken            con_bounces
//   on_acquire    it has the lock                             contentions, waittime, acq_bounces,
//                                                             acquisitions
//   on_release    it gives it back                            holdtime
// A bounce: the lock was last acquired on another CPU. Beyond lockstat, waiting is split into time
// spent spinning and time spent asleep.
//
// Two differences: the kernel prints the number of hold times as "acquisitions", so that locks
// still held are not in it; here acquisitions are counted when the lock is got. And the kernel sees
// neither fast paths of a mutex nor optimistic spinning that succeeds as contention; here the lock
// model says what was contended.
//
// As in the kernel, a minimum is the shortest time above zero for waits (waits of no time are
// contentions but no wait times). The rules of sim/stats.hpp hold for +=, -= and ==.
// Not modelled: contention points (the record and the analyses on it name who waited for whom).
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "sim/histogram.hpp"
#include "sim/stats.hpp"
#include "sim/time.hpp"

namespace smmulab {

// Locks without readers are taken in write mode.
enum class LockMode : std::uint8_t { kWrite, kRead };

// The kernel's lock_time: durations seen, with extremes. Plain numbers; total spans 106 days.
struct LockTime {
  std::uint64_t nr = 0;
  Ps min{0};
  Ps max{0};
  Ps total{0};

  void add(Ps time);
  [[nodiscard]] Ps avg() const;  // rounded down, as the kernel does; 0 if nr is 0
  LockTime& operator+=(const LockTime& other);
  LockTime& operator-=(const LockTime& begin);
  friend bool operator==(const LockTime&, const LockTime&) = default;
};

// The columns of one line of /proc/lock_stat, and the split of waittime.
struct LockModeStat {
  std::uint64_t con_bounces = 0;
  std::uint64_t contentions = 0;
  LockTime waittime;  // contended acquisitions that waited longer than 0
  Ps wait_spin{0};    // part of waittime.total; the rest was asleep
  std::uint64_t acq_bounces = 0;
  std::uint64_t acquisitions = 0;
  LockTime holdtime;  // of holds that have ended

  [[nodiscard]] Ps wait_sleep() const { return waittime.total - wait_spin; }
  LockModeStat& operator+=(const LockModeStat& other);
  LockModeStat& operator-=(const LockModeStat& begin);
  friend bool operator==(const LockModeStat&, const LockModeStat&) = default;
};

// One lock class, or one instance. 216 bytes, and 440 + 8 KiB per power of two of wait time once a
// histogram is asked for; a model with many instances allocates theirs when first contended.
class LockStat {
 public:
  LockStat() = default;
  LockStat(const LockStat& other);
  LockStat& operator=(const LockStat& other);
  LockStat(LockStat&&) noexcept = default;
  LockStat& operator=(LockStat&&) noexcept = default;
  ~LockStat() = default;

  void on_contended(bool bounced, LockMode mode) { at(mode).con_bounces += bounced ? 1 : 0; }
  // REQUIRES: both waits >= 0, and 0 if not contended.
  void on_acquire(Ps wait_spin, Ps wait_sleep, bool contended, bool bounced, LockMode mode);
  void on_release(Ps held, LockMode mode);  // REQUIRES: held >= 0

  [[nodiscard]] const LockModeStat& write() const { return at(LockMode::kWrite); }
  [[nodiscard]] const LockModeStat& read() const { return at(LockMode::kRead); }
  [[nodiscard]] const LockModeStat& at(LockMode mode) const {
    return modes_[static_cast<std::size_t>(mode)];
  }

  // From now on, contended waits of both modes also go into a histogram (of ps).
  void enable_wait_histogram();
  [[nodiscard]] const Histogram* wait_histogram() const { return waits_.get(); }  // null: disabled

  LockStat& operator+=(const LockStat& other);
  LockStat& operator-=(const LockStat& begin);
  friend bool operator==(const LockStat& a, const LockStat& b);

 private:
  LockModeStat& at(LockMode mode) { return modes_[static_cast<std::size_t>(mode)]; }

  std::array<LockModeStat, 2> modes_;
  std::unique_ptr<Histogram> waits_;
};

template <>
inline constexpr bool kIsStatistic<LockTime> = true;
template <>
inline constexpr bool kIsStatistic<LockModeStat> = true;
template <>
inline constexpr bool kIsStatistic<LockStat> = true;

}  // namespace smmulab

// SPDX-License-Identifier: Apache-2.0
#include "sim/lock_stat.hpp"

#include <gtest/gtest.h>

#include "sim/error.hpp"

namespace smmulab {
namespace {

constexpr LockMode kWrite = LockMode::kWrite;
constexpr LockMode kRead = LockMode::kRead;

static_assert(sizeof(LockModeStat) == 104 && sizeof(LockStat) == 216);

// One uncontended and two contended writes, held 10, 20 and 60 ns.
LockStat sample() {
  LockStat s;
  s.on_acquire(Ps{0}, Ps{0}, false, true, kWrite);
  s.on_contended(true, kWrite);
  s.on_release(10_ns, kWrite);
  s.on_acquire(5_ns, Ps{0}, true, true, kWrite);
  s.on_contended(false, kWrite);
  s.on_release(20_ns, kWrite);
  s.on_acquire(2_ns, 8_ns, true, false, kWrite);
  s.on_release(60_ns, kWrite);
  return s;
}

TEST(LockStat, LockstatColumns) {
  const LockStat s = sample();
  const LockModeStat& w = s.write();
  EXPECT_EQ(w.con_bounces, 1U);
  EXPECT_EQ(w.contentions, 2U);
  EXPECT_EQ(w.waittime, (LockTime{2, 5_ns, 10_ns, 15_ns}));
  EXPECT_EQ(w.waittime.avg(), Ps{7500});
  EXPECT_EQ(w.wait_spin, 7_ns);
  EXPECT_EQ(w.wait_sleep(), 8_ns);
  EXPECT_EQ(w.acq_bounces, 2U);
  EXPECT_EQ(w.acquisitions, 3U);
  EXPECT_EQ(w.holdtime, (LockTime{3, 10_ns, 60_ns, 90_ns}));
  EXPECT_EQ(w.holdtime.avg(), 30_ns);
  EXPECT_EQ(s.read(), LockModeStat{});
}

TEST(LockStat, ReadsAndWritesAreApart) {
  LockStat s;
  s.on_acquire(Ps{0}, 3_ns, true, false, kRead);
  s.on_contended(true, kRead);
  s.on_release(1_ns, kRead);
  EXPECT_EQ(s.read().contentions, 1U);
  EXPECT_EQ(s.read().con_bounces, 1U);
  EXPECT_EQ(s.read().holdtime.nr, 1U);
  EXPECT_EQ(s.write(), LockModeStat{});
}

TEST(LockStat, ALockStillHeldIsAnAcquisitionWithoutHoldTime) {
  LockStat s;
  s.on_acquire(Ps{0}, Ps{0}, false, false, kWrite);
  EXPECT_EQ(s.write().acquisitions, 1U);
  EXPECT_EQ(s.write().holdtime.nr, 0U);
}

// Handed over in the very instant it was asked for: contended, but no wait time.
TEST(LockStat, AWaitOfNoTimeIsNoWaitTime) {
  LockStat s;
  s.on_acquire(Ps{0}, Ps{0}, true, false, kWrite);
  EXPECT_EQ(s.write().contentions, 1U);
  EXPECT_EQ(s.write().waittime, LockTime{});
}

TEST(LockStat, AverageIsRoundedDown) {
  LockTime t;
  t.add(Ps{1});
  t.add(Ps{2});
  EXPECT_EQ(t.avg(), Ps{1});
  EXPECT_EQ(LockTime{}.avg(), Ps{0});
}

TEST(LockStat, RefusesImpossibleTimes) {
  LockStat s;
  EXPECT_THROW(s.on_acquire(Ps{-1}, Ps{0}, true, false, kWrite), ModelError);
  EXPECT_THROW(s.on_acquire(Ps{1}, Ps{0}, false, false, kWrite), ModelError);
  EXPECT_THROW(s.on_release(Ps{-1}, kWrite), ModelError);
  EXPECT_EQ(s, LockStat{});
}

TEST(LockStat, Merge) {
  LockStat other;
  other.on_acquire(1_ns, Ps{0}, true, true, kWrite);
  other.on_release(100_ns, kWrite);
  const LockStat both = sample() + other;
  EXPECT_EQ(both.write().contentions, 3U);
  EXPECT_EQ(both.write().waittime, (LockTime{3, 1_ns, 10_ns, 16_ns}));
  EXPECT_EQ(both.write().holdtime, (LockTime{4, 10_ns, 100_ns, 190_ns}));
  EXPECT_EQ(both, other + sample());
  EXPECT_EQ(sample() + LockStat{}, sample());
  EXPECT_EQ(LockStat{} + sample(), sample());
}

TEST(LockStat, WindowIsEndMinusBegin) {
  LockStat end = sample();
  end.on_acquire(40_ns, Ps{0}, true, false, kWrite);
  end.on_release(30_ns, kWrite);
  const LockStat roi = end - sample();
  EXPECT_EQ(roi.write().contentions, 1U);
  EXPECT_EQ(roi.write().waittime.total, 40_ns);
  EXPECT_EQ(roi.write().waittime.max, 40_ns);  // reached in the window: exact
  EXPECT_EQ(roi.write().waittime.min, 5_ns);   // a bound: the true minimum is 40 ns
  EXPECT_EQ(roi.write().holdtime.max, 60_ns);  // a bound: the true maximum is 30 ns
  EXPECT_EQ(sample() - sample(), LockStat{});
  EXPECT_EQ(sample() - LockStat{}, sample());
  EXPECT_THROW((void)(sample() - end), ModelError);
}

TEST(LockStat, OptionalWaitHistogram) {
  LockStat s;
  EXPECT_EQ(s.wait_histogram(), nullptr);
  s.enable_wait_histogram();
  s.on_acquire(Ps{0}, Ps{0}, false, false, kWrite);
  s.on_acquire(1_ns, 1_ns, true, false, kWrite);
  s.on_acquire(Ps{0}, 3_ns, true, false, kRead);
  ASSERT_NE(s.wait_histogram(), nullptr);
  EXPECT_EQ(s.wait_histogram()->count(), 2U);
  EXPECT_EQ(s.wait_histogram()->max(), 3000U);

  LockStat copy = s;  // a value: the copy's histogram is its own
  copy.on_acquire(9_ns, Ps{0}, true, false, kWrite);
  EXPECT_EQ(s.wait_histogram()->count(), 2U);
  EXPECT_EQ((copy - s).wait_histogram()->count(), 1U);
  EXPECT_EQ((LockStat{} + s).wait_histogram()->count(), 2U);
  EXPECT_FALSE(copy == s);
}

}  // namespace
}  // namespace smmulab

// SPDX-License-Identifier: Apache-2.0
#include "sim/stats.hpp"

#include <gtest/gtest.h>

#include "sim/error.hpp"

namespace smmulab {
namespace {

constexpr SimTime at_ns(int ns) {
  return kTimeZero + Ps{1000LL * ns};
}

TEST(Counter, CountsMergesSubtracts) {
  Counter c;
  ++c;
  c.add(4);
  const Counter warm_up = c;
  c.add(10);
  EXPECT_EQ((c - warm_up).value(), 10U);
  EXPECT_EQ(c + warm_up, Counter{20});
  EXPECT_EQ(c, Counter{15});
}

TEST(Counter, RefusesALaterSnapshot) {
  EXPECT_THROW((void)(Counter{1} - Counter{2}), ModelError);
}

// Level 0 for 10 ns, 4 for 5 ns, 1 for 5 ns: integral 25 ns, mean 1.25.
TEST(Gauge, MeanIsWeightedByTime) {
  Gauge g;
  g.set(at_ns(10), 4);
  g.add(at_ns(15), -3);
  const GaugeWindow w = g.at(at_ns(20));
  EXPECT_EQ(static_cast<std::int64_t>(w.integral), 25'000);
  EXPECT_EQ(w.observed, 20_ns);
  EXPECT_DOUBLE_EQ(w.mean(), 1.25);
  EXPECT_EQ(w.min, 0);
  EXPECT_EQ(w.max, 4);
  EXPECT_EQ(w.last, 1);
  EXPECT_EQ(g.level(), 1);
}

TEST(Gauge, LookingDoesNotChangeIt) {
  Gauge g(at_ns(0), 3);
  (void)g.at(at_ns(7));
  EXPECT_EQ(g.at(at_ns(10)), Gauge(at_ns(0), 3).at(at_ns(10)));
}

TEST(Gauge, AMomentaryLevelCountsForTheExtremesOnly) {
  Gauge g;
  g.add(at_ns(5), 1);
  g.add(at_ns(5), -1);
  const GaugeWindow w = g.at(at_ns(10));
  EXPECT_DOUBLE_EQ(w.mean(), 0.0);
  EXPECT_EQ(w.max, 1);
}

TEST(Gauge, NegativeLevels) {
  Gauge g(at_ns(0), -2);
  EXPECT_DOUBLE_EQ(g.at(at_ns(8)).mean(), -2.0);
}

TEST(Gauge, WindowIsEndMinusBegin) {
  Gauge g(at_ns(0), 1);
  g.set(at_ns(10), 2);
  const GaugeWindow warm_up = g.at(at_ns(20));
  g.set(at_ns(30), 6);
  const GaugeWindow roi = g.at(at_ns(40)) - warm_up;
  EXPECT_EQ(roi.observed, 20_ns);
  EXPECT_DOUBLE_EQ(roi.mean(), 4.0);  // 2 for 10 ns, 6 for 10 ns
  EXPECT_EQ(roi.max, 6);              // reached in the window: exact
  EXPECT_EQ(roi.min, 1);              // a bound: the true minimum is 2
  EXPECT_EQ(warm_up + roi, g.at(at_ns(40)));
}

TEST(Gauge, ResetMakesTheExtremesExact) {
  Gauge g(at_ns(0), 1);
  g.set(at_ns(10), 2);
  g.reset(at_ns(20));
  g.set(at_ns(30), 6);
  const GaugeWindow roi = g.at(at_ns(40));
  EXPECT_EQ(roi.min, 2);
  EXPECT_DOUBLE_EQ(roi.mean(), 4.0);
}

TEST(Gauge, MergingWithNothingChangesNothing) {
  Gauge g(at_ns(0), 5);
  const GaugeWindow w = g.at(at_ns(10));
  EXPECT_EQ(w + GaugeWindow{}, w);
  EXPECT_EQ(GaugeWindow{} + w, w);
}

TEST(Gauge, NoTimeNoMean) {
  const Gauge g(at_ns(3), 7);
  EXPECT_DOUBLE_EQ(g.at(at_ns(3)).mean(), 7.0);
}

// A level near 2^62 over 100 days overflows 64 bits by far.
TEST(Gauge, IntegralIsWide) {
  const std::int64_t level = std::int64_t{1} << 62;
  const Gauge g(kTimeZero, level);
  EXPECT_DOUBLE_EQ(g.at(kTimeMax).mean(), static_cast<double>(level));
}

TEST(Gauge, TimeMustNotGoBack) {
  Gauge g;
  g.set(at_ns(10), 1);
  EXPECT_THROW(g.set(at_ns(9), 1), ModelError);
  EXPECT_THROW((void)g.at(at_ns(9)), ModelError);
}

}  // namespace
}  // namespace smmulab

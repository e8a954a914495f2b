// SPDX-License-Identifier: Apache-2.0
// When a stream counts as steady, worked out by hand: a transaction every 10 ns, each complete
// 35 ns after its issue, so that four of them are under way.
#include "models/smmuv3/timed/steady_state.hpp"

#include <gtest/gtest.h>

namespace smmulab::smmu::timed {
namespace {

class SteadyStateTest : public ::testing::Test {
 protected:
  // One more transaction, `step` after the last, complete `complete` later.
  bool issue(Ps step = 10_ns, Ps complete = 35_ns, Ps translation = 1_ns) {
    now_ += step;
    pace_.drop_until(now_);
    pace_.completes(now_ + complete);
    pace_.issued(now_);
    return steady_.note(step, translation, complete, pace_);
  }
  // How many it takes until one is told to be steady.
  int until_steady(int most = 20) {
    for (int i = 1; i <= most; ++i) {
      if (issue()) {
        return i;
      }
    }
    return 0;
  }

  SimTime now_{};
  Pace pace_{kTimeZero, Ps{0}, 2_ns, 8};
  SteadyState steady_;
};

// Four fill the queue, the fourth being the first that finds it as long as it will stay; four more
// like that, so that all under way are of this kind; and one that goes on from there.
TEST_F(SteadyStateTest, IsSteadyOnceAllUnderWayAreAlikeAndOneMoreIs) {
  EXPECT_EQ(until_steady(), 9);
  EXPECT_TRUE(issue());
}

TEST_F(SteadyStateTest, AnyDifferenceBeginsAnew) {
  ASSERT_NE(until_steady(), 0);
  EXPECT_FALSE(issue(11_ns));
  ASSERT_NE(until_steady(), 0);
  EXPECT_FALSE(issue(10_ns, 36_ns));
  ASSERT_NE(until_steady(), 0);
  EXPECT_FALSE(issue(10_ns, 35_ns, 2_ns));
  EXPECT_GT(until_steady(), 4);
}

// One that was issued long ago and is complete late: the look of the rest is not enough.
TEST_F(SteadyStateTest, ALateCompletionKeepsItFromBeingSteady) {
  pace_.completes(kTimeZero + 1_us);
  EXPECT_EQ(until_steady(90), 0);
  now_ = kTimeZero + 1_us;
  EXPECT_NE(until_steady(), 0);
}

// Due every 12 ns and issued every 10: each waits less long than the one before.
TEST_F(SteadyStateTest, AnOpenLoopIsSteadyAtItsOwnRateOnly) {
  pace_ = Pace(kTimeZero, 12_ns, 2_ns, 8);
  EXPECT_EQ(until_steady(), 0);
  pace_ = Pace(kTimeZero, 10_ns, 2_ns, 8);
  steady_ = {};
  EXPECT_NE(until_steady(), 0);
}

// What passes at once leaves everything as if it had passed one by one.
TEST_F(SteadyStateTest, PassingMovesThePaceAsTransactionsDo) {
  ASSERT_NE(until_steady(), 0);
  Pace at_once = pace_;
  at_once.pass(5, 10_ns);
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(issue());
  }
  for (const std::uint32_t pending : {0U, 4U}) {
    EXPECT_EQ(at_once.next(now_, pending), pace_.next(now_, pending));
  }
  EXPECT_EQ(at_once.under_way(), 4U);
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(at_once.first_done(), pace_.first_done());
    pace_.drop_until(pace_.first_done());
    at_once.drop_until(at_once.first_done());
  }
}

}  // namespace
}  // namespace smmulab::smmu::timed

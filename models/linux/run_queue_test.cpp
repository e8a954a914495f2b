// SPDX-License-Identifier: Apache-2.0
// One CPU's queue by itself. Expected values are worked out by hand from the rules of EEVDF.
#include "models/linux/run_queue.hpp"

#include <gtest/gtest.h>

namespace smmulab::lnx {
namespace {

constexpr SimTime at(Ps t) {
  return kTimeZero + t;
}

class RunQueueTest : public testing::Test {
 protected:
  RunQueue queue{3_ms, 4_ms};
  SchedEntity a;
  SchedEntity b;
};

TEST_F(RunQueueTest, AWakeUpWithoutLagLeavesTheRunningOneItsSlice) {
  queue.add(a, at(0_us));
  EXPECT_EQ(queue.pick(at(0_us)), &a);
  queue.add(b, at(50_us));  // V is a's vruntime
  EXPECT_EQ(b.vruntime, 50_us);
  EXPECT_FALSE(queue.preempts(b));
  EXPECT_FALSE(queue.requested());
  EXPECT_EQ(queue.next_tick_request(at(50_us)), at(4_ms));  // half a slice, as a is new
}

TEST_F(RunQueueTest, AWakeUpTakesTheCpuFromOneThatIsAheadOfTheAverage) {
  queue.add(a, at(0_us));
  queue.pick(at(0_us));
  queue.add(b, at(50_us));
  queue.put_back(at(100_us));  // a 100, b 50
  EXPECT_EQ(queue.pick(at(100_us)), &b);
  queue.sleep(at(110_us));  // a 100, b 60: b is 20 behind V
  EXPECT_FALSE(b.on_queue);
  EXPECT_EQ(b.lag, 20_us);
  EXPECT_EQ(queue.pick(at(110_us)), &a);
  queue.add(b, at(120_us));  // a 110; the lag counts twice, since b moves V
  EXPECT_EQ(b.vruntime, 70_us);
  EXPECT_TRUE(queue.preempts(b));
}

TEST_F(RunQueueTest, ASleeperAheadOfTheAverageStaysUntilItWouldRun) {
  queue.add(a, at(0_us));
  queue.pick(at(0_us));
  queue.add(b, at(50_us));
  queue.sleep(at(80_us));  // a 80, b 50
  EXPECT_TRUE(a.delayed);
  EXPECT_FALSE(queue.pick(at(80_us)) != &b);
  queue.sleep(at(90_us));  // a 80, b 60
  EXPECT_FALSE(b.delayed);
  EXPECT_EQ(b.lag, 10_us);
  EXPECT_EQ(queue.pick(at(90_us)), nullptr);
  EXPECT_FALSE(a.on_queue);
}

TEST_F(RunQueueTest, OneThatEndsAheadOfTheAverageLeavesAtOnce) {
  queue.add(a, at(0_us));
  queue.pick(at(0_us));
  queue.add(b, at(50_us));
  queue.exit(at(80_us));  // a 80, b 50
  EXPECT_FALSE(a.on_queue);
  EXPECT_EQ(queue.waiting(), std::vector<SchedEntity*>{&b});
}

TEST_F(RunQueueTest, LagThatASleeperGainsOnTheQueueIsVoid) {
  queue.add(a, at(0_us));
  queue.pick(at(0_us));
  queue.add(b, at(50_us));
  queue.sleep(at(80_us));
  queue.pick(at(80_us));
  queue.add_delayed(a, at(130_us));  // b 100: a would be 10 behind V
  EXPECT_EQ(a.vruntime, 100_us);
  EXPECT_FALSE(queue.preempts(a));
}

TEST_F(RunQueueTest, ASliceEndsAtTheTickThatSeesItsDeadline) {
  queue.add(a, at(0_us));
  queue.pick(at(0_us));
  queue.add(b, at(10_us));
  queue.put_back(at(5_ms));
  EXPECT_EQ(queue.pick(at(5_ms)), &b);
  EXPECT_EQ(queue.next_tick_request(at(5_ms)), at(8_ms));
  queue.put_back(at(8_ms));
  EXPECT_EQ(queue.pick(at(8_ms)), &b);  // 3.01 ms of vruntime, a has 5
}

}  // namespace
}  // namespace smmulab::lnx

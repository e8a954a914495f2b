// SPDX-License-Identifier: Apache-2.0
// Does blame charge each moment of a wait to who held the lock? All numbers are worked out by hand;
// times are in ns.
#include "analysis/blame.hpp"

#include <gtest/gtest.h>

#include "analysis/record_script_testing.hpp"

namespace smmulab::analysis {
namespace {

using testing::RecordScript;
using ::testing::Test;

constexpr std::uint16_t kFound = record_flag::kContended;
constexpr std::uint16_t kRead = record_flag::kRead;

constexpr std::int64_t ns(std::int64_t n) {
  return n * 1000;
}

struct BlameTest : Test {
  RecordScript s;

  [[nodiscard]] Blame result() const { return blame(Timelines(s.record)); }
  // "waiter waits holder awaited total longest count" of each row, times in ns.
  [[nodiscard]] std::vector<std::string> rows() const {
    std::vector<std::string> lines;
    for (const BlameRow& r : result().rows) {
      lines.push_back(r.waiter + "/" + r.waiter_op + " " + r.awaited + " " + r.holder + "/" +
                      r.holder_op + " " + std::to_string(r.total.count() / 1000) + " " +
                      std::to_string(r.longest.count() / 1000) + " " + std::to_string(r.count));
    }
    return lines;
  }
};

using Lines = std::vector<std::string>;

TEST_F(BlameTest, AWaitIsItsHoldersUntilTheReleaseAndNobodysFromThenOn) {
  s.at(ns(0)).begin("t0", "map").at(ns(5)).take("t0", "L");
  s.at(ns(10)).begin("t1", "unmap").at(ns(20)).ask("t1", "L");
  s.at(ns(50)).drop("t0", "L").at(ns(53)).got("t1", "L", kFound).at(ns(60)).drop("t1", "L");
  EXPECT_EQ(rows(), (Lines{"t1/unmap L#0 t0/map 30 30 1", "t1/unmap L#0 / 3 3 1"}));
  EXPECT_EQ(result().rows.front().lock_class, "L");
}

TEST_F(BlameTest, SharesOfSeveralWaitsAddUpAndTheLongestIsOfOneWait) {
  s.begin("t0", "map").begin("t1", "map");
  s.at(ns(10)).take("t0", "L").at(ns(20)).ask("t1", "L").at(ns(30)).drop("t0", "L");
  s.at(ns(30)).got("t1", "L", kFound).at(ns(31)).drop("t1", "L");
  s.at(ns(40)).take("t0", "L").at(ns(50)).ask("t1", "L").at(ns(75)).drop("t0", "L");
  s.at(ns(75)).got("t1", "L", kFound);
  EXPECT_EQ(rows(), (Lines{"t1/map L#0 t0/map 35 25 2"}));
}

TEST_F(BlameTest, WhoeverOvertakesIsBlamedForHisTime) {
  s.begin("t0", "a").begin("t1", "b").begin("t2", "c");
  s.at(ns(10)).take("t0", "L").at(ns(20)).ask("t1", "L").at(ns(40)).drop("t0", "L");
  s.at(ns(41)).ask("t2", "L").at(ns(42)).got("t2", "L").at(ns(60)).drop("t2", "L");
  s.at(ns(63)).got("t1", "L", kFound);
  EXPECT_EQ(rows(), (Lines{"t1/b L#0 t0/a 20 20 1", "t1/b L#0 t2/c 18 18 1", "t1/b L#0 / 5 5 1"}));
}

TEST_F(BlameTest, OfReadersTheOneThatHasItLongestIsBlamed) {
  s.begin("r1", "map").begin("r2", "map").begin("w", "attach");
  s.at(ns(10)).read("r1", "L").at(ns(20)).read("r2", "L").at(ns(30)).ask("w", "L");
  s.at(ns(40)).drop("r1", "L", kRead).at(ns(60)).drop("r2", "L", kRead);
  s.at(ns(60)).got("w", "L", kFound);
  EXPECT_EQ(rows(), (Lines{"w/attach L#0 r2/map 20 20 1", "w/attach L#0 r1/map 10 10 1"}));
}

TEST_F(BlameTest, ALockThatWasFreeAndInstancesThatNobodyWaitsForLeaveNothing) {
  s.nest("t0", "map", {"L", "M"}).nest("t1", "map", {"L", "M"});
  s.begin("t0", "map").take("t0", "L#0").begin("t1", "map").take("t1", "L#1");
  EXPECT_TRUE(result().rows.empty());
  EXPECT_TRUE(result().stacks.empty());
  EXPECT_EQ(result().unfinished, 0);
}

TEST_F(BlameTest, ARequestThatIsNeverGrantedIsCounted) {
  s.begin("t0", "map").take("t0", "L").begin("t1", "map").ask("t1", "L");
  EXPECT_TRUE(result().rows.empty());
  EXPECT_EQ(result().unfinished, 1);
}

// t2 waits for t1's L, t1 for t0's M, t0 for a CMD_SYNC from 40 to 70.
TEST_F(BlameTest, AChainGoesOnWithWhatTheHolderWaitsForInThatMoment) {
  s.begin("t0", "A").take("t0", "M");
  s.begin("t1", "B").at(ns(10)).take("t1", "L").at(ns(20)).ask("t1", "M");
  s.begin("t2", "C").at(ns(30)).ask("t2", "L");
  s.at(ns(40)).wait("t0", "CMD_SYNC#0").at(ns(70)).waited("t0", "CMD_SYNC#0");
  s.at(ns(80)).drop("t0", "M").at(ns(82)).got("t1", "M", kFound);
  s.at(ns(90)).drop("t1", "L").at(ns(91)).got("t2", "L", kFound).at(ns(95)).drop("t1", "M");
  EXPECT_EQ(result().stacks, (Lines{
                                 "t0;A;CMD_SYNC#0 30",
                                 "t1;B;M#0;(free, on its way) 2",
                                 "t1;B;M#0;t0;A 30",
                                 "t1;B;M#0;t0;A;CMD_SYNC#0 30",
                                 "t2;C;L#0;(free, on its way) 1",
                                 "t2;C;L#0;t1;B 8",
                                 "t2;C;L#0;t1;B;M#0;(free, on its way) 2",
                                 "t2;C;L#0;t1;B;M#0;t0;A 20",
                                 "t2;C;L#0;t1;B;M#0;t0;A;CMD_SYNC#0 30",
                             }));
  EXPECT_EQ(rows(), (Lines{"t1/B M#0 t0/A 60 60 1", "t2/C L#0 t1/B 60 60 1",
                           "t0/A CMD_SYNC#0 / 30 30 1", "t1/B M#0 / 2 2 1", "t2/C L#0 / 1 1 1"}));
}

TEST_F(BlameTest, OffTheCpuIsAWaitOfItsOwnOnlyOutsideOfOthersAndWithinAnOperation) {
  s.at(ns(0)).on("t0", "cpu 0").on("t1", "cpu 1").at(ns(1)).begin("t0", "A").take("t0", "L");
  s.at(ns(2)).begin("t1", "B").at(ns(5)).ask("t1", "L").at(ns(6)).off("t1", "cpu 1");
  s.at(ns(10)).off("t0", "cpu 0", true).at(ns(17)).on("t0", "cpu 0");
  s.at(ns(20)).drop("t0", "L").at(ns(23)).on("t1", "cpu 1").at(ns(25)).got("t1", "L", kFound);
  s.at(ns(30)).end("t0", "A").at(ns(31)).off("t0", "cpu 0").at(ns(40)).on("t0", "cpu 0");
  EXPECT_EQ(rows(), (Lines{"t1/B L#0 t0/A 15 15 1", "t0/A cpu / 7 7 1", "t1/B L#0 / 5 5 1"}));
  EXPECT_EQ(result().stacks, (Lines{"t0;A;(off CPU) 7", "t1;B;L#0;(free, on its way) 5",
                                    "t1;B;L#0;t0;A 8", "t1;B;L#0;t0;A;(off CPU) 7"}));
}

}  // namespace
}  // namespace smmulab::analysis

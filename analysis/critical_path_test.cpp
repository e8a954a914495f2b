// SPDX-License-Identifier: Apache-2.0
// Is the critical path what had to be waited for, without gap? Worked out by hand; times are in ps.
#include "analysis/critical_path.hpp"

#include <gtest/gtest.h>

#include "analysis/record_script_testing.hpp"

namespace smmulab::analysis {
namespace {

using testing::RecordScript;
using ::testing::Test;

constexpr std::uint16_t kFound = record_flag::kContended;
constexpr std::uint16_t kRead = record_flag::kRead;

struct CriticalPathTest : Test {
  RecordScript s;

  [[nodiscard]] CriticalPath path() const { return critical_path(Timelines(s.record)); }
  // "thread/op state class-or-object total", sorted.
  [[nodiscard]] std::vector<std::string> rows() const {
    const std::array<const char*, 6> states = {"runs",  "handed", "waits",
                                               "wakes", "needs",  "asleep"};
    std::vector<std::string> lines;
    for (const PathRow& r : path().rows) {
      lines.push_back(r.thread + "/" + r.op + " " + states.at(static_cast<std::size_t>(r.state)) +
                      " " + r.lock_class + r.awaited + " " + std::to_string(r.total.count()));
    }
    std::sort(lines.begin(), lines.end());
    return lines;
  }
};

using Lines = std::vector<std::string>;

TEST_F(CriticalPathTest, AnEmptyRecordHasNone) {
  EXPECT_EQ(path().length, Ps{0});
  EXPECT_TRUE(path().rows.empty());
}

TEST_F(CriticalPathTest, OneThreadIsItsOwnPath) {
  s.at(0).on("t0", "cpu 0").at(10).begin("t0", "map").at(20).take("t0", "L").at(50).drop("t0", "L");
  s.at(60).wait("t0", "CMD_SYNC#0").at(90).waited("t0", "CMD_SYNC#0");
  s.at(91).take("t0", "M").at(93).wait("t0", "CMD_SYNC#0").at(95).waited("t0", "CMD_SYNC#0");
  s.at(95).drop("t0", "M").at(100).end("t0", "map").at(105).off("t0", "cpu 0");
  // take() asks at 20 and gets at 21; M from 92 to 95.
  EXPECT_EQ(rows(), (Lines{"t0/ runs  15", "t0/map runs  28", "t0/map runs L 29", "t0/map runs M 1",
                           "t0/map waits CMD_SYNC#0 30", "t0/map waits MCMD_SYNC#0 2"}));
  EXPECT_EQ(path().length, Ps{105});
  EXPECT_EQ(path().switches, 0);
}

// t1 spins from 15 to 43 on the lock that t0 releases at 40.
TEST_F(CriticalPathTest, AWaitLeadsToTheReleaseThatEndedIt) {
  s.at(0).begin("t0", "A").begin("t1", "B").at(5).take("t0", "L").at(15).ask("t1", "L");
  s.at(40).drop("t0", "L").at(43).got("t1", "L", kFound);
  s.at(44).end("t0", "A").at(60).drop("t1", "L").at(70).end("t1", "B");
  EXPECT_EQ(rows(), (Lines{"t0/A runs  6", "t0/A runs L 34", "t1/B handed L 3", "t1/B runs  10",
                           "t1/B runs L 17"}));
  EXPECT_EQ(path().length, Ps{70});
  EXPECT_EQ(path().switches, 1);
}

// t1 asleep for L is woken at 40, on its CPU at 55, has it at 60. In between t2 had it, 45 to 50:
// that held nobody up.
TEST_F(CriticalPathTest, WhoIsStillBeingWokenDoesNotWaitForTheThief) {
  s.at(0).on("t0", "cpu 0").on("t1", "cpu 1").on("t2", "cpu 2");
  s.at(5).begin("t0", "A").at(5).take("t0", "L").at(10).begin("t1", "B").at(15).ask("t1", "L");
  s.at(20).off("t1", "cpu 1").at(40).drop("t0", "L").at(40).wake("t1", "t0");
  s.at(45).begin("t2", "C").at(45).take("t2", "L").at(50).drop("t2", "L");
  s.at(55).on("t1", "cpu 1").at(60).got("t1", "L", kFound).at(70).end("t1", "B");
  EXPECT_EQ(rows(), (Lines{"t0/ runs  5", "t0/A runs  1", "t0/A runs L 34", "t1/B runs  5",
                           "t1/B runs L 10", "t1/B wakes  15"}));
  EXPECT_EQ(path().length, Ps{70});
}

TEST_F(CriticalPathTest, AReaderWaitsForTheWriterNotForReadersLetInBeforeIt) {
  s.at(0).begin("w", "A").begin("r1", "B").begin("r2", "C").at(5).take("w", "L");
  s.at(10).ask("r1", "L", kRead).at(11).ask("r2", "L", kRead).at(30).drop("w", "L");
  s.at(31).got("r1", "L", kFound | kRead).at(32).drop("r1", "L", kRead);
  s.at(34).got("r2", "L", kFound | kRead).at(40).end("r2", "C");
  EXPECT_EQ(rows(), (Lines{"r2/C handed L 4", "r2/C runs L 6", "w/A runs  6", "w/A runs L 24"}));
}

// Both threads on one CPU: t1, woken at 20 or not, gets it when t0 leaves it at 50.
TEST_F(CriticalPathTest, ARunnableThreadWaitsForTheOneThatHasItsCpu) {
  s.at(0).on("t0", "cpu 0").at(10).begin("t0", "A").at(50).off("t0", "cpu 0", true);
  s.at(52).on("t1", "cpu 0").at(60).begin("t1", "B").at(80).off("t1", "cpu 0");
  s.at(83).on("t0", "cpu 0").at(90).end("t0", "A");
  EXPECT_EQ(rows(), (Lines{"t0/ runs  10", "t0/A needs  3", "t0/A runs  47", "t1/ needs  2",
                           "t1/ runs  8", "t1/B runs  20"}));
  EXPECT_EQ(path().length, Ps{90});
  EXPECT_EQ(path().switches, 2);
}

TEST_F(CriticalPathTest, SleepThatNobodyEndedIsASleep) {
  s.at(0).on("t0", "cpu 0").at(10).off("t0", "cpu 0").at(50).on("t0", "cpu 0");
  s.at(60).off("t0", "cpu 0");
  EXPECT_EQ(rows(), (Lines{"t0/ asleep  40", "t0/ runs  20"}));
}

}  // namespace
}  // namespace smmulab::analysis

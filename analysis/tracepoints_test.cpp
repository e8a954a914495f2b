// SPDX-License-Identifier: Apache-2.0
#include "analysis/tracepoints.hpp"

#include <gtest/gtest.h>

#include "analysis/record_script_testing.hpp"

namespace smmulab::analysis {
namespace {

using testing::RecordScript;

constexpr std::uint16_t kContended = record_flag::kContended;
constexpr std::uint16_t kSlept = record_flag::kContended | record_flag::kSlept;

std::vector<TracepointRow> rows_of(const RecordScript& s, char letter) {
  return tracepoints(s.record, [letter](std::string_view) { return letter; });
}

TEST(Tracepoints, OfAMutexSeeEverything) {
  RecordScript s;
  s.at(100).ask("a", "m").at(130).got("a", "m", kContended);
  const auto rows = rows_of(s, 'M');
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].lock_class, "m");
  EXPECT_EQ(rows[0].contentions, 1U);
  EXPECT_EQ(rows[0].wait, Ps{30});
  EXPECT_EQ(rows[0].seen, 1U);
  EXPECT_EQ(rows[0].seen_wait, Ps{30});
}

TEST(Tracepoints, OfARwsemDoNotSeeSpinning) {
  RecordScript s;
  s.at(100).ask("a", "r").at(130).got("a", "r", kContended);  // spun
  s.drop("a", "r").at(200).ask("a", "r");
  // 50 ps of which 20 were spent spinning before it slept.
  const RecordThread a = s.record.intern_thread("a");
  s.record.append(record_event::lock_acquire(SimTime{Ps{250}}, a, {s.record.intern_lock("r", "0")},
                                             kSlept, Ps{20}));
  const auto rows = rows_of(s, 'R');
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].contentions, 2U);
  EXPECT_EQ(rows[0].wait, Ps{80});
  EXPECT_EQ(rows[0].seen, 1U);
  EXPECT_EQ(rows[0].seen_wait, Ps{30});
}

TEST(Tracepoints, OfASpinlockDoNotSeeTheFirstWaiter) {
  RecordScript s;
  s.at(100).take("a", "s").at(110).ask("b", "s").at(120).ask("c", "s");
  s.at(150).drop("a", "s").got("b", "s", kContended).at(160).drop("b", "s");
  s.at(170).got("c", "s", kContended);
  const auto rows = rows_of(s, 'S');
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].contentions, 2U);
  EXPECT_EQ(rows[0].wait, Ps{41 + 50});
  EXPECT_EQ(rows[0].seen, 1U);
  EXPECT_EQ(rows[0].seen_wait, Ps{50});
}

TEST(Tracepoints, AFailedTrylockIsNobodysPredecessor) {
  RecordScript s;
  s.at(100).take("a", "s").ask("b", "s", record_flag::kTry).at(110).take("b", "t");
  s.at(120).ask("c", "s").at(130).drop("a", "s").got("c", "s", kContended);
  const auto rows = rows_of(s, 'S');
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].seen, 0U);
}

TEST(Tracepoints, AWaitThatNeverEndsIsNotCounted) {
  RecordScript s;
  s.at(100).take("a", "m").ask("b", "m");
  EXPECT_TRUE(rows_of(s, 'M').empty());
}

}  // namespace
}  // namespace smmulab::analysis

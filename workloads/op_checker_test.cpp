// SPDX-License-Identifier: Apache-2.0
// What recordings of concurrent operations may look like: operations that overlap in time may have
// taken effect in either order, so they are not held against each other; what no order explains is.
#include "workloads/op_checker.hpp"

#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "workloads/random_trace_testing.hpp"

namespace smmulab::workloads {
namespace {

constexpr std::uint64_t kPage = 4096;

class OpCheckerTest : public ::testing::Test {
 protected:
  OpCheckerTest() : checker_(header()) {
    EXPECT_EQ(run(alloc(OpKind::kIoasAlloc, 5, 0, 0, 1)), "");
  }
  static TraceHeader header() {
    TraceHeader h;
    h.threads.resize(4);
    h.devices.resize(2);
    return h;
  }
  // Operation of `thread` from `begin` to `end` ns.
  static Op op(OpKind kind, std::uint32_t thread, std::int64_t begin, std::int64_t end) {
    Op o;
    o.kind = kind;
    o.thread = ThreadIndex{thread};
    o.issue = SimTime{Ps{begin * 1000}};
    o.duration = Ps{(end - begin) * 1000};
    o.ret = 0;
    o.object = ObjectId{5};
    return o;
  }
  static Op area(OpKind kind, std::uint64_t page, std::uint64_t pages, std::uint32_t thread,
                 std::int64_t begin, std::int64_t end) {
    Op o = op(kind, thread, begin, end);
    o.iova = Iova{page * kPage};
    o.length = Bytes{pages * kPage};
    return o;
  }
  static Op alloc(OpKind kind, std::uint32_t id, std::uint32_t thread, std::int64_t begin,
                  std::int64_t end) {
    Op o = op(kind, thread, begin, end);
    o.object = ObjectId{id};
    o.pt = ObjectId{5};
    return o;
  }
  // "LINE: message", or "". Lines count the operations.
  std::string run(Op o) {
    o.line = ++line_;
    return text(checker_.check(o));
  }
  static std::string text(const MaybeProblem& bad) {
    return bad ? std::to_string(bad->line) + ": " + bad->message : "";
  }
  std::string end() { return text(checker_.settle()); }

  OpChecker checker_;
  std::uint64_t line_ = 0;
};

TEST_F(OpCheckerTest, MapMayBeIssuedBeforeTheRacingUnmapThatMadeRoom) {
  EXPECT_EQ(run(area(OpKind::kMap, 0, 4, 0, 10, 20)), "");
  EXPECT_EQ(run(area(OpKind::kMap, 2, 4, 1, 30, 90)), "");    // line 3, overlaps
  EXPECT_EQ(run(area(OpKind::kUnmap, 0, 4, 2, 40, 50)), "");  // explains it
  EXPECT_EQ(run(area(OpKind::kUnmap, 2, 4, 2, 100, 110)), "");
  EXPECT_EQ(end(), "");
}

TEST_F(OpCheckerTest, OverlapThatNothingExplainsIsFoundOnceTheMapHasEnded) {
  EXPECT_EQ(run(area(OpKind::kMap, 0, 4, 0, 10, 20)), "");
  EXPECT_EQ(run(area(OpKind::kMap, 2, 4, 1, 30, 90)), "");
  EXPECT_EQ(run(area(OpKind::kMap, 8, 1, 2, 90, 95)), "");
  EXPECT_EQ(run(area(OpKind::kUnmap, 0, 4, 2, 96, 99)),
            "3: map of 0x2000..0x5fff overlaps the area 0x0..0x3fff of line 2, which was not "
            "unmapped");
}

TEST_F(OpCheckerTest, AndAtTheEndOfATrace) {
  EXPECT_EQ(run(area(OpKind::kMap, 0, 4, 0, 10, 20)), "");
  EXPECT_EQ(run(area(OpKind::kMap, 2, 4, 1, 30, 90)), "");
  EXPECT_EQ(end(),
            "3: map of 0x2000..0x5fff overlaps the area 0x0..0x3fff of line 2, which was not "
            "unmapped");
}

TEST_F(OpCheckerTest, AreaMappedWhileAnUnmapRanIsNotCertain) {
  EXPECT_EQ(run(area(OpKind::kMap, 0, 1, 0, 10, 20)), "");
  EXPECT_EQ(run(area(OpKind::kUnmap, 0, 8, 1, 30, 90)), "");
  EXPECT_EQ(run(area(OpKind::kMap, 4, 1, 2, 40, 50)), "");    // taken away by line 3, or not
  EXPECT_EQ(run(area(OpKind::kMap, 4, 1, 2, 100, 110)), "");  // if so, free here
  EXPECT_EQ(run(area(OpKind::kMap, 4, 1, 3, 120, 130)), "");  // but now it is certain
  EXPECT_EQ(end(),
            "6: map of 0x4000..0x4fff overlaps the area 0x4000..0x4fff of line 5, which was "
            "not unmapped");
}

TEST_F(OpCheckerTest, UnmapMayBeIssuedBeforeTheRacingMapItUndoes) {
  EXPECT_EQ(run(area(OpKind::kUnmap, 0, 4, 1, 30, 90)), "");
  EXPECT_EQ(run(area(OpKind::kMap, 1, 2, 0, 40, 50)), "");
  EXPECT_EQ(run(area(OpKind::kMap, 1, 2, 0, 100, 110)), "");
  EXPECT_EQ(end(), "");
}

TEST_F(OpCheckerTest, UnmapOfNothingIsFoundOnceItHasEnded) {
  EXPECT_EQ(run(area(OpKind::kUnmap, 0, 4, 1, 30, 90)), "");
  EXPECT_EQ(run(area(OpKind::kMap, 1, 2, 0, 91, 95)),
            "2: unmap of 0x0..0x3fff is not recorded as failed, but nothing is mapped there");
}

TEST_F(OpCheckerTest, ACopyMayBeIssuedBeforeTheRacingMapOfItsSource) {
  Op copy = area(OpKind::kCopy, 20, 2, 1, 30, 90);
  copy.pt = copy.object;
  copy.source = Iova{4 * kPage};
  EXPECT_EQ(run(copy), "");
  EXPECT_EQ(run(area(OpKind::kMap, 4, 8, 0, 40, 50)), "");
  EXPECT_EQ(run(area(OpKind::kMap, 0, 1, 0, 100, 110)), "");
  EXPECT_EQ(end(), "");
}

TEST_F(OpCheckerTest, AndAfterTheRacingUnmapOfIt) {
  Op copy = area(OpKind::kCopy, 20, 2, 1, 40, 90);
  copy.pt = copy.object;
  copy.source = Iova{4 * kPage};
  EXPECT_EQ(run(area(OpKind::kMap, 4, 2, 0, 10, 20)), "");
  EXPECT_EQ(run(area(OpKind::kUnmap, 4, 2, 0, 30, 50)), "");
  EXPECT_EQ(run(copy), "");
  copy.issue = SimTime{Ps{100'000}};
  copy.iova = Iova{40 * kPage};
  EXPECT_EQ(run(copy), "");
  EXPECT_EQ(
      end(),
      "5: copy from 0x4000..0x5fff of ioas 5 is not recorded as failed, but nothing is mapped "
      "at 0x4000");
}

TEST_F(OpCheckerTest, TwoUnmapsMayShareTheWork) {
  EXPECT_EQ(run(area(OpKind::kMap, 0, 1, 0, 10, 11)), "");
  EXPECT_EQ(run(area(OpKind::kMap, 1, 1, 0, 12, 13)), "");
  EXPECT_EQ(run(area(OpKind::kUnmap, 0, 2, 0, 20, 90)), "");
  EXPECT_EQ(run(area(OpKind::kUnmap, 0, 1, 1, 30, 40)), "");
  EXPECT_EQ(end(), "");
}

TEST_F(OpCheckerTest, AFailedUnmapMayHaveTakenAwaySomeAreas) {
  EXPECT_EQ(run(area(OpKind::kMap, 0, 1, 0, 10, 11)), "");
  EXPECT_EQ(run(area(OpKind::kMap, 1, 2, 0, 12, 13)), "");
  Op failed = area(OpKind::kUnmap, 0, 2, 0, 14, 15);
  failed.ret = -2;
  EXPECT_EQ(run(failed), "");
  EXPECT_EQ(run(area(OpKind::kMap, 0, 1, 0, 16, 17)), "");
  EXPECT_EQ(end(), "");
}

TEST_F(OpCheckerTest, AnIdMayBeReusedWhileItsDestructionRuns) {
  EXPECT_EQ(run(alloc(OpKind::kIoasAlloc, 6, 0, 10, 20)), "");
  EXPECT_EQ(run(alloc(OpKind::kIoasDestroy, 6, 0, 30, 50)), "");
  EXPECT_EQ(run(alloc(OpKind::kIoasAlloc, 6, 1, 40, 45)), "");
  EXPECT_EQ(run(alloc(OpKind::kIoasDestroy, 6, 1, 60, 65)), "");
  EXPECT_EQ(end(), "");
}

TEST_F(OpCheckerTest, IdReuseIssuedBeforeTheRacingDestroy) {
  Op bind = op(OpKind::kBind, 0, 5, 6);
  EXPECT_EQ(run(bind), "");
  EXPECT_EQ(run(alloc(OpKind::kHwptAlloc, 6, 0, 10, 20)), "");
  EXPECT_EQ(run(alloc(OpKind::kHwptAlloc, 6, 1, 30, 90)), "");
  EXPECT_EQ(run(alloc(OpKind::kHwptDestroy, 6, 0, 40, 50)), "");  // of the first
  EXPECT_EQ(run(alloc(OpKind::kHwptDestroy, 6, 1, 100, 110)), "");
  EXPECT_EQ(run(alloc(OpKind::kHwptDestroy, 6, 1, 120, 130)),
            "7: hwpt 6 is used after it was destroyed (line 6)");
}

TEST_F(OpCheckerTest, IdReuseThatNothingExplains) {
  EXPECT_EQ(run(op(OpKind::kBind, 0, 5, 6)), "");
  EXPECT_EQ(run(alloc(OpKind::kHwptAlloc, 6, 0, 10, 20)), "");
  EXPECT_EQ(run(alloc(OpKind::kHwptAlloc, 6, 1, 30, 90)), "");
  EXPECT_EQ(run(alloc(OpKind::kHwptDestroy, 6, 0, 91, 95)),
            "4: duplicate id: hwpt 6 is alive, made at line 3");
}

TEST_F(OpCheckerTest, UseMayRaceWithDestroyButNotFollowIt) {
  EXPECT_EQ(run(op(OpKind::kBind, 0, 5, 6)), "");
  EXPECT_EQ(run(alloc(OpKind::kHwptAlloc, 6, 0, 10, 20)), "");
  EXPECT_EQ(run(alloc(OpKind::kHwptDestroy, 6, 0, 30, 50)), "");
  Op attach = op(OpKind::kAttach, 1, 40, 60);
  attach.pt = ObjectId{6};
  EXPECT_EQ(run(attach), "");
  attach = op(OpKind::kAttach, 2, 50, 55);  // may be the same instant
  attach.pt = ObjectId{6};
  EXPECT_EQ(run(attach), "");
  attach = op(OpKind::kAttach, 3, 51, 60);
  attach.pt = ObjectId{6};
  EXPECT_EQ(run(attach), "7: object 6 is used after it was destroyed (line 4)");
}

TEST_F(OpCheckerTest, APhaseEndsAllDoubt) {
  EXPECT_EQ(run(area(OpKind::kMap, 0, 4, 0, 10, 20)), "");
  EXPECT_EQ(run(area(OpKind::kMap, 2, 4, 1, 30, 90)), "");
  EXPECT_NE(end(), "");
}

// No recording that a kernel could have made is refused, however its operations overlap.
TEST(OpCheckerPropertyTest, AcceptsEveryPossibleRecording) {
  for (std::uint64_t seed = 0; seed < 8000; ++seed) {
    testing::RandomTraceOptions options;
    options.threads = 1 + static_cast<std::uint32_t>(seed % 6);
    options.operations = 300;
    options.durations = seed % 5 != 4;
    const testing::RandomTrace trace = testing::random_trace(seed, options);
    OpChecker checker(trace.header);
    std::uint64_t line = 0;
    for (Op op : trace.ops) {
      op.line = ++line;
      const MaybeProblem bad = checker.check(op);
      ASSERT_FALSE(bad) << "seed " << seed << ", operation " << bad->line << ": " << bad->message;
    }
    const MaybeProblem bad = checker.settle();
    ASSERT_FALSE(bad) << "seed " << seed << ", operation " << bad->line << ": " << bad->message;
  }
}

// Recorded errors may be of a kernel that knew fewer flags, or of a program that tries.
TEST_F(OpCheckerTest, Flags) {
  const std::vector<std::pair<OpKind, std::uint32_t>> highest{{OpKind::kHwptAlloc, 0xf},
                                                              {OpKind::kSetDirty, 1},
                                                              {OpKind::kGetDirty, 1},
                                                              {OpKind::kAccessCreate, 1}};
  EXPECT_EQ(run(op(OpKind::kBind, 0, 2, 3)), "");
  std::uint32_t id = 10;
  for (const auto& [kind, flags] : highest) {
    ++id;
    Op o = alloc(kind, id, 0, 10 * id, 10 * id + 1);
    o.object = kind == OpKind::kSetDirty || kind == OpKind::kGetDirty ? ObjectId{11} : o.object;
    o.length = Bytes{kPage};
    o.flags = flags + 1;
    const std::string expected =
        fmt::format("{}: flags: {:#x} is out of range (0 to {:#x})", line_ + 1, flags + 1, flags);
    EXPECT_EQ(run(o), expected);
    o.flags = flags;
    EXPECT_EQ(run(o), "");
    o.issue += Ps{5000};
    o.flags = flags + 1;
    o.ret = -EOPNOTSUPP;
    EXPECT_EQ(run(o), "");
  }
}

}  // namespace
}  // namespace smmulab::workloads

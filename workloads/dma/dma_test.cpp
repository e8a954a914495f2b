// SPDX-License-Identifier: Apache-2.0
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "sim/error.hpp"
#include "workloads/dma/patterns.hpp"

namespace smmulab::workloads::dma {
namespace {

class DmaTraceTest : public ::testing::Test {
 protected:
  std::string file(const std::string& text) {
    std::ofstream(path_) << text;
    return path_.string();
  }
  std::string error_of(const std::string& text) {
    try {
      (void)read_dma_trace(file(text));
    } catch (const TraceError& error) {
      return std::string(error.what()).substr(path_.string().size() + 1);
    }
    return "";
  }
  void TearDown() override { std::filesystem::remove(path_); }
  std::filesystem::path path_ =
      std::filesystem::temp_directory_path() /
      ("dma_test_" + std::to_string(::testing::UnitTest::GetInstance()->random_seed()) + "_" +
       std::to_string(reinterpret_cast<std::uintptr_t>(this)));
};

TEST_F(DmaTraceTest, ReadsEveryOperationAndWritesItAgain) {
  const std::string text =
      "smmulab-dma 1\n# a comment\nmap 1 0x1000 0x80000000 64k ro contig  # another\n"
      "unmap 1 4096 4k\ndma 0x30 1 0x1040 w\ndma 48 1 0x1040 r\n\ninv *\ninv 1\ninv 1 0 2M\n"
      "cfgi 0x30\ncfgi *\n";
  const std::vector<DmaOp> ops = read_dma_trace(file(text));
  ASSERT_EQ(ops.size(), 9U);
  EXPECT_EQ(ops[0].size, 65536U);
  EXPECT_TRUE(ops[0].read_only && ops[0].contiguous);
  EXPECT_TRUE(ops[2].write);
  EXPECT_EQ(ops[3].stream, 0x30U);
  std::string again = "smmulab-dma 1\n";
  for (const DmaOp& op : ops) {
    again += to_text(op) + "\n";
  }
  std::vector<DmaOp> second = read_dma_trace(file(again));
  for (std::size_t i = 0; i < ops.size(); ++i) {
    second[i].line = ops[i].line;
  }
  EXPECT_EQ(second, ops);
}

TEST_F(DmaTraceTest, FlagsOfAMapComeInEitherOrder) {
  const std::vector<DmaOp> ops =
      read_dma_trace(file("smmulab-dma 1\nmap 1 0 0 64k contig ro\nmap 1 64k 0 64k contig\n"));
  EXPECT_TRUE(ops[0].read_only && ops[0].contiguous);
  EXPECT_TRUE(!ops[1].read_only && ops[1].contiguous);
  EXPECT_EQ(error_of("smmulab-dma 1\nmap 1 0 0 4k contig contig\n"), "2:21: unexpected 'contig'");
}

TEST_F(DmaTraceTest, ErrorsNameLineColumnAndWhatIsExpected) {
  EXPECT_EQ(error_of("hello\n"),
            "1:1: a DMA trace begins with 'smmulab-dma 1' (docs/dma-trace.md)");
  EXPECT_EQ(error_of("smmulab-dma 1\ndma 1 x 0\n").substr(0, 24), "2:7: 'x' is no space (a ");
  EXPECT_EQ(error_of("smmulab-dma 1\ndma 1 2\n"), "2:8: expected IOVA");
  EXPECT_EQ(error_of("smmulab-dma 1\ndam 1 2\n").substr(0, 32), "2:1: unknown operation 'dam'; kn");
  EXPECT_EQ(error_of("smmulab-dma 1\ndma 1 2 3 x\n"), "2:11: unexpected 'x'");
}

DmaCounts pattern(const char* name, std::uint64_t footprint, std::uint64_t page,
                  std::uint64_t stride) {
  smmu::hw::SmmuParams params;
  params.utlb_entries = 0;
  params.mtlb_entries = 64;
  params.mtlb_policy = smmu::hw::Policy::kLru;
  DmaStudy study(params, "pattern");
  run_pattern({name, footprint, page, stride, 50'000, 1}, study);
  return study.counts();
}

TEST(DmaPatternTest, RingHitsUntilItOutgrowsTheReach) {
  // 64 entries of 4K: a ring of 256K fits, twice that never hits; with 64K groups it fits again.
  EXPECT_EQ(pattern("ring", 256U << 10U, 4096, 4096).walks, 0U);
  EXPECT_EQ(pattern("ring", 512U << 10U, 4096, 4096).mtlb_hits, 0U);
  EXPECT_EQ(pattern("ring", 512U << 10U, 65536, 4096).walks, 0U);
  // Four accesses to each page: three of four hit.
  const DmaCounts four = pattern("ring", 512U << 10U, 4096, 1024);
  EXPECT_EQ(four.mtlb_hits, 30'000U);
  EXPECT_EQ(four.accesses, 40'000U);
}

TEST(DmaPatternTest, RandomHitsWithEntriesOverPages) {
  const DmaCounts counts = pattern("random", 512U << 10U, 4096, 4096);
  EXPECT_NEAR(static_cast<double>(counts.mtlb_hits) / 40'000, 0.5, 0.02);
  // Walk caches hold all tables: one read a walk, or none where the leaf is held as well.
  EXPECT_LE(counts.walk_reads, counts.walks);
}

TEST(DmaStudyTest, MapReplacesAndInvalidationsAreNeeded) {
  const auto op = [](DmaOp::Kind kind, std::uint64_t iova, std::uint64_t pa, std::uint64_t size) {
    DmaOp o;
    o.kind = kind;
    o.space = 1;
    o.stream = 5;
    o.iova = iova;
    o.pa = pa;
    o.size = size;
    return o;
  };
  DmaStudy study({}, "test");
  study.run(op(DmaOp::Kind::kMap, 0x1000, 0x8000, 0x3000));
  study.run(op(DmaOp::Kind::kAccess, 0x2000, 0, 0));
  study.run(op(DmaOp::Kind::kMap, 0x2000, 0x9'0000, 0x1000));
  study.run(op(DmaOp::Kind::kInvRange, 0x1000, 0, 0x3000));
  study.run(op(DmaOp::Kind::kAccess, 0x2000, 0, 0));
  study.run(op(DmaOp::Kind::kAccess, 0x9000, 0, 0));
  const DmaCounts counts = study.counts();
  EXPECT_EQ(counts.walks, 3U);
  EXPECT_EQ(counts.faults, 1U);
  EXPECT_EQ(counts.invalidations, 1U);  // 3 pages: NUM 2, SCALE 0
  EXPECT_THROW(study.run(op(DmaOp::Kind::kUnmap, 0x7000, 0, 0x1000)), ConfigError);
}

TEST(DmaStudyTest, AnInvalidationMayCoverTheWholeSpace) {
  DmaStudy study({}, "test");
  DmaOp op;
  op.space = 1;
  op.stream = 1;
  op.kind = DmaOp::Kind::kMap;
  op.size = 4096;
  op.iova = (std::uint64_t{1} << 48U) - 4096;
  study.run(op);
  op.kind = DmaOp::Kind::kAccess;
  study.run(op);
  op.kind = DmaOp::Kind::kInvRange;
  op.iova = 0;
  op.size = std::uint64_t{1} << 48U;
  study.run(op);
  EXPECT_EQ(study.counts().invalidations, 1U);
  EXPECT_GT(study.counts().invalidated, 0U);
  op.size -= 4096;
  study.run(op);
  EXPECT_GT(study.counts().invalidations, 2U);
}

}  // namespace
}  // namespace smmulab::workloads::dma

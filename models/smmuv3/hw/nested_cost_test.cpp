// SPDX-License-Identifier: Apache-2.0
// O5 and O9: reads of a cold nested walk, nS1*(nS2+1)+nS2 for nS1 by nS2 levels: 4x4 24, 4x3 and
// 3x4 19, 3x3 15, 2x2 8 (3x3 and 4x4 are those of Sv39x4 and Sv48x4, too); with two-level stream
// and CD tables, the CD fetched through stage 2, 36.
#include <gtest/gtest.h>

#include "models/smmuv3/hw/world_testing.hpp"

namespace smmulab::smmu::hw {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): sizes

struct Size {
  Granule granule;
  std::uint8_t bits;
  unsigned levels;
};

// Stage 2 maps an IPA window onto physical memory at an offset: tables that stage 1 names by IPA.
constexpr std::uint64_t kOffset = 1ULL << 36U;

class Nested {
 public:
  Nested(const Size& s1, const Size& s2, ContextTable::Format format, std::uint8_t cd_max)
      : guest_(world_.memory, kOffset + k1G),
        s2_(world_.frames, {2, s2.granule, s2.bits, 44, false, true, 0}),
        s1_(guest_, {1, s1.granule, s1.bits, 40, false, true, kOffset}),
        cds_(guest_, format, cd_max, kOffset) {
    // By pages, so that every stage 2 walk is as long as it gets.
    EXPECT_EQ(s2_.map_pages(k1G, kOffset + k1G, page_log2(s2.granule),
                            (2 * k32M) >> page_log2(s2.granule), Protection{}),
              MapError::kNone);
    EXPECT_EQ(s1_.map_pages(k2M, k1G + k32M, page_log2(s1.granule), 1, Protection{}),
              MapError::kNone);
    Cd cd = World::base_cd();
    point_cd_at(cd, s1_);
    cds_.write(Ssid{3 % (1U << cd_max)}, cd);
    Ste ste = World::ste_of(Ste::Config::kNested);
    cds_.point_ste(ste);
    point_ste_at(ste, s2_);
    world_.streams.write(StreamId{300}, ste);
  }
  Outcome translate(std::optional<Ssid> ssid) {
    return world_.translate(300, k2M + 0x123, false, ssid);
  }

 private:
  World world_;
  FrameAllocator guest_;
  PageTable s2_;
  PageTable s1_;
  ContextTable cds_;
};

TEST(NestedCostTest, ReadsOfAColdWalk) {
  const Size four{Granule::k4K, 48, 4};
  const Size three{Granule::k4K, 39, 3};
  const Size two{Granule::k64K, 42, 2};
  struct Row {
    Size s1, s2;
    std::uint32_t reads;
  };
  for (const Row& row : {Row{four, four, 24}, Row{four, three, 19}, Row{three, four, 19},
                         Row{three, three, 15}, Row{two, two, 8}}) {
    Nested nested(row.s1, row.s2, ContextTable::Format::kLinear, 0);
    const Outcome outcome = nested.translate(std::nullopt);
    ASSERT_EQ(outcome.kind, Outcome::Kind::kTranslated) << event_name(outcome.fault.event);
    EXPECT_EQ(outcome.pa, kOffset + k1G + k32M + 0x123);
    // Of the stage 2 reads, one walk is that of the CD's address.
    const std::uint32_t walk =
        outcome.counts.s1_descriptors + outcome.counts.s2_descriptors - row.s2.levels;
    EXPECT_EQ(walk, row.reads);
    EXPECT_EQ(outcome.counts.s1_descriptors, row.s1.levels);
  }
}

TEST(NestedCostTest, ThirtySixReadsWithTwoLevelStreamAndCdTables) {
  const Size four{Granule::k4K, 48, 4};
  for (const auto format : {ContextTable::Format::k4KLeaves, ContextTable::Format::k64KLeaves}) {
    Nested nested(four, four, format, 12);
    const Outcome outcome = nested.translate(Ssid{3});
    ASSERT_EQ(outcome.kind, Outcome::Kind::kTranslated) << event_name(outcome.fault.event);
    EXPECT_EQ(outcome.counts.reads(), 36U);
    EXPECT_EQ(outcome.counts.stream_table, 2U);
    EXPECT_EQ(outcome.counts.cd_table, 2U);
  }
}

// A stage 1 walk: as many reads as levels; blocks save theirs.
TEST(NestedCostTest, OneStageReadsOneDescriptorPerLevel) {
  World world;
  PageTable table(world.frames, {});
  ASSERT_EQ(table.map(0, 0, k4K, Protection{}), MapError::kNone);
  ASSERT_EQ(table.map(k2M, k2M, k2M, Protection{}), MapError::kNone);
  ASSERT_EQ(table.map(k1G, k1G, k1G, Protection{}), MapError::kNone);
  world.attach_s1(1, table);
  EXPECT_EQ(world.translate(1, 0).counts.s1_descriptors, 4U);
  EXPECT_EQ(world.translate(1, k2M).counts.s1_descriptors, 3U);
  EXPECT_EQ(world.translate(1, k1G).counts.s1_descriptors, 2U);
  EXPECT_EQ(world.translate(1, k1G).counts.reads(), 2U + 3U);  // L1STD, STE and a linear CD
}

}  // namespace
}  // namespace smmulab::smmu::hw

// SPDX-License-Identifier: Apache-2.0
// O2: the 63 configurations of io-pgtable's self test (three sets of page sizes, 21 pairs of input
// and output sizes) for both stages, in our own words: what is mapped translates, what is not does
// not, overlaps are refused. Looked up by the builder and by the SMMU's walker.
#include "models/smmuv3/hw/page_table.hpp"

#include <gtest/gtest.h>

#include "models/smmuv3/hw/world_testing.hpp"

namespace smmulab::smmu::hw {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): sizes

constexpr std::uint32_t kSid = 7;

struct Case {
  Granule granule;
  std::vector<unsigned> sizes;  // log2
  std::uint8_t ias, oas, stage;
};

std::vector<Case> cases() {
  const std::vector<std::pair<Granule, std::vector<unsigned>>> sets = {
      {Granule::k4K, {12, 21, 30}}, {Granule::k16K, {14, 25}}, {Granule::k64K, {16, 29}}};
  const std::vector<std::uint8_t> widths = {32, 36, 40, 42, 44, 48};
  std::vector<Case> all;
  for (const auto& [granule, sizes] : sets) {
    for (const std::uint8_t ias : widths) {
      for (const std::uint8_t oas : widths) {
        for (const std::uint8_t stage : {std::uint8_t{1}, std::uint8_t{2}}) {
          if (ias <= oas) {
            all.push_back({granule, sizes, ias, oas, stage});
          }
        }
      }
    }
  }
  return all;
}

class Lookup {
 public:
  Lookup(const Case& c, bool two_level)
      : world_({16, two_level, 8}),
        table_(world_.frames, {c.stage, c.granule, c.ias, c.oas, false, true, 0}) {
    if (c.stage == 1) {
      world_.attach_s1(kSid, table_);
    } else {
      world_.attach_s2(kSid, table_);
    }
  }
  PageTable& table() { return table_; }
  // Builder and walker must agree.
  std::optional<std::uint64_t> phys(std::uint64_t input) {
    const auto built = table_.output_of(input);
    const Outcome walked = world_.translate(kSid, input);
    EXPECT_EQ(walked.kind == Outcome::Kind::kTranslated, built.has_value());
    if (built) {
      EXPECT_EQ(walked.pa, *built);
    } else {
      EXPECT_EQ(walked.fault.event, Event::kTranslation);
    }
    return built;
  }
  bool map(std::uint64_t input, std::uint64_t output, unsigned log2) {
    return table_.map_pages(input, output, log2, 1, Protection{}) == MapError::kNone;
  }

 private:
  World world_;
  PageTable table_;
};

TEST(PageTableO2Test, SixtyThreeConfigurationsOfBothStages) {
  ASSERT_EQ(cases().size(), 126U);
  for (const Case& c : cases()) {
    SCOPED_TRACE(::testing::Message()
                 << "granule 2^" << page_log2(c.granule) << " ias " << int{c.ias} << " oas "
                 << int{c.oas} << " stage " << int{c.stage});
    Lookup look(c, c.oas % 8 == 0);
    for (const std::uint64_t hole : {std::uint64_t{42}, k1G + 42, 2 * k1G + 42}) {
      EXPECT_FALSE(look.phys(hole));
    }
    std::uint64_t iova = 0;
    for (const unsigned log2 : c.sizes) {  // distinct mappings of each size
      const std::uint64_t size = std::uint64_t{1} << log2;
      EXPECT_TRUE(look.map(iova, iova, log2));
      EXPECT_FALSE(look.map(iova, iova + size, log2));
      EXPECT_EQ(look.phys(iova + 42), iova + 42);
      iova += k1G;
    }
    iova = 0;
    for (const unsigned log2 : c.sizes) {  // unmap all of it, map again
      const std::uint64_t size = std::uint64_t{1} << log2;
      EXPECT_EQ(look.table().unmap(iova, size), size);
      EXPECT_FALSE(look.phys(iova + 42));
      EXPECT_TRUE(look.map(iova, iova, log2));
      EXPECT_EQ(look.phys(iova + 42), iova + 42);
      EXPECT_EQ(look.table().unmap(iova, size), size);
      iova += k1G;
    }
    // The last largest page of the input range.
    const unsigned largest = c.sizes.back();
    const std::uint64_t last = (std::uint64_t{1} << c.ias) - (std::uint64_t{1} << largest);
    EXPECT_TRUE(look.map(last, last, largest));
    EXPECT_EQ(look.phys(last + 42), last + 42);
    EXPECT_EQ(look.phys((std::uint64_t{1} << c.ias) - 1), (std::uint64_t{1} << c.ias) - 1);
    EXPECT_FALSE(look.phys(std::uint64_t{1} << c.ias));  // beyond it
  }
}

class PageTableTest : public ::testing::Test {
 protected:
  Memory memory;
  FrameAllocator frames{memory, 0x1'0000'0000};
};

TEST_F(PageTableTest, MapTakesLargestLeavesAndContiguousGroups) {
  PageTable table(frames, {});
  ASSERT_EQ(table.map(k2M - k64K, k1G - k64K, k2M + 2 * k64K, Protection{}, true), MapError::kNone);
  const auto word = [&](std::uint64_t at) { return memory.peek64(*table.leaf_address(at)); };
  EXPECT_NE(word(k2M - k64K) & descriptor::kContiguous, 0U);
  EXPECT_EQ(word(k2M) & descriptor::kTableOrPage, 0U);  // one 2 MiB block
  EXPECT_EQ(word(k2M) & descriptor::kContiguous, 0U);   // and no group of 16 of them
  EXPECT_NE(word(2 * k2M) & descriptor::kContiguous, 0U);
  EXPECT_EQ(table.output_of(2 * k2M + 5), k1G + k2M + 5);
}

TEST_F(PageTableTest, AGroupWhoseOutputIsNotAlignedIsNone) {
  PageTable table(frames, {});
  ASSERT_EQ(table.map(0, k4K, k64K, Protection{}, true), MapError::kNone);
  EXPECT_EQ(memory.peek64(*table.leaf_address(0)) & descriptor::kContiguous, 0U);
}

TEST_F(PageTableTest, UnmappingAMemberTakesTheHintFromTheRest) {
  PageTable table(frames, {});
  ASSERT_EQ(table.map(0, 0, 2 * k64K, Protection{}, true), MapError::kNone);
  EXPECT_EQ(table.unmap(3 * k4K, k4K), k4K);
  EXPECT_EQ(memory.peek64(*table.leaf_address(0)) & descriptor::kContiguous, 0U);
  EXPECT_NE(memory.peek64(*table.leaf_address(k64K)) & descriptor::kContiguous, 0U);
}

TEST_F(PageTableTest, AGroupThatCouldNotBeCompletedHasNoHint) {
  PageTable table(frames, {});
  ASSERT_EQ(table.map(5 * k4K, 0, k4K, Protection{}), MapError::kNone);
  ASSERT_EQ(table.map(0, 0, k64K, Protection{}, true), MapError::kExists);
  EXPECT_EQ(table.output_of(4 * k4K), 4 * k4K);
  EXPECT_EQ(memory.peek64(*table.leaf_address(4 * k4K)) & descriptor::kContiguous, 0U);
}

TEST_F(PageTableTest, UnmapStopsAtAPartOfABlockAndAtAHole) {
  PageTable table(frames, {});
  ASSERT_EQ(table.map(k2M, k2M, k2M, Protection{}), MapError::kNone);
  EXPECT_EQ(table.unmap(k2M, k4K), 0U);
  EXPECT_EQ(table.unmap(k2M + k4K, k2M - k4K), 0U);
  EXPECT_EQ(table.unmap(k2M, 2 * k2M), k2M);
  EXPECT_EQ(table.map(1, 0, k4K, Protection{}), MapError::kUnaligned);
  EXPECT_EQ(table.map(1ULL << 48U, 0, k4K, Protection{}), MapError::kRange);
}

// 1 GiB in 4K pages: 512 last tables, one above, one above that; and nothing more, nor left over.
TEST_F(PageTableTest, MemoryIsThatOfTheTablesAndComesBack) {
  {
    PageTable table(frames, {});
    const std::uint64_t before = frames.allocated_bytes();
    ASSERT_EQ(table.map_pages(0, 0, 12, k1G / k4K, Protection{}), MapError::kNone);
    EXPECT_EQ(frames.allocated_bytes() - before, 514 * k4K);
    EXPECT_EQ(table.unmap(0, k1G), k1G);
    EXPECT_EQ(table.tables_freed(), 513U);
    ASSERT_EQ(table.map(0, 0, k4K, Protection{}), MapError::kNone);
  }
  EXPECT_EQ(frames.allocated_bytes(), 0U);
}

TEST_F(PageTableTest, UpperTableIsForAddressesWithTheTopBitsSet) {
  World world;
  TableFormat format;
  format.upper = true;
  format.input_bits = 39;
  PageTable table(world.frames, format);
  const std::uint64_t input = ~std::uint64_t{0} << 39U;
  ASSERT_EQ(table.map(input, k2M, k4K, Protection{}), MapError::kNone);
  world.attach_s1(1, table);
  EXPECT_EQ(world.translate(1, input + 8).pa, k2M + 8);
  EXPECT_EQ(world.translate(1, 8).fault.event, Event::kTranslation);
  EXPECT_EQ(world.translate(1, input - 8).fault.event, Event::kTranslation);
}

TEST_F(PageTableTest, FiftyTwoBitsWithThe64KGranule) {
  World world;
  world.features.oas = 52;
  world.features.va52 = true;
  PageTable table(world.frames, {1, Granule::k64K, 52, 52, false, true, 0});
  const std::uint64_t high = 0x000F'8000'0001'0000;
  ASSERT_EQ(table.map(high, 0x000A'0000'0001'0000, k64K, Protection{}), MapError::kNone);
  const std::uint64_t block = 1ULL << 42U;  // a 4 TiB block
  ASSERT_EQ(table.map(block, 3 * block, block, Protection{}), MapError::kNone);
  world.attach_s1(1, table);
  EXPECT_EQ(world.translate(1, high + 9).pa, 0x000A'0000'0001'0009ULL);
  EXPECT_EQ(world.translate(1, block + 9).pa, 3 * block + 9);
  EXPECT_EQ(world.translate(1, block + 9).translation.reach_log2, 42U);
  world.features.va52 = false;  // T0SZ 12 is then out of range
  EXPECT_EQ(world.translate(1, high).fault.event, Event::kBadCd);
}

}  // namespace
}  // namespace smmulab::smmu::hw

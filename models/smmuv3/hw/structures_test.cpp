// SPDX-License-Identifier: Apache-2.0
// Bit positions of STE, CD, L1STD and L1CD, each written out by hand from IHI 0070 chapter 5.
#include "models/smmuv3/hw/structures.hpp"

#include <gtest/gtest.h>

#include "models/smmuv3/hw/descriptor.hpp"
#include "sim/random.hpp"

namespace smmulab::smmu::hw {
namespace {

TEST(SteTest, FieldsAreWhereTheArchitectureHasThem) {
  Ste s;
  s.valid = true;
  s.config = 7;
  s.s1_format = 2;
  s.s1_context_ptr = 0x000A'BCDE'F012'3440;
  s.s1_cd_max = 20;
  s.s1_default_substream = 2;
  s.contiguous = 5;
  s.pasid_on_auto_response = true;
  s.merge_events = true;
  s.prefetch = 2;
  s.s1_stall_disable = true;
  s.eats = 1;
  s.stream_world = 2;
  s.privilege_override = 3;
  s.instruction_override = 2;
  s.vmid = 0xBEEF;
  s.s2_t0sz = 16;
  s.s2_start = 2;
  s.s2_granule = 1;
  s.s2_size = 5;
  s.s2_aarch64 = true;
  s.s2_af_fault_off = true;
  s.s2_hw_dirty = true;
  s.s2_record = true;
  s.s2_table = 0x000F'1234'5678'9AB0;
  const EntryWords w = encode(s);
  EXPECT_EQ(w[0], 1ULL | 7ULL << 1 | 2ULL << 4 | 0x000A'BCDE'F012'3440ULL | 20ULL << 59);
  EXPECT_EQ(w[1], 2ULL | 5ULL << 13 | 3ULL << 18 | 1ULL << 27 | 1ULL << 28 | 2ULL << 30 |
                      3ULL << 48 | 2ULL << 50 | 2ULL << 56);
  EXPECT_EQ(w[2], 0xBEEFULL | 16ULL << 32 | 2ULL << 38 | 1ULL << 46 | 5ULL << 48 | 1ULL << 51 |
                      1ULL << 53 | 1ULL << 55 | 1ULL << 58);
  EXPECT_EQ(w[3], 0x000F'1234'5678'9AB0ULL);
  EXPECT_EQ(decode_ste(w), s);
}

TEST(CdTest, FieldsAreWhereTheArchitectureHasThem) {
  Cd c;
  c.t0sz = 16;
  c.tg0 = 2;
  c.epd1 = true;
  c.t1sz = 25;
  c.tg1 = 3;
  c.valid = true;
  c.ips = 5;
  c.af_fault_off = true;
  c.tbi1 = true;
  c.aarch64 = true;
  c.hw_access = true;
  c.record = true;
  c.abort = true;
  c.aset = true;
  c.asid = 0x1234;
  c.ttb0 = 0x0000'8765'4321'0000;
  c.had1 = true;
  c.ttb1 = 0x0000'1111'2222'3330;
  c.mair = 0xFF44;
  const EntryWords w = encode(c);
  EXPECT_EQ(w[0], 16ULL | 2ULL << 6 | 25ULL << 16 | 3ULL << 22 | 1ULL << 30 | 1ULL << 31 |
                      5ULL << 32 | 1ULL << 35 | 1ULL << 39 | 1ULL << 41 | 1ULL << 43 | 1ULL << 45 |
                      1ULL << 46 | 1ULL << 47 | 0x1234ULL << 48);
  EXPECT_EQ(w[1], 0x0000'8765'4321'0000ULL);
  EXPECT_EQ(w[2], 0x0000'1111'2222'3332ULL);
  EXPECT_EQ(w[3], 0xFF44ULL);
  EXPECT_EQ(decode_cd(w), c);
}

TEST(StructuresTest, WhatIsDecodedIsEncodedAgain) {
  RandomStream random(1, "structures");
  for (int i = 0; i < 1000; ++i) {
    EntryWords words{};
    for (std::uint64_t& word : words) {
      word = random.next_u64();
    }
    const Ste ste = decode_ste(words);
    EXPECT_EQ(decode_ste(encode(ste)), ste);
    const Cd cd = decode_cd(words);
    EXPECT_EQ(decode_cd(encode(cd)), cd);
  }
}

TEST(StructuresTest, Level1Descriptors) {
  EXPECT_EQ(encode(L1Std{9, 0x7AC6'0000}), 0x7AC6'0009ULL);
  EXPECT_EQ(decode_l1std(0x000F'0000'0000'0FE1).l2_ptr, 0x000F'0000'0000'0FC0ULL);
  EXPECT_EQ(encode(L1Cd{true, 0x4538'D000}), 0x4538'D001ULL);
  EXPECT_EQ(decode_l1cd(0x4538'D001).l2_ptr, 0x4538'D000ULL);
}

// Words that a Linux 6.12 kernel wrote for a 4K granule: ../traces, run stock_qtrace.
TEST(DescriptorTest, WordsOfARealKernel) {
  using namespace descriptor;
  EXPECT_EQ(kind(0x44AE'F003, Granule::k4K, 0, false), Kind::kTable);
  EXPECT_EQ(address(0x44AE'F003, Granule::k4K, 12), 0x44AE'F000ULL);
  EXPECT_EQ(kind(0x0060'0000'0809'0E4B, Granule::k4K, 3, false), Kind::kLeaf);
  EXPECT_EQ(address(0x0060'0000'0809'0E4B, Granule::k4K, 12), 0x0809'0000ULL);
}

TEST(DescriptorTest, HighAddressBitsOfThe64KGranule) {
  using namespace descriptor;
  EXPECT_EQ(make_table(0x000F'8000'0001'0000, Granule::k64K), 0x0000'8000'0001'F003ULL);
  EXPECT_EQ(address(0x0000'8000'0001'F003, Granule::k64K, 16), 0x000F'8000'0001'0000ULL);
}

TEST(GeometryTest, LevelsAndBlocksOfTheTableInTheReference) {
  EXPECT_EQ(start_level(Granule::k4K, 48), 0U);
  EXPECT_EQ(start_level(Granule::k4K, 39), 1U);
  EXPECT_EQ(start_level(Granule::k4K, 30), 2U);
  EXPECT_EQ(start_level(Granule::k16K, 48), 0U);
  EXPECT_EQ(root_bits(Granule::k16K, 0, 48), 1U);  // two entries
  EXPECT_EQ(start_level(Granule::k16K, 47), 1U);
  EXPECT_EQ(start_level(Granule::k64K, 48), 1U);
  EXPECT_EQ(start_level(Granule::k64K, 42), 2U);
  EXPECT_EQ(level_log2(Granule::k4K, 1), 30U);
  EXPECT_EQ(level_log2(Granule::k16K, 2), 25U);
  EXPECT_EQ(level_log2(Granule::k64K, 2), 29U);
  EXPECT_EQ(level_log2(Granule::k64K, 1), 42U);
  EXPECT_EQ(level_log2(Granule::k4K, 3) + contiguous_log2(Granule::k4K, 3), 16U);
  EXPECT_EQ(level_log2(Granule::k4K, 2) + contiguous_log2(Granule::k4K, 2), 25U);
  EXPECT_EQ(level_log2(Granule::k16K, 3) + contiguous_log2(Granule::k16K, 3), 21U);
  EXPECT_EQ(level_log2(Granule::k16K, 2) + contiguous_log2(Granule::k16K, 2), 30U);
  EXPECT_EQ(level_log2(Granule::k64K, 3) + contiguous_log2(Granule::k64K, 3), 21U);
  EXPECT_EQ(level_log2(Granule::k64K, 2) + contiguous_log2(Granule::k64K, 2), 34U);
  // 40 bits of IPA with 4K: two concatenated tables at level 1 instead of a level 0.
  EXPECT_EQ(concatenated_start_level(Granule::k4K, 40), 1U);
  EXPECT_EQ(concatenated_start_level(Granule::k4K, 44), 0U);  // 32 would be needed
  EXPECT_FALSE(leaf_allowed(Granule::k16K, 1, false));
  EXPECT_FALSE(leaf_allowed(Granule::k64K, 1, false));
  EXPECT_TRUE(leaf_allowed(Granule::k64K, 1, true));
}

}  // namespace
}  // namespace smmulab::smmu::hw

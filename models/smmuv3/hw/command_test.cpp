// SPDX-License-Identifier: Apache-2.0
// Commands bit for bit, illegal ones, and range arithmetic, from IHI 0070 chapter 4.
#include "models/smmuv3/hw/command.hpp"

#include <gtest/gtest.h>

#include "sim/random.hpp"

namespace smmulab::smmu::hw {
namespace {

Command tlbi_va(std::uint8_t num, std::uint8_t scale, std::uint8_t ttl, std::uint8_t tg,
                std::uint64_t address) {
  Command c;
  c.opcode = Opcode::kTlbiNhVa;
  c.vmid = Vmid{0x12};
  c.asid = Asid{0x34};
  c.leaf = true;
  c.num = num;
  c.scale = scale;
  c.ttl = ttl;
  c.tg = tg;
  c.address = address;
  return c;
}

TEST(CommandTest, FieldsAreWhereTheArchitectureHasThem) {
  const CommandWords va = encode(tlbi_va(31, 2, 3, 1, 0xABCD'E000));
  EXPECT_EQ(va[0], 0x12ULL | 31ULL << 12 | 2ULL << 20 | 0x12ULL << 32 | 0x34ULL << 48);
  EXPECT_EQ(va[1], 1ULL | 3ULL << 8 | 1ULL << 10 | 0xABCD'E000ULL);
  Command cd;
  cd.opcode = Opcode::kCfgiCd;
  cd.stream = StreamId{0x30};
  cd.substream = Ssid{5};
  cd.leaf = true;
  EXPECT_EQ(encode(cd), (CommandWords{0x05ULL | 5ULL << 12 | 0x30ULL << 32, 1}));
  Command atc;
  atc.opcode = Opcode::kAtcInv;
  atc.stream = StreamId{7};
  atc.substream_valid = true;
  atc.substream = Ssid{3};
  atc.size = 9;
  atc.address = 0x20'0000;
  EXPECT_EQ(encode(atc),
            (CommandWords{0x40ULL | 1ULL << 11 | 3ULL << 12 | 7ULL << 32, 9ULL | 0x20'0000ULL}));
}

TEST(CommandTest, FieldsOfResponsesAndPrefetches) {
  Command c;
  c.opcode = Opcode::kPriResp;
  c.stream = StreamId{7};
  c.substream_valid = true;
  c.substream = Ssid{3};
  c.prg_index = 0x155;
  c.response = static_cast<std::uint8_t>(PriResult::kSuccess);
  EXPECT_EQ(encode(c),
            (CommandWords{0x41ULL | 1ULL << 11 | 3ULL << 12 | 7ULL << 32, 0x155ULL | 2ULL << 12}));
  Command resume;
  resume.opcode = Opcode::kResume;
  resume.stream = StreamId{7};
  resume.stag = 0xABCD;
  resume.response = static_cast<std::uint8_t>(ResumeAction::kAbort);
  EXPECT_EQ(encode(resume), (CommandWords{0x44ULL | 1ULL << 13 | 7ULL << 32, 0xABCD}));
  Command prefetch;
  prefetch.opcode = Opcode::kPrefetchAddr;
  prefetch.stream = StreamId{7};
  prefetch.size = 5;
  prefetch.stride = 9;
  prefetch.address = 0x20'0000;
  EXPECT_EQ(encode(prefetch),
            (CommandWords{0x02ULL | 7ULL << 32, 5ULL | 9ULL << 5 | 0x20'0000ULL}));
}

TEST(CommandTest, CommandsOfWhatAnSmmuLacksAreIllegal) {
  const auto supported = [](Opcode opcode, const Features& features) {
    Command c;
    c.opcode = opcode;
    return is_supported(c, features);
  };
  Features less;
  less.ats = less.pri = less.stall = false;
  for (const Opcode op : {Opcode::kAtcInv, Opcode::kPriResp, Opcode::kResume, Opcode::kStallTerm}) {
    EXPECT_TRUE(supported(op, {}));
    EXPECT_FALSE(supported(op, less));
  }
  EXPECT_TRUE(supported(Opcode::kSync, less));
}

TEST(CommandTest, WhatIsDecodedIsEncodedAgain) {
  RandomStream random(1, "commands");
  int decoded = 0;
  for (int i = 0; i < 20'000; ++i) {
    const CommandWords words{random.next_u64() & ~0xC0ULL, random.next_u64()};
    if (const auto command = decode_command(words)) {
      EXPECT_EQ(decode_command(encode(*command)), command);
      ++decoded;
    }
  }
  EXPECT_GT(decoded, 1000);
}

TEST(CommandTest, IllegalOnes) {
  EXPECT_FALSE(decode_command({0x00, 0}));
  EXPECT_FALSE(decode_command({0x19, 0}));
  EXPECT_FALSE(decode_command({0x46 | 3ULL << 12, 0}));         // CS = 3
  EXPECT_FALSE(decode_command({0x41, 3ULL << 12}));             // PRI_RESP: Resp = 3
  EXPECT_FALSE(decode_command({0x12, 1ULL << 10}));             // TG without a range
  EXPECT_TRUE(decode_command({0x12, 1ULL << 10}, false));       // no RIL: TG is RES0
  EXPECT_TRUE(decode_command({0x12, 1ULL << 10 | 1ULL << 8}));  // a TTL makes it one page
}

TEST(CommandTest, RangeIsNumPlusOneTimesTwoToTheScaleGranules) {
  const auto range = [](std::uint8_t num, std::uint8_t scale, std::uint8_t ttl, std::uint8_t tg) {
    const TlbInvalidation i = tlb_invalidation(tlbi_va(num, scale, ttl, tg, 0x4000'0000));
    return i.last - i.first + 1;
  };
  EXPECT_EQ(range(0, 0, 3, 1), 4096U);
  EXPECT_EQ(range(31, 0, 0, 1), 32U * 4096);
  EXPECT_EQ(range(3, 5, 0, 2), 4U * 32 * 16384);  // TG 2 is 16K here, unlike in the CD
  EXPECT_EQ(range(0, 1, 0, 3), 2U * 65536);
  EXPECT_EQ(range(9, 9, 2, 0), 4096U);  // TG 0: one page, all else ignored
  const TlbInvalidation most = tlb_invalidation(tlbi_va(31, 31, 0, 3, ~0ULL << 40U));
  EXPECT_EQ(most.last, ~0ULL);  // ends where addresses end
}

TEST(CommandTest, WhatConfigurationCommandsCover) {
  Command c;
  c.opcode = Opcode::kCfgiSteRange;
  c.stream = StreamId{0x1235};
  c.range = 3;  // 16 streams, aligned
  EXPECT_EQ(config_invalidation(c)->first, 0x1230U);
  EXPECT_EQ(config_invalidation(c)->last, 0x123FU);
  c.range = 31;
  EXPECT_EQ(config_invalidation(c)->first, 0U);
  EXPECT_EQ(config_invalidation(c)->last, 0xFFFF'FFFFU);
  c.opcode = Opcode::kSync;
  EXPECT_FALSE(config_invalidation(c));
}

}  // namespace
}  // namespace smmulab::smmu::hw

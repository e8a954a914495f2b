// SPDX-License-Identifier: Apache-2.0
// Presets are legal; what is not legal is refused with its key and the legal range.
#include "models/smmuv3/hw/params.hpp"

#include <gtest/gtest.h>

#include "sim/error.hpp"

namespace smmulab::smmu::hw {
namespace {

std::string refused(const SmmuParams& params) {
  try {
    validate(params);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

TEST(SmmuParamsTest, PresetsAreLegalAndCanBeBuilt) {
  EXPECT_EQ(smmu_presets().size(), 5U);
  for (const SmmuPreset& preset : smmu_presets()) {
    EXPECT_EQ(refused(preset.params), "") << preset.name;
    const SmmuCaches caches(shape_of(preset.params), features_of(preset.params), {});
    EXPECT_EQ(caches.main().size(), 0U);
  }
}

// What the presets say of themselves in their ID registers, one by one.
TEST(SmmuParamsTest, PresetsHaveTheFeaturesOfTheirParts) {
  struct Row {
    std::string_view name;
    Httu httu;
    unsigned sid_bits, ssid_bits, oas;
    bool range_inv, va52;
  };
  constexpr Row kRows[] = {
      {"mmu600-agilex5", Httu::kNone, 24, 20, 48, false, false},
      {"mmu700-max", Httu::kDirty, 32, 20, 52, true, true},
      {"mmu700-typical", Httu::kDirty, 32, 20, 52, true, true},
      {"gem5-defaults", Httu::kDirty, 32, 20, 48, true, false},
      {"qemu", Httu::kDirty, 32, 20, 44, true, false},
  };
  ASSERT_EQ(std::size(kRows), smmu_presets().size());
  for (const Row& row : kRows) {
    const Features f = features_of(find_smmu_preset(row.name).params);
    EXPECT_EQ(f.httu, row.httu) << row.name;
    EXPECT_EQ(f.sid_bits, row.sid_bits) << row.name;
    EXPECT_EQ(f.ssid_bits, row.ssid_bits) << row.name;
    EXPECT_EQ(f.oas, row.oas) << row.name;
    EXPECT_EQ(f.range_inv, row.range_inv) << row.name;
    EXPECT_EQ(f.va52, row.va52) << row.name;
    EXPECT_TRUE(f.stage1 && f.stage2 && f.two_level_cd && f.two_level_streams) << row.name;
    EXPECT_TRUE(f.ats && f.pri && f.stall && !f.small_tables) << row.name;
    EXPECT_TRUE(f.granule_4k && f.granule_16k && f.granule_64k) << row.name;
  }
}

// The default is an SMMU with everything.
TEST(SmmuParamsTest, WithoutAPartTheFeaturesAreTheDefaults) {
  const Features f = features_of({});
  const Features all;
  EXPECT_EQ(f.httu, all.httu);
  EXPECT_EQ(f.sid_bits, all.sid_bits);
  EXPECT_EQ(f.oas, all.oas);
  EXPECT_TRUE(f.range_inv);
}

TEST(SmmuParamsTest, IllegalOnesNameKeyAndRange) {
  SmmuParams p = find_smmu_preset("mmu700-typical").params;
  p.mtlb_entries = 1000;
  EXPECT_EQ(refused(p),
            "smmuv3.mtlb_entries = 1000: an MMU-700 has 0 or a power of 2 from 32 to 65536");
  p = find_smmu_preset("mmu700-max").params;
  p.utlb_entries = 24;
  EXPECT_NE(refused(p).find("4, 8, 12, 16, 32, 64"), std::string::npos);
  p = find_smmu_preset("mmu600-agilex5").params;
  p.wc_unified = true;
  EXPECT_NE(refused(p).find("smmuv3.wc_unified"), std::string::npos);
  p = {};
  p.mtlb_entries = 30;
  EXPECT_NE(refused(p).find("multiple of smmuv3.mtlb_ways (4)"), std::string::npos);
  p = {};
  p.mtlb_policy = Policy::kPlru;
  p.mtlb_ways = 0;
  EXPECT_NE(refused(p).find("plru"), std::string::npos);
  p = {};
  p.oas = 45;
  EXPECT_NE(refused(p).find("32, 36, 40, 42, 44, 48, 52"), std::string::npos);
}

TEST(SmmuParamsTest, WhatAPartCannotBeIsRefused) {
  const SmmuParams m600 = find_smmu_preset("mmu600-agilex5").params;
  const SmmuParams m700 = find_smmu_preset("mmu700-typical").params;
  const auto with = [](SmmuParams p, const auto& change) {
    change(p);
    return refused(p);
  };
  using P = SmmuParams;
  EXPECT_EQ(with(m600, [](P& p) { p.utlb_ways = 2; }),
            "smmuv3.utlb_ways = 2: an MMU-600 has 0 (fully associative)");
  EXPECT_EQ(with(m600, [](P& p) { p.utlb_entries = 0; }),
            "smmuv3.utlb_entries = 0: an MMU-600 has 1 or more");
  EXPECT_EQ(with(m600, [](P& p) { p.cc_entries = 0; }),
            "smmuv3.cc_entries = 0: an MMU-600 has 4 or more");
  EXPECT_EQ(with(m600, [](P& p) { p.wc_entries[5] = 0; }),
            "smmuv3.wc_s2l1 = 0: an MMU-600 has 4 or more");
  EXPECT_EQ(with(m600, [](P& p) { p.cc_policy = Policy::kLru; }),
            "smmuv3.cc_policy = lru: an MMU-600 has round-robin");
  EXPECT_EQ(with(m600, [](P& p) { p.utlb_policy = Policy::kLru; }),
            "smmuv3.utlb_policy = lru: an MMU-600 has one of plru, round-robin");
  EXPECT_EQ(with(m600, [](P& p) { p.mtlb_entries = 0; }), "");  // a main TLB is optional
  EXPECT_EQ(
      with(m700, [](P& p) { p.mtlb_policy = Policy::kFlushAll; }),
      "smmuv3.mtlb_policy = flush-all: an MMU-700 has one of random, round-robin, plru, rrip, "
      "lru");
  EXPECT_NE(with(m700, [](P& p) { p.utlb_policy = Policy::kFlushAll; }), "");
  EXPECT_NE(with(m700, [](P& p) { p.cc_policy = Policy::kFlushAll; }), "");
  EXPECT_EQ(with(m700, [](P& p) { p.wc_entries[1] = 64; }),
            "smmuv3.wc_s1l1 = 64: with smmuv3.wc_unified = true the one walk cache is "
            "smmuv3.wc_s1l0; expected 0 (or 256, the default)");
  EXPECT_EQ(with({}, [](P& p) { p.wc_unified = true; }), "");
}

TEST(SmmuParamsTest, UnknownPresetNamesTheNearest) {
  try {
    (void)find_smmu_preset("mmu700-tipical");
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_NE(std::string(error.what()).find("did you mean 'mmu700-typical'"), std::string::npos);
  }
}

TEST(SmmuParamsTest, EveryFieldIsDescribed) {
  SmmuParams p;
  ParamTable table;
  describe(table, p);
  table.set("smmuv3.wc_s2l3", "12");
  table.set("smmuv3.mtlb_policy", "lru");
  EXPECT_EQ(p.wc_entries[7], 12U);
  EXPECT_EQ(p.mtlb_policy, Policy::kLru);
  EXPECT_EQ(table.describe().size(), 23U);
}

}  // namespace
}  // namespace smmulab::smmu::hw

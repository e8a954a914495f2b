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

// SPDX-License-Identifier: Apache-2.0
// The STE/CD writer against the verdicts that Linux 6.12 states in its own unit test
// (drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3-test.c, every case): how many syncs a transition
// takes, whether a sync ever saw an entry with an empty first quadword, and, at each sync, that an
// entry in use is equivalent to the old or to the new one.
#include "models/smmuv3/driver/entry_writer.hpp"

#include <string>

#include <gtest/gtest.h>

#include "models/smmuv3/hw/structures.hpp"

namespace smmulab::smmu {
namespace {

constexpr std::uint64_t kCdTable = 0xF0F0F0F0F0C0;
constexpr std::uint64_t kStage2Table = 0xbeefdeadbee0;
constexpr std::uint64_t kSteStallD = 1ULL << 27U;  // STE.S1STALLD, word 1
constexpr std::uint64_t kSteS2S = 1ULL << 57U;     // STE.S2S, word 2

Entry ste_to_cd_table(S1Dss s1dss = S1Dss::kSsid0) {
  return make_cdtable_ste(kCdTable, true, s1dss);
}
Entry ste_to_stage2() {
  return make_s2_ste(0, kStage2Table, true);
}

bool equivalent(const Entry& now, const Entry& reference, UsedBits used) {
  const Entry mask = used(now);
  for (std::size_t i = 0; i < kEntryQwords; ++i) {
    if ((now[i] & mask[i]) != reference[i]) {
      return false;
    }
  }
  return true;
}

struct Expected {
  std::uint32_t syncs;
  bool hitless;
};

void expect_transition(const Entry& from, const Entry& to, UsedBits used, Expected expected) {
  const EntryUpdate update = plan_entry_update(from, to, used);
  EXPECT_EQ(update.step_count, expected.syncs);
  EXPECT_EQ(update.hitless, expected.hitless);
  bool saw_empty = false;
  for (std::uint32_t i = 0; i < update.step_count; ++i) {
    const Entry& step = update.steps[i];
    if (step[0] == 0) {
      saw_empty = true;
    } else {
      EXPECT_TRUE(equivalent(step, from, used) || equivalent(step, to, used)) << "step " << i;
    }
  }
  EXPECT_EQ(saw_empty, !expected.hitless);
  ASSERT_GT(update.step_count, 0U);
  EXPECT_EQ(update.steps[update.step_count - 1], to);
}

void expect_ste(const Entry& from, const Entry& to, Expected expected) {
  expect_transition(from, to, ste_used_bits, expected);
}
void expect_cd(const Entry& from, const Entry& to, Expected expected) {
  expect_transition(from, to, cd_used_bits, expected);
}

TEST(SteTransition, BypassToAbort) {
  expect_ste(make_bypass_ste(), make_abort_ste(), {2, true});
}

// S1Fmt and S1CDMax lie in the word of the table's address: no step more.
TEST(SteTransition, ACdTableOfTwoLevels) {
  const Entry ste = with_two_levels(ste_to_cd_table(), 20);
  expect_ste(make_abort_ste(), ste, {2, true});
  expect_ste(ste, make_abort_ste(), {2, true});
  expect_ste(ste, ste_to_stage2(), {3, true});
  const hw::Ste decoded = hw::decode_ste(ste);
  EXPECT_EQ(decoded.s1_format, 2U);
  EXPECT_EQ(decoded.s1_cd_max, 20U);
  EXPECT_EQ(decoded.s1_context_ptr, kCdTable);
}

TEST(SteTransition, AbortToBypass) {
  expect_ste(make_abort_ste(), make_bypass_ste(), {2, true});
}

TEST(SteTransition, CdTableToAbort) {
  expect_ste(ste_to_cd_table(), make_abort_ste(), {2, true});
}

TEST(SteTransition, AbortToCdTable) {
  expect_ste(make_abort_ste(), ste_to_cd_table(), {2, true});
}

TEST(SteTransition, CdTableToBypass) {
  expect_ste(ste_to_cd_table(), make_bypass_ste(), {3, true});
}

TEST(SteTransition, BypassToCdTable) {
  expect_ste(make_bypass_ste(), ste_to_cd_table(), {3, true});
}

TEST(SteTransition, S1DssChangesInOneStore) {
  expect_ste(ste_to_cd_table(), ste_to_cd_table(S1Dss::kBypass), {1, true});
  expect_ste(ste_to_cd_table(S1Dss::kBypass), ste_to_cd_table(), {1, true});
}

TEST(SteTransition, S1DssBypassToBypass) {
  expect_ste(ste_to_cd_table(S1Dss::kBypass), make_bypass_ste(), {2, true});
}

TEST(SteTransition, BypassToS1DssBypass) {
  expect_ste(make_bypass_ste(), ste_to_cd_table(S1Dss::kBypass), {2, true});
}

TEST(SteTransition, Stage2ToAbort) {
  expect_ste(ste_to_stage2(), make_abort_ste(), {2, true});
}

TEST(SteTransition, AbortToStage2) {
  expect_ste(make_abort_ste(), ste_to_stage2(), {2, true});
}

TEST(SteTransition, Stage2ToBypass) {
  expect_ste(ste_to_stage2(), make_bypass_ste(), {2, true});
}

TEST(SteTransition, BypassToStage2) {
  expect_ste(make_bypass_ste(), ste_to_stage2(), {2, true});
}

TEST(SteTransition, Stage1ToStage2) {
  expect_ste(ste_to_cd_table(), ste_to_stage2(), {3, true});
}

TEST(SteTransition, Stage2ToStage1) {
  expect_ste(ste_to_stage2(), ste_to_cd_table(), {3, true});
}

// Devices that may stall have S1STALLD clear and S2S set, and no ATS.
TEST(SteTransition, StallingDeviceBetweenTheStages) {
  Entry stage1 = make_cdtable_ste(kCdTable, false);
  stage1[1] &= ~kSteStallD;
  Entry stage2 = make_s2_ste(0, kStage2Table, false);
  stage2[2] |= kSteS2S;
  expect_ste(stage1, stage2, {3, true});
  expect_ste(stage2, stage1, {3, true});
}

TEST(SteTransition, TablePointerAndS1DssTogetherBreak) {
  expect_ste(ste_to_cd_table(), make_cdtable_ste(0x4B4B4b4B40, true, S1Dss::kBypass), {3, false});
}

TEST(CdTransition, InstallAndClearPassThroughInvalid) {
  expect_cd(Entry{}, make_s1_cd(1997, kStage2Table), {2, false});
  expect_cd(make_s1_cd(1997, kStage2Table), Entry{}, {2, false});
}

TEST(CdTransition, AsidChangesInOneStore) {
  expect_cd(make_s1_cd(778, kStage2Table), make_s1_cd(1997, kStage2Table), {1, true});
  expect_cd(make_s1_cd(1997, kStage2Table), make_s1_cd(778, kStage2Table), {1, true});
}

// A shared-mm CD has the mm's table where a domain's has its own; after the mm is gone, EPD0.
TEST(CdTransition, SharedMmReleaseAndBack) {
  const Entry live = make_s1_cd(1997, 0xdeadbee0);
  const Entry released = make_released_sva_cd(1997);
  expect_cd(live, released, {2, true});
  expect_cd(released, live, {2, true});
}

// What follows from the writer's rule for the driver's own replaces (not in the kernel's test): two
// used quadwords differ, so the entry is invalid in between.
TEST(CdTransition, AnotherDomainsAsidAndTableBreak) {
  expect_cd(make_s1_cd(1, 0x1000), make_s1_cd(2, 0x2000), {3, false});
}

TEST(SteTransition, AnotherStage2DomainBreaks) {
  expect_ste(make_s2_ste(1, 0x1000, false), make_s2_ste(2, 0x2000, false), {3, false});
}

// A stage 1 STE uses S2VMID too (it is 0), so a real VMID makes a second quadword differ.
TEST(SteTransition, Stage1ToStage2WithAVmidBreaks) {
  expect_ste(ste_to_cd_table(), make_s2_ste(7, kStage2Table, true), {3, false});
}

TEST(SteTransition, NothingToDoTakesNoSync) {
  EXPECT_EQ(plan_entry_update(ste_to_cd_table(), ste_to_cd_table(), ste_used_bits).step_count, 0U);
  EXPECT_TRUE(plan_entry_update(ste_to_cd_table(), ste_to_cd_table(), ste_used_bits).hitless);
}

TEST(EntryState, WhatATransactionMeets) {
  EXPECT_FALSE(ste_passes(Entry{}));
  EXPECT_FALSE(ste_passes(make_abort_ste()));
  EXPECT_TRUE(ste_passes(make_bypass_ste()));
  EXPECT_TRUE(ste_passes(ste_to_cd_table()));
  EXPECT_TRUE(ste_passes(ste_to_stage2()));
  EXPECT_TRUE(ste_uses_cd(ste_to_cd_table()));
  EXPECT_FALSE(ste_uses_cd(ste_to_stage2()));
  EXPECT_FALSE(ste_uses_cd(make_bypass_ste()));
  EXPECT_FALSE(cd_valid(Entry{}));
  EXPECT_TRUE(cd_valid(make_s1_cd(1, 0)));
}

}  // namespace
}  // namespace smmulab::smmu

// SPDX-License-Identifier: Apache-2.0
// The counters: what each counts once, their ids and names, and what a filter by StreamID leaves.
#include "models/smmuv3/timed/pmu.hpp"

#include <gtest/gtest.h>

#include "models/smmuv3/timed/bench_testing.hpp"

namespace smmulab::smmu::timed {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): set-ups

constexpr std::uint32_t kSid = 5;

std::uint64_t count_of(const TimedSmmu& smmu, const std::string& unit, std::uint32_t id) {
  for (const PmuRow& row : smmu.pmu()) {
    if (row.unit == unit && row.id == id) {
      return row.value;
    }
  }
  ADD_FAILURE() << unit << " has no event " << id;
  return 0;
}

// Nine of ten wait for the one CTW slot and then find what the first has fetched.
TEST(PmuTest, OnlyWhoReadsConfigurationMissesIt) {
  constexpr std::uint32_t kPages = 10;
  hw::testing::World world;
  hw::PageTable table(world.frames, {1, hw::Granule::k4K, 48, 48});
  ASSERT_EQ(table.map_pages(k2M, k1G, 12, kPages, {}), hw::MapError::kNone);
  world.attach_s1(kSid, table);
  TimedParams p;
  p.tcu.ctw_slots = 1;
  TimedSmmu smmu(p, world.features, world.streams.base(), world.memory);
  Probe probe(smmu.timers(), smmu.tbu(0));
  for (std::uint32_t i = 0; i < kPages; ++i) {
    probe.send(kSid, k2M + i * k4K);
  }
  smmu.timers().run_to_idle();
  for (std::uint32_t i = 0; i < kPages; ++i) {
    EXPECT_EQ(probe.passage(i)->verdict, Verdict::kTranslated) << i;
  }
  EXPECT_EQ(count_of(smmu, "tcu", 0x01), kPages);
  EXPECT_EQ(count_of(smmu, "tcu", 0x03), 1U);
  EXPECT_EQ(count_of(smmu, "tcu", 0x05), 3U);  // two reads of stream tables, one CD
  EXPECT_EQ(count_of(smmu, "tcu", 0x92), kPages);
  EXPECT_EQ(count_of(smmu, "tcu", 0x93), kPages + 9);
  EXPECT_EQ(count_of(smmu, "tcu", 0x94), kPages);
}

}  // namespace
}  // namespace smmulab::smmu::timed

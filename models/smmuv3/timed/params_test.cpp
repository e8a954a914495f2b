// SPDX-License-Identifier: Apache-2.0
// What check() refuses, by its message, and settings that would be easy to lose on their way to the
// part that they are about.
#include "models/smmuv3/timed/params.hpp"

#include <gtest/gtest.h>

#include "models/smmuv3/timed/bench_testing.hpp"
#include "sim/error.hpp"

namespace smmulab::smmu::timed {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): set-ups

std::string refused(const TimedParams& params) {
  try {
    check(params);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

TEST(TimedParamsTest, ATimeOutBeforeAnyAnswerIsRefused) {
  TimedParams p;
  EXPECT_EQ(refused(p), "");
  p.link.atc_response = 10_us;
  p.link.atc_timeout = 9_us;
  EXPECT_EQ(refused(p),
            "smmuv3.link.atc_timeout = 9us must be at least smmuv3.link.atc_response = 10us");
  p.link.atc_timeout = 10_us;  // an answer at the deadline is in time
  EXPECT_EQ(refused(p), "");
}

TEST(TimedParamsTest, ConfigurationWalksComeInPowersOfTwo) {
  TimedParams p;
  for (const std::uint32_t slots : {1U, 2U, 4U}) {
    p.tcu.ctw_slots = slots;
    EXPECT_EQ(refused(p), "") << slots;
  }
  p.tcu.ctw_slots = 3;
  EXPECT_EQ(refused(p), "smmuv3.tcu.ctw_slots = 3: expected 1, 2 or 4 (MMU-700 TRM)");
}

// Requests to the TCU for a global page that another ASID's stream has brought into the TLBs.
std::uint64_t requests_for_a_shared_page(bool honour_global) {
  hw::testing::World world;
  hw::PageTable table(world.frames, {1, hw::Granule::k4K, 48, 48});
  hw::Protection shared;
  shared.global = true;
  EXPECT_EQ(table.map_pages(k2M, k1G, 12, 1, {}), hw::MapError::kNone);
  EXPECT_EQ(table.map_pages(k2M + k4K, k1G + k4K, 12, 1, shared), hw::MapError::kNone);
  world.attach_s1(1, table, 1);
  world.attach_s1(2, table, 2);
  TimedParams p;
  p.tbu.honour_global = honour_global;
  TimedSmmu smmu(p, world.features, world.streams.base(), world.memory);
  Probe probe(smmu.timers(), smmu.tbu(0));
  probe.send(1, k2M + k4K);
  probe.send(2, k2M);  // its configuration
  smmu.timers().run_to_idle();
  const std::uint64_t before = smmu.tbu(0).counters().translation_request;
  const std::uint32_t last = probe.send(2, k2M + k4K);
  smmu.timers().run_to_idle();
  EXPECT_EQ(probe.passage(last)->pa, k1G + k4K);
  return smmu.tbu(0).counters().translation_request - before;
}

TEST(TimedParamsTest, GlobalEntriesServeOtherAsidsIfTheyMay) {
  EXPECT_EQ(requests_for_a_shared_page(true), 0U);
  EXPECT_EQ(requests_for_a_shared_page(false), 1U);
}

}  // namespace
}  // namespace smmulab::smmu::timed

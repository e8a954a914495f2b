// SPDX-License-Identifier: Apache-2.0
// TLB reach of a client: what its fills add, what evictions, invalidations and others' fills take
// away, weighted by time. Two streams share an address space unless a test says otherwise.
#include "models/smmuv3/timed/reach_meter.hpp"

#include <gtest/gtest.h>

#include "models/smmuv3/timed/bench_testing.hpp"

namespace smmulab::smmu::timed {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): set-ups
using hw::Opcode;

constexpr std::uint32_t kSid = 5;
constexpr std::uint32_t kOther = 6;

class ReachMeterTest : public ::testing::Test {
 protected:
  ReachMeterTest() : table_(world_.frames, {1, hw::Granule::k4K, 48, 48}) {
    EXPECT_EQ(table_.map_pages(k1G, k1G, 12, 64, {}), hw::MapError::kNone);
    EXPECT_EQ(table_.map_pages(2 * k1G, 2 * k1G, 21, 4, {}), hw::MapError::kNone);
    world_.attach_s1(kSid, table_);
    world_.attach_s1(kOther, table_);
    p_.tbu.micro = {16, 0, hw::Policy::kRoundRobin, 1};
    p_.tbu.main = {64, 0, hw::Policy::kRoundRobin, 1};
  }
  void build() {
    smmu_.emplace(p_, world_.features, world_.streams.base(), world_.memory);
    commands_.emplace(*smmu_, world_);
    probe_.emplace(smmu_->timers(), smmu_->tbu(0));
    for (const std::uint32_t sid : {kSid, kOther}) {
      clients_[sid - kSid] = smmu_->tbu(0).reach().add();
      smmu_->tbu(0).reach().assign(StreamId{sid}, clients_[sid - kSid]);
    }
  }
  void touch(std::uint32_t sid, std::uint64_t address) {
    const std::uint32_t n = probe_->send(sid, address);
    smmu_->timers().run_to_idle();
    ASSERT_TRUE(probe_->passage(n)->passes());
  }
  void touch_pages(std::uint32_t sid, std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i) {
      touch(sid, k1G + i * k4K);
    }
  }
  void invalidate(const hw::Command& command) {
    commands_->add(command);
    commands_->add(Opcode::kSync);
    commands_->ring();
    smmu_->timers().run_to_idle();
  }
  GaugeWindow reach(std::uint32_t sid) { return smmu_->tbu(0).reach().at(clients_[sid - kSid]); }
  std::uint64_t bytes(std::uint32_t sid) { return static_cast<std::uint64_t>(reach(sid).last); }

  hw::testing::World world_;
  hw::PageTable table_;
  TimedParams p_;
  std::optional<TimedSmmu> smmu_;
  std::optional<Commands> commands_;
  std::optional<Probe> probe_;
  std::array<std::uint32_t, 2> clients_{};
};

TEST_F(ReachMeterTest, EntriesCountByTheirSize) {
  build();
  EXPECT_EQ(bytes(kSid), 0U);
  touch_pages(kSid, 10);
  EXPECT_EQ(bytes(kSid), 10 * k4K);
  touch_pages(kSid, 10);  // hits
  EXPECT_EQ(bytes(kSid), 10 * k4K);
  touch(kSid, 2 * k1G + k4K);
  EXPECT_EQ(bytes(kSid), 10 * k4K + k2M);
}

TEST_F(ReachMeterTest, WithoutAMainTlbTheMicroTlbCounts) {
  p_.tbu.main.entries = 0;
  build();
  touch_pages(kSid, 40);
  EXPECT_EQ(bytes(kSid), 16 * k4K);
}

TEST_F(ReachMeterTest, WhatIsEvictedCountsNoMore) {
  p_.tbu.main.entries = 32;
  build();
  touch_pages(kSid, 24);
  for (std::uint64_t i = 24; i < 40; ++i) {
    touch(kOther, k1G + i * k4K);
  }
  EXPECT_EQ(bytes(kOther), 16 * k4K);
  EXPECT_EQ(bytes(kSid), 16 * k4K);
  EXPECT_EQ(reach(kSid).max, static_cast<std::int64_t>(24 * k4K));
}

TEST_F(ReachMeterTest, AnInvalidationTakesWhatItNames) {
  build();
  touch_pages(kSid, 10);
  hw::Command page;
  page.opcode = Opcode::kTlbiNhVa;
  page.asid = Asid{1};
  page.address = k1G + 3 * k4K;
  invalidate(page);
  EXPECT_EQ(bytes(kSid), 9 * k4K);
  hw::Command all;
  all.opcode = Opcode::kTlbiNhAsid;
  all.asid = Asid{1};
  invalidate(all);
  EXPECT_EQ(bytes(kSid), 0U);
  EXPECT_EQ(reach(kSid).max, static_cast<std::int64_t>(10 * k4K));
}

// Both ask before either is answered: one entry, which the later answer fills anew.
TEST_F(ReachMeterTest, OneEntryIsOneClients) {
  build();
  probe_->send(kSid, k1G);
  probe_->send(kOther, k1G);
  smmu_->timers().run_to_idle();
  EXPECT_EQ(bytes(kSid) + bytes(kOther), k4K);
  touch(kSid, k1G);
  EXPECT_EQ(bytes(kSid) + bytes(kOther), k4K);
}

TEST_F(ReachMeterTest, TheMeanIsWeightedByTime) {
  build();
  touch(kSid, k1G);
  const SimTime filled = smmu_->now();
  smmu_->timers().run_until(filled + 1_ms);
  // The walk before it is some tenth of a us of that ms.
  EXPECT_NEAR(reach(kSid).mean(), static_cast<double>(k4K), 10.0);
  EXPECT_LT(reach(kSid).mean(), static_cast<double>(k4K));
}

TEST_F(ReachMeterTest, StreamsThatNobodyMeasuresAreNobodys) {
  world_.attach_s1(kOther + 1, table_);
  build();
  touch(kOther + 1, k1G);
  EXPECT_EQ(bytes(kSid) + bytes(kOther), 0U);
}

}  // namespace
}  // namespace smmulab::smmu::timed

// SPDX-License-Identifier: Apache-2.0
// The latency of each path through an idle SMMU is the sum of its parts.
#include <gtest/gtest.h>

#include "models/smmuv3/timed/bench_testing.hpp"

namespace smmulab::smmu::timed {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): set-ups

constexpr std::uint32_t kSid = 5;

class ZeroLoad : public ::testing::Test {
 protected:
  ZeroLoad() : table_(world_.frames, {1, hw::Granule::k4K, 48, 48}) {
    EXPECT_EQ(table_.map_pages(k2M, k1G, 12, 512, {}), hw::MapError::kNone);
    world_.attach_s1(kSid, table_);
    EXPECT_FALSE(world_.streams.base().address == 0);
  }
  void build() {
    smmu_.emplace(p_, world_.features, world_.streams.base(), world_.memory);
    probe_.emplace(smmu_->timers(), smmu_->tbu(0));
  }
  Ps latency_of(std::uint64_t address) {
    const std::uint32_t n = probe_->send(kSid, address);
    smmu_->timers().run_to_idle();
    EXPECT_TRUE(probe_->passage(n).has_value());
    EXPECT_EQ(probe_->passage(n)->verdict, Verdict::kTranslated);
    EXPECT_EQ(probe_->passage(n)->pa, k1G + address - k2M);
    smmu_->timers().run_until(smmu_->timers().now() + 1_us);
    return probe_->latency(n);
  }
  [[nodiscard]] Ps read() const { return p_.memory.burst + p_.memory.latency; }
  [[nodiscard]] Ps look_ups() const { return p_.tbu.micro_lookup + p_.tbu.main_lookup; }

  hw::testing::World world_;
  hw::PageTable table_;
  TimedParams p_;
  std::optional<TimedSmmu> smmu_;
  std::optional<Probe> probe_;
};

TEST_F(ZeroLoad, EachPathIsTheSumOfItsParts) {
  p_.tbu.micro.entries = 4;
  build();
  // Nothing is known: the TBU has no configuration, so it does not look in the main TLB. Two reads
  // of stream tables, one of a linear CD table, four levels of stage 1.
  EXPECT_EQ(latency_of(k2M), p_.tbu.micro_lookup + 2 * p_.link.dti + p_.tcu.config_lookup +
                                 p_.tcu.walk_lookup + (2 + 1 + 4) * read());
  EXPECT_EQ(latency_of(k2M), p_.tbu.micro_lookup);
  // The next page: the table of level 3 is known.
  for (std::uint64_t page = 1; page <= 4; ++page) {
    EXPECT_EQ(latency_of(k2M + page * k4K),
              look_ups() + 2 * p_.link.dti + p_.tcu.config_lookup + p_.tcu.walk_lookup + read());
  }
  // Four pages have pushed the first one out of the micro TLB, not out of the main one.
  EXPECT_EQ(latency_of(k2M), look_ups());
  EXPECT_EQ(latency_of(k2M), p_.tbu.micro_lookup);
  const TbuCounters tbu = smmu_->tbu(0).counters();
  EXPECT_EQ(tbu.transaction, 8U);
  EXPECT_EQ(tbu.tlb_miss, 5U);
  EXPECT_EQ(tbu.main_lookup, 5U);
  EXPECT_EQ(tbu.main_miss, 4U);
  const TcuCounters& tcu = smmu_->tcu().counters();
  EXPECT_EQ(tcu.transaction, 5U);
  EXPECT_EQ(tcu.config_cache_miss, 1U);
  EXPECT_EQ(tcu.config_struct_access, 3U);
  EXPECT_EQ(tcu.trans_table_walk_access, 4U + 4U);
}

TEST_F(ZeroLoad, AWalkCacheThatHoldsTheLeafNeedsNoRead) {
  p_.tbu.main.entries = 0;
  p_.tbu.micro.entries = 4;
  build();
  for (std::uint64_t page = 0; page < 5; ++page) {
    latency_of(k2M + page * k4K);
  }
  const std::uint64_t reads = smmu_->tcu().counters().trans_table_walk_access;
  EXPECT_EQ(latency_of(k2M),
            p_.tbu.micro_lookup + 2 * p_.link.dti + p_.tcu.config_lookup + p_.tcu.walk_lookup);
  EXPECT_EQ(smmu_->tcu().counters().trans_table_walk_access, reads);
}

TEST_F(ZeroLoad, EverySizeInUseIsALookUpMore) {
  ASSERT_EQ(table_.map_pages(k1G, 2 * k1G, 21, 8, {}), hw::MapError::kNone);
  p_.tbu.micro.entries = 4;
  build();
  const auto go = [&](std::uint64_t address) {
    const std::uint32_t n = probe_->send(kSid, address);
    smmu_->timers().run_to_idle();
    smmu_->timers().run_until(smmu_->timers().now() + 1_us);
    return probe_->latency(n);
  };
  go(k2M);
  for (std::uint64_t block = 0; block < 5; ++block) {
    go(k1G + block * k2M);
  }
  // Both sizes are there. The smaller is looked up first.
  EXPECT_EQ(go(k2M), look_ups());
  EXPECT_EQ(go(k1G + k4K), look_ups() + p_.tbu.cycle);
}

TEST(NestedZeroLoadTest, ColdTranslationIsThirtySixReads) {
  NestedWorld nested;
  ASSERT_TRUE(nested.good);
  TimedParams p;
  p.tcu.walk.entries = 0;
  TimedSmmu smmu(p, nested.world.features, nested.world.streams.base(), nested.world.memory);
  Probe probe(smmu.timers(), smmu.tbu(0));
  const std::uint32_t n = probe.send(NestedWorld::kSid, k2M + 0x40, true, NestedWorld::kSsid);
  smmu.timers().run_to_idle();
  ASSERT_TRUE(probe.passage(n).has_value());
  ASSERT_EQ(probe.passage(n)->verdict, Verdict::kTranslated);
  EXPECT_EQ(probe.passage(n)->pa, NestedWorld::physical(k2M + 0x40));
  EXPECT_EQ(probe.latency(n), p.tbu.micro_lookup + 2 * p.link.dti + p.tcu.config_lookup +
                                  36 * (p.memory.burst + p.memory.latency));
  EXPECT_EQ(smmu.tcu().counters().config_struct_access, 4U);
  EXPECT_EQ(smmu.tcu().counters().trans_table_walk_access, 32U);
}

}  // namespace
}  // namespace smmulab::smmu::timed

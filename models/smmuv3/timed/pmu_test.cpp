// SPDX-License-Identifier: Apache-2.0
// The counters: what each counts once, their ids and names, and what a filter by StreamID leaves.
#include "models/smmuv3/timed/pmu.hpp"

#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

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

TEST(PmuTest, RowsAreThoseOfThePmcgs) {
  using Row = std::tuple<std::string, std::uint32_t, std::string>;
  const std::vector<Row> expected = {
      {"tcu", 0x00, "cycles"},
      {"tcu", 0x01, "transaction"},
      {"tcu", 0x02, "tlb_miss"},
      {"tcu", 0x03, "config_cache_miss"},
      {"tcu", 0x04, "trans_table_walk_access"},
      {"tcu", 0x05, "config_struct_access"},
      {"tcu", 0x06, "pcie_ats_trans_rq"},
      {"tcu", 0x80, "s1l0wc_lookup"},
      {"tcu", 0x81, "s1l0wc_miss"},
      {"tcu", 0x82, "s1l1wc_lookup"},
      {"tcu", 0x83, "s1l1wc_miss"},
      {"tcu", 0x84, "s1l2wc_lookup"},
      {"tcu", 0x85, "s1l2wc_miss"},
      {"tcu", 0x86, "s1l3wc_lookup"},
      {"tcu", 0x87, "s1l3wc_miss"},
      {"tcu", 0x88, "s2l0wc_lookup"},
      {"tcu", 0x89, "s2l0wc_miss"},
      {"tcu", 0x8A, "s2l1wc_lookup"},
      {"tcu", 0x8B, "s2l1wc_miss"},
      {"tcu", 0x8C, "s2l2wc_lookup"},
      {"tcu", 0x8D, "s2l2wc_miss"},
      {"tcu", 0x8E, "s2l3wc_lookup"},
      {"tcu", 0x8F, "s2l3wc_miss"},
      {"tcu", 0x90, "wc_read"},
      {"tcu", 0x91, "buffered_translation"},
      {"tcu", 0x92, "cc_lookup"},
      {"tcu", 0x93, "cc_read"},
      {"tcu", 0x94, "cc_miss"},
      {"tbu0", 0x00, "cycles"},
      {"tbu0", 0x01, "transaction"},
      {"tbu0", 0x02, "tlb_miss"},
      {"tbu0", 0x03, "config_cache_miss"},
      {"tbu0", 0x07, "pcie_ats_trans_passed"},
      {"tbu0", 0x80, "main_tlb_lookup"},
      {"tbu0", 0x81, "main_tlb_miss"},
      {"tbu0", 0x82, "main_tlb_read"},
      {"tbu0", 0x83, "micro_tlb_lookup"},
      {"tbu0", 0x84, "micro_tlb_miss"},
      {"tbu0", 0x85, "slots_full"},
      {"tbu0", 0x86, "out_of_trans_tokens"},
      {"tbu0", 0x88, "translation_request"},
  };
  hw::testing::World world;
  TimedSmmu smmu({}, world.features, world.streams.base(), world.memory);
  std::vector<Row> rows;
  for (const PmuRow& row : smmu.pmu()) {
    rows.emplace_back(row.unit, row.id, row.name);
    EXPECT_EQ(row.value, 0U) << row.name;
    EXPECT_FALSE(row.filtered) << row.name;
  }
  EXPECT_EQ(rows, expected);
}

TEST(PmuTest, ASpanIsTheBitsUpToTheLowestZero) {
  const auto matches = [](std::uint32_t filter, bool span, std::uint32_t stream) {
    return PmuFilter{StreamId{filter}, span}.matches(StreamId{stream});
  };
  EXPECT_TRUE(matches(0x42, false, 0x42));
  EXPECT_FALSE(matches(0x42, false, 0x43));
  EXPECT_TRUE(matches(0x42, true, 0x42));
  EXPECT_TRUE(matches(0x42, true, 0x43));
  EXPECT_FALSE(matches(0x42, true, 0x41));
  EXPECT_FALSE(matches(0x42, true, 0x44));
  for (std::uint32_t stream = 0x3E; stream < 0x4A; ++stream) {
    EXPECT_EQ(matches(0x43, true, stream), stream >= 0x40 && stream <= 0x47) << stream;
  }
  EXPECT_TRUE(matches(~0U, true, 0));
  EXPECT_TRUE(matches(~0U, true, ~0U));
  EXPECT_FALSE(matches(~0U, false, 0));
}

// One plain stream and one with an ATC. They share neither tables nor ASID, each has one
// transaction under way, and all they use fits into the caches: what one counts does not depend on
// when the other comes.
class PmuFilterTest : public ::testing::Test {
 protected:
  static constexpr std::uint32_t kPlain = 0x42, kAts = 0x45;
  static constexpr std::uint64_t kPages = 32;
  using Counts = std::map<std::pair<std::string, std::uint32_t>, std::uint64_t>;

  PmuFilterTest()
      : plain_(world_.frames, {1, hw::Granule::k4K, 48, 48}),
        ats_(world_.frames, {1, hw::Granule::k4K, 48, 48}) {
    EXPECT_EQ(plain_.map_pages(k2M, k1G, 12, kPages, {}), hw::MapError::kNone);
    EXPECT_EQ(ats_.map_pages(k32M, 2 * k1G, 12, kPages, {}), hw::MapError::kNone);
    world_.attach_s1(kPlain, plain_, 1);
    hw::Cd cd = hw::testing::World::base_cd(2);
    point_cd_at(cd, ats_);
    hw::ContextTable cds(world_.frames, hw::ContextTable::Format::kLinear, 0);
    cds.write(hw::Ssid{0}, cd);
    hw::Ste ste = hw::testing::World::ste_of(hw::Ste::Config::kS1);
    ste.eats = 1;
    cds.point_ste(ste);
    world_.streams.write(StreamId{kAts}, ste);
  }
  // The events that a filter concerns, of a run with these streams.
  Counts run(const std::vector<std::uint32_t>& streams, PmuParams filter = {}) {
    TimedParams p;
    p.pmu = filter;
    TimedSmmu smmu(p, world_.features, world_.streams.base(), world_.memory);
    for (const std::uint32_t stream : streams) {
      StreamParams s;
      s.stream = StreamId{stream};
      s.base = stream == kPlain ? k2M : k32M;
      s.span = kPages * k4K;
      s.payload = 256;
      s.outstanding = 1;
      s.count = 3'000;
      s.atc_entries = stream == kAts ? 8 : 0;
      smmu.add_stream(s);
    }
    smmu.timers().run_to_idle();
    Counts counts;
    for (const PmuRow& row : smmu.pmu()) {
      EXPECT_EQ(row.filtered, filter.filter_enable && row.id >= 0x01 && row.id <= 0x07);
      if (row.id >= 0x01 && row.id <= 0x07) {
        counts[{row.unit, row.id}] = row.value;
      }
    }
    return counts;
  }
  static PmuParams only(std::uint32_t stream) { return {true, false, stream}; }

 private:
  hw::testing::World world_;
  hw::PageTable plain_;
  hw::PageTable ats_;
};

TEST_F(PmuFilterTest, WhatIsLeftIsTheStreamAlone) {
  const Counts plain = run({kPlain, kAts}, only(kPlain));
  const Counts ats = run({kPlain, kAts}, only(kAts));
  EXPECT_EQ(plain, run({kPlain}));
  EXPECT_EQ(ats, run({kAts}));
  EXPECT_EQ(plain.at({"tbu0", 0x01}), 3'000U);
  EXPECT_EQ(plain.at({"tcu", 0x01}), kPages);
  EXPECT_EQ(plain.at({"tcu", 0x03}), 1U);
  EXPECT_EQ(plain.at({"tcu", 0x06}), 0U);
  EXPECT_EQ(ats.at({"tbu0", 0x07}), 3'000U);
  EXPECT_GE(ats.at({"tcu", 0x06}), kPages);
}

TEST_F(PmuFilterTest, StreamsAddUpToAll) {
  const Counts all = run({kPlain, kAts});
  Counts sum = run({kPlain, kAts}, only(kPlain));
  for (const auto& [event, count] : run({kPlain, kAts}, only(kAts))) {
    sum[event] += count;
  }
  EXPECT_EQ(sum, all);
  EXPECT_EQ(run({kPlain, kAts}, {true, true, 0x43}), all);  // 0x40 to 0x47
  EXPECT_EQ(run({kPlain, kAts}, {true, true, 0x44}), run({kPlain, kAts}, only(kAts)));
  for (const auto& [event, count] : run({kPlain, kAts}, only(7))) {
    EXPECT_EQ(count, 0U) << event.first << ' ' << event.second;
  }
}

}  // namespace
}  // namespace smmulab::smmu::timed

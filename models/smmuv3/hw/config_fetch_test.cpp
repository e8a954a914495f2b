// SPDX-License-Identifier: Apache-2.0
// Every configuration event that a lone SMMU can raise, one cause after another (IHI 0070
// chapters 5 and 7.3).
#include "models/smmuv3/hw/config_fetch.hpp"

#include <functional>

#include <gtest/gtest.h>

#include "models/smmuv3/hw/world_testing.hpp"

namespace smmulab::smmu::hw {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): sizes

constexpr std::uint32_t kSid = 300;
constexpr std::uint64_t kVa = 0x1000;

class ConfigFetchTest : public ::testing::Test {
 protected:
  explicit ConfigFetchTest(const StreamTable::Shape& shape = {10, true, 8}) : world(shape) {
    EXPECT_EQ(table.map(kVa, k2M, k4K, Protection{}), MapError::kNone);
  }
  Cd good_cd() {
    Cd cd = World::base_cd();
    point_cd_at(cd, table);
    return cd;
  }
  Ste good_ste() {
    Ste ste = World::ste_of(Ste::Config::kS1);
    cds.point_ste(ste);
    return ste;
  }
  Event event_of(std::optional<Ssid> ssid = {}) {
    const Outcome outcome = world.translate(kSid, kVa, false, ssid);
    return outcome.kind == Outcome::Kind::kFault ? outcome.fault.event : Event::kNone;
  }
  // What a change of the good STE, or of the good CD, raises.
  Event with_ste(const std::function<void(Ste&)>& change) {
    cds.write(Ssid{0}, good_cd());
    Ste ste = good_ste();
    change(ste);
    world.streams.write(StreamId{kSid}, ste);
    return event_of();
  }
  Event with_cd(const std::function<void(Cd&)>& change) {
    world.streams.write(StreamId{kSid}, good_ste());
    Cd cd = good_cd();
    change(cd);
    cds.write(Ssid{0}, cd);
    return event_of();
  }

  World world;
  PageTable table{world.frames, {}};
  ContextTable cds{world.frames, ContextTable::Format::kLinear, 0};
};

TEST_F(ConfigFetchTest, TheGoodOnesAreGood) {
  EXPECT_EQ(with_ste([](Ste&) {}), Event::kNone);
  EXPECT_EQ(with_cd([](Cd&) {}), Event::kNone);
}

TEST_F(ConfigFetchTest, BadStreamId) {
  const auto event = [&](std::uint32_t sid) { return world.translate(sid, kVa).fault.event; };
  EXPECT_EQ(event(1024), Event::kBadStreamId);  // beyond LOG2SIZE
  EXPECT_EQ(event(0), Event::kBadStreamId);     // no level 2 table
  with_ste([](Ste&) {});
  EXPECT_EQ(event(256), Event::kBadSte);  // a table, but V = 0
  const std::uint64_t l1 = world.streams.base().address + 8;
  L1Std narrow = decode_l1std(world.memory.peek64(l1));
  narrow.span = 6;  // 32 entries: 256..287
  world.memory.write64(l1, encode(narrow));
  EXPECT_EQ(event(kSid), Event::kBadStreamId);
  narrow.span = 7;  // 256..319
  world.memory.write64(l1, encode(narrow));
  EXPECT_EQ(event(kSid), Event::kNone);
  narrow.span = 10;  // more than the split: reserved
  world.memory.write64(l1, encode(narrow));
  EXPECT_EQ(event(kSid), Event::kBadStreamId);
}

TEST_F(ConfigFetchTest, FetchesThatAbort) {
  with_ste([](Ste&) {});
  world.memory.poison(cds.address_of(Ssid{0}));
  EXPECT_EQ(event_of(), Event::kCdFetch);
  world.memory.poison(world.streams.address_of(StreamId{kSid}));
  EXPECT_EQ(event_of(), Event::kSteFetch);
}

TEST_F(ConfigFetchTest, AbortOfALevel1EntryIsAFetchFault) {
  with_ste([](Ste&) {});
  world.memory.poison(world.streams.base().address);
  EXPECT_EQ(event_of(), Event::kSteFetch);
}

TEST_F(ConfigFetchTest, BadSte) {
  EXPECT_EQ(with_ste([](Ste& s) { s.valid = false; }), Event::kBadSte);
  for (std::uint8_t reserved = 1; reserved < 4; ++reserved) {
    EXPECT_EQ(with_ste([&](Ste& s) { s.config = reserved; }), Event::kBadSte);
  }
  EXPECT_EQ(with_ste([](Ste& s) { s.s1_cd_max = 21; }), Event::kBadSte);
  EXPECT_EQ(with_ste([](Ste& s) { s.s1_default_substream = 3; }), Event::kBadSte);
  EXPECT_EQ(with_ste([](Ste& s) { s.s1_cd_max = 4, s.s1_format = 3; }), Event::kBadSte);
  EXPECT_EQ(with_ste([](Ste& s) { s.stream_world = 3; }), Event::kBadSte);
  world.features.two_level_cd = false;
  EXPECT_EQ(with_ste([](Ste& s) { s.s1_cd_max = 4, s.s1_format = 1; }), Event::kBadSte);
  world.features.stage1 = false;
  EXPECT_EQ(with_ste([](Ste&) {}), Event::kBadSte);
}

TEST_F(ConfigFetchTest, BadSteOfStage2) {
  PageTable s2(world.frames, {2, Granule::k4K, 40, 44, false, true, 0});
  ASSERT_EQ(s2.map(kVa, k2M, k4K, Protection{}), MapError::kNone);
  const auto event = [&](const std::function<void(Ste&)>& change) {
    return with_ste([&](Ste& s) {
      s = World::ste_of(Ste::Config::kS2);
      point_ste_at(s, s2);
      change(s);
    });
  };
  EXPECT_EQ(event([](Ste&) {}), Event::kNone);
  EXPECT_EQ(event([](Ste& s) { s.s2_granule = 3; }), Event::kBadSte);
  EXPECT_EQ(event([](Ste& s) { s.s2_aarch64 = false; }), Event::kBadSte);
  EXPECT_EQ(event([](Ste& s) { s.s2_big_endian = true; }), Event::kBadSte);
  EXPECT_EQ(event([](Ste& s) { s.s2_t0sz = 40; }), Event::kBadSte);
  EXPECT_EQ(event([](Ste& s) { s.s2_t0sz = 15; }), Event::kBadSte);
  EXPECT_EQ(event([](Ste& s) { s.s2_start = 3; }), Event::kBadSte);
  EXPECT_EQ(event([](Ste& s) { s.s2_start = 0; }), Event::kBadSte);  // 40 bits from level 2: 1024
  EXPECT_EQ(event([](Ste& s) { s.s2_table = 1ULL << 45U; }), Event::kBadSte);  // beyond S2PS
  world.features.granule_4k = false;
  EXPECT_EQ(event([](Ste&) {}), Event::kBadSte);
  world.features.stage2 = false;
  EXPECT_EQ(event([](Ste&) {}), Event::kBadSte);
}

TEST_F(ConfigFetchTest, BadCd) {
  EXPECT_EQ(with_cd([](Cd& c) { c.valid = false; }), Event::kBadCd);
  EXPECT_EQ(with_cd([](Cd& c) { c.aarch64 = false; }), Event::kBadCd);
  EXPECT_EQ(with_cd([](Cd& c) { c.big_endian = true; }), Event::kBadCd);
  EXPECT_EQ(with_cd([](Cd& c) { c.t0sz = 15; }), Event::kBadCd);
  EXPECT_EQ(with_cd([](Cd& c) { c.t0sz = 40; }), Event::kBadCd);
  EXPECT_EQ(with_cd([](Cd& c) { c.tg0 = 3; }), Event::kBadCd);
  EXPECT_EQ(with_cd([](Cd& c) { c.epd1 = false, c.t1sz = 16; }), Event::kBadCd);  // TG1 is 0
  EXPECT_EQ(with_cd([](Cd& c) { c.ttb0 = 1ULL << 49U; }), Event::kBadCd);
  EXPECT_EQ(with_cd([](Cd& c) { c.t0sz = 15, c.epd0 = true; }), Event::kTranslation);  // unused
  world.features.term_model = true;
  EXPECT_EQ(with_cd([](Cd& c) { c.abort = false; }), Event::kBadCd);
  world.features.stall = false;
  EXPECT_EQ(with_cd([](Cd& c) { c.stall = true; }), Event::kBadCd);
}

// IHI 0070 5.5: without stalls an STE that speaks of them is ILLEGAL; S1STALLD forbids CD.S.
TEST_F(ConfigFetchTest, StallFlagsNeedTheStallModel) {
  cds.write(Ssid{0}, good_cd());
  EXPECT_EQ(with_ste([](Ste& s) { s.s1_stall_disable = true; }), Event::kNone);
  Ste ste = good_ste();
  ste.s1_stall_disable = true;
  world.streams.write(StreamId{kSid}, ste);
  Cd cd = good_cd();
  cd.stall = true;
  cds.write(Ssid{0}, cd);
  EXPECT_EQ(event_of(), Event::kBadCd);
  world.features.stall = false;
  EXPECT_EQ(with_ste([](Ste& s) { s.s1_stall_disable = true; }), Event::kBadSte);
  PageTable s2(world.frames, {2, Granule::k4K, 40, 44, false, true, 0});
  EXPECT_EQ(s2.map(kVa, k2M, k4K, Protection{}), MapError::kNone);
  const auto stage2 = [&](bool stall) {
    return with_ste([&](Ste& s) {
      s = World::ste_of(Ste::Config::kS2);
      point_ste_at(s, s2);
      s.s2_stall = stall;
    });
  };
  EXPECT_EQ(stage2(false), Event::kNone);
  EXPECT_EQ(stage2(true), Event::kBadSte);
}

TEST_F(ConfigFetchTest, AbortHasNoEventAndBypassNoTable) {
  with_ste([](Ste& s) { s = World::ste_of(Ste::Config::kAbort); });
  EXPECT_EQ(world.translate(kSid, kVa).kind, Outcome::Kind::kAbort);
  with_ste([](Ste& s) { s = World::ste_of(Ste::Config::kBypass); });
  EXPECT_EQ(world.translate(kSid, kVa).kind, Outcome::Kind::kBypass);
  EXPECT_EQ(world.translate(kSid, kVa).pa, kVa);
  EXPECT_EQ(event_of(Ssid{0}), Event::kBadSubstreamId);
}

TEST_F(ConfigFetchTest, RequestKindsNeedAts) {
  const auto event = [&](RequestKind kind) {
    Request request{StreamId{kSid}, {}, kVa, {}, kind};
    return world.translate(request).fault.event;
  };
  with_ste([](Ste&) {});
  EXPECT_EQ(event(RequestKind::kAtsTranslation), Event::kBadAtsTreq);
  EXPECT_EQ(event(RequestKind::kTranslated), Event::kTranslForbidden);
  with_ste([](Ste& s) { s.eats = 1; });
  EXPECT_EQ(event(RequestKind::kAtsTranslation), Event::kNone);
  EXPECT_EQ(event(RequestKind::kTranslated), Event::kNone);
}

class SubstreamTest : public ConfigFetchTest {
 protected:
  // 128 substreams in leaves of 64, and the second leaf is missing.
  void write(std::uint8_t without) {
    Ste ste = good_ste();
    two_level.point_ste(ste);
    ste.s1_default_substream = without;
    world.streams.write(StreamId{kSid}, ste);
    two_level.write(Ssid{0}, good_cd());
    two_level.write(Ssid{5}, good_cd());
  }
  ContextTable two_level{world.frames, ContextTable::Format::k4KLeaves, 7};
};

TEST_F(SubstreamTest, WhatASubstreamIdMeans) {
  write(0);
  EXPECT_EQ(event_of(Ssid{5}), Event::kNone);
  EXPECT_EQ(event_of(Ssid{6}), Event::kBadCd);            // V = 0
  EXPECT_EQ(event_of(Ssid{64}), Event::kBadSubstreamId);  // no leaf
  EXPECT_EQ(event_of(Ssid{128}), Event::kBadSubstreamId);
  EXPECT_EQ(event_of(), Event::kStreamDisabled);
  EXPECT_EQ(event_of(Ssid{0}), Event::kNone);
  write(1);  // without a substream: bypass
  EXPECT_EQ(world.translate(kSid, kVa).kind, Outcome::Kind::kBypass);
  write(2);  // without a substream: CD 0, which no substream may then name
  EXPECT_EQ(event_of(), Event::kNone);
  EXPECT_EQ(event_of(Ssid{0}), Event::kStreamDisabled);
  EXPECT_EQ(with_ste([](Ste&) {}), Event::kNone);
  EXPECT_EQ(event_of(Ssid{0}), Event::kBadSubstreamId);  // S1CDMax = 0
}

// The CD behind stage 2: its fault is that of stage 2, with CLASS = CD.
TEST_F(ConfigFetchTest, CdFetchFaultsInStage2) {
  PageTable s2(world.frames, {2, Granule::k4K, 40, 44, false, true, 0});
  Ste ste = good_ste();
  ste.config = static_cast<std::uint8_t>(Ste::Config::kNested);
  point_ste_at(ste, s2);
  world.streams.write(StreamId{kSid}, ste);
  const Fault fault = world.translate(kSid, kVa).fault;
  EXPECT_EQ(fault,
            (Fault{Event::kTranslation, FaultClass::kCd, true, 1, kVa, cds.address_of(Ssid{0})}));
}

}  // namespace
}  // namespace smmulab::smmu::hw

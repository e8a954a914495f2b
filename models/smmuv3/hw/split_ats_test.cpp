// SPDX-License-Identifier: Apache-2.0
// Split-stage ATS (STE.EATS = 2; IHI 0070 5.2, 13.6.3, 13.6.5): a device asks with a VA, gets an
// IPA, and what it then sends comes to where the VA leads; which entries may not ask for that.
#include <gtest/gtest.h>

#include "models/smmuv3/hw/smmu_caches.hpp"
#include "models/smmuv3/hw/world_testing.hpp"

namespace smmulab::smmu::hw {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): sizes

constexpr std::uint32_t kSid = 7;
constexpr std::uint64_t kOffset = 1ULL << 36U;  // from IPA to PA
constexpr std::uint64_t kIpa = k1G + k32M, kReadOnlyIpa = kIpa + 2 * k2M;
constexpr std::uint64_t kVa = k2M, kReadOnlyVa = kVa + 2 * k2M;

// Stage 1 maps blocks of 2 MiB, stage 2 pages.
class SplitAtsTest : public ::testing::Test {
 protected:
  SplitAtsTest()
      : guest_(world_.memory, kOffset + k1G),
        s2_(world_.frames, {2, Granule::k4K, 48, 44, false, true, 0}),
        s1_(guest_, {1, Granule::k4K, 48, 40, false, true, kOffset}),
        cds_(guest_, ContextTable::Format::kLinear, 1, kOffset) {
    Protection read_only;
    read_only.write = false;
    EXPECT_EQ(s2_.map_pages(k1G, kOffset + k1G, 12, (kReadOnlyIpa - k1G) / k4K, {}),
              MapError::kNone);
    EXPECT_EQ(s2_.map_pages(kReadOnlyIpa, kOffset + kReadOnlyIpa, 12, k2M / k4K, read_only),
              MapError::kNone);
    EXPECT_EQ(s1_.map_pages(kVa, kIpa, 21, 3, {}), MapError::kNone);
    Cd cd = World::base_cd();
    point_cd_at(cd, s1_);
    cds_.write(Ssid{1}, cd);
    ste_ = World::ste_of(Ste::Config::kNested);
    ste_.vmid = 1;
    ste_.eats = 2;
    ste_.s1_default_substream = 1;  // without a substream: stage 2 alone
    cds_.point_ste(ste_);
    point_ste_at(ste_, s2_);
    world_.streams.write(StreamId{kSid}, ste_);
  }
  static Request request(RequestKind kind, std::uint64_t address, bool write = false,
                         std::optional<Ssid> ssid = Ssid{1}) {
    return {StreamId{kSid}, ssid, address, {write, false, false}, kind};
  }
  Event event_of(const Ste& ste, const Features& features = {}) {
    StreamConfig config;
    return check_ste(ste, features, config);
  }

  World world_;
  FrameAllocator guest_;
  PageTable s2_;
  PageTable s1_;
  ContextTable cds_;
  Ste ste_;
};

TEST_F(SplitAtsTest, ThereByVaAndBackByIpaComesToTheSamePlace) {
  for (const std::uint64_t offset : {std::uint64_t{0x123}, 5 * k4K + 0x80, k2M + 0x40}) {
    const Outcome plain = world_.translate(request(RequestKind::kUntranslated, kVa + offset));
    const Outcome answer = world_.translate(request(RequestKind::kAtsTranslation, kVa + offset));
    ASSERT_EQ(answer.kind, Outcome::Kind::kTranslated);
    EXPECT_EQ(answer.pa, kIpa + offset);
    EXPECT_EQ(answer.translation.output, answer.pa);
    EXPECT_EQ(answer.translation.reach_log2, 12U);  // the least of both stages'
    const Outcome translated = world_.translate(request(RequestKind::kTranslated, answer.pa));
    EXPECT_EQ(translated.kind, Outcome::Kind::kTranslated);
    EXPECT_EQ(translated.pa, plain.pa);
    EXPECT_EQ(plain.pa, kOffset + kIpa + offset);
    EXPECT_EQ(translated.counts.s1_descriptors, 0U);
  }
}

TEST_F(SplitAtsTest, FullAtsGivesThePhysicalAddress) {
  ste_.eats = 1;
  world_.streams.write(StreamId{kSid}, ste_);
  const Outcome answer = world_.translate(request(RequestKind::kAtsTranslation, kVa));
  EXPECT_EQ(answer.pa, kOffset + kIpa);
  EXPECT_EQ(world_.translate(request(RequestKind::kTranslated, answer.pa)).pa, answer.pa);
}

// Stage 2 decides with stage 1 what the device may do, and once more about what it sends.
TEST_F(SplitAtsTest, StageTwoGrantsAndFaults) {
  const Outcome denied = world_.translate(request(RequestKind::kAtsTranslation, kReadOnlyVa, true));
  EXPECT_EQ(denied.fault.event, Event::kPermission);
  EXPECT_TRUE(denied.fault.stage2);
  EXPECT_EQ(world_.translate(request(RequestKind::kAtsTranslation, kReadOnlyVa)).pa, kReadOnlyIpa);
  const Outcome write = world_.translate(request(RequestKind::kTranslated, kReadOnlyIpa, true));
  EXPECT_EQ(write.fault.event, Event::kPermission);
  EXPECT_TRUE(write.fault.stage2);
  EXPECT_EQ(world_.translate(request(RequestKind::kTranslated, kVa)).fault.event,
            Event::kTranslation);  // no such IPA
}

// 13.6.5: without stage 1 the answer is the question.
TEST_F(SplitAtsTest, WithoutASubstreamTheIpaIsTheInput) {
  const Request ask = request(RequestKind::kAtsTranslation, kIpa + 0x88, false, {});
  const Outcome answer = world_.translate(ask);
  ASSERT_EQ(answer.kind, Outcome::Kind::kTranslated);
  EXPECT_EQ(answer.pa, kIpa + 0x88);
  const Request then = request(RequestKind::kTranslated, answer.pa, false, {});
  EXPECT_EQ(world_.translate(then).pa, kOffset + kIpa + 0x88);
}

// A TLB that knows the page does not answer with what it knows, nor learns IPAs.
TEST_F(SplitAtsTest, TlbsHoldWholeTranslationsOnly) {
  CachesShape shape;
  shape.config = {4, 4, Policy::kRoundRobin, 1};
  shape.micro = {4, 0, Policy::kRoundRobin, 1};
  shape.main = {16, 4, Policy::kRoundRobin, 1};
  shape.walk = WalkCaches::Shape::all_alike({16, 4, Policy::kRoundRobin, 1}, false);
  SmmuCaches caches(shape, world_.features, world_.streams.base());
  const auto pa = [&](RequestKind kind, std::uint64_t address) {
    return caches.translate(world_.memory, request(kind, address)).outcome.pa;
  };
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(pa(RequestKind::kAtsTranslation, kVa), kIpa);
    EXPECT_EQ(pa(RequestKind::kUntranslated, kVa), kOffset + kIpa);
    EXPECT_EQ(pa(RequestKind::kTranslated, kIpa), kOffset + kIpa);
  }
}

TEST_F(SplitAtsTest, NeedsBothStagesAndAnSmmuThatHasIt) {
  EXPECT_EQ(event_of(ste_), Event::kNone);
  Features without;
  without.no_split_ats = true;
  EXPECT_EQ(event_of(ste_, without), Event::kBadSte);
  without.ats = false;  // IGNORED
  EXPECT_EQ(event_of(ste_, without), Event::kNone);
  for (const Ste::Config config : {Ste::Config::kS1, Ste::Config::kS2}) {
    Ste one = ste_;
    one.config = static_cast<std::uint8_t>(config);
    EXPECT_EQ(event_of(one), Event::kBadSte);
    one.eats = 1;
    EXPECT_EQ(event_of(one), Event::kNone);
  }
  Ste bypass = World::ste_of(Ste::Config::kBypass);
  bypass.eats = 2;  // IGNORED
  EXPECT_EQ(event_of(bypass), Event::kNone);
}

TEST_F(SplitAtsTest, NoAtsGoesWithStallsOfStageTwo) {
  for (std::uint8_t eats = 0; eats <= 2; ++eats) {
    Ste ste = ste_;
    ste.eats = eats;
    ste.s2_stall = true;
    EXPECT_EQ(event_of(ste), eats == 0 ? Event::kNone : Event::kBadSte) << int{eats};
  }
}

// EATS = 3 asks for DPT checks, which are not here: as though it were 0.
TEST_F(SplitAtsTest, AtsWithDptIsNoAts) {
  ste_.eats = 3;
  world_.streams.write(StreamId{kSid}, ste_);
  EXPECT_EQ(world_.translate(request(RequestKind::kAtsTranslation, kVa)).fault.event,
            Event::kBadAtsTreq);
  EXPECT_EQ(world_.translate(request(RequestKind::kTranslated, kIpa)).fault.event,
            Event::kTranslForbidden);
}

}  // namespace
}  // namespace smmulab::smmu::hw

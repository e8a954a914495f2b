// SPDX-License-Identifier: Apache-2.0
// TLB entries of every regime and granule, as no single SMMU's streams could make them (EL3 is for
// secure streams), under every TLBI: what the command names goes, and nothing else.
#include <array>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "models/smmuv3/hw/bits.hpp"
#include "models/smmuv3/hw/invalidation_rule_testing.hpp"
#include "models/smmuv3/hw/tlb.hpp"
#include "models/smmuv3/hw/world_testing.hpp"
#include "sim/random.hpp"

namespace smmulab::smmu::hw {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): sizes

class EveryRegime {
 public:
  explicit EveryRegime(bool e2h) : e2h_(e2h), random_(5, e2h ? "e2h" : "el2") {}
  void fill() {
    constexpr Granule kGranules[] = {Granule::k4K, Granule::k16K, Granule::k64K};
    constexpr std::array<std::array<std::uint8_t, 3>, 3> kLevels = {
        {{3, 2, 1}, {3, 2, 2}, {3, 2, 2}}};
    const StreamWorld worlds[] = {
        StreamWorld::kNsEl1, e2h_ ? StreamWorld::kEl2E2h : StreamWorld::kEl2, StreamWorld::kEl3};
    Tag tag;
    tag.world = worlds[pick(3)];
    const bool el1 = tag.world == StreamWorld::kNsEl1;
    const bool stage1 = !el1 || pick(3) != 0;
    tag.has_asid = stage1 && (el1 || tag.world == StreamWorld::kEl2E2h);
    tag.asid = Asid{static_cast<std::uint16_t>(tag.has_asid ? 1 + pick(2) : 0)};
    tag.vmid = Vmid{static_cast<std::uint16_t>(el1 ? pick(2) : 0)};
    const std::uint64_t which = pick(3);
    const Granule granule = kGranules[which];
    Translation t;
    t.level = kLevels[which][pick(3)];
    t.span_log2 = static_cast<std::uint8_t>(level_log2(granule, t.level));
    t.reach_log2 = static_cast<std::uint8_t>(pick(4) == 0 ? page_log2(granule) : t.span_log2);
    t.page_log2 = t.reach_log2;
    t.global = tag.has_asid && pick(3) == 0;
    t.perms = Permissions{Permissions::kAll};
    tlb_.fill(tag, stage1, pick(2 * k1G / k4K) * k4K, t);
  }
  void invalidate() {
    constexpr std::uint8_t kCodes[] = {0x10, 0x11, 0x12, 0x13, 0x18, 0x1A, 0x20,
                                       0x22, 0x28, 0x2A, 0x30, 0x21, 0x23};
    Command c;
    c.opcode = static_cast<Opcode>(kCodes[pick(e2h_ ? 13 : 11)]);
    c.vmid = Vmid{static_cast<std::uint16_t>(pick(2))};
    c.asid = Asid{static_cast<std::uint16_t>(1 + pick(2))};
    c.tg = static_cast<std::uint8_t>(pick(4));
    const unsigned granule = c.tg == 0 ? 12 : 10U + 2U * c.tg;
    c.address = (pick(2 * k1G / k4K) * k4K) >> granule << granule;
    if (c.tg != 0) {
      c.num = static_cast<std::uint8_t>(pick(32));
      c.scale = static_cast<std::uint8_t>(pick(12));
      c.ttl = static_cast<std::uint8_t>(1 + pick(3));
    }
    std::vector<TlbEntry> stay;
    std::size_t before = 0;
    tlb_.for_each([&](const TlbEntry& e) {
      ++before;
      const std::uint64_t leaf = low_mask(e.span_log2);
      if (!must_go(c, e.tag, e.stage1, e.global, true, e.level, e.input & ~leaf, e.input | leaf)) {
        stay.push_back(e);
      }
    });
    tlb_.invalidate(tlb_invalidation(c));
    std::size_t i = 0;
    tlb_.for_each([&](const TlbEntry& e) {
      ASSERT_LT(i, stay.size()) << static_cast<unsigned>(c.opcode);
      EXPECT_EQ(e.input, stay[i].input);
      EXPECT_EQ(e.tag, stay[i].tag);
      ++i;
    });
    ASSERT_EQ(i, stay.size()) << static_cast<unsigned>(c.opcode);
    if (stay.size() != before) {
      effective.insert(static_cast<unsigned>(c.opcode));
    }
  }
  std::set<unsigned> effective;

 private:
  std::uint64_t pick(std::uint64_t bound) { return random_.uniform_int(bound); }
  bool e2h_;
  RandomStream random_;
  Tlb tlb_{CacheShape{256, 4, Policy::kLru, 1}};
};

TEST(EveryRegimeTest, LosesWhatACommandNamesAndNothingElse) {
  for (const bool e2h : {false, true}) {
    EveryRegime tlb(e2h);
    for (int i = 0; i < 2'000 && !HasFailure(); ++i) {
      for (int j = 0; j < 20; ++j) {
        tlb.fill();
      }
      tlb.invalidate();
    }
    EXPECT_EQ(tlb.effective.size(), e2h ? 13U : 11U);
  }
}

}  // namespace
}  // namespace smmulab::smmu::hw

// SPDX-License-Identifier: Apache-2.0
// Leaves of the two stages that differ in size. A stage 1 block over 4K stage 2 pages is cached in
// fragments: a TLBI by any VA of the block removes them all (Arm ARM D8.16), and nothing of another
// leaf. The reverse, a stage 2 block under 4K stage 1 pages: TLBI_S2_IPA by any IPA of the block
// removes what is of stage 2 alone, and leaves combined entries to the stage 1 TLBI that software
// sends after it (IHI 0070 3.17).
#include <algorithm>
#include <map>

#include <gtest/gtest.h>

#include "models/smmuv3/hw/smmu_caches.hpp"
#include "models/smmuv3/hw/world_testing.hpp"
#include "sim/random.hpp"

namespace smmulab::smmu::hw {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): sizes

constexpr std::uint16_t kVmid = 7;
constexpr std::uint64_t kIpa = k1G;           // of payload; below: the tables of stage 1
constexpr std::uint64_t kPayload = 64 * k1G;  // where stage 2 puts it at first

CachesShape shape_of(std::uint32_t micro, std::uint32_t main, std::uint32_t ways) {
  CachesShape s;
  s.config = {16, 4, Policy::kRoundRobin, 1};
  s.micro = {micro, 0, Policy::kPlru, 1};
  s.main = {main, ways, Policy::kLru, 1};
  s.walk = WalkCaches::Shape::all_alike({64, 4, Policy::kRoundRobin, 1}, false);
  return s;
}

// One nested stream; stage 2 of the payload in pages or blocks of `s2_log2`.
struct Nested {
  World world{StreamTable::Shape{8, false, 8}};
  PageTable s1{world.frames, TableFormat{}};
  PageTable s2{world.frames, TableFormat{2}};
  SmmuCaches caches;

  Nested(const CachesShape& shape, unsigned s2_log2, std::uint64_t payload)
      : caches(shape, world.features, world.streams.base()) {
    EXPECT_EQ(s2.map_pages(0, 0, 30, 1, {}), MapError::kNone);
    EXPECT_EQ(s2.map_pages(kIpa, kPayload, s2_log2, payload >> s2_log2, {}), MapError::kNone);
    Cd cd = World::base_cd(1);
    point_cd_at(cd, s1);
    ContextTable cds(world.frames, ContextTable::Format::kLinear, 0);
    cds.write(Ssid{0}, cd);
    Ste ste = World::ste_of(Ste::Config::kNested);
    ste.vmid = kVmid;
    cds.point_ste(ste);
    point_ste_at(ste, s2);
    world.streams.write(StreamId{1}, ste);
  }
  static Request request(std::uint64_t va) {
    Request r;
    r.stream = StreamId{1};
    r.address = va;
    return r;
  }
  SmmuCaches::Result access(std::uint64_t va) {
    return caches.translate(world.memory, request(va));
  }
  bool is_fresh(std::uint64_t va) {
    const Outcome truth = world.translate(request(va));
    const SmmuCaches::Result got = access(va);
    return got.outcome.kind == truth.kind && got.outcome.pa == truth.pa;
  }
  std::uint32_t apply(Opcode op, std::uint64_t address = 0) {
    Command c;
    c.opcode = op;
    c.vmid = Vmid{kVmid};
    c.asid = Asid{1};
    c.address = address & ~(k4K - 1);
    return caches.apply(*decode_command(encode(c)));
  }
};

TEST(FragmentTest, OneTlbiByVaRemovesEveryFragmentOfABlock) {
  Nested n(shape_of(16, 1024, 4), 12, 4 * k2M);
  ASSERT_EQ(n.s1.map_pages(0, kIpa, 21, 2, {}), MapError::kNone);
  for (std::uint64_t va = 0; va < 2 * k2M; va += k4K) {
    ASSERT_EQ(n.access(va).outcome.pa, kPayload + va);
  }
  // A hit is limited to the fragment: the next page is a walk of its own.
  ASSERT_EQ(n.caches.main().size(), 1024U);
  ASSERT_EQ(n.s1.unmap(0, k2M), k2M);
  ASSERT_EQ(n.s1.map_pages(0, kIpa + 2 * k2M, 21, 1, {}), MapError::kNone);
  n.apply(Opcode::kTlbiNhVa, 77 * k4K);
  EXPECT_EQ(n.caches.main().size(), 512U);  // those of the other block
  for (std::uint64_t va = 0; va < 2 * k2M; va += k4K) {
    ASSERT_TRUE(n.is_fresh(va)) << va;
  }
}

// Random leaves of stage 1 over pages of stage 2, TLBIs of one address each, set-associative and
// full, and nothing of another leaf goes.
TEST(FragmentTest, RandomRemapsOfBlocksGroupsAndPages) {
  struct Leaf {
    std::uint64_t size;
    unsigned page_log2;
    bool contiguous;
  };
  const Leaf kinds[] = {{k2M, 21, false}, {k64K, 12, true}, {k4K, 12, false}, {k32M, 21, true}};
  for (const std::uint32_t ways : {0U, 4U}) {
    RandomStream random(41 + ways, "fragments");
    Nested n(shape_of(16, 2048, ways), 12, 8 * k32M);
    std::map<std::uint64_t, Leaf> leaves;  // by first VA
    const auto remap = [&](std::uint64_t va, const Leaf& leaf) {
      const std::uint64_t ipa = kIpa + random.uniform_int(8 * k32M / leaf.size) * leaf.size;
      ASSERT_EQ(
          n.s1.map_pages(va, ipa, leaf.page_log2, leaf.size >> leaf.page_log2, {}, leaf.contiguous),
          MapError::kNone);
    };
    for (std::uint64_t i = 0; i < 16; ++i) {
      leaves[i * k32M] = kinds[i % 4];
      remap(i * k32M, kinds[i % 4]);
    }
    std::uint64_t removed = 0, hits = 0;
    const auto any_in = [&](std::uint64_t va, const Leaf& leaf) {
      return va + random.uniform_int(leaf.size / k4K) * k4K;
    };
    for (int step = 0; step < 4000; ++step) {
      const auto it =
          std::next(leaves.begin(), static_cast<std::ptrdiff_t>(random.uniform_int(16)));
      const auto& [va, leaf] = *it;
      if (random.uniform_int(8) != 0) {
        for (int i = 0; i < 8; ++i) {
          // Few pages of each, so that they come back.
          const std::uint64_t at =
              va + random.uniform_int(std::min<std::uint64_t>(leaf.size / k4K, 24)) *
                       (leaf.size / k4K > 24 ? 5 * k4K : k4K);
          hits += n.access(at).from != SmmuCaches::From::kWalk ? 1 : 0;
          ASSERT_TRUE(n.is_fresh(at)) << at;
        }
        continue;
      }
      ASSERT_EQ(n.s1.unmap(va, leaf.size), leaf.size);
      remap(va, leaf);
      std::uint64_t of_leaf = 0, others = 0;
      const auto count = [&, first = va, size = leaf.size](const TlbEntry& e) {
        ++(e.input >= first && e.input < first + size ? of_leaf : others);
      };
      n.caches.main().for_each(count);
      const std::uint64_t before = others;
      removed += of_leaf;
      n.apply(Opcode::kTlbiNhVa, any_in(va, leaf));
      of_leaf = others = 0;
      n.caches.main().for_each(count);
      ASSERT_EQ(of_leaf, 0U);
      ASSERT_EQ(others, before);
    }
    EXPECT_GT(removed, 500U);
    EXPECT_GT(hits, 10'000U);
  }
}

TEST(FragmentTest, Stage2BlocksUnderPagesGoByIpaButCombinedEntriesDoNot) {
  Nested n(shape_of(16, 1024, 4), 21, 2 * k2M);
  ASSERT_EQ(n.s1.map_pages(0, kIpa, 12, 1024, {}), MapError::kNone);
  for (std::uint64_t va = 0; va < 2 * k2M; va += 8 * k4K) {
    ASSERT_EQ(n.access(va).outcome.pa, kPayload + va);
  }
  const std::uint32_t combined = n.caches.main().size();
  ASSERT_EQ(n.s2.unmap(kIpa, k2M), k2M);
  ASSERT_EQ(n.s2.map_pages(kIpa, kPayload + 8 * k2M, 21, 1, {}), MapError::kNone);
  const auto of_block = [&] {
    std::uint32_t count = 0;
    n.caches.walk_caches().for_each([&](const WalkEntry& e) {
      count += e.stage == 2 && e.point.is_leaf && e.input == kIpa ? 1U : 0U;
    });
    return count;
  };
  ASSERT_EQ(of_block(), 1U);
  n.apply(Opcode::kTlbiS2Ipa, kIpa + 300 * k4K);
  EXPECT_EQ(of_block(), 0U);
  EXPECT_EQ(n.caches.main().size(), combined);
  EXPECT_EQ(n.access(0).outcome.pa, kPayload);  // as the architecture lets it be
  n.apply(Opcode::kTlbiNhAll);
  for (std::uint64_t va = 0; va < 2 * k2M; va += k4K) {
    ASSERT_TRUE(n.is_fresh(va)) << va;
  }
}

}  // namespace
}  // namespace smmulab::smmu::hw

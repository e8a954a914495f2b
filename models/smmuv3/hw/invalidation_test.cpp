// SPDX-License-Identifier: Apache-2.0
// Properties of the caches under random work of a driver that keeps the rules: no translation that
// an invalidation should have removed is ever used, and no invalidation removes what the tags it
// names do not allow. The second is judged by a predicate written here from the table of commands,
// apart from the model's.
#include <vector>

#include <gtest/gtest.h>

#include "models/smmuv3/hw/atc.hpp"
#include "models/smmuv3/hw/smmu_caches.hpp"
#include "models/smmuv3/hw/world_testing.hpp"
#include "sim/random.hpp"

namespace smmulab::smmu::hw {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): sizes

// What IHI 0070 4.4 says a command hits, by opcode. Everything is NS-EL1 here.
bool must_go(const Command& c, unsigned vmid, unsigned asid, bool stage1, bool global, bool leaf,
             unsigned level, std::uint64_t first, std::uint64_t last) {
  const unsigned code = static_cast<unsigned>(c.opcode);
  if (code == 0x30) {
    return true;
  }
  if (code != 0x10 && code != 0x11 && code != 0x12 && code != 0x13 && code != 0x28 &&
      code != 0x2A) {
    return false;
  }
  if (vmid != c.vmid.value()) {
    return false;
  }
  switch (code) {
    case 0x28:
      return true;
    case 0x10:
      return stage1;
    case 0x11:
      return stage1 && !global && asid == c.asid.value();
    default:
      break;
  }
  if (stage1 != (code != 0x2A)) {
    return false;
  }
  if (code == 0x12 && !global && asid != c.asid.value()) {
    return false;
  }
  std::uint64_t bytes = 4096;
  if (c.tg != 0) {
    bytes = (1ULL + c.num) * (1ULL << c.scale) * (4096ULL << (2 * (c.tg - 1)));
  }
  if (first > c.address + (bytes - 1) || last < c.address) {
    return false;
  }
  if (!leaf) {
    return !c.leaf && (c.tg == 0 || c.ttl == 0 || level < c.ttl);
  }
  return c.tg == 0 || c.ttl == 0 || level == c.ttl;
}

struct Space {
  std::unique_ptr<PageTable> s1, s2;
  std::uint16_t asid, vmid;
};

struct Live {
  bool tlb;
  TlbEntry t;
  WalkEntry w;
};

class Machine {
 public:
  Machine(std::uint64_t seed, const CachesShape& shape)
      : random_(seed, "invalidation"), caches_(shape, world.features, world.streams.base()) {
    for (std::uint16_t i = 0; i < 5; ++i) {
      Space space;
      space.asid = static_cast<std::uint16_t>(1 + i % 3);
      space.vmid = i < 3 ? 0 : i;
      if (i != 4) {
        space.s1 = std::make_unique<PageTable>(world.frames, TableFormat{});
      }
      if (i >= 3) {
        space.s2 = std::make_unique<PageTable>(world.frames, TableFormat{2});
        if (i == 3) {  // nested: all its IPAs are mapped, where the payload is half by pages
          EXPECT_EQ(space.s2->map(0, 0, k1G + 3 * k32M, Protection{}), MapError::kNone);
          EXPECT_EQ(space.s2->map_pages(k1G + 3 * k32M, k1G + 3 * k32M, 12, 3 * k32M / k4K, {}),
                    MapError::kNone);
        }
      }
      spaces_.push_back(std::move(space));
    }
    for (std::uint32_t sid = 0; sid < kStreams; ++sid) {
      attach(sid, sid % spaces_.size());
    }
  }
  std::uint64_t pick(std::uint64_t bound) { return random_.uniform_int(bound); }

  void step(bool invalidate = true) {
    const std::uint64_t what = pick(64);
    if (what < 54) {
      access();
    } else if (what < 58) {
      map();
    } else if (what < 61) {
      unmap(invalidate);
    } else if (what == 62) {
      replace();
    } else {
      apply(any_command());
    }
  }
  std::uint64_t hits = 0, stale = 0, removed = 0;
  World world{StreamTable::Shape{8, true, 4}};

 private:
  static constexpr std::uint32_t kStreams = 7;
  PageTable& table_of(Space& s) { return s.s1 ? *s.s1 : *s.s2; }

  void attach(std::uint32_t sid, std::size_t to) {
    Space& space = spaces_[to];
    Ste ste = World::ste_of(!space.s2  ? Ste::Config::kS1
                            : space.s1 ? Ste::Config::kNested
                                       : Ste::Config::kS2);
    ste.vmid = space.vmid;
    if (space.s2) {
      point_ste_at(ste, *space.s2);
    }
    if (space.s1) {
      Cd cd = World::base_cd(space.asid);
      point_cd_at(cd, *space.s1);
      ContextTable cds(world.frames, ContextTable::Format::kLinear, 0);
      cds.write(Ssid{0}, cd);
      cds.point_ste(ste);
    }
    world.streams.write(StreamId{sid}, ste);
  }

  // An area of pages, a group or a block.
  struct Area {
    std::uint64_t at, size;
  };
  Area area() {
    const std::uint64_t sizes[] = {k4K, 4 * k4K, k64K, k2M, k32M};
    const std::uint64_t size = sizes[pick(5)];
    return {pick(2 * k32M / size) * size, size};
  }
  void map() {
    Space& space = spaces_[pick(spaces_.size())];
    const Area a = area();
    Protection p;
    // Global means the same in every table of its VMID: only where there is one.
    p.global = space.s1 && space.s2 && pick(4) == 0;
    // What is new in places that were invalid needs no invalidation.
    (void)table_of(space).map(a.at, k1G + pick(4) * k32M + a.at, a.size, p, pick(2) == 0);
  }
  void unmap(bool invalidate) {
    Space& space = spaces_[pick(spaces_.size())];
    Area a = area();
    const std::uint64_t done = table_of(space).unmap(a.at, a.size);
    if (done == 0 || !invalidate) {
      return;
    }
    // A member taken from a contiguous group: the others' entries reach over it.
    const std::uint64_t first = a.at & ~(k32M - 1);
    const std::uint64_t choice = pick(4);
    if (choice == 0) {
      apply(command(Opcode::kTlbiNsnhAll, space));
    } else if (choice == 1) {
      apply(command(Opcode::kTlbiS12Vmall, space));
    } else if (choice == 2 && space.s1) {
      apply(command(Opcode::kTlbiNhAll, space));
    } else {
      // By range: NUM+1 granules of 2^SCALE; 32 MiB in one command.
      Command c = command(space.s1 ? Opcode::kTlbiNhVa : Opcode::kTlbiS2Ipa, space);
      c.address = done > k64K ? first : a.at & ~(k64K - 1);
      c.tg = 1;
      c.num = done > k64K ? 31 : 15;
      c.scale = done > k64K ? 8 : 0;
      apply(c);
    }
  }
  void replace() {
    const auto sid = static_cast<std::uint32_t>(pick(kStreams));
    attach(sid, pick(spaces_.size()));
    Command c;
    c.opcode = pick(2) == 0 ? Opcode::kCfgiSte : Opcode::kCfgiSteRange;
    c.stream = StreamId{sid};
    c.range = static_cast<std::uint8_t>(pick(5));
    apply(c);
  }
  static Command command(Opcode op, const Space& space) {
    Command c;
    c.opcode = op;
    c.vmid = Vmid{space.vmid};
    c.asid = Asid{space.asid};
    return c;
  }
  Command any_command() {
    const Opcode all[] = {Opcode::kTlbiNhAsid, Opcode::kTlbiNhVa,  Opcode::kTlbiNhVaa,
                          Opcode::kTlbiS2Ipa,  Opcode::kTlbiEl2Va, Opcode::kTlbiEl2All,
                          Opcode::kTlbiEl3All, Opcode::kTlbiNhAll, Opcode::kTlbiNhVa};
    Command c = command(all[pick(9)], spaces_[pick(spaces_.size())]);
    c.leaf = pick(2) == 0;
    c.address = pick(2 * k32M / k4K) * k4K;
    if (pick(2) == 0) {
      c.tg = 1;
      c.num = static_cast<std::uint8_t>(pick(32));
      c.scale = static_cast<std::uint8_t>(pick(6));
      c.ttl = static_cast<std::uint8_t>(1 + pick(3));
    }
    return c;
  }

  void access() {
    Request request;
    request.stream = StreamId{static_cast<std::uint32_t>(pick(kStreams))};
    request.address = pick(2 * k32M / k4K) * k4K + pick(512) * 8;
    request.access.write = pick(2) == 0;
    const Outcome truth = world.translate(request);
    const SmmuCaches::Result got = caches_.translate(world.memory, request);
    hits += got.from == SmmuCaches::From::kMain || got.from == SmmuCaches::From::kMicro ? 1 : 0;
    stale += got.outcome.kind != truth.kind || got.outcome.pa != truth.pa ||
                     got.outcome.fault.event != truth.fault.event
                 ? 1
                 : 0;
  }

  std::vector<Live> live() const {
    std::vector<Live> all;
    const auto tlb = [&](const TlbEntry& e) { all.push_back({true, e, {}}); };
    caches_.micro().for_each(tlb);
    caches_.main().for_each(tlb);
    caches_.walk_caches().for_each([&](const WalkEntry& e) { all.push_back({false, {}, e}); });
    return all;
  }
  static bool must_go(const Command& c, const Live& e) {
    if (e.tlb) {
      const std::uint64_t leaf = (1ULL << e.t.span_log2) - 1;
      return hw::must_go(c, e.t.tag.vmid.value(), e.t.tag.asid.value(), e.t.stage1, e.t.global,
                         true, e.t.level, e.t.input & ~leaf, e.t.input | leaf);
    }
    return hw::must_go(c, e.w.tag.vmid.value(), e.w.tag.asid.value(), e.w.stage == 1, e.w.global,
                       e.w.point.is_leaf, e.w.level, e.w.input, e.w.input + (1ULL << e.w.log2) - 1);
  }
  void apply(const Command& c) {
    ASSERT_TRUE(decode_command(encode(c)));
    std::vector<Live> stay = live();
    const std::size_t before = stay.size();
    std::erase_if(stay, [&](const Live& e) { return must_go(c, e); });
    caches_.apply(*decode_command(encode(c)));
    const std::vector<Live> after = live();
    ASSERT_EQ(after.size(), stay.size()) << static_cast<int>(c.opcode);
    for (std::size_t i = 0; i < stay.size(); ++i) {
      ASSERT_EQ(after[i].tlb, stay[i].tlb);
      ASSERT_EQ(after[i].t.input, stay[i].t.input);
      ASSERT_EQ(after[i].w.input, stay[i].w.input);
    }
    removed += before - stay.size();
  }

  RandomStream random_;
  std::vector<Space> spaces_;
  SmmuCaches caches_;
};

CachesShape shape_of(Policy policy, bool unified) {
  CachesShape s;
  s.config = {16, 4, Policy::kRoundRobin, 1};
  s.micro = {16, 0, policy == Policy::kRandom ? Policy::kPlru : policy, 1};
  s.main = {128, 4, policy, 1};
  s.walk = WalkCaches::Shape::all_alike({32, 4, policy, 1}, unified);
  return s;
}

TEST(InvalidationTest, NoStaleHitAndNoOverInvalidation) {
  for (const Policy policy :
       {Policy::kRandom, Policy::kRoundRobin, Policy::kPlru, Policy::kRrip, Policy::kLru}) {
    for (const bool unified : {false, true}) {
      Machine machine(17 + static_cast<std::uint64_t>(policy), shape_of(policy, unified));
      for (int i = 0; i < 20'000 && !HasFailure(); ++i) {
        machine.step();
      }
      EXPECT_EQ(machine.stale, 0U);
      EXPECT_GT(machine.hits, 200U);
      EXPECT_GT(machine.removed, 200U);
    }
  }
}

// The property can fail: without invalidations old translations are used.
TEST(InvalidationTest, WithoutInvalidationsThereAreStaleHits) {
  Machine machine(3, shape_of(Policy::kLru, false));
  for (int i = 0; i < 5000; ++i) {
    machine.step(false);
  }
  EXPECT_GT(machine.stale, 0U);
}

TEST(InvalidationTest, ConfigEntriesByStreamAndSubstream) {
  ConfigCache cache({16, 4, Policy::kRoundRobin, 1});
  const auto fill = [&] {
    for (std::uint32_t sid = 0; sid < 4; ++sid) {
      cache.fill(StreamId{sid}, {}, {});
      cache.fill(StreamId{sid}, Ssid{1}, {});
    }
  };
  const auto left = [&](const Command& c) {
    fill();
    cache.invalidate(*config_invalidation(c));
    return cache.size();
  };
  Command c;
  c.stream = StreamId{2};
  c.opcode = Opcode::kCfgiCd;
  EXPECT_EQ(left(c), 7U);  // CD 0, which requests without substream use
  c.substream = Ssid{1};
  EXPECT_EQ(left(c), 7U);
  c.substream = Ssid{2};
  EXPECT_EQ(left(c), 8U);
  c.opcode = Opcode::kCfgiCdAll;
  EXPECT_EQ(left(c), 6U);
  c.opcode = Opcode::kCfgiSte;
  EXPECT_EQ(left(c), 6U);
  c.opcode = Opcode::kCfgiSteRange;
  EXPECT_EQ(left(c), 4U);  // 2 and 3
  c.range = 31;
  EXPECT_EQ(left(c), 0U);
}

TEST(InvalidationTest, AtcByRangeAndSubstream) {
  Atc atc(8);
  Translation t;
  t.perms = Permissions{Permissions::kAll};
  const auto fill = [&](std::optional<Ssid> ssid, std::uint64_t input, std::uint8_t log2) {
    t.output = k1G + input;
    t.reach_log2 = log2;
    atc.fill(ssid, input, t);
  };
  Command c;
  c.opcode = Opcode::kAtcInv;
  const auto left = [&] {
    fill({}, 0, 12);
    fill({}, k2M, 21);
    fill(Ssid{1}, 0, 12);
    atc.invalidate(c);
    return atc.size();
  };
  EXPECT_EQ(left(), 2U);  // one page, no substream
  EXPECT_FALSE(atc.lookup({}, 8, {}));
  EXPECT_EQ(atc.lookup({}, k2M + 8, {}), k1G + k2M + 8);
  c.address = k2M + 5 * k4K;
  EXPECT_EQ(left(), 2U);  // a page within the block takes the block
  c.address = 0;
  c.size = 10;  // 4 MiB
  EXPECT_EQ(left(), 1U);
  c.substream_valid = true;
  c.substream = Ssid{1};
  EXPECT_EQ(left(), 2U);
  c.global = true;
  EXPECT_EQ(left(), 0U);
  c = {};
  c.opcode = Opcode::kAtcInv;
  c.size = 52;
  EXPECT_EQ(left(), 1U);
}

}  // namespace
}  // namespace smmulab::smmu::hw

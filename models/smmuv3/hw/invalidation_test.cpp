// SPDX-License-Identifier: Apache-2.0
// Properties of the caches under random work of a driver that keeps the rules: no translation that
// an invalidation should have removed is ever used, and no invalidation removes what the tags it
// names do not allow. The second is judged by testing::must_go().
#include <array>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "models/smmuv3/hw/atc.hpp"
#include "models/smmuv3/hw/invalidation_rule_testing.hpp"
#include "models/smmuv3/hw/smmu_caches.hpp"
#include "models/smmuv3/hw/world_testing.hpp"
#include "sim/random.hpp"

namespace smmulab::smmu::hw {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): sizes

struct Space {
  std::unique_ptr<PageTable> s1, s2;
  std::uint16_t asid, vmid;
  bool el2 = false;
};

struct Live {
  bool tlb;
  TlbEntry t;
  WalkEntry w;
};

class Machine {
 public:
  // Every table has this granule; `e2h`: CR2.E2H.
  Machine(std::uint64_t seed, const CachesShape& shape, Granule granule = Granule::k4K,
          bool e2h = false)
      : random_(seed, "invalidation"),
        granule_(granule),
        page_(std::uint64_t{1} << page_log2(granule)),
        caches_(shape, features(world, e2h), world.streams.base()) {
    for (std::uint16_t i = 0; i < 5; ++i) {
      Space space;
      space.asid = static_cast<std::uint16_t>(1 + i % 3);
      space.vmid = i < 3 ? 0 : i;
      if (i != 4) {
        space.s1 = std::make_unique<PageTable>(world.frames, TableFormat{1, granule});
      }
      if (i >= 3) {
        space.s2 = std::make_unique<PageTable>(world.frames, TableFormat{2, granule});
        if (i == 3) {  // nested: all its IPAs are mapped, where the payload is half by pages
          EXPECT_EQ(space.s2->map(0, 0, k1G + 3 * k32M, Protection{}), MapError::kNone);
          EXPECT_EQ(space.s2->map_pages(k1G + 3 * k32M, k1G + 3 * k32M, page_log2(granule),
                                        3 * k32M / page_, {}),
                    MapError::kNone);
        }
      }
      spaces_.push_back(std::move(space));
    }
    // EL2 has one table without E2H, as it has no ASIDs.
    for (std::uint16_t i = 0; i < (e2h ? 2 : 1); ++i) {
      Space space;
      space.asid = static_cast<std::uint16_t>(1 + i);
      space.vmid = 0;
      space.el2 = true;
      space.s1 = std::make_unique<PageTable>(world.frames, TableFormat{1, granule});
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
      pick(3) == 0 ? replace_cd() : replace();
    } else {
      apply(any_command());
    }
  }
  std::uint64_t hits = 0, el2_hits = 0, stale = 0, removed = 0;
  std::set<unsigned> effective;  // opcodes that have removed something
  World world{StreamTable::Shape{8, true, 4}};

 private:
  static constexpr std::uint32_t kStreams = 9;
  static const Features& features(World& world, bool e2h) {
    world.features.e2h = e2h;
    return world.features;
  }
  PageTable& table_of(Space& s) { return s.s1 ? *s.s1 : *s.s2; }

  void attach(std::uint32_t sid, std::size_t to) {
    Space& space = spaces_[to];
    Ste ste = World::ste_of(!space.s2  ? Ste::Config::kS1
                            : space.s1 ? Ste::Config::kNested
                                       : Ste::Config::kS2);
    ste.vmid = space.vmid;
    ste.stream_world = space.el2 ? 2 : 0;
    attached_[sid] = to;
    if (space.s2) {
      point_ste_at(ste, *space.s2);
    }
    if (space.s1) {
      Cd cd = World::base_cd(space.asid);
      point_cd_at(cd, *space.s1);
      cds_[sid] = std::make_unique<ContextTable>(world.frames, ContextTable::Format::kLinear,
                                                 std::uint8_t{0});
      cds_[sid]->write(Ssid{0}, cd);
      cds_[sid]->point_ste(ste);
    }
    world.streams.write(StreamId{sid}, ste);
  }

  // An area of pages, a group or a block.
  struct Area {
    std::uint64_t at, size;
  };
  Area area() {
    const std::uint64_t sizes[] = {page_, 4 * page_, k64K, k2M, k32M};
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
    const bool e2h = world.features.e2h;
    if (space.el2 && choice < 3) {
      apply(command(e2h && choice == 0 ? Opcode::kTlbiEl2Asid : Opcode::kTlbiEl2All, space));
    } else if (choice == 0) {
      apply(command(Opcode::kTlbiNsnhAll, space));
    } else if (choice == 1) {
      apply(command(Opcode::kTlbiS12Vmall, space));
    } else if (choice == 2 && space.s1) {
      apply(command(Opcode::kTlbiNhAll, space));
    } else {
      const Opcode el2 = e2h && pick(2) == 0 ? Opcode::kTlbiEl2Vaa : Opcode::kTlbiEl2Va;
      Command c = command(space.el2  ? el2
                          : space.s1 ? Opcode::kTlbiNhVa
                                     : Opcode::kTlbiS2Ipa,
                          space);
      c.address = done > k64K ? first : a.at & ~(k64K - 1);
      set_range(c, done > k64K ? k32M : k64K);
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
  // NUM+1 granules of 2^SCALE: 64 KiB, or 32 MiB in one command. One page of 64K is TG = 0, for
  // NUM = SCALE = TTL = 0 is ILLEGAL with another.
  void set_range(Command& c, std::uint64_t bytes) const {
    if (bytes == page_) {
      return;
    }
    c.tg = static_cast<std::uint8_t>((page_log2(granule_) - 10U) / 2);
    const std::uint64_t pages = bytes / page_;
    c.num = static_cast<std::uint8_t>(std::min<std::uint64_t>(pages, 32) - 1);
    while (((c.num + 1ULL) << c.scale) < pages) {
      ++c.scale;
    }
  }
  // By the CD: another table and ASID under the same STE.
  void replace_cd() {
    const auto sid = static_cast<std::uint32_t>(pick(kStreams));
    const Space& old = spaces_[attached_[sid]];
    const std::size_t to = pick(spaces_.size());
    const Space& space = spaces_[to];
    if (!old.s1 || old.s2 || !space.s1 || space.s2 || space.el2 != old.el2) {
      return;
    }
    Cd cd = World::base_cd(space.asid);
    point_cd_at(cd, *space.s1);
    cds_[sid]->write(Ssid{0}, cd);
    attached_[sid] = to;
    Command c;
    c.opcode = pick(2) == 0 ? Opcode::kCfgiCdAll : Opcode::kCfgiCd;
    c.stream = StreamId{sid};
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
    // The last two are of E2H.
    const Opcode all[] = {Opcode::kTlbiNhAsid, Opcode::kTlbiNhVa,    Opcode::kTlbiNhVaa,
                          Opcode::kTlbiS2Ipa,  Opcode::kTlbiEl2Va,   Opcode::kTlbiEl2All,
                          Opcode::kTlbiEl3All, Opcode::kTlbiNhAll,   Opcode::kTlbiEl3Va,
                          Opcode::kTlbiNhVa,   Opcode::kTlbiEl2Asid, Opcode::kTlbiEl2Vaa};
    Command c = command(all[pick(world.features.e2h ? 12 : 10)], spaces_[pick(spaces_.size())]);
    c.leaf = pick(2) == 0;
    c.address = pick(2 * k32M / page_) * page_;
    if (pick(2) == 0) {
      c.tg = static_cast<std::uint8_t>((page_log2(granule_) - 10U) / 2);
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
    const bool hit = got.from == SmmuCaches::From::kMain || got.from == SmmuCaches::From::kMicro;
    hits += hit ? 1 : 0;
    el2_hits += hit && spaces_[attached_[request.stream.value()]].el2 ? 1 : 0;
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
      return testing::must_go(c, e.t.tag, e.t.stage1, e.t.global, true, e.t.level,
                              e.t.input & ~leaf, e.t.input | leaf);
    }
    return testing::must_go(c, e.w.tag, e.w.stage == 1, e.w.global, e.w.point.is_leaf, e.w.level,
                            e.w.input, e.w.input + (1ULL << e.w.log2) - 1);
  }
  void apply(const Command& c) {
    ASSERT_TRUE(decode_command(encode(c)));
    std::vector<Live> stay = live();
    const std::size_t before = stay.size();
    if (is_tlbi(c.opcode)) {
      std::erase_if(stay, [&](const Live& e) { return must_go(c, e); });
    }
    caches_.apply(*decode_command(encode(c)));
    const std::vector<Live> after = live();
    ASSERT_EQ(after.size(), stay.size()) << static_cast<int>(c.opcode);
    for (std::size_t i = 0; i < stay.size(); ++i) {
      ASSERT_EQ(after[i].tlb, stay[i].tlb);
      ASSERT_EQ(after[i].t.input, stay[i].t.input);
      ASSERT_EQ(after[i].w.input, stay[i].w.input);
    }
    removed += before - stay.size();
    if (stay.size() != before) {
      effective.insert(static_cast<unsigned>(c.opcode));
    }
  }

  RandomStream random_;
  Granule granule_;
  std::uint64_t page_;
  std::vector<Space> spaces_;
  std::array<std::size_t, kStreams> attached_{};
  std::array<std::unique_ptr<ContextTable>, kStreams> cds_;
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

// Of all machines together: what a lone short one may not come to.
struct Sums {
  std::uint64_t el2_hits[2] = {};  // without and with E2H
  std::set<unsigned> effective;
};

void expect_no_stale_hit(Machine& machine, int steps, bool e2h, Sums& sums) {
  for (int i = 0; i < steps && !::testing::Test::HasFailure(); ++i) {
    machine.step();
  }
  EXPECT_EQ(machine.stale, 0U);
  EXPECT_GT(machine.hits, static_cast<std::uint64_t>(steps) / 100);
  EXPECT_GT(machine.removed, static_cast<std::uint64_t>(steps) / 100);
  sums.el2_hits[e2h ? 1 : 0] += machine.el2_hits;
  sums.effective.insert(machine.effective.begin(), machine.effective.end());
}

TEST(InvalidationTest, NoStaleHitAndNoOverInvalidation) {
  Sums sums;
  for (const Policy policy :
       {Policy::kRandom, Policy::kRoundRobin, Policy::kPlru, Policy::kRrip, Policy::kLru}) {
    for (const Granule granule : {Granule::k4K, Granule::k16K, Granule::k64K}) {
      for (const bool unified : {false, true}) {
        const bool e2h = unified;
        Machine machine(17 + static_cast<std::uint64_t>(policy), shape_of(policy, unified), granule,
                        e2h);
        expect_no_stale_hit(machine, granule == Granule::k4K ? 20'000 : 8'000, e2h, sums);
      }
    }
  }
  EXPECT_GT(sums.el2_hits[0], 100U);
  EXPECT_GT(sums.el2_hits[1], 100U);
  const std::set<unsigned> all = {0x10, 0x11, 0x12, 0x13, 0x20, 0x21, 0x22, 0x23, 0x28, 0x2A, 0x30};
  EXPECT_EQ(sums.effective, all);  // EL3: every_regime_test.cpp
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
  EXPECT_EQ(left(), 1U);  // one page, whoever asked for it
  EXPECT_FALSE(atc.lookup({}, 8, {}));
  EXPECT_EQ(atc.lookup({}, k2M + 8, {}), k1G + k2M + 8);
  c.address = k2M + 5 * k4K;
  EXPECT_EQ(left(), 2U);  // a page within the block takes the block
  c.address = 0;
  c.size = 10;  // 4 MiB
  EXPECT_EQ(left(), 0U);
  c.substream_valid = true;
  c.substream = Ssid{1};
  EXPECT_EQ(left(), 2U);
  c.global = true;
  EXPECT_EQ(left(), 0U);
  c = {};
  c.opcode = Opcode::kAtcInv;
  c.size = 52;
  EXPECT_EQ(left(), 0U);
}

}  // namespace
}  // namespace smmulab::smmu::hw

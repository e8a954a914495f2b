// SPDX-License-Identifier: Apache-2.0
// Differential: on random tables (garbage included), random STEs and CDs, random addresses and
// accesses, the model and a second, naive walker agree on event, stage, class, IPA, physical
// address, reach, number of reads and every descriptor that hardware rewrites; with both stages
// also on what split-stage ATS answers.
#include <array>

#include <gtest/gtest.h>

#include "models/smmuv3/hw/naive_walker_testing.hpp"
#include "models/smmuv3/hw/translator.hpp"
#include "sim/random.hpp"

namespace smmulab::smmu::hw {
namespace {

using testing::NaiveAccess;
using testing::NaiveResult;
using testing::NaiveWalker;

constexpr std::uint64_t kFrames = 8, kFrameBytes = 1 << 16U;
constexpr std::uint64_t kS1Arena = 1ULL << 43U;  // as stage 2 leaves of any size can reach it
constexpr std::uint64_t kS2Arena = 1ULL << 33U;

// Tables full of random descriptors: each entry of each frame is one, so every address has a story.
class RandomTables {
 public:
  explicit RandomTables(RandomStream& random, Memory& memory) : random_(random), memory_(memory) {}

  void fill(std::uint64_t arena, bool stage2, bool nested) {
    for (std::uint64_t at = 0; at < kFrames * kFrameBytes; at += 8) {
      memory_.write64(arena + at, descriptor(stage2, nested));
    }
  }
  std::uint64_t frame(std::uint64_t base) {
    return base + random_.uniform_int(kFrames) * kFrameBytes;
  }

 private:
  bool often() { return random_.uniform_int(16) != 0; }
  std::uint64_t descriptor(bool stage2, bool nested) {
    const std::uint64_t kind = random_.uniform_int(16);
    // Stage 1 tables are named by IPA when nested: small numbers, which stage 2 sends to the arena.
    const std::uint64_t s1_base = nested ? 0 : kS1Arena;
    if (kind == 0) {
      return random_.next_u64();  // anything
    }
    std::uint64_t word = random_.next_u64() & 0x7878'0000'0000'0000;  // attributes, DBM, group
    if (kind < 9) {
      return word | frame(stage2 ? kS2Arena : s1_base) | 3;
    }
    word |= random_.next_u64() & 0xB00;  // nG, SH
    word |= often() ? 1U << 10U : 0;     // AF
    word |= random_.next_u64() & 0xC0;   // permissions
    if (stage2) {
      word |= often() ? 0x40U : 0U;
      word |= frame(kS1Arena);
    } else {
      word |= nested ? frame(0) : random_.next_u64() & 0x0000'7FFF'FFFF'0000;
    }
    return word | (random_.uniform_int(4) != 0 ? 3U : 1U);
  }

  RandomStream& random_;
  Memory& memory_;
};

class Differential {
 public:
  explicit Differential(std::uint64_t seed) : random_(seed, "walk_differential") {}

  void universe() {
    Memory memory;
    RandomTables tables(random_, memory);
    const std::uint64_t configs[] = {5, 6, 7};
    const std::uint64_t config = configs[random_.uniform_int(3)];
    tables.fill(kS1Arena, false, config == 7);
    tables.fill(kS2Arena, true, config == 7);
    for (int i = 0; i < 12; ++i) {
      make_config(config, tables);
      StreamConfig decoded;
      if (check_ste(decode_ste(ste_), features_, decoded) != Event::kNone ||
          (decoded.s1 &&
           check_cd(decode_cd(cd_), decode_ste(ste_), features_, decoded) != Event::kNone)) {
        ++illegal;
        continue;
      }
      for (int j = 0; j < 200; ++j) {
        compare(memory, decoded);
      }
    }
  }
  std::uint64_t split = 0;
  std::uint64_t compared = 0, translated = 0, stage2_faults = 0, updates = 0, illegal = 0;

 private:
  std::uint64_t pick(std::uint64_t bound) { return random_.uniform_int(bound); }
  bool flip() { return pick(2) == 0; }

  void make_config(std::uint64_t config, RandomTables& tables) {
    features_ = Features{};
    const std::uint8_t oas[] = {40, 44, 48, 48, 52};
    features_.oas = oas[pick(5)];
    features_.va52 = features_.oas == 52;
    ste_ = {};
    cd_ = {};
    ste_[0] = 1 | config << 1U;
    ste_[1] = config == 5 && pick(4) == 0 ? 2ULL << 30U : 0;  // EL2
    // Sizes that a start level goes with; 3/4 of them are used, the others are illegal.
    const std::uint64_t granule = pick(3);
    ste_[2] = (16 + pick(24)) << 32U | pick(3) << 38U | granule << 46U | (4 + pick(3)) << 48U |
              1ULL << 51U | (pick(4) == 0 ? 1ULL << 53U : 0) | (flip() ? 3ULL << 55U : 0) |
              (flip() ? 1ULL << 56U : 0);
    ste_[3] = tables.frame(kS2Arena);
    cd_[0] = (16 + pick(24)) | pick(3) << 6U | (pick(8) == 0 ? 1ULL << 14U : 0) |
             (16 + pick(24)) << 16U | (1 + pick(3)) << 22U | 1ULL << 31U | (4 + pick(3)) << 32U |
             (pick(4) == 0 ? 1ULL << 35U : 0) | pick(4) << 38U | 1ULL << 41U | pick(4) << 42U |
             1ULL << 46U | pick(1U << 16U) << 48U;
    cd_[1] = tables.frame(config == 7 ? 0 : kS1Arena) | (flip() ? 2U : 0U);
    cd_[2] = tables.frame(config == 7 ? 0 : kS1Arena) | (flip() ? 2U : 0U);
  }

  std::uint64_t address(const StreamConfig& config) {
    if (pick(16) == 0) {
      return random_.next_u64();
    }
    const std::uint64_t any = random_.next_u64();
    if (!config.s1) {
      return any & low_mask(config.tt2.input_bits);
    }
    const bool upper = config.tt1.enabled && flip();
    const unsigned bits = (upper ? config.tt1 : config.tt0).input_bits;
    return upper ? any | ~low_mask(bits) : any & low_mask(bits);
  }

  void compare(Memory& memory, const StreamConfig& config) {
    const std::uint64_t va = address(config);
    const NaiveAccess access{flip(), flip(), pick(4) == 0};
    NaiveWalker naive(memory, ste_.data(), cd_.data(), features_.oas);
    const NaiveResult want =
        naive.translate(va, {access.write, access.privileged, access.instruction && !access.write});
    Request request;
    request.address = va;
    request.access = {access.write, access.privileged, access.instruction};
    const Outcome got = translate(memory, config, request);
    ++compared;
    ASSERT_EQ(static_cast<unsigned>(got.fault.event), want.event) << std::hex << va;
    ASSERT_EQ(got.counts.s1_descriptors + got.counts.s2_descriptors, want.reads);
    if (want.event != 0) {
      ASSERT_EQ(got.fault.stage2, want.s2);
      ASSERT_EQ(static_cast<unsigned>(got.fault.cls), want.cls);
      ASSERT_EQ(got.fault.ipa, want.ipa);
      stage2_faults += want.s2 ? 1 : 0;
    } else {
      ASSERT_EQ(got.pa, want.pa);
      ASSERT_EQ(got.translation.reach_log2, want.reach);
      ++translated;
    }
    for (const auto& [at, word] : want.writes) {
      ASSERT_EQ(memory.peek64(at), word);
    }
    updates += want.writes.size();
    if (want.event == 0 && want.writes.empty() && config.s1 && config.s2) {
      compare_split_ats(memory, config, request, want);
    }
  }

  // The IPA for the device, and from there to the same place.
  void compare_split_ats(Memory& memory, StreamConfig config, Request request,
                         const NaiveResult& want) {
    config.eats = StreamConfig::kSplitAts;
    request.kind = RequestKind::kAtsTranslation;
    const Outcome answer = translate(memory, config, request);
    ASSERT_EQ(answer.pa, want.intermediate);
    ASSERT_EQ(answer.translation.reach_log2, want.reach);
    request.kind = RequestKind::kTranslated;
    request.address = answer.pa;
    ASSERT_EQ(translate(memory, config, request).pa, want.pa);
    ++split;
  }

  RandomStream random_;
  Features features_;
  EntryWords ste_{}, cd_{};
};

TEST(WalkDifferentialTest, ModelAndNaiveWalkerAgree) {
  Differential differential(20261125);
  for (int i = 0; i < 60 && !HasFailure(); ++i) {
    differential.universe();
  }
  // The cases are worth something: all of it happens often.
  EXPECT_GT(differential.compared, 50'000U);
  EXPECT_GT(differential.translated, 5'000U);
  EXPECT_GT(differential.stage2_faults, 2'000U);
  EXPECT_GT(differential.updates, 1'000U);
  EXPECT_GT(differential.illegal, 10U);
  EXPECT_GT(differential.split, 0U);
  RecordProperty("compared", std::to_string(differential.compared));
}

}  // namespace
}  // namespace smmulab::smmu::hw

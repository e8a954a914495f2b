// SPDX-License-Identifier: Apache-2.0
#include "models/smmuv3/hw/params.hpp"

#include <algorithm>
#include <bit>
#include <iterator>
#include <span>
#include <string>

#include <fmt/format.h>

#include "sim/error.hpp"

namespace smmulab::smmu::hw {
namespace {

constexpr Provenance k600{"Arm MMU-600AE TRM: micro TLB fully associative, main TLB 4-way random"};
constexpr Provenance k700{
    "Arm MMU-700 TRM 101542 r1p2: legal values of MTLB_*, WC_*, CC_*, UTLB_*"};
constexpr Provenance kGem5{"gem5 v24 SMMUv3.py: tlb_entries 2048, tlb_assoc 4, utlb_entries 32"};
constexpr Provenance kAgilex{"Intel Agilex 5 HPS TRM 814346: eight walk caches of 256 entries"};
constexpr std::uint32_t kMost = 65536;

const std::vector<std::string>& policy_names() {
  static const std::vector<std::string> kNames = {"random", "round-robin", "plru",
                                                  "rrip",   "lru",         "flush-all"};
  return kNames;
}

constexpr const char* kWcKeys[] = {"smmuv3.wc_s1l0", "smmuv3.wc_s1l1", "smmuv3.wc_s1l2",
                                   "smmuv3.wc_s1l3", "smmuv3.wc_s2l0", "smmuv3.wc_s2l1",
                                   "smmuv3.wc_s2l2", "smmuv3.wc_s2l3"};

void describe_tlbs(ParamTable& t, SmmuParams& p) {
  t.add("smmuv3.utlb_entries", &p.utlb_entries, 0, 4096, "micro TLB entries; 0: none", kGem5);
  t.add("smmuv3.utlb_ways", &p.utlb_ways, 0, 64, "micro TLB ways; 0: fully associative", k600);
  t.add_enum("smmuv3.utlb_policy", &p.utlb_policy, policy_names(), "micro TLB replacement", k600);
  t.add("smmuv3.mtlb_entries", &p.mtlb_entries, 0, kMost, "main TLB entries; 0: none", kGem5);
  t.add("smmuv3.mtlb_ways", &p.mtlb_ways, 0, 64, "main TLB ways; 0: fully associative", k600);
  t.add_enum("smmuv3.mtlb_policy", &p.mtlb_policy, policy_names(), "main TLB replacement", k600);
  t.add("smmuv3.global_entries", &p.global_entries,
        "a translation that is not nG is found from any ASID",
        {"Arm IHI 0070 section 3.17; QEMU 7.2 does not"});
}

}  // namespace

void describe(ParamTable& t, SmmuParams& p) {
  t.add_enum("smmuv3.part", &p.part, {"any", "mmu600", "mmu700"},
             "part whose legal ranges the other values are held to, and whose features it has: "
             "mmu600 is SMMUv3.1 without range invalidation, without HTTU, with 24-bit StreamIDs",
             {"user's choice"});
  describe_tlbs(t, p);
  t.add("smmuv3.wc_unified", &p.wc_unified,
        "one walk cache for all stages and levels (its size is wc_s1l0), else one for each", k700);
  for (std::size_t i = 0; i < p.wc_entries.size(); ++i) {
    t.add(kWcKeys[i], &p.wc_entries[i], 0, kMost,
          fmt::format("walk cache entries, stage {} level {}; 0: none", i / 4 + 1, i % 4), kAgilex);
  }
  t.add("smmuv3.wc_ways", &p.wc_ways, 0, 64, "walk cache ways; 0: fully associative", k600);
  t.add_enum("smmuv3.wc_policy", &p.wc_policy, policy_names(), "walk cache replacement",
             {"Arm MMU-600AE TRM: round-robin; MMU-700 TRM: RRIP"});
  t.add("smmuv3.cc_entries", &p.cc_entries, 0, 4096, "config cache entries (STE and CD in one)",
        kAgilex);
  t.add("smmuv3.cc_ways", &p.cc_ways, 0, 64, "config cache ways; 0: fully associative", k600);
  t.add_enum("smmuv3.cc_policy", &p.cc_policy, policy_names(), "config cache replacement", k600);
  t.add("smmuv3.oas", &p.oas, 32, 52, "output address size in bits (IDR5.OAS)",
        {"Arm MMU-600AE TRM: up to 48; MMU-700: 52"});
}

namespace {

void check_cache(std::string_view name, std::uint32_t entries, std::uint32_t ways, Policy policy) {
  if (entries == 0) {
    return;
  }
  const std::uint32_t real_ways = ways == 0 ? entries : ways;
  if (entries % real_ways != 0) {
    throw ConfigError(
        fmt::format("smmuv3.{}_entries = {}: expected a multiple of smmuv3.{}_ways "
                    "({})",
                    name, entries, name, ways));
  }
  if (policy == Policy::kPlru &&
      (!std::has_single_bit(real_ways) || real_ways > Replacement::kMaxPlruWays)) {
    throw ConfigError(fmt::format(
        "smmuv3.{}_policy = plru: needs 1, 2, 4 .. {} ways, not {} (smmuv3.{}_ways; 0 is as many "
        "as entries)",
        name, Replacement::kMaxPlruWays, real_ways, name));
  }
}

void check_one_of(std::string_view key, std::uint32_t value, std::span<const std::uint32_t> legal,
                  std::string_view part) {
  if (std::ranges::find(legal, value) == legal.end()) {
    throw ConfigError(
        fmt::format("{} = {}: {} has one of {}", key, value, part, fmt::join(legal, ", ")));
  }
}

// 0 if it may be, or a power of 2 from `least` to `most`.
void check_power(std::string_view key, std::uint32_t value, std::uint32_t least, std::uint32_t most,
                 bool zero, std::string_view part) {
  if ((zero && value == 0) || (std::has_single_bit(value) && value >= least && value <= most)) {
    return;
  }
  throw ConfigError(fmt::format("{} = {}: {} has {}a power of 2 from {} to {}", key, value, part,
                                zero ? "0 or " : "", least, most));
}

void check_policy(std::string_view key, Policy policy, std::span<const Policy> legal,
                  std::string_view part) {
  if (std::ranges::find(legal, policy) != legal.end()) {
    return;
  }
  const auto name = [](Policy p) { return policy_names()[static_cast<std::size_t>(p)]; };
  std::vector<std::string> names;
  std::ranges::transform(legal, std::back_inserter(names), name);
  throw ConfigError(fmt::format("{} = {}: {} has {}{}", key, name(policy), part,
                                names.size() == 1 ? "" : "one of ", fmt::join(names, ", ")));
}

// A micro TLB compares all its entries at once.
void check_micro_ways(const SmmuParams& p, std::string_view part) {
  if (p.utlb_ways != 0 && p.utlb_ways != p.utlb_entries) {
    throw ConfigError(
        fmt::format("smmuv3.utlb_ways = {}: {} has 0 (fully associative)", p.utlb_ways, part));
  }
}

void check_least(std::string_view key, std::uint32_t value, std::uint32_t least,
                 std::string_view part) {
  if (value < least) {
    throw ConfigError(fmt::format("{} = {}: {} has {} or more", key, value, part, least));
  }
}

void check_mmu600(const SmmuParams& p) {
  constexpr std::string_view kPart = "an MMU-600";
  const std::uint32_t four[] = {4};
  const Policy micro[] = {Policy::kPlru, Policy::kRoundRobin};
  const Policy random[] = {Policy::kRandom}, round_robin[] = {Policy::kRoundRobin};
  check_micro_ways(p, kPart);
  check_least("smmuv3.utlb_entries", p.utlb_entries, 1, kPart);
  check_least("smmuv3.cc_entries", p.cc_entries, 4, kPart);
  for (std::size_t i = 0; i < p.wc_entries.size() && !p.wc_unified; ++i) {
    check_least(kWcKeys[i], p.wc_entries[i], 4, kPart);
  }
  check_one_of("smmuv3.mtlb_ways", p.mtlb_ways, four, "an MMU-600");
  check_one_of("smmuv3.wc_ways", p.wc_ways, four, "an MMU-600");
  check_one_of("smmuv3.cc_ways", p.cc_ways, four, "an MMU-600");
  if (p.wc_unified) {
    throw ConfigError("smmuv3.wc_unified = true: an MMU-600 has eight walk caches");
  }
  check_policy("smmuv3.utlb_policy", p.utlb_policy, micro, kPart);
  check_policy("smmuv3.mtlb_policy", p.mtlb_policy, random, kPart);
  check_policy("smmuv3.wc_policy", p.wc_policy, round_robin, kPart);
  check_policy("smmuv3.cc_policy", p.cc_policy, round_robin, kPart);
  if (p.oas > 48) {
    throw ConfigError(fmt::format("smmuv3.oas = {}: an MMU-600 has 32 .. 48", p.oas));
  }
}

void check_mmu700(const SmmuParams& p) {
  constexpr std::string_view kPart = "an MMU-700";
  const std::uint32_t depths[] = {4, 8, 12, 16, 32, 64};
  const std::uint32_t ways[] = {4, 8, 16};
  // The manual names the policy of the walk cache alone; none of its caches empties itself.
  const Policy any[] = {Policy::kRandom, Policy::kRoundRobin, Policy::kPlru, Policy::kRrip,
                        Policy::kLru};
  const Policy rrip[] = {Policy::kRrip};
  check_micro_ways(p, kPart);
  check_policy("smmuv3.utlb_policy", p.utlb_policy, any, kPart);
  check_policy("smmuv3.mtlb_policy", p.mtlb_policy, any, kPart);
  check_policy("smmuv3.cc_policy", p.cc_policy, any, kPart);
  check_one_of("smmuv3.utlb_entries", p.utlb_entries, depths, kPart);
  check_power("smmuv3.mtlb_entries", p.mtlb_entries, 32, 65536, true, kPart);
  check_one_of("smmuv3.mtlb_ways", p.mtlb_ways, ways, kPart);
  check_power("smmuv3.cc_entries", p.cc_entries, 4, 4096, false, kPart);
  check_one_of("smmuv3.wc_ways", p.wc_ways, ways, kPart);
  if (!p.wc_unified) {
    throw ConfigError("smmuv3.wc_unified = false: an MMU-700 has one walk cache");
  }
  if (p.wc_entries[0] != 8) {
    check_power("smmuv3.wc_s1l0", p.wc_entries[0], 64, 65536, false, "an MMU-700 (or 8)");
  }
  check_policy("smmuv3.wc_policy", p.wc_policy, rrip, kPart);
}

}  // namespace

void validate(const SmmuParams& p) {
  if (p.part == Part::kMmu600) {
    check_mmu600(p);
  } else if (p.part == Part::kMmu700) {
    check_mmu700(p);
  }
  check_cache("utlb", p.utlb_entries, p.utlb_ways, p.utlb_policy);
  check_cache("mtlb", p.mtlb_entries, p.mtlb_ways, p.mtlb_policy);
  check_cache("cc", p.cc_entries, p.cc_ways, p.cc_policy);
  for (std::size_t i = 0; i < p.wc_entries.size(); ++i) {
    if (p.wc_unified && i > 0) {
      const std::uint32_t untouched = SmmuParams{}.wc_entries[i];
      if (p.wc_entries[i] != 0 && p.wc_entries[i] != untouched) {
        throw ConfigError(fmt::format(
            "{} = {}: with smmuv3.wc_unified = true the one walk cache is smmuv3.wc_s1l0; expected "
            "0 (or {}, the default)",
            kWcKeys[i], p.wc_entries[i], untouched));
      }
      continue;
    }
    if (p.wc_ways != 0 && p.wc_entries[i] % p.wc_ways != 0) {
      throw ConfigError(fmt::format("{} = {}: expected a multiple of smmuv3.wc_ways ({})",
                                    kWcKeys[i], p.wc_entries[i], p.wc_ways));
    }
    check_cache("wc", p.wc_entries[i], p.wc_ways, p.wc_policy);
  }
  const std::uint32_t sizes[] = {32, 36, 40, 42, 44, 48, 52};
  check_one_of("smmuv3.oas", p.oas, sizes, "IDR5.OAS");
}

CachesShape shape_of(const SmmuParams& p, std::uint64_t seed) {
  CachesShape shape;
  shape.config = {p.cc_entries, p.cc_ways, p.cc_policy, seed};
  shape.micro = {p.utlb_entries, p.utlb_ways, p.utlb_policy, seed + 1};
  shape.main = {p.mtlb_entries, p.mtlb_ways, p.mtlb_policy, seed + 2};
  shape.walk.unified = p.wc_unified;
  for (std::size_t i = 0; i < p.wc_entries.size(); ++i) {
    shape.walk.caches[i] = {p.wc_entries[i], p.wc_ways, p.wc_policy, seed + 3};
  }
  shape.honour_global = p.global_entries;
  return shape;
}

Features features_of(const SmmuParams& p) {
  Features features;
  if (p.part == Part::kMmu600) {
    // MMU-600AE TRM, ID register values: SMMUv3.1, so that IDR3.RIL is 0; SIDSIZE 24, no HTTU.
    // SSIDSIZE 20, CD2L, ATS, PRI, stalls and the three granules are as everywhere here.
    features.httu = Httu::kNone;
    features.sid_bits = 24;
    features.range_inv = false;
  } else if (p.part == Part::kMmu700) {
    // MMU-700 TRM 101542: SMMUv3.2 with RIL, SIDSIZE 32, SSIDSIZE 20; HTTU is an option, taken
    // here.
    features.httu = Httu::kDirty;
    features.sid_bits = 32;
    features.range_inv = true;
  }
  features.oas = static_cast<std::uint8_t>(p.oas);
  features.va52 = p.oas == 52;
  return features;
}

namespace {

SmmuParams mmu600_agilex5() {
  SmmuParams p;
  p.part = Part::kMmu600;
  p.utlb_entries = 16;
  p.mtlb_entries = 512;
  return p;
}

SmmuParams mmu700(std::uint32_t utlb, std::uint32_t mtlb, std::uint32_t ways, std::uint32_t wc,
                  std::uint32_t cc) {
  SmmuParams p;
  p.part = Part::kMmu700;
  p.utlb_entries = utlb;
  p.mtlb_entries = mtlb;
  p.mtlb_ways = ways;
  p.wc_unified = true;
  p.wc_entries = {wc, 0, 0, 0, 0, 0, 0, 0};
  p.wc_ways = ways;
  p.wc_policy = Policy::kRrip;
  p.cc_entries = cc;
  p.oas = 52;
  return p;
}

SmmuParams gem5() {
  SmmuParams p;
  p.utlb_policy = Policy::kRoundRobin;
  p.mtlb_policy = Policy::kRoundRobin;
  p.wc_entries = {4, 28, 348, 4, 4, 28, 92, 4};
  p.cc_entries = 64;
  return p;
}

SmmuParams qemu() {
  SmmuParams p;
  p.utlb_entries = 0;
  p.mtlb_entries = 256;
  p.mtlb_ways = 0;
  p.mtlb_policy = Policy::kFlushAll;
  p.wc_entries = {};
  p.cc_entries = 4096;
  p.cc_ways = 0;
  p.global_entries = false;
  p.oas = 44;
  return p;
}

}  // namespace

const std::vector<SmmuPreset>& smmu_presets() {
  static const std::vector<SmmuPreset> kPresets = {
      {"mmu600-agilex5",
       "Intel Agilex 5 HPS TRM 814346: walk caches 8 x 256, config cache 256; TLB sizes assumed "
       "(16 and 512)",
       mmu600_agilex5()},
      {"mmu700-max", "MMU-700 TRM 101542 r1p2, the largest legal value of each",
       mmu700(64, 65536, 16, 65536, 4096)},
      {"mmu700-typical", "MMU-700 TRM legal values; which are typical is assumed",
       mmu700(32, 1024, 4, 1024, 64)},
      {"gem5-defaults",
       "gem5 v24 SMMUv3.py defaults (walk caches 4/28/348/4 and 4/28/92/4; its reach fault, "
       "entries "
       "indexed by 4K, is not copied)",
       gem5()},
      {"qemu",
       "QEMU 7.2 hw/arm/smmu-common.c: IOTLB of 256 entries emptied when full, no walk cache",
       qemu()},
  };
  return kPresets;
}

const SmmuPreset& find_smmu_preset(std::string_view name) {
  std::vector<std::string> names;
  for (const SmmuPreset& preset : smmu_presets()) {
    if (preset.name == name) {
      return preset;
    }
    names.emplace_back(preset.name);
  }
  const std::string near = nearest_name(name, names);
  throw ConfigError(fmt::format("unknown SMMU preset '{}'{}; known: {}", name,
                                near.empty() ? "" : fmt::format(", did you mean '{}'?", near),
                                fmt::join(names, ", ")));
}

}  // namespace smmulab::smmu::hw

// SPDX-License-Identifier: Apache-2.0
// SmmuParams: sizes and policies of an SMMU's caches (smmuv3.* of `smmulab describe`) and the
// presets of real and simulated parts. validate() holds a set of values to the legal ranges of the
// part it claims to be, and features_of() gives the ID registers of that part (MMU-600 and MMU-700
// TRMs). Latencies, slots, tokens and bandwidth are TimedParams (models/smmuv3/timed/params.hpp).
//
// Not here: ID registers of other parts and of simulators. Without a part everything is there that
// is modelled.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "models/smmuv3/hw/features.hpp"
#include "models/smmuv3/hw/smmu_caches.hpp"
#include "sim/params.hpp"

namespace smmulab::smmu::hw {

enum class Part : std::uint8_t { kAny, kMmu600, kMmu700 };

struct SmmuParams {
  Part part = Part::kAny;
  std::uint32_t utlb_entries = 32, utlb_ways = 0;
  Policy utlb_policy = Policy::kPlru;
  std::uint32_t mtlb_entries = 2048, mtlb_ways = 4;
  Policy mtlb_policy = Policy::kRandom;
  bool wc_unified = false;
  std::array<std::uint32_t, 8> wc_entries{256, 256, 256, 256, 256, 256, 256, 256};
  std::uint32_t wc_ways = 4;
  Policy wc_policy = Policy::kRoundRobin;
  std::uint32_t cc_entries = 256, cc_ways = 4;
  Policy cc_policy = Policy::kRoundRobin;
  bool global_entries = true;
  std::uint32_t oas = 48;
};

// Binds all fields. The table must not outlive `params`.
void describe(ParamTable& table, SmmuParams& params);
// Throws ConfigError that names the key, its value and what is legal: for the part, if one is
// named; sets and ways that can be; with wc_unified the sizes that it leaves unused must be
// untouched or 0.
void validate(const SmmuParams& params);
// REQUIRES: validate() passes.
[[nodiscard]] CachesShape shape_of(const SmmuParams& params, std::uint64_t seed = 1);
// Of the part, if one is named, with smmuv3.oas.
[[nodiscard]] Features features_of(const SmmuParams& params);

struct SmmuPreset {
  std::string_view name;
  std::string_view description;  // with the provenance of what sets it apart
  SmmuParams params;
};
[[nodiscard]] const std::vector<SmmuPreset>& smmu_presets();
// Throws ConfigError with the nearest name.
[[nodiscard]] const SmmuPreset& find_smmu_preset(std::string_view name);

}  // namespace smmulab::smmu::hw

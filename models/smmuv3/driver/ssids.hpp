// SPDX-License-Identifier: Apache-2.0
// How many SSIDs (PASIDs) a device has, and so which form its CD table: linear up to 1024 CDs, else
// two levels with leaves of 1024. Rule: Linux 6.12 arm_smmu_alloc_cd_tables(), CTXDESC_L2_ENTRIES.
// Not modelled: devices that differ in their number of PASIDs, an SMMU without IDR0.CD2L.
#pragma once

#include <cstdint>

namespace smmulab::smmu {

struct Ssids {
  static constexpr std::uint32_t kLeafBits = 10;

  std::uint32_t bits = kLeafBits;

  [[nodiscard]] bool has(std::uint32_t ssid) const { return ssid >> bits == 0; }
  [[nodiscard]] bool two_levels() const { return bits > kLeafBits; }
  [[nodiscard]] static std::uint32_t leaf_of(std::uint32_t ssid) { return ssid >> kLeafBits; }
};

}  // namespace smmulab::smmu

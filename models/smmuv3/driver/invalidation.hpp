// SPDX-License-Identifier: Apache-2.0
// Invalidation arithmetic: how many commands Linux sends for a range.
// Rule: Linux 6.12 arm-smmu-v3.c __arm_smmu_tlb_inv_range(), arm_smmu_atc_inv_to_cmd(); range
// encoding Arm IHI 0070 section 4.4.1.1.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

namespace smmulab::smmu {

// Commands for a TLB invalidation of `size` bytes gathered at `granule` bytes. With range
// invalidation each command covers NUM (1..31) times 2^SCALE pages of the smallest size; without
// it, one command covers one granule. REQUIRES: size and granule are multiples of page_size.
[[nodiscard]] constexpr std::uint64_t tlbi_commands(std::uint64_t size, std::uint64_t granule,
                                                    std::uint64_t page_size, bool range_inv,
                                                    bool leaf = true) {
  if (!range_inv) {
    return (size + granule - 1) / granule;
  }
  std::uint64_t pages = size / page_size;
  if (!leaf && (pages & 31U) == 1) {
    ++pages;
  }
  std::uint64_t commands = 0;
  while (pages != 0) {
    const auto scale = static_cast<unsigned>(std::countr_zero(pages));
    const std::uint64_t num = std::min<std::uint64_t>((pages >> scale) & 31U, 31U);
    pages -= num << scale;
    ++commands;
  }
  return commands;
}

}  // namespace smmulab::smmu

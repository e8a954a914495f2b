// SPDX-License-Identifier: Apache-2.0
// Shape of VMSAv8-64 translation tables: how many bits each level resolves, where blocks and
// contiguous groups are allowed, at which level a walk starts. Arm ARM D8 and IHI 0070
// 3.4. Levels are numbered 0..3 from the root, as the architecture does.
//
// Not modelled: LPA2 (52-bit addresses with 4K and 16K granules, level -1) and VMSAv8-32.
#pragma once

#include <cstdint>

#include "models/smmuv3/hw/bits.hpp"

namespace smmulab::smmu::hw {

// The value is log2 of the granule.
enum class Granule : std::uint8_t { k4K = 12, k16K = 14, k64K = 16 };

inline constexpr unsigned kLastLevel = 3;
inline constexpr unsigned kMaxConcatenatedLog2 = 4;  // up to 16 tables at a stage 2 start level

[[nodiscard]] constexpr unsigned page_log2(Granule g) {
  return static_cast<unsigned>(g);
}
// Bits of the input address that one full table resolves.
[[nodiscard]] constexpr unsigned table_bits(Granule g) {
  return page_log2(g) - 3;
}
// Log2 of what one descriptor of a level covers.
[[nodiscard]] constexpr unsigned level_log2(Granule g, unsigned level) {
  return page_log2(g) + table_bits(g) * (kLastLevel - level);
}
// May a descriptor of this level be a leaf? `oa52`: 52-bit output addresses (64K granule only).
[[nodiscard]] constexpr bool leaf_allowed(Granule g, unsigned level, bool oa52) {
  if (level == kLastLevel || level == 2) {
    return true;
  }
  return level == 1 && (g == Granule::k4K || (g == Granule::k64K && oa52));
}
// Log2 of the number of leaves in a contiguous group of this level, 0 if there are none.
[[nodiscard]] constexpr unsigned contiguous_log2(Granule g, unsigned level) {
  switch (g) {
    case Granule::k4K:
      return level >= 1 ? 4 : 0;
    case Granule::k16K:
      return level == 3 ? 7 : level == 2 ? 5 : 0;
    case Granule::k64K:
      return level >= 2 ? 5 : 0;
  }
  return 0;
}
// Start level of a stage 1 walk of `input_bits` bits. REQUIRES: page_log2 < input_bits <= 52.
[[nodiscard]] constexpr unsigned start_level(Granule g, unsigned input_bits) {
  const unsigned above = input_bits - page_log2(g);
  return kLastLevel + 1 - (above + table_bits(g) - 1) / table_bits(g);
}
// Start level of stage 2 as Linux 6.12 io-pgtable chooses it: level 1 instead of level 0 where at
// most 16 concatenated tables do. (A walk may start lower wherever S2SL0 says so.)
[[nodiscard]] constexpr unsigned concatenated_start_level(Granule g, unsigned input_bits) {
  const unsigned start = start_level(g, input_bits);
  const bool few = input_bits - level_log2(g, start) <= kMaxConcatenatedLog2;
  return start == 0 && few ? 1 : start;
}
// Bits that the root table (or group of concatenated tables) resolves.
[[nodiscard]] constexpr unsigned root_bits(Granule g, unsigned start, unsigned input_bits) {
  return input_bits - level_log2(g, start);
}
[[nodiscard]] constexpr std::uint64_t root_index(Granule g, unsigned start, unsigned input_bits,
                                                 std::uint64_t input) {
  return (input & low_mask(input_bits)) >> level_log2(g, start);
}
[[nodiscard]] constexpr std::uint64_t table_index(Granule g, unsigned level, std::uint64_t input) {
  return (input >> level_log2(g, level)) & low_mask(table_bits(g));
}

}  // namespace smmulab::smmu::hw

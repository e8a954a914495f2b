// SPDX-License-Identifier: Apache-2.0
// VMSAv8-64 translation table descriptors, bit for bit (Arm ARM D8.3). Addresses of
// the 64K granule keep bits [51:48] in [15:12].
//
// Not modelled: memory attributes beyond carrying them, the S2 XN[0] (EL0/EL1 split), PBHA, GP.
#pragma once

#include <cstdint>

#include "models/smmuv3/hw/bits.hpp"
#include "models/smmuv3/hw/geometry.hpp"
#include "models/smmuv3/hw/types.hpp"

namespace smmulab::smmu::hw::descriptor {

inline constexpr std::uint64_t kValid = 1, kTableOrPage = 2;
inline constexpr std::uint64_t kApUser = 1ULL << 6U, kApReadOnly = 1ULL << 7U;
inline constexpr std::uint64_t kS2Read = 1ULL << 6U, kS2Write = 1ULL << 7U;
inline constexpr std::uint64_t kInnerShareable = 3ULL << 8U;
inline constexpr std::uint64_t kAccessFlag = 1ULL << 10U, kNotGlobal = 1ULL << 11U;
inline constexpr std::uint64_t kDbm = 1ULL << 51U, kContiguous = 1ULL << 52U;
inline constexpr std::uint64_t kPxn = 1ULL << 53U, kUxn = 1ULL << 54U;
// Hierarchical controls of stage 1 table descriptors.
inline constexpr std::uint64_t kPxnTable = 1ULL << 59U, kUxnTable = 1ULL << 60U;
inline constexpr std::uint64_t kApTableNoUser = 1ULL << 61U, kApTableReadOnly = 1ULL << 62U;

enum class Kind : std::uint8_t { kInvalid, kTable, kLeaf };

[[nodiscard]] constexpr Kind kind(std::uint64_t word, Granule g, unsigned level, bool oa52) {
  if ((word & kValid) == 0) {
    return Kind::kInvalid;
  }
  const bool second = (word & kTableOrPage) != 0;
  if (level == kLastLevel) {
    return second ? Kind::kLeaf : Kind::kInvalid;
  }
  if (second) {
    return Kind::kTable;
  }
  return leaf_allowed(g, level, oa52) ? Kind::kLeaf : Kind::kInvalid;
}

// Output address of a table or leaf descriptor; bits below `low` are not part of it.
[[nodiscard]] constexpr std::uint64_t address(std::uint64_t word, Granule g, unsigned low) {
  const std::uint64_t high = g == Granule::k64K ? field(word, 15, 12) << 48U : 0;
  return high | address_field(word, 47, low);
}
[[nodiscard]] constexpr std::uint64_t make_address(std::uint64_t address, Granule g) {
  const std::uint64_t low = address_field(address, 47, page_log2(g));
  return g == Granule::k64K ? low | make_field(address >> 48U, 15, 12) : low;
}
[[nodiscard]] constexpr std::uint64_t make_table(std::uint64_t next, Granule g) {
  return make_address(next, g) | kValid | kTableOrPage;
}
[[nodiscard]] constexpr std::uint64_t make_leaf(std::uint64_t output, Granule g, unsigned level,
                                                std::uint64_t attributes) {
  return make_address(output, g) | attributes | kValid | (level == kLastLevel ? kTableOrPage : 0);
}

}  // namespace smmulab::smmu::hw::descriptor

// SPDX-License-Identifier: Apache-2.0
// Fields of 64-bit words, named as the architecture names them: [high:low].
#pragma once

#include <cstdint>

namespace smmulab::smmu::hw {

[[nodiscard]] constexpr std::uint64_t low_mask(unsigned bits) {
  return bits >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << bits) - 1;
}
[[nodiscard]] constexpr std::uint64_t field(std::uint64_t word, unsigned high, unsigned low) {
  return (word >> low) & low_mask(high - low + 1);
}
[[nodiscard]] constexpr bool bit(std::uint64_t word, unsigned at) {
  return ((word >> at) & 1U) != 0;
}
// REQUIRES: value fits; what does not is cut off.
[[nodiscard]] constexpr std::uint64_t make_field(std::uint64_t value, unsigned high, unsigned low) {
  return (value & low_mask(high - low + 1)) << low;
}
// The bits [high:low] of an address, in place.
[[nodiscard]] constexpr std::uint64_t address_field(std::uint64_t word, unsigned high,
                                                    unsigned low) {
  return word & (low_mask(high - low + 1) << low);
}

}  // namespace smmulab::smmu::hw

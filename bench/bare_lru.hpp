// SPDX-License-Identifier: Apache-2.0
// The yardstick of TLB hits: what an LRU cache of the same pages costs if it has nothing else to
// do, a list in order of use and a hash map. It shares no code with models/.
#pragma once

#include <cstdint>

#include "bench/meter.hpp"

namespace smmulab::bench {

inline constexpr std::uint64_t kLruPages = 512;
// Pages that are hit by turns, in an order that is not sequential: the address of the i-th.
[[nodiscard]] constexpr std::uint64_t nth_page(std::uint64_t i) {
  return (i * 197 % kLruPages) * 4096;
}

// Look-ups that all hit.
[[nodiscard]] Sample run_bare_lru(std::uint64_t count);

}  // namespace smmulab::bench

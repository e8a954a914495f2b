// SPDX-License-Identifier: Apache-2.0
// The yardstick of TLB hits: what an LRU cache of the same pages costs if it has nothing else to
// do, a list in order of use and a hash map. It shares no code with models/.
#pragma once

#include <cstdint>

#include "bench/meter.hpp"

namespace smmulab::bench {

// Accesses that come back to the same pages; all hit.
struct PageStream {
  std::uint64_t pages = 512;        // a power of 2
  std::uint64_t step = 197 * 4096;  // bytes from one access to the next, around the pages
  [[nodiscard]] constexpr std::uint64_t address(std::uint64_t i) const {
    return i * step & (pages * 4096 - 1);
  }
};
inline constexpr PageStream kScattered{512, 197 * 4096};  // another page each time
inline constexpr PageStream kInOrder{16, 256};  // 16 in a row on a page: 15 find it in front
inline constexpr PageStream kByTurns{16, 4096};

// Look-ups that all hit.
[[nodiscard]] Sample run_bare_lru(const PageStream& stream, std::uint64_t count);

}  // namespace smmulab::bench

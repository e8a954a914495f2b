// SPDX-License-Identifier: Apache-2.0
// What a step touches, and when two steps commute.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "models/linux/step_control.hpp"

namespace smmulab::explore {

inline constexpr std::size_t kMaxThreads = 8;

struct Touch {
  std::uint32_t object;  // a number of the Interner's
  lnx::Access access;
};
using Footprint = std::vector<Touch>;

[[nodiscard]] inline bool commute(lnx::Access a, lnx::Access b) {
  return a == b && a != lnx::Access::kWrite;
}
[[nodiscard]] inline bool independent(const Footprint& a, const Footprint& b) {
  return std::ranges::none_of(a, [&b](const Touch& x) {
    return std::ranges::any_of(
        b, [&x](const Touch& y) { return x.object == y.object && !commute(x.access, y.access); });
  });
}

// Of each thread, the number of its first step that need not have happened before.
using Clock = std::array<std::uint32_t, kMaxThreads>;

using ThreadMask = std::uint32_t;
[[nodiscard]] constexpr ThreadMask bit(std::size_t thread) {
  return ThreadMask{1} << thread;
}

}  // namespace smmulab::explore

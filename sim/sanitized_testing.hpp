// SPDX-License-Identifier: Apache-2.0
// For tests whose size is a choice: with sanitizers, under which code is up to ten times as slow,
// they take the smaller one. What is wrong with memory shows in a few as well as in many.
#pragma once

namespace smmulab {

#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

template <class T>
[[nodiscard]] constexpr T unless_sanitized(T usual, T sanitized) {
  return kSanitized ? sanitized : usual;
}

}  // namespace smmulab

// SPDX-License-Identifier: Apache-2.0
// Runs a measurement in a child process: SimGrid allows one engine in a process's life, and memory
// is only comparable from a fresh heap.
#pragma once

#include <cstddef>
#include <functional>
#include <type_traits>

namespace smmulab::bench {

// Runs `work` in a child process, then copies `size` bytes at `result` from the child to here.
// Throws std::runtime_error if the child does not deliver.
void run_in_child(const std::function<void()>& work, void* result, std::size_t size);

template <class F>
[[nodiscard]] auto in_child(F measurement) {
  using Result = decltype(measurement());
  static_assert(std::is_trivially_copyable_v<Result>);
  Result result{};
  run_in_child([&] { result = measurement(); }, &result, sizeof result);
  return result;
}

}  // namespace smmulab::bench

// SPDX-License-Identifier: Apache-2.0
// The yardstick: the least that can run timed coroutines in order. A 4-ary heap of (time, sequence,
// coroutine), and a loop that takes the least and resumes it. It has no processes, priorities,
// parking, limits or errors, and shares no code with sim/, so that it stays as it is when the
// engine changes.
#pragma once

#include <cstdint>

#include "bench/meter.hpp"

namespace smmulab::bench {

// `processes` coroutines delay `events` times in all.
[[nodiscard]] Sample run_bare_loop(std::uint32_t processes, std::uint64_t events);

}  // namespace smmulab::bench

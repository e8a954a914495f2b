// SPDX-License-Identifier: Apache-2.0
// Cycles of a directed graph with Boost.Graph: strongly connected components, and shortest cycles
// in each. Deterministic: of equal lengths the one from the lowest vertex, over the first arcs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace smmulab::analysis {

struct Arc {
  std::uint32_t from = 0;
  std::uint32_t to = 0;
};

// A cycle as places in the list of arcs; each arc begins where the one before ends, and the first
// where the last ends.
using Cycle = std::vector<std::size_t>;

// One strongly connected component that has a cycle.
struct CyclicComponent {
  std::vector<std::uint32_t> vertices;  // ascending
  // The shortest cycle; then, for each arc on no cycle listed before it, a shortest cycle through
  // it.
  std::vector<Cycle> cycles;
  bool more = false;  // cycles beyond the limit were left out
};

// REQUIRES: every end of an arc is below `vertices`. In components of more than 256 vertices only
// the cycle through the lowest vertices is looked for.
[[nodiscard]] std::vector<CyclicComponent> find_cycles(const std::vector<Arc>& arcs,
                                                       std::size_t vertices, std::size_t limit = 8);

}  // namespace smmulab::analysis

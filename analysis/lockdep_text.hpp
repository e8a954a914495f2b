// SPDX-License-Identifier: Apache-2.0
// A lockdep report for people, in the kernel's words and layout (kernel/locking/lockdep.c
// print_circular_bug(), print_deadlock_bug(), print_unlock_imbalance_bug()), and its graph for
// GraphViz. Chains of held locks stand in place of stack traces.
#pragma once

#include <string>
#include <string_view>

#include "analysis/lockdep.hpp"

namespace smmulab::analysis {

[[nodiscard]] std::string to_text(const LockdepReport& report, std::string_view title);

// Nodes: lock classes with subclass, and what is waited for (dashed). Edges: those lockdep stores,
// labelled with the operation that made them first; on a cycle red; a recursion is a loop.
[[nodiscard]] std::string to_dot(const LockdepReport& report, std::string_view title);

}  // namespace smmulab::analysis

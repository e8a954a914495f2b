// SPDX-License-Identifier: Apache-2.0
// Results as tables for people: operations with latencies, the locks that cost most wait, DMA dark
// time, errors, the deadlock or the broken invariants.
#pragma once

#include <string>

#include "workloads/replay.hpp"

namespace smmulab::workloads {

[[nodiscard]] std::string to_text(const ReplayResult& result);

}  // namespace smmulab::workloads

// SPDX-License-Identifier: Apache-2.0
// A lockdep report as JSON text: findings, waits with locks held, nodes and edges.
#pragma once

#include <string>
#include <string_view>

#include "analysis/lockdep.hpp"

namespace smmulab::analysis {

[[nodiscard]] std::string to_json(const LockdepReport& report, std::string_view title);

}  // namespace smmulab::analysis

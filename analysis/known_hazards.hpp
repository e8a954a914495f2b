// SPDX-License-Identifier: Apache-2.0
// The hazards of docs/protocols.md (and one without a number) that are a matter
// of locks, and how to tell them by the lock classes of a finding.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "analysis/lockdep.hpp"

namespace smmulab::analysis {

// "H1", ... of the hazards that the finding is.
[[nodiscard]] std::vector<std::string> known_hazards(const Finding& finding);
// One line on "H1".
[[nodiscard]] std::string_view hazard_text(std::string_view name);

}  // namespace smmulab::analysis

// SPDX-License-Identifier: Apache-2.0
// One run of a program under a chooser, and what was wrong with it.
#pragma once

#include <functional>
#include <vector>

#include "workloads/explore/explorer.hpp"

namespace smmulab::explore {

// Gives the failures, none if the chooser stopped the run. `at_end`: optional, while the run lives.
[[nodiscard]] std::vector<Failure> run_program(
    const Program& program, Scheduler& scheduler, Chooser& chooser,
    const std::function<void(Run& run, Scheduler::End end)>& at_end);

}  // namespace smmulab::explore

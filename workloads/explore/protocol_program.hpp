// SPDX-License-Identifier: Apache-2.0
// A case under one protocol, as a program to explore. Costs are zero and every thread has a CPU;
// what the settings say of protocol and driver holds. A run ends with the invariants' check.
#pragma once

#include <memory>

#include "workloads/explore/cases.hpp"
#include "workloads/explore/program.hpp"
#include "workloads/settings.hpp"

namespace smmulab::explore {

// The settings without costs. Throws ConfigError for what cannot be explored.
[[nodiscard]] workloads::Settings free_of_cost(workloads::Settings settings);
// REQUIRES: all three outlive the program; settings are free of cost.
[[nodiscard]] Program protocol_program(const Case& c, const iommufd::ProtocolInfo& protocol,
                                       const workloads::Settings& settings);

}  // namespace smmulab::explore

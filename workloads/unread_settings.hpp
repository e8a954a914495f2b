// SPDX-License-Identifier: Apache-2.0
// What a user assigned and a replay never reads: parameters of hardware, streams or loops that
// other parameters leave out.
#pragma once

#include <string>
#include <vector>

#include "workloads/settings.hpp"

namespace smmulab::workloads {

// A warning for each reason, with the parameters in the order of assignment; none: all are read.
// `recorded_dma`: the replay has a DMA trace.
[[nodiscard]] std::vector<std::string> unread_settings(const Settings& settings, bool recorded_dma);

}  // namespace smmulab::workloads

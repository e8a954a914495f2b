// SPDX-License-Identifier: Apache-2.0
// Results as JSON text: what the Python package and scripts read. Durations are integers in ps with
// "_ps" in the key; latency histograms come as [lower_ps, upper_ps, count] rows.
#pragma once

#include <string>
#include <string_view>

#include "workloads/replay.hpp"
#include "workloads/settings.hpp"

namespace smmulab::workloads {

[[nodiscard]] std::string to_json(const ReplayResult& result);
// The resolved configuration: every parameter, keys sorted.
[[nodiscard]] std::string settings_json(const Settings& settings);
// A JSON string literal.
[[nodiscard]] std::string json_string(std::string_view text);
// What `smmulab-replay --version` prints: version, compiler, engines.
[[nodiscard]] std::string version_text();

}  // namespace smmulab::workloads

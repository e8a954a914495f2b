// SPDX-License-Identifier: Apache-2.0
// A host described in TOML: docs/topology.md has the keys. Errors are ConfigErrors that read
// "FILE:LINE:COLUMN: ...", with the nearest key where one is unknown.
#pragma once

#include <string>
#include <string_view>

#include "models/pcie/host.hpp"

namespace smmulab::pcie {

[[nodiscard]] HostDescription read_toml(std::string_view text, const std::string& source);
// The keys beside [[device]], for a host whose devices come from elsewhere.
void apply_toml_settings(std::string_view text, const std::string& source, HostDescription& host);

}  // namespace smmulab::pcie

// SPDX-License-Identifier: Apache-2.0
// A host as people and programs read it: the tree of its buses with SMMU, stream ids, group and
// device set of each function, and what is remarkable about the groups; the same as JSON; a drawing
// for GraphViz in which functions of one group have one colour.
#pragma once

#include <string>

#include "models/pcie/host.hpp"

namespace smmulab::pcie {

[[nodiscard]] std::string to_text(const Host& host);
[[nodiscard]] std::string to_json(const Host& host);
[[nodiscard]] std::string to_dot(const Host& host);

}  // namespace smmulab::pcie

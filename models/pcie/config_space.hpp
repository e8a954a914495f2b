// SPDX-License-Identifier: Apache-2.0
// A function from the bytes of its configuration space, as sysfs gives them in "config": header,
// PCI Express capability, and of the extended capabilities ACS, SR-IOV and ATS.
// Layout: PCI local bus 3.0 section 6, PCI Express base specification section 7.
#pragma once

#include <string_view>

#include "models/pcie/function.hpp"

namespace smmulab::pcie {

// Fills what the bytes say. "", or what is wrong with them: fewer than 64 bytes; fewer than 256 (or
// 4096 of a PCI Express device), as a user who is not root gets them; a loop of capabilities.
[[nodiscard]] std::string decode_config_space(std::string_view bytes, Function& function);

}  // namespace smmulab::pcie

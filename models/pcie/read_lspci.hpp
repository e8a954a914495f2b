// SPDX-License-Identifier: Apache-2.0
// A host from what `lspci -vvv -nn -D` (as root) prints of it: types, buses, ACS, SR-IOV, ATS,
// "Kernel driver in use" and "IOMMU group". Other lines are skipped, and so is the tree that
// `lspci -t` draws: "Bus: primary=..." says the same. Errors are ConfigErrors, "FILE:LINE: ...".
// Not to be seen there, and so not read: whether a single function is of a multi-function device
// (function 0 alone is taken for single), devices that cannot be reset.
#pragma once

#include <string>
#include <string_view>

#include "models/pcie/host.hpp"

namespace smmulab::pcie {

[[nodiscard]] HostDescription read_lspci(std::string_view text, const std::string& source);

}  // namespace smmulab::pcie

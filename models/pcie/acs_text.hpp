// SPDX-License-Identifier: Apache-2.0
// ACS bits as text: "SV+ RR+ CR- UF-": a bit that is named is in the capability, + says that it is
// enabled.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "models/pcie/function.hpp"

namespace smmulab::pcie {

[[nodiscard]] std::optional<Acs> parse_acs(std::string_view text);
[[nodiscard]] std::string to_string(const Acs& acs);
// The bit of "SV", or of lspci's "SrcValid"; 0 if it is none.
[[nodiscard]] std::uint16_t acs_bit(std::string_view name);

}  // namespace smmulab::pcie

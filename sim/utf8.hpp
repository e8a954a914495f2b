// SPDX-License-Identifier: Apache-2.0
// UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF.
#pragma once

#include <cstddef>
#include <string_view>

namespace smmulab {

// Index of the first byte that is not valid UTF-8, or text.size().
[[nodiscard]] std::size_t valid_utf8_prefix(std::string_view text);

}  // namespace smmulab

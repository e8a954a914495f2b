// SPDX-License-Identifier: Apache-2.0
#include "sim/utf8.hpp"

namespace smmulab {
namespace {

// Length of the UTF-8 sequence that starts with `lead`, or 0; its second byte lies in [low, high].
std::size_t sequence(unsigned char lead, unsigned char& low, unsigned char& high) {
  low = 0x80;
  high = 0xbf;
  if (lead >= 0xc2 && lead <= 0xdf) {
    return 2;
  }
  if (lead >= 0xe0 && lead <= 0xef) {
    low = lead == 0xe0 ? 0xa0 : low;    // no overlong forms
    high = lead == 0xed ? 0x9f : high;  // no surrogates
    return 3;
  }
  if (lead >= 0xf0 && lead <= 0xf4) {
    low = lead == 0xf0 ? 0x90 : low;
    high = lead == 0xf4 ? 0x8f : high;  // at most U+10FFFF
    return 4;
  }
  return 0;
}

}  // namespace

std::size_t valid_utf8_prefix(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  for (std::size_t i = 0; i < text.size();) {
    if (byte(i) < 0x80) {
      ++i;
      continue;
    }
    unsigned char low = 0;
    unsigned char high = 0;
    const std::size_t length = sequence(byte(i), low, high);
    if (length == 0 || i + length > text.size() || byte(i + 1) < low || byte(i + 1) > high) {
      return i;
    }
    for (std::size_t k = 2; k < length; ++k) {
      if ((byte(i + k) & 0xc0U) != 0x80U) {
        return i;
      }
    }
    i += length;
  }
  return text.size();
}

}  // namespace smmulab

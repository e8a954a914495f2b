// SPDX-License-Identifier: Apache-2.0
#include "models/pcie/acs_text.hpp"

#include <array>

#include <fmt/format.h>

namespace smmulab::pcie {
namespace {

struct Bit {
  std::uint16_t bit;
  std::string_view name;
  std::string_view lspci;
};
constexpr std::array kBits = std::to_array<Bit>({
    {acs::kSourceValidation, "SV", "SrcValid"},
    {acs::kTranslationBlocking, "TB", "TransBlk"},
    {acs::kRequestRedirect, "RR", "ReqRedir"},
    {acs::kCompletionRedirect, "CR", "CmpltRedir"},
    {acs::kUpstreamForwarding, "UF", "UpstreamFwd"},
    {acs::kEgressControl, "EC", "EgressCtrl"},
    {acs::kDirectTranslated, "DT", "DirectTrans"},
});

}  // namespace

std::uint16_t acs_bit(std::string_view name) {
  for (const Bit& b : kBits) {
    if (b.name == name || b.lspci == name) {
      return b.bit;
    }
  }
  return 0;
}

std::optional<Acs> parse_acs(std::string_view text) {
  Acs acs;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    if (word.empty()) {
      continue;
    }
    const std::uint16_t bit = acs_bit(word.substr(0, word.size() - 1));
    if (bit == 0 || (acs.capable & bit) != 0 || (word.back() != '+' && word.back() != '-')) {
      return std::nullopt;
    }
    acs.capable |= bit;
    if (word.back() == '+') {
      acs.enabled |= bit;
    }
  }
  return acs;
}

std::string to_string(const Acs& acs) {
  std::string text;
  for (const Bit& b : kBits) {
    if ((acs.capable & b.bit) != 0) {
      text += fmt::format("{}{}{}", text.empty() ? "" : " ", b.name,
                          (acs.enabled & b.bit) != 0 ? '+' : '-');
    }
  }
  return text;
}

}  // namespace smmulab::pcie

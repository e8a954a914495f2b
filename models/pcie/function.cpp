// SPDX-License-Identifier: Apache-2.0
#include "models/pcie/function.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include <fmt/format.h>

namespace smmulab::pcie {
namespace {

constexpr std::array<std::pair<Type, std::string_view>, 10> kTypes{{
    {Type::kConventional, "conventional"},
    {Type::kEndpoint, "endpoint"},
    {Type::kLegacyEndpoint, "legacy endpoint"},
    {Type::kRootPort, "root port"},
    {Type::kUpstreamPort, "upstream port"},
    {Type::kDownstreamPort, "downstream port"},
    {Type::kPcieToPciBridge, "pcie-to-pci bridge"},
    {Type::kPciToPcieBridge, "pci-to-pcie bridge"},
    {Type::kRootComplexEndpoint, "root complex endpoint"},
    {Type::kEventCollector, "event collector"},
}};

// Hexadecimal digits up to `end` (or up to the end of the text); cuts them and it off.
std::optional<std::uint32_t> take_hex(std::string_view& text, char end, std::uint32_t max) {
  std::uint32_t value = 0;
  const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  const auto digits = static_cast<std::size_t>(at - text.data());
  const bool ends = end == '\0' ? digits == text.size() : digits < text.size() && *at == end;
  if (error != std::errc{} || !ends || value > max) {
    return std::nullopt;
  }
  text.remove_prefix(std::min(text.size(), digits + 1));
  return value;
}

}  // namespace

std::optional<std::uint8_t> parse_devfn(std::string_view text) {
  const auto slot = take_hex(text, '.', 31);
  const auto function = slot ? take_hex(text, '\0', 7) : std::nullopt;
  return function ? std::optional(static_cast<std::uint8_t>(*slot << 3U | *function))
                  : std::nullopt;
}

std::optional<Address> parse_address(std::string_view text) {
  Address address;
  if (std::count(text.begin(), text.end(), ':') == 2) {
    const auto domain = take_hex(text, ':', 0xffffffff);
    if (!domain) {
      return std::nullopt;
    }
    address.domain = *domain;
  }
  const auto bus = take_hex(text, ':', 255);
  const auto devfn = bus ? parse_devfn(text) : std::nullopt;
  if (!devfn) {
    return std::nullopt;
  }
  address.bus = static_cast<std::uint8_t>(*bus);
  address.devfn = *devfn;
  return address;
}

std::string to_string(const Address& address) {
  return fmt::format("{:04x}:{:02x}:{:02x}.{:x}", address.domain, address.bus, address.slot(),
                     address.function());
}

std::string_view name_of(Type type) {
  return kTypes.at(static_cast<std::size_t>(type)).second;
}

std::optional<Type> type_named(std::string_view name) {
  for (const auto& [type, text] : kTypes) {
    if (text == name) {
      return type;
    }
  }
  return std::nullopt;
}

const std::vector<std::string>& type_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const auto& [type, text] : kTypes) {
      all.emplace_back(text);
    }
    return all;
  }();
  return names;
}

}  // namespace smmulab::pcie

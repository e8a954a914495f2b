// SPDX-License-Identifier: Apache-2.0
#include "models/pcie/config_space.hpp"

#include <array>
#include <set>

#include <fmt/format.h>

namespace smmulab::pcie {
namespace {

constexpr std::size_t kHeader = 64;
constexpr std::size_t kConventionalSpace = 256;
constexpr std::size_t kExpressSpace = 4096;
constexpr unsigned kExpressCapability = 0x10;
constexpr unsigned kAtsCapability = 0x0f;  // extended ones
constexpr unsigned kAcsCapability = 0x0d;
constexpr unsigned kSriovCapability = 0x10;

class Bytes {
 public:
  explicit Bytes(std::string_view bytes) : bytes_(bytes) {}
  [[nodiscard]] std::size_t size() const { return bytes_.size(); }
  // 0 behind the end: what is not implemented reads as 0.
  [[nodiscard]] unsigned u8(std::size_t at) const {
    return at < bytes_.size() ? static_cast<std::uint8_t>(bytes_[at]) : 0U;
  }
  [[nodiscard]] std::uint16_t u16(std::size_t at) const {
    return static_cast<std::uint16_t>(u8(at) | u8(at + 1) << 8U);
  }

 private:
  std::string_view bytes_;
};

void take_express(const Bytes& config, std::size_t at, Function& f) {
  // By the number in bits 7:4 of the capabilities register.
  constexpr std::array<Type, 11> kTypes{Type::kEndpoint,        Type::kLegacyEndpoint,
                                        Type::kConventional,    Type::kConventional,
                                        Type::kRootPort,        Type::kUpstreamPort,
                                        Type::kDownstreamPort,  Type::kPcieToPciBridge,
                                        Type::kPciToPcieBridge, Type::kRootComplexEndpoint,
                                        Type::kEventCollector};
  const std::size_t type = config.u16(at + 2) >> 4U & 15U;
  f.type = type < kTypes.size() ? kTypes.at(type) : Type::kConventional;
  constexpr unsigned kHotPlugCapable = 1U << 6U;
  if (f.bridge) {
    f.bridge->hotplug_slot = (config.u16(at + 0x14) & kHotPlugCapable) != 0;
  }
}

void take_sriov(const Bytes& config, std::size_t at, Function& f) {
  const bool enabled = (config.u16(at + 0x08) & 1U) != 0;
  f.sriov = Sriov{enabled ? config.u16(at + 0x10) : std::uint16_t{0}, config.u16(at + 0x14),
                  config.u16(at + 0x16)};
}

std::string take_extended(const Bytes& config, Function& f) {
  std::set<std::size_t> seen;
  for (std::size_t at = 0x100; at >= 0x100 && config.u16(at) != 0 && config.u16(at) != 0xffff;) {
    if (!seen.insert(at).second) {
      return "the extended capabilities form a loop";
    }
    switch (config.u16(at)) {
      case kAcsCapability:
        f.acs = Acs{static_cast<std::uint16_t>(config.u16(at + 4) & 0x7fU),
                    static_cast<std::uint16_t>(config.u16(at + 6) & 0x7fU)};
        break;
      case kSriovCapability:
        take_sriov(config, at, f);
        break;
      case kAtsCapability:
        f.ats = (config.u16(at + 6) & 0x8000U) != 0;
        break;
      default:
        break;
    }
    at = config.u16(at + 2) >> 4U & 0xffcU;
  }
  return {};
}

}  // namespace

std::string decode_config_space(std::string_view bytes, Function& f) {
  const Bytes config(bytes);
  if (config.size() < kHeader) {
    return fmt::format("expected at least {} bytes, found {}", kHeader, config.size());
  }
  if (config.size() < kConventionalSpace) {
    return fmt::format("only {} bytes: copy config as root", config.size());
  }
  f.vendor = config.u16(0x00);
  f.device = config.u16(0x02);
  f.class_code = config.u8(0x09) | config.u8(0x0a) << 8U | config.u8(0x0b) << 16U;
  f.multifunction = (config.u8(0x0e) & 0x80U) != 0;
  if ((config.u8(0x0e) & 0x7fU) == 1 && config.u8(0x19) != 0) {
    f.bridge = Bridge{static_cast<std::uint8_t>(config.u8(0x19)),
                      static_cast<std::uint8_t>(config.u8(0x1a)), false};
  }
  constexpr unsigned kHasCapabilities = 1U << 4U;
  if ((config.u16(0x06) & kHasCapabilities) == 0) {
    return {};
  }
  bool express = false;
  std::set<std::size_t> seen;
  for (std::size_t at = config.u8(0x34) & 0xfcU; at >= kHeader; at = config.u8(at + 1) & 0xfcU) {
    if (!seen.insert(at).second) {
      return "the capabilities form a loop";
    }
    if (config.u8(at) == kExpressCapability) {
      take_express(config, at, f);
      express = true;
    }
  }
  if (express && config.size() >= kExpressSpace) {
    return take_extended(config, f);
  }
  return {};
}

}  // namespace smmulab::pcie

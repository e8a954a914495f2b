// SPDX-License-Identifier: Apache-2.0
// One PCI function as the kernel's struct pci_dev knows it, as far as iommu groups, VFIO device
// sets and stream ids depend on it. Rules and numbers of types: PCIe base specification, 7.5.3.2.
// Not modelled: BARs, interrupts, power states, links, segments behind a VMD or another device that
// sends requests under a foreign requester id.
#pragma once

#include <bitset>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/ids.hpp"

namespace smmulab::pcie {

using Rid = Id<struct RidTag, std::uint16_t>;  // requester id: bus, device, function
using FunctionIndex = std::size_t;             // in Topology::functions()
using BusIndex = std::size_t;                  // in Topology::buses()

// "0001:03:1f.7"; devfn is device << 3 | function.
struct Address {
  std::uint32_t domain = 0;
  std::uint8_t bus = 0;
  std::uint8_t devfn = 0;
  [[nodiscard]] unsigned slot() const { return devfn >> 3U; }
  [[nodiscard]] unsigned function() const { return devfn & 7U; }
  [[nodiscard]] Rid rid() const { return Rid{static_cast<std::uint16_t>(bus << 8U | devfn)}; }
  friend auto operator<=>(const Address&, const Address&) = default;
};

// With or without the domain. Nothing if it is no address.
[[nodiscard]] std::optional<Address> parse_address(std::string_view text);
[[nodiscard]] std::string to_string(const Address& address);
// "1f.7" -> devfn.
[[nodiscard]] std::optional<std::uint8_t> parse_devfn(std::string_view text);

// kConventional: no PCI Express capability.
enum class Type : std::uint8_t {
  kConventional,
  kEndpoint,
  kLegacyEndpoint,
  kRootPort,
  kUpstreamPort,
  kDownstreamPort,
  kPcieToPciBridge,
  kPciToPcieBridge,
  kRootComplexEndpoint,
  kEventCollector
};
[[nodiscard]] std::string_view name_of(Type type);  // "root port"
[[nodiscard]] std::optional<Type> type_named(std::string_view name);
[[nodiscard]] const std::vector<std::string>& type_names();

namespace acs {
// Bits of the ACS capability and control registers.
inline constexpr std::uint16_t kSourceValidation = 1U << 0U;
inline constexpr std::uint16_t kTranslationBlocking = 1U << 1U;
inline constexpr std::uint16_t kRequestRedirect = 1U << 2U;
inline constexpr std::uint16_t kCompletionRedirect = 1U << 3U;
inline constexpr std::uint16_t kUpstreamForwarding = 1U << 4U;
inline constexpr std::uint16_t kEgressControl = 1U << 5U;
inline constexpr std::uint16_t kDirectTranslated = 1U << 6U;
// What Linux asks for before it lets two devices be apart.
inline constexpr std::uint16_t kIsolation =
    kSourceValidation | kRequestRedirect | kCompletionRedirect | kUpstreamForwarding;
}  // namespace acs

struct Acs {
  std::uint16_t capable = 0;
  std::uint16_t enabled = 0;
  friend bool operator==(const Acs&, const Acs&) = default;
};

struct Sriov {
  std::uint16_t vfs = 0;  // enabled ones
  std::uint16_t offset = 0;
  std::uint16_t stride = 0;
};

struct Bridge {
  std::uint8_t secondary = 0;
  std::uint8_t subordinate = 0;
  bool hotplug_slot = false;  // a native (pciehp) slot: it can reset what is in it
};

struct Function {
  Address address{};
  Type type = Type::kConventional;
  std::string name;  // "" or what the input calls it
  std::uint16_t vendor = 0;
  std::uint16_t device = 0;
  std::uint32_t class_code = 0;  // base class, subclass, interface
  bool multifunction = false;
  std::optional<Bridge> bridge;
  std::optional<Acs> acs;
  std::optional<Sriov> sriov;
  std::optional<Address> physfn;   // of a VF
  std::bitset<256> dma_aliases{};  // devfns on its bus that it also sends requests as
  bool no_bus_reset = false;
  bool translation_root = false;  // requests are translated at this bridge, below its aliases
  bool ats = false;               // enabled
  std::string driver;
  std::optional<std::uint32_t> recorded_group;  // what the host itself said
  std::size_t line = 0;                         // of the input; 0: made up (a VF)
};

}  // namespace smmulab::pcie

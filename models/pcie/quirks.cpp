// SPDX-License-Identifier: Apache-2.0
#include "models/pcie/quirks.hpp"

#include <algorithm>
#include <array>

namespace smmulab::pcie {
namespace {

struct Range {
  std::uint16_t vendor;
  std::uint16_t first;
  std::uint16_t last;
};

template <std::size_t N>
bool listed(const std::array<Range, N>& ranges, const Function& f) {
  return std::any_of(ranges.begin(), ranges.end(), [&f](const Range& r) {
    return f.vendor == r.vendor && r.first <= f.device && f.device <= r.last;
  });
}

constexpr std::uint16_t kIntel = 0x8086;
constexpr std::uint16_t kBroadcom = 0x14e4;
constexpr std::uint16_t kSolarflare = 0x1924;
constexpr std::uint16_t kCavium = 0x177d;
constexpr std::uint16_t kAmpere = 0x1def;
constexpr std::uint16_t kQualcomm = 0x17cb;
constexpr std::uint16_t kNxp = 0x1957;
constexpr std::uint16_t kMarvell = 0x1b4b;

constexpr std::array kIsolatedEndpoints = std::to_array<Range>({
    {kSolarflare, 0x0903, 0x0903}, {kSolarflare, 0x0923, 0x0923}, {kSolarflare, 0x0a03, 0x0a03},
    {kIntel, 0x105e, 0x1060},      {kIntel, 0x10a7, 0x10a7},      {kIntel, 0x10a9, 0x10a9},
    {kIntel, 0x10c6, 0x10c6},      {kIntel, 0x10c9, 0x10c9},      {kIntel, 0x10d6, 0x10d6},
    {kIntel, 0x10d9, 0x10d9},      {kIntel, 0x10db, 0x10db},      {kIntel, 0x10dd, 0x10dd},
    {kIntel, 0x10e1, 0x10e1},      {kIntel, 0x10e6, 0x10e8},      {kIntel, 0x10f1, 0x10f1},
    {kIntel, 0x10f7, 0x10fc},      {kIntel, 0x1507, 0x1507},      {kIntel, 0x1509, 0x150a},
    {kIntel, 0x150d, 0x1511},      {kIntel, 0x1514, 0x1514},      {kIntel, 0x1516, 0x1516},
    {kIntel, 0x1518, 0x1518},      {kIntel, 0x151c, 0x151c},      {kIntel, 0x1521, 0x1524},
    {kIntel, 0x1526, 0x1527},      {kIntel, 0x1529, 0x152a},      {kIntel, 0x154d, 0x154d},
    {kIntel, 0x154f, 0x154f},      {kIntel, 0x1551, 0x1551},      {kIntel, 0x1558, 0x1558},
    {kIntel, 0x15b7, 0x15b8},      {0x19a2, 0x0710, 0x0710},      {0x10df, 0x0720, 0x0720},
    {kCavium, 0xa026, 0xa026},     {kCavium, 0xa059, 0xa059},     {kCavium, 0xa060, 0xa060},
    {kBroadcom, 0x16d7, 0x16d7},   {kBroadcom, 0x1750, 0x1752},   {kBroadcom, 0x1760, 0x1763},
});

// X-Gene, Ampere, Qualcomm, HXT, NXP LX2xx0, Broadcom iProc: whatever their port type.
constexpr std::array kIsolatedPorts = std::to_array<Range>({
    {0x10e8, 0xe004, 0xe004},
    {kAmpere, 0xe005, 0xe00c},
    {kQualcomm, 0x0111, 0x0111},
    {kQualcomm, 0x0115, 0x0115},
    {kQualcomm, 0x0120, 0x0120},
    {kQualcomm, 0x0400, 0x0401},
    {0x1dbf, 0x0401, 0x0401},
    {kBroadcom, 0xd714, 0xd714},
    {kNxp, 0x8d80, 0x8d83},
    {kNxp, 0x8d88, 0x8d8b},
    {kNxp, 0x8d90, 0x8d93},
    {kNxp, 0x8d98, 0x8d9b},
    {kNxp, 0x8da0, 0x8da1},
    {kNxp, 0x8da8, 0x8da9},
    {kNxp, 0x8db0, 0x8db1},
    {kNxp, 0x8db8, 0x8db9},
});

// Only as root ports: ThunderX 1, 2 and 3, Annapurna.
constexpr std::array kIsolatedRootPorts = std::to_array<Range>({
    {kCavium, 0xa000, 0xa7ff},
    {kCavium, 0xaf84, 0xaf84},
    {kCavium, 0xb884, 0xb884},
    {0x1c36, 0x0031, 0x0031},
});

constexpr std::array kUseFunction0 = std::to_array<Range>({
    {0x1180, 0xe832, 0xe832},
    {0x1180, 0xe476, 0xe476},
    {0x6766, 0x3d40, 0x3d41},
});

// SATA controllers with a Marvell core.
constexpr std::array kUseFunction1 = std::to_array<Range>({
    {kMarvell, 0x9120, 0x9120},
    {kMarvell, 0x9123, 0x9123},
    {kMarvell, 0x9125, 0x9125},
    {kMarvell, 0x9128, 0x9128},
    {kMarvell, 0x9130, 0x9130},
    {kMarvell, 0x9170, 0x9170},
    {kMarvell, 0x9172, 0x9172},
    {kMarvell, 0x917a, 0x917a},
    {kMarvell, 0x9182, 0x9183},
    {kMarvell, 0x91a0, 0x91a0},
    {kMarvell, 0x9215, 0x9215},
    {kMarvell, 0x9220, 0x9220},
    {kMarvell, 0x9230, 0x9230},
    {kMarvell, 0x9235, 0x9235},
    {0x1103, 0x0642, 0x0642},
    {0x1103, 0x0645, 0x0645},
    {0x197b, 0x2392, 0x2392},
    {0x1c28, 0x0122, 0x0122},
});

constexpr std::array kHiddenBridges = std::to_array<Range>({
    {0x1b21, 0x1080, 0x1080},
    {0x10e3, 0x8113, 0x8113},
    {0x1283, 0x8892, 0x8893},
    {kIntel, 0x244e, 0x244e},
});

}  // namespace

bool isolated_by_quirk(const Function& f) {
  return listed(kIsolatedEndpoints, f) || listed(kIsolatedPorts, f) ||
         (f.type == Type::kRootPort && listed(kIsolatedRootPorts, f));
}

std::bitset<256> aliases_by_quirk(const Function& f) {
  std::bitset<256> aliases;
  const unsigned slot = f.address.slot() << 3U;
  if (listed(kUseFunction0, f) && f.address.function() != 0) {
    aliases.set(slot);
  }
  if (listed(kUseFunction1, f) && f.address.function() != 1) {
    aliases.set(slot | 1U);
  }
  return aliases;
}

bool hidden_pcie_bridge(const Topology& topology, FunctionIndex bridge) {
  const Function& f = topology.functions()[bridge];
  if (f.type != Type::kConventional || !f.bridge || !listed(kHiddenBridges, f)) {
    return false;
  }
  const std::optional<FunctionIndex> above = topology.bus_of(bridge).bridge;
  if (!above) {
    return false;
  }
  const Type type = topology.functions()[*above].type;
  return type != Type::kConventional && type != Type::kPcieToPciBridge;
}

}  // namespace smmulab::pcie

// SPDX-License-Identifier: Apache-2.0
// For tests: what an invalidation must remove, written from the table of commands (IHI 0070 4.4)
// apart from the model's covers(). EL2_ASID and EL2_VAA are judged with E2H only.
#pragma once

#include <cstdint>

#include "models/smmuv3/hw/command.hpp"
#include "models/smmuv3/hw/table_walk.hpp"

namespace smmulab::smmu::hw::testing {

// Exception level of a regime.
inline unsigned exception_level(StreamWorld world) {
  return world == StreamWorld::kNsEl1 ? 1 : world == StreamWorld::kEl3 ? 3 : 2;
}

// What IHI 0070 4.4 says a command hits, by opcode.
inline bool must_go(const Command& c, const Tag& tag, bool stage1, bool global, bool leaf,
                    unsigned level, std::uint64_t first, std::uint64_t last) {
  const unsigned code = static_cast<unsigned>(c.opcode);
  const unsigned regime = code == 0x18 || code == 0x1A ? 3 : code >= 0x20 && code < 0x24 ? 2 : 1;
  if (regime != exception_level(tag.world)) {
    return false;
  }
  if (code == 0x30 || code == 0x20 || code == 0x18) {
    return true;
  }
  if (regime == 1 && tag.vmid != c.vmid) {
    return false;
  }
  // EL2 without E2H and EL3 have no ASIDs.
  const bool others = tag.world != StreamWorld::kEl2 && tag.world != StreamWorld::kEl3 && !global &&
                      tag.asid != c.asid;
  switch (code) {
    case 0x28:
      return true;
    case 0x10:
      return stage1;
    case 0x11:
    case 0x21:
      return stage1 && !global && !others;
    default:
      break;
  }
  if (stage1 != (code != 0x2A)) {
    return false;
  }
  if ((code == 0x12 || code == 0x22) && others) {
    return false;
  }
  std::uint64_t bytes = 4096;
  if (c.tg != 0) {
    bytes = (1ULL + c.num) * (1ULL << c.scale) * (4096ULL << (2 * (c.tg - 1)));
  }
  if (first > c.address + (bytes - 1) || last < c.address) {
    return false;
  }
  if (!leaf) {
    return !c.leaf && (c.tg == 0 || c.ttl == 0 || level < c.ttl);
  }
  return c.tg == 0 || c.ttl == 0 || level == c.ttl;
}

}  // namespace smmulab::smmu::hw::testing

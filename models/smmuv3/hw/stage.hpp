// SPDX-License-Identifier: Apache-2.0
// Stage: what a walk of one stage of translation needs to know, as decoded from a CD (stage 1, one
// for each of TTB0 and TTB1) or an STE (stage 2).
#pragma once

#include <cstdint>

#include "models/smmuv3/hw/geometry.hpp"

namespace smmulab::smmu::hw {

struct Stage {
  std::uint64_t table = 0;  // TTB: an IPA if stage 2 is on as well
  Granule granule = Granule::k4K;
  std::uint8_t number = 1;  // 1 or 2
  std::uint8_t start_level = 0;
  std::uint8_t input_bits = 48;   // 64 - TxSZ
  std::uint8_t output_bits = 48;  // effective IPS or PS
  bool enabled = false;           // stage 1: not EPDx
  bool upper = false;             // TTB1: input addresses with the top bits set
  bool top_byte_ignored = false;  // TBI
  bool user_regime = true;        // EL1 and EL2-E2H: unprivileged accesses exist, so does nG
  bool hierarchical_off = false;  // HADx
  bool af_fault_off = false;      // AFFD
  bool hw_access = false;         // HA: hardware sets the access flag
  bool hw_dirty = false;          // HD: hardware manages the dirty state
  [[nodiscard]] bool oa52() const { return output_bits == 52; }
};

}  // namespace smmulab::smmu::hw

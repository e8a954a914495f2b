// SPDX-License-Identifier: Apache-2.0
// StreamConfig: an STE and its CD, checked and decoded: what a config cache entry holds (MMU-600
// and MMU-700 keep both in one entry) and what every translation of the stream
// starts from. check_ste() and check_cd() are the rules for ILLEGAL structures of IHI 0070 5.2 and
// 5.4: they give the event that a wrong one raises.
//
// Not modelled: AArch32 tables (an STE or CD that asks for them is ILLEGAL, as for an SMMU with
// IDR0.TTF = 2), big-endian tables (IDR0.TTENDIAN = 2), secure streams.
#pragma once

#include <cstdint>

#include "models/smmuv3/hw/features.hpp"
#include "models/smmuv3/hw/stage.hpp"
#include "models/smmuv3/hw/structures.hpp"
#include "models/smmuv3/hw/types.hpp"

namespace smmulab::smmu::hw {

struct StreamConfig {
  enum class Kind : std::uint8_t { kAbort, kBypass, kTranslate };
  Kind kind = Kind::kAbort;
  StreamWorld world = StreamWorld::kNsEl1;
  bool s1 = false;
  bool s2 = false;
  bool aset = false;
  bool stall = false;     // S1: CD.S and not S1STALLD; S2 only: S2S
  bool s2_stall = false;  // STE.S2S
  static constexpr std::uint8_t kFullAts = 1, kSplitAts = 2;
  std::uint8_t eats = 0;  // STE.EATS as it counts
  std::uint8_t privilege_override = 0;
  std::uint8_t instruction_override = 0;
  std::uint8_t contiguous = 0;  // STE.CONT
  // In one byte: every cached configuration has them, and few are ever looked at.
  std::uint8_t prefetch : 2 = 0;  // STE.PF
  bool s1_record : 1 = false;     // CD.R
  bool s1_abort : 1 = true;       // CD.A
  bool s2_record : 1 = false;     // STE.S2R
  Asid asid;
  Vmid vmid;
  Stage tt0, tt1;  // stage 1
  Stage tt2;       // stage 2
  // REQUIRES: s1.
  [[nodiscard]] const Stage& stage1_for(std::uint64_t input) const;
};

// kNone, or kBadSte. Fills all that comes from the STE.
[[nodiscard]] Event check_ste(const Ste& ste, const Features& features, StreamConfig& config);
// kNone, or kBadCd. Fills what comes from the CD.
[[nodiscard]] Event check_cd(const Cd& cd, const Ste& ste, const Features& features,
                             StreamConfig& config);
// With STE.PRIVCFG and INSTCFG applied.
[[nodiscard]] Access effective_access(const StreamConfig& config, Access access);

// The address that cached translations are tagged with: without the tag byte where it is ignored.
[[nodiscard]] std::uint64_t canonical_input(const StreamConfig& config, std::uint64_t input);

}  // namespace smmulab::smmu::hw

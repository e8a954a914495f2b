// SPDX-License-Identifier: Apache-2.0
// Features: what an SMMU says of itself in IDR0, IDR1, IDR3 and IDR5 and that changes how it reads
// its structures (IHI 0070 6.3), and STRTAB_BASE with STRTAB_BASE_CFG.
#pragma once

#include <cstdint>

#include "models/smmuv3/hw/geometry.hpp"

namespace smmulab::smmu::hw {

enum class Httu : std::uint8_t { kNone = 0, kAccess = 1, kDirty = 2 };

struct Features {
  bool stage1 = true;             // IDR0.S1P
  bool stage2 = true;             // IDR0.S2P
  bool hyp = true;                // IDR0.HYP
  bool two_level_cd = true;       // IDR0.CD2L
  bool two_level_streams = true;  // IDR0.ST_LVL
  bool ats = true;                // IDR0.ATS
  bool no_split_ats = false;      // IDR0.NS1ATS
  bool pri = true;                // IDR0.PRI
  bool term_model = false;        // IDR0.TERM_MODEL: CD.A may not be 0
  bool stall = true;              // IDR0.STALL_MODEL allows stalls
  Httu httu = Httu::kDirty;       // IDR0.HTTU
  bool e2h = false;               // CR2.E2H
  std::uint8_t sid_bits = 32;     // IDR1.SIDSIZE
  std::uint8_t ssid_bits = 20;    // IDR1.SSIDSIZE
  std::uint8_t oas = 48;          // IDR5.OAS, in bits
  bool granule_4k = true, granule_16k = true, granule_64k = true;  // IDR5.GRANx
  bool va52 = false;                                               // IDR5.VAX
  bool range_inv = true;                                           // IDR3.RIL
  bool small_tables = false;                                       // IDR3.STT: TxSZ up to 48 (47)
  [[nodiscard]] bool has(Granule g) const {
    return g == Granule::k4K ? granule_4k : g == Granule::k16K ? granule_16k : granule_64k;
  }
};

// STRTAB_BASE and STRTAB_BASE_CFG.
struct StreamTableBase {
  std::uint64_t address = 0;
  bool two_level = false;
  std::uint8_t log2_size = 0;  // StreamIDs of the table
  std::uint8_t split = 8;      // two levels: StreamID bits that the level 2 table resolves
};

// The 3-bit code of IPS, S2PS and OAS. 7 is reserved and stands for the largest.
[[nodiscard]] constexpr std::uint8_t address_bits_of(std::uint8_t code) {
  constexpr std::uint8_t kBits[] = {32, 36, 40, 42, 44, 48, 52, 52};
  return kBits[code & 7U];
}

}  // namespace smmulab::smmu::hw

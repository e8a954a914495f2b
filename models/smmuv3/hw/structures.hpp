// SPDX-License-Identifier: Apache-2.0
// Stream table entry, context descriptor and their level 1 descriptors, bit for bit (IHI 0070
// chapter 5). encode() and decode() are inverse on all fields that are named here;
// the others are written as zero and ignored.
//
// Not modelled: memory attribute overrides (MTCFG, SHCFG, ALLOCCFG) and cacheability of the tables,
// which change no result of a walk; VMS, MPAM, DPT.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "models/smmuv3/hw/types.hpp"

namespace smmulab::smmu::hw {

inline constexpr unsigned kEntryLog2 = 6;  // STE and CD: 64 bytes
using EntryWords = std::array<std::uint64_t, 8>;

struct Ste {
  // The values of STE.Config that mean something.
  enum class Config : std::uint8_t { kAbort = 0, kBypass = 4, kS1 = 5, kS2 = 6, kNested = 7 };
  bool valid = false;
  std::uint8_t config = 0;  // raw, so that reserved values can be told
  std::uint8_t s1_format = 0;
  std::uint64_t s1_context_ptr = 0;
  std::uint8_t s1_cd_max = 0;  // log2 of the number of CDs
  std::uint8_t s1_default_substream = 0;
  std::uint8_t contiguous = 0;          // CONT
  bool pasid_on_auto_response = false;  // PPAR
  bool merge_events = false;            // MEV
  bool s1_stall_disable = false;
  std::uint8_t eats = 0;
  std::uint8_t stream_world = 0;  // STRW
  std::uint8_t privilege_override = 0;
  std::uint8_t instruction_override = 0;
  std::uint8_t prefetch = 0;  // PF of MMU-600 and MMU-700, [121:120]; 2: forward, 3: backward
  std::uint16_t vmid = 0;
  std::uint8_t s2_t0sz = 0;
  std::uint8_t s2_start = 0;    // S2SL0
  std::uint8_t s2_granule = 0;  // S2TG
  std::uint8_t s2_size = 0;     // S2PS
  bool s2_aarch64 = false;
  bool s2_big_endian = false;
  bool s2_af_fault_off = false;
  bool s2_hw_access = false;
  bool s2_hw_dirty = false;
  bool s2_stall = false;
  bool s2_record = false;
  std::uint64_t s2_table = 0;
  friend bool operator==(const Ste&, const Ste&) = default;
};
[[nodiscard]] EntryWords encode(const Ste& ste);
[[nodiscard]] Ste decode_ste(std::span<const std::uint64_t, 8> words);

struct Cd {
  std::uint8_t t0sz = 0, t1sz = 0;
  std::uint8_t tg0 = 0,
               tg1 = 0;  // not the same code: TG0 4K 0, 64K 1, 16K 2; TG1 16K 1, 4K 2, 64K 3
  bool epd0 = false, epd1 = false;
  bool big_endian = false;
  bool valid = false;
  std::uint8_t ips = 0;
  bool af_fault_off = false;
  bool tbi0 = false, tbi1 = false;
  bool aarch64 = false;
  bool hw_dirty = false, hw_access = false;
  bool stall = false, record = false, abort = false;  // S, R, A
  bool aset = false;
  std::uint16_t asid = 0;
  std::uint64_t ttb0 = 0, ttb1 = 0;
  bool had0 = false, had1 = false;
  std::uint64_t mair = 0;
  friend bool operator==(const Cd&, const Cd&) = default;
};
[[nodiscard]] EntryWords encode(const Cd& cd);
[[nodiscard]] Cd decode_cd(std::span<const std::uint64_t, 8> words);

// Level 1 stream table descriptor. Span 0: invalid; else the level 2 table has 2^(Span-1) STEs.
struct L1Std {
  std::uint8_t span = 0;
  std::uint64_t l2_ptr = 0;
};
[[nodiscard]] std::uint64_t encode(const L1Std& l1);
[[nodiscard]] L1Std decode_l1std(std::uint64_t word);

struct L1Cd {
  bool valid = false;
  std::uint64_t l2_ptr = 0;
};
[[nodiscard]] std::uint64_t encode(const L1Cd& l1);
[[nodiscard]] L1Cd decode_l1cd(std::uint64_t word);

}  // namespace smmulab::smmu::hw

// SPDX-License-Identifier: Apache-2.0
// Commands, bit for bit (IHI 0070 chapter 4): 16 bytes to Command and back, which of
// them are illegal, and what an invalidation covers, range arithmetic included.
//
// Not modelled: secure commands (SSec), DPTI, CFGI_VMS_PIDM's VMID, MSI attributes of SYNC.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "models/smmuv3/hw/features.hpp"
#include "models/smmuv3/hw/types.hpp"

namespace smmulab::smmu::hw {

enum class Opcode : std::uint8_t {
  kPrefetchConfig = 0x01,
  kPrefetchAddr = 0x02,
  kCfgiSte = 0x03,
  kCfgiSteRange = 0x04,
  kCfgiCd = 0x05,
  kCfgiCdAll = 0x06,
  kCfgiVmsPidm = 0x07,
  kTlbiNhAll = 0x10,
  kTlbiNhAsid = 0x11,
  kTlbiNhVa = 0x12,
  kTlbiNhVaa = 0x13,
  kTlbiEl3All = 0x18,
  kTlbiEl3Va = 0x1A,
  kTlbiEl2All = 0x20,
  kTlbiEl2Asid = 0x21,
  kTlbiEl2Va = 0x22,
  kTlbiEl2Vaa = 0x23,
  kTlbiS12Vmall = 0x28,
  kTlbiS2Ipa = 0x2A,
  kTlbiNsnhAll = 0x30,
  kAtcInv = 0x40,
  kPriResp = 0x41,
  kResume = 0x44,
  kStallTerm = 0x45,
  kSync = 0x46,
};

// RESUME: Ac is bit 0, Ab bit 1; with Ac, Ab is ignored. Terminate completes as RAZ/WI.
enum class ResumeAction : std::uint8_t { kTerminate = 0, kRetry = 1, kAbort = 2, kRetryToo = 3 };
// PRI_RESP: 3 is ILLEGAL.
enum class PriResult : std::uint8_t { kFailure = 0, kInvalid = 1, kSuccess = 2 };

using CommandWords = std::array<std::uint64_t, 2>;

struct Command {
  Opcode opcode = Opcode::kSync;
  StreamId stream;
  Ssid substream;
  bool substream_valid = false;  // SSV
  bool leaf = false;
  std::uint8_t range = 0;  // CFGI_STE_RANGE
  Vmid vmid;
  Asid asid;
  std::uint8_t num = 0, scale = 0, ttl = 0, tg = 0;  // range TLBI
  std::uint64_t address = 0;
  std::uint8_t size = 0;      // ATC_INV: log2 of the number of 4K pages; PREFETCH_ADDR: of strides
  std::uint8_t stride = 0;    // PREFETCH_ADDR: log2 of a stride in 4K pages
  bool global = false;        // ATC_INV
  std::uint8_t signal = 0;    // SYNC.CS
  std::uint16_t stag = 0;     // RESUME
  std::uint8_t response = 0;  // RESUME: ResumeAction; PRI_RESP: PriResult
  std::uint16_t prg_index = 0;  // PRI_RESP
  friend bool operator==(const Command&, const Command&) = default;
};
[[nodiscard]] CommandWords encode(const Command& command);
// Nothing: CERROR_ILL. `range_inv`: IDR3.RIL; without it the range fields are RES0.
[[nodiscard]] std::optional<Command> decode_command(const CommandWords& words,
                                                    bool range_inv = true);
// False: CERROR_ILL, since the SMMU lacks what the command is for: stalls, ATS or PRI.
[[nodiscard]] bool is_supported(const Command& command, const Features& features);
// May it stand in a VCMDQ of a VINTF that a guest owns (Tegra241 CMDQV)? Rule: Linux 6.12
// tegra241-cmdqv.c tegra241_guest_vcmdq_supports_cmd(), what is known of the hardware's filter.
[[nodiscard]] bool is_for_guests(Opcode opcode);

// What a TLBI covers, as every cache of translations applies it.
struct TlbInvalidation {
  bool stage1 = false, stage2 = false;  // entries with stage 1 in them; entries of stage 2 alone
  bool el1 = false, el2 = false, el3 = false;
  std::optional<Vmid> vmid;
  std::optional<Asid> asid;
  bool globals = true;  // with an ASID: global entries match, too
  bool by_address = false;
  std::uint64_t first = 0, last = 0;  // bytes, inclusive
  bool leaf_only = false;             // entries that are not leaves stay
  std::uint8_t level = 0;             // TTL: leaves of this level only; 0: any
};
// REQUIRES: the command is a TLBI.
[[nodiscard]] TlbInvalidation tlb_invalidation(const Command& command);
[[nodiscard]] constexpr bool is_tlbi(Opcode op) {
  return static_cast<std::uint8_t>(op) >= 0x10 && static_cast<std::uint8_t>(op) <= 0x30;
}

// What a CFGI covers: streams [first, last] and, if set, one substream only.
struct ConfigInvalidation {
  std::uint32_t first = 0, last = 0;
  std::optional<Ssid> substream;
};
// Nothing for commands that are no CFGI of STE or CD.
[[nodiscard]] std::optional<ConfigInvalidation> config_invalidation(const Command& command);

}  // namespace smmulab::smmu::hw

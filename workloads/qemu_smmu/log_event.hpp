// SPDX-License-Identifier: Apache-2.0
// One line of QEMU's `-trace smmu*` log as an event (QEMU 7.2 hw/arm/trace-events; the fields that
// later versions add are read where they matter). A line has an optional "PID@SECONDS:" prefix, the
// event's name, and fields "name=value", "name:value" in decimal or hexadecimal.
//
// Lines that are none of it (console output, other devices' events) are noise; a line that begins
// like an event but lacks a field that the event must have is damaged.
#pragma once

#include <cstdint>
#include <string_view>

namespace smmulab::workloads::qemu {

enum class LogKind : std::uint8_t {
  kNoise,
  kDamaged,
  kOther,  // an SMMU event that the replay does not need
  kConfigHit,
  kConfigMiss,
  kFindSte,
  kFindSte2Level,
  kGetSte,
  kGetCd,
  kDecodeCd,
  kDecodeCdTt,
  kIotlbHit,
  kIotlbMiss,
  kGetPte,
  kPtwLevel,
  kPtwInvalid,
  kPtwPage,
  kPtwBlock,
  kIotlbInsert,
  kSuccess,
  kBypass,
  kAbort,
  kDisabled,
  kRecordEvent,
  kOpcode,
  kCfgiSte,
  kCfgiSteRange,
  kCfgiCd,
  kTlbiNh,
  kTlbiNhAsid,
  kRangeInval,
  kInvAll,
  kInvAsid,
  kInvVmid,
  kInvIova,
};

// Which fields are set depends on the kind.
struct LogEvent {
  LogKind kind = LogKind::kNoise;
  std::uint64_t thread = 0;
  std::uint64_t time_us = 0;  // host time; 0 without prefix
  std::uint64_t sid = 0;      // also the first of a range
  std::uint64_t last = 0;     // last of a range; l2 index; number of pages
  std::uint64_t address = 0;  // iova, descriptor, structure, level 1 table
  std::uint64_t value = 0;    // translated, pte, TTB, level 2 table
  std::uint64_t asid = 0;
  std::uint64_t vmid = 0;
  std::uint8_t level = 0;    // also TTL, tsz of a TT
  std::uint8_t granule = 0;  // tg: 1 4K, 2 16K, 3 64K; granule_sz: log2
  std::uint8_t stage = 1;
  std::uint8_t number = 0;  // perm; TT index; split
  bool flag = false;        // leaf; is_write; any ASID (asid = -1)
  std::string_view text;    // opcode, name of a recorded event; points into the line
};

[[nodiscard]] LogEvent parse_log_line(std::string_view line);

}  // namespace smmulab::workloads::qemu

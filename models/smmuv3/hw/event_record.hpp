// SPDX-License-Identifier: Apache-2.0
// EventRecord: what the SMMU writes into its event queue, 32 bytes, bit for bit (IHI 0070 7.3;
// fields as in Linux 6.12 arm-smmu-v3.h, EVTQ_*). encode() writes the fields that the event has and
// leaves all others 0, UNKNOWN ones too; decode_event() reads the same.
//
// Not modelled: NSIPA and GPCF (no Secure state, no RME), the overlay bits of F_PERMISSION, CLASS
// of F_TLB_CONFLICT (never raised here). Where R, W, X, Priv and Span of F_BAD_ATS_TREQ lie is
// taken from a driver's decoder and not confirmed by the manual.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "models/smmuv3/hw/types.hpp"

namespace smmulab::smmu::hw {

using EventWords = std::array<std::uint64_t, 4>;

struct EventRecord {
  Event event = Event::kNone;
  StreamId stream;
  std::optional<Ssid> substream;  // SSV and SubstreamID
  Access access;                  // RnW, InD, PnU, after STE.INSTCFG and PRIVCFG
  bool stall = false;             // Stall: the transaction waits; STAG names it
  std::uint16_t stag = 0;
  std::uint16_t reason = 0;  // IMPLEMENTATION DEFINED; this model has none and leaves it 0
  bool stage2 = false;       // S2
  FaultClass cls = FaultClass::kCd;
  bool table_write = false;  // !TTRnW, with CLASS TT: the descriptor update had no permission
  std::uint64_t input = 0;   // InputAddr; [63:12] in F_BAD_ATS_TREQ and E_PAGE_REQUEST
  std::uint64_t ipa = 0;     // with S2; [51:12]
  std::uint64_t fetch = 0;   // FetchAddr, physical; [51:3]
  std::uint8_t span = 0;     // F_BAD_ATS_TREQ: STUs; E_PAGE_REQUEST: 4K pages
  Permissions anticipated;   // E_PAGE_REQUEST
  friend bool operator==(const EventRecord&, const EventRecord&) = default;
};
[[nodiscard]] EventWords encode(const EventRecord& record);
// Nothing: no event of the architecture.
[[nodiscard]] std::optional<EventRecord> decode_event(const EventWords& words);

// The record of a fault. `access`: after the overrides of the STE, if one was found.
[[nodiscard]] EventRecord make_record(const Request& request, const Fault& fault, Access access);

// F_TRANSLATION, F_ADDR_SIZE, F_ACCESS, F_PERMISSION: those that may stall (3.12).
[[nodiscard]] constexpr bool is_translation_related(Event event) {
  return event >= Event::kTranslation && event <= Event::kPermission;
}

}  // namespace smmulab::smmu::hw

// SPDX-License-Identifier: Apache-2.0
#include "models/smmuv3/hw/event_record.hpp"

#include "models/smmuv3/hw/bits.hpp"

namespace smmulab::smmu::hw {
namespace {

// Which fields an event has.
enum Field : std::uint32_t {
  kSsv = 1U << 0U,
  kSubstream = 1U << 1U,
  kReason = 1U << 2U,
  kStallTag = 1U << 3U,
  kRnw = 1U << 4U,
  kIndPnu = 1U << 5U,
  kStageClass = 1U << 6U,  // S2 and CLASS
  kStage = 1U << 7U,       // S2 alone
  kTtRnw = 1U << 8U,
  kInput = 1U << 9U,
  kInputPage = 1U << 10U,
  kIpa = 1U << 11U,
  kFetch = 1U << 12U,
  kTreq = 1U << 13U,
  kHint = 1U << 14U,
};
constexpr std::uint32_t kSsid = kSsv | kSubstream;
constexpr std::uint32_t kAccess = kRnw | kIndPnu;
constexpr std::uint32_t kRelated = kSsid | kStallTag | kAccess | kStageClass | kInput | kIpa;

std::optional<std::uint32_t> fields_of(Event event) {
  switch (event) {
    case Event::kUut:
      return kSsid | kReason | kAccess | kInput;
    case Event::kBadStreamId:
    case Event::kBadSte:
    case Event::kBadCd:
      return kSsid;
    case Event::kSteFetch:
    case Event::kCdFetch:
    case Event::kVmsFetch:
      return kSsid | kReason | kFetch;
    case Event::kBadAtsTreq:
      return kSsid | kTreq | kInputPage;
    case Event::kStreamDisabled:
      return 0;
    case Event::kTranslForbidden:
      return kRnw | kInput;
    case Event::kBadSubstreamId:
      return kSubstream;
    case Event::kWalkEabt:
      return kSsid | kReason | kAccess | kStageClass | kInput | kFetch;
    case Event::kTranslation:
    case Event::kAddrSize:
    case Event::kAccess:
      return kRelated;
    case Event::kPermission:
      return kRelated | kTtRnw;
    case Event::kTlbConflict:
      return kSsid | kReason | kAccess | kStage | kInput | kIpa;
    case Event::kCfgConflict:
      return kSsid | kReason;
    case Event::kPageRequest:
      return kSsid | kHint | kInputPage;
    case Event::kNone:
      break;
  }
  return std::nullopt;
}

std::uint64_t flag(bool set, unsigned at) {
  return make_field(set ? 1 : 0, at, at);
}

// pR pW pX at [39:37], uR uW uX at [35:33] of the second word.
struct HintBit {
  std::uint8_t permission;
  std::uint8_t at;
};
constexpr HintBit kHintBits[] = {{Permissions::kPr, 39}, {Permissions::kPw, 38},
                                 {Permissions::kPx, 37}, {Permissions::kUr, 35},
                                 {Permissions::kUw, 34}, {Permissions::kUx, 33}};

std::uint64_t hint(const EventRecord& r) {
  std::uint64_t word = make_field(r.span, 51, 44);
  for (const HintBit& b : kHintBits) {
    word |= flag((r.anticipated.bits() & b.permission) != 0, b.at);
  }
  return word;
}

std::uint64_t second_word(const EventRecord& r, std::uint32_t has) {
  std::uint64_t w = 0;
  w |= (has & kReason) != 0 ? make_field(r.reason, 15, 0) : 0;
  w |= (has & kStallTag) != 0 && r.stall ? r.stag | flag(true, 31) : 0;
  w |= (has & kRnw) != 0 ? flag(!r.access.write, 35) : 0;
  w |= (has & kIndPnu) != 0
           ? flag(r.access.instruction && !r.access.write, 34) | flag(r.access.privileged, 33)
           : 0;
  w |= (has & (kStageClass | kStage)) != 0 ? flag(r.stage2, 39) : 0;
  w |= (has & kStageClass) != 0 ? make_field(static_cast<std::uint8_t>(r.cls), 41, 40) : 0;
  w |= (has & kTtRnw) != 0 && r.cls == FaultClass::kTableWalk ? flag(!r.table_write, 44) : 0;
  if ((has & kTreq) != 0) {
    w |= make_field(r.span, 3, 0) | flag(true, 31) | flag(r.access.write, 30) |
         flag(r.access.instruction, 29) | flag(r.access.privileged, 28);
  }
  return (has & kHint) != 0 ? w | hint(r) : w;
}

}  // namespace

EventWords encode(const EventRecord& r) {
  const std::uint32_t has = fields_of(r.event).value_or(0);
  EventWords w{};
  w[0] = static_cast<std::uint8_t>(r.event) | make_field(r.stream.value(), 63, 32);
  w[0] |= (has & kSubstream) != 0 && r.substream ? make_field(r.substream->value(), 31, 12) : 0;
  w[0] |= (has & kSsv) != 0 ? flag(r.substream.has_value(), 11) : 0;
  w[1] = second_word(r, has);
  w[2] = (has & kInput) != 0       ? r.input
         : (has & kInputPage) != 0 ? address_field(r.input, 63, 12)
                                   : 0;
  w[3] |= (has & kIpa) != 0 && r.stage2 ? address_field(r.ipa, 51, 12) : 0;
  w[3] |= (has & kFetch) != 0 ? address_field(r.fetch, 51, 3) : 0;
  return w;
}

namespace {

void read_second_word(EventRecord& r, std::uint64_t w, std::uint32_t has) {
  r.reason = static_cast<std::uint16_t>((has & kReason) != 0 ? field(w, 15, 0) : 0);
  r.stall = (has & kStallTag) != 0 && bit(w, 31);
  r.stag = static_cast<std::uint16_t>(r.stall ? field(w, 15, 0) : 0);
  r.access.write = (has & kRnw) != 0 && !bit(w, 35);
  r.access.instruction = (has & kIndPnu) != 0 && bit(w, 34);
  r.access.privileged = (has & kIndPnu) != 0 && bit(w, 33);
  r.stage2 = (has & (kStageClass | kStage)) != 0 && bit(w, 39);
  r.cls = static_cast<FaultClass>((has & kStageClass) != 0 ? field(w, 41, 40) : 0);
  r.table_write = (has & kTtRnw) != 0 && r.cls == FaultClass::kTableWalk && !bit(w, 44);
  if ((has & kTreq) != 0) {
    r.span = static_cast<std::uint8_t>(field(w, 3, 0));
    r.access = {bit(w, 30), bit(w, 28), bit(w, 29)};
  }
  if ((has & kHint) != 0) {
    r.span = static_cast<std::uint8_t>(field(w, 51, 44));
    std::uint8_t bits = 0;
    for (const HintBit& b : kHintBits) {
      bits = static_cast<std::uint8_t>(bits | (bit(w, b.at) ? b.permission : 0U));
    }
    r.anticipated = Permissions{bits};
  }
}

}  // namespace

std::optional<EventRecord> decode_event(const EventWords& w) {
  EventRecord r;
  r.event = static_cast<Event>(field(w[0], 7, 0));
  const std::optional<std::uint32_t> has = fields_of(r.event);
  if (!has) {
    return std::nullopt;
  }
  r.stream = StreamId{static_cast<std::uint32_t>(field(w[0], 63, 32))};
  // C_BAD_SUBSTREAMID has no SSV: its SubstreamID is always valid.
  const bool valid = (*has & kSsv) != 0 ? bit(w[0], 11) : (*has & kSubstream) != 0;
  if (valid) {
    r.substream = Ssid{static_cast<std::uint32_t>(field(w[0], 31, 12))};
  }
  read_second_word(r, w[1], *has);
  r.input = (*has & kInput) != 0       ? w[2]
            : (*has & kInputPage) != 0 ? address_field(w[2], 63, 12)
                                       : 0;
  r.ipa = (*has & kIpa) != 0 && r.stage2 ? address_field(w[3], 51, 12) : 0;
  r.fetch = (*has & kFetch) != 0 ? address_field(w[3], 51, 3) : 0;
  return r;
}

EventRecord make_record(const Request& request, const Fault& fault, Access access) {
  EventRecord r;
  r.event = fault.event;
  r.stream = request.stream;
  r.substream = request.substream;
  if (fault.event == Event::kBadSubstreamId && !r.substream) {
    r.substream = Ssid{0};  // STE.S1DSS = 2: the CD at index 0
  }
  r.access = access;
  r.stage2 = fault.stage2;
  r.cls = fault.cls;
  r.table_write = fault.table_write;
  r.input = request.address;
  r.ipa = fault.ipa;
  r.fetch = fault.fetch;
  r.span = fault.event == Event::kBadAtsTreq ? 1 : 0;
  return r;
}

}  // namespace smmulab::smmu::hw

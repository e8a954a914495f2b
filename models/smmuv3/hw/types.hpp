// SPDX-License-Identifier: Apache-2.0
// Words that the whole of models/smmuv3/hw shares: requests, permissions, events (IHI 0070 chapter
// 7).
#pragma once

#include <cstdint>
#include <optional>

#include "sim/ids.hpp"

namespace smmulab::smmu::hw {

using Ssid = Id<struct SsidTag, std::uint32_t>;

// The translation regime of a stream (3.17): together with ASID and VMID the tag of a TLB entry.
// kNsEl1 also stands for stage 2 only streams. Secure state is not modelled.
enum class StreamWorld : std::uint8_t { kNsEl1, kEl2, kEl2E2h, kEl3 };

enum class Event : std::uint8_t {
  kNone = 0,
  kUut = 0x01,
  kBadStreamId = 0x02,
  kSteFetch = 0x03,
  kBadSte = 0x04,
  kBadAtsTreq = 0x05,
  kStreamDisabled = 0x06,
  kTranslForbidden = 0x07,
  kBadSubstreamId = 0x08,
  kCdFetch = 0x09,
  kBadCd = 0x0A,
  kWalkEabt = 0x0B,
  kTranslation = 0x10,
  kAddrSize = 0x11,
  kAccess = 0x12,
  kPermission = 0x13,
  kTlbConflict = 0x20,
  kCfgConflict = 0x21,
  kPageRequest = 0x24,
  kVmsFetch = 0x25,
};
[[nodiscard]] const char* event_name(Event event);  // "F_TRANSLATION"

// What was being fetched when stage 2 faulted (CLASS of the event record).
enum class FaultClass : std::uint8_t { kCd = 0, kTableWalk = 1, kInput = 2 };

struct Fault {
  Event event = Event::kNone;
  FaultClass cls = FaultClass::kInput;
  bool stage2 = false;      // S2 of the record
  std::uint8_t level = 0;   // of the descriptor that faulted; not in the record, for tests and logs
  std::uint64_t input = 0;  // input address
  std::uint64_t ipa = 0;    // with stage2
  std::uint64_t fetch = 0;  // of an external abort: the structure that was wanted, physical
  bool table_write = false;  // class kTableWalk: it was the update of the descriptor (TTRnW = 0)
  [[nodiscard]] explicit operator bool() const { return event != Event::kNone; }
  friend bool operator==(const Fault&, const Fault&) = default;
};

enum class RequestKind : std::uint8_t { kUntranslated, kAtsTranslation, kTranslated };

struct Access {
  bool write = false;
  bool privileged = false;
  bool instruction = false;
  friend bool operator==(const Access&, const Access&) = default;
};

struct Request {
  StreamId stream;
  std::optional<Ssid> substream;
  std::uint64_t address = 0;
  Access access;
  RequestKind kind = RequestKind::kUntranslated;
};

// Permissions of a translation, one bit each for unprivileged (u) and privileged (p).
class Permissions {
 public:
  static constexpr std::uint8_t kUr = 1, kUw = 2, kUx = 4, kPr = 8, kPw = 16, kPx = 32;
  static constexpr std::uint8_t kAll = 63, kWrites = kUw | kPw;
  constexpr Permissions() = default;
  constexpr explicit Permissions(std::uint8_t bits) : bits_(bits) {}
  [[nodiscard]] constexpr std::uint8_t bits() const { return bits_; }
  [[nodiscard]] static constexpr std::uint8_t needed(const Access& access) {
    const std::uint8_t user = access.write ? kUw : access.instruction ? kUx : kUr;
    return access.privileged ? static_cast<std::uint8_t>(user << 3U) : user;
  }
  [[nodiscard]] constexpr bool allow(const Access& access) const {
    return (bits_ & needed(access)) != 0;
  }
  friend constexpr Permissions operator&(Permissions a, Permissions b) {
    return Permissions{static_cast<std::uint8_t>(a.bits_ & b.bits_)};
  }
  friend constexpr bool operator==(Permissions, Permissions) = default;

 private:
  std::uint8_t bits_ = 0;
};

}  // namespace smmulab::smmu::hw

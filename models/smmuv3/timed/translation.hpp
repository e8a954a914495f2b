// SPDX-License-Identifier: Apache-2.0
// What clients, TBU, TCU and command processor say to one another.
#pragma once

#include <cstdint>

#include "models/smmuv3/hw/table_walk.hpp"
#include "models/smmuv3/timed/timers.hpp"

namespace smmulab::smmu::timed {

enum class Verdict : std::uint8_t { kTranslated, kBypass, kAbort, kFault };

// What becomes of one transaction. It may go on to memory from `ready` on.
struct Passage {
  Verdict verdict = Verdict::kAbort;
  hw::Event fault = hw::Event::kNone;
  std::uint64_t pa = 0;
  SimTime ready{};
  [[nodiscard]] bool passes() const {
    return verdict == Verdict::kTranslated || verdict == Verdict::kBypass;
  }
};

// The TCU's answer to a TBU.
struct Answer {
  Verdict verdict = Verdict::kAbort;
  hw::Event fault = hw::Event::kNone;
  bool fill = false;         // translation and configuration may be cached
  bool fill_config = false;  // the configuration may
  bool stale = false;        // an invalidation overtook the walk: use it once
  hw::StreamConfig config;
  hw::Translation translation;
};

// Misses and walks of one page of this size are done once.
inline constexpr unsigned kHazardLog2 = 12;

// A device (or whatever sends transactions to a TBU).
class Client {
 public:
  // Gives when the transaction is complete at its target (the device has its data, or an error).
  virtual SimTime translated(std::uint32_t cookie, const Passage& passage) = 0;
  // A slot of the TBU that refused a transaction is free. Called once for each refusal.
  virtual void slot_free() = 0;

 protected:
  Client() = default;
  Client(const Client&) = default;
  Client& operator=(const Client&) = default;
  ~Client() = default;
};

// Timer codes that cross from one part to another.
enum Message : std::uint32_t {
  kTcuRequest,  // at the TCU; index: tbu << 16 | slot
  kTbuResponse,
  kTbuInvalidate,
  kTbuSync,
  kInvalidateAck,  // at the command processor
  kSyncAck,
  kRetryStalled,  // at the TCU; index: STAG
  kRecordTaken,   // at the TCU; index: slot
  kStallTaken,
  kFirstOwnCode,  // codes of a part's own timers start here
};

}  // namespace smmulab::smmu::timed

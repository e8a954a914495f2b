// SPDX-License-Identifier: Apache-2.0
// translate(): a whole translation without time: configuration, then the tables. What a timed model
// does step by step, at once; for the driver's model, the tests and cold costs. The caches, if
// given, are those of WalkMemo.
#pragma once

#include <cstdint>

#include "models/smmuv3/hw/config_fetch.hpp"
#include "models/smmuv3/hw/table_walk.hpp"

namespace smmulab::smmu::hw {

struct Outcome {
  enum class Kind : std::uint8_t { kTranslated, kBypass, kAbort, kFault };
  Kind kind = Kind::kAbort;
  std::uint64_t pa = 0;
  Translation translation;
  Fault fault;
  AccessCounts counts;
};

// Everything is read from memory.
[[nodiscard]] Outcome translate(Memory& memory, const StreamTableBase& table,
                                const Features& features, const Request& request,
                                WalkMemo* memo = nullptr);
// The configuration alone. kNone in the fault: `config` is valid.
[[nodiscard]] Fault fetch_config(Memory& memory, const StreamTableBase& table,
                                 const Features& features, const Request& request,
                                 StreamConfig& config, AccessCounts& counts,
                                 WalkMemo* memo = nullptr);
// With the configuration known.
[[nodiscard]] Outcome translate(Memory& memory, const StreamConfig& config, const Request& request,
                                WalkMemo* memo = nullptr);

// kNone, or why this kind of request may not come from such a stream (F_BAD_ATS_TREQ,
// F_TRANSL_FORBIDDEN).
[[nodiscard]] Event check_request_kind(const StreamConfig& config, RequestKind kind);

// Split-stage ATS (IHI 0070 13.6.3): both stages are walked, and give permissions, reach and faults
// as for any other request, but what the device gets is the IPA.
[[nodiscard]] inline bool is_answered_by_ipa(const StreamConfig& config, RequestKind kind) {
  return kind == RequestKind::kAtsTranslation && config.eats == StreamConfig::kSplitAts;
}

}  // namespace smmulab::smmu::hw

// SPDX-License-Identifier: Apache-2.0
// What becomes of a transaction that faults, and whether an event says so (IHI 0070 3.12, 5.5,
// 3.9.1.2, 3.9.1.3). The four translation-related faults obey the flags of the stage at which they
// occur: CD.{S,R,A}, STE.{S2S,S2R}; a stall is always recorded; a fault of stage 2 that terminates
// always aborts. Everything else aborts and is recorded, but for C_BAD_STREAMID without
// CR2.RECINVSID. ATS translation requests record F_BAD_ATS_TREQ only, and their and translated
// transactions' configuration errors with CR2.REC_CFG_ATS only; neither stalls.
#pragma once

#include <cstdint>

#include "models/smmuv3/hw/features.hpp"
#include "models/smmuv3/hw/stream_config.hpp"

namespace smmulab::smmu::hw {

// CR2. The defaults are what Linux 6.12 writes.
struct RecordControls {
  bool bad_stream_id = true;  // RECINVSID
  bool ats_config = false;    // REC_CFG_ATS
};

enum class Response : std::uint8_t { kAbort, kRazWi, kStall };  // RAZ/WI: reads give 0

struct FaultDecision {
  bool record = false;
  Response response = Response::kAbort;
  friend bool operator==(const FaultDecision&, const FaultDecision&) = default;
};

// `config`: what was decoded when the fault came; of the STE at least for a fault of stage 2.
[[nodiscard]] FaultDecision decide(const Fault& fault, const StreamConfig& config, RequestKind kind,
                                   const RecordControls& controls);

// How an ATS translation request that faults is answered: UR, CA, or success without permissions,
// to which a device can respond with a page request.
enum class AtsStatus : std::uint8_t { kUnsupportedRequest, kCompleterAbort, kNoAccess };
[[nodiscard]] AtsStatus ats_status(Event event);

}  // namespace smmulab::smmu::hw

// SPDX-License-Identifier: Apache-2.0
#include "models/smmuv3/hw/fault_policy.hpp"

#include "models/smmuv3/hw/event_record.hpp"

namespace smmulab::smmu::hw {

FaultDecision decide(const Fault& fault, const StreamConfig& config, RequestKind kind,
                     const RecordControls& controls) {
  const bool ordinary = kind == RequestKind::kUntranslated;
  if (!is_translation_related(fault.event)) {
    const bool of_ats = fault.event == Event::kBadAtsTreq || fault.event == Event::kTranslForbidden;
    const bool bad_stream = fault.event == Event::kBadStreamId && !controls.bad_stream_id;
    // RECINVSID does not matter to translated transactions (3.9.1.3).
    const bool suppressed = bad_stream && kind != RequestKind::kTranslated;
    return {of_ats || ((ordinary || controls.ats_config) && !suppressed), Response::kAbort};
  }
  if (kind == RequestKind::kAtsTranslation) {
    return {false, Response::kAbort};  // the device is told, not software
  }
  if (ordinary && (fault.stage2 ? config.s2_stall : config.stall)) {
    return {true, Response::kStall};
  }
  if (fault.stage2) {
    return {config.s2_record, Response::kAbort};
  }
  return {config.s1_record, config.s1_abort ? Response::kAbort : Response::kRazWi};
}

AtsStatus ats_status(Event event) {
  if (event == Event::kNone || event == Event::kBadAtsTreq) {
    return AtsStatus::kUnsupportedRequest;  // kNone: STE.Config = abort
  }
  return is_translation_related(event) ? AtsStatus::kNoAccess : AtsStatus::kCompleterAbort;
}

}  // namespace smmulab::smmu::hw

// SPDX-License-Identifier: Apache-2.0
#include "models/smmuv3/hw/translator.hpp"

namespace smmulab::smmu::hw {

Event check_request_kind(const StreamConfig& config, RequestKind kind) {
  const bool ats = config.kind == StreamConfig::Kind::kTranslate && config.eats != 0;
  switch (kind) {
    case RequestKind::kUntranslated:
      return Event::kNone;
    case RequestKind::kAtsTranslation:
      return ats ? Event::kNone : Event::kBadAtsTreq;
    case RequestKind::kTranslated:
      return ats ? Event::kNone : Event::kTranslForbidden;
  }
  return Event::kNone;
}

Fault fetch_config(Memory& memory, const StreamTableBase& table, const Features& features,
                   const Request& request, StreamConfig& config, AccessCounts& counts,
                   WalkMemo* memo) {
  ConfigFetch fetch;
  fetch.begin(table, features, request, memo);
  if (run(fetch, memory, counts).kind == Step::Kind::kFault) {
    return fetch.fault();
  }
  config = fetch.config();
  return {};
}

namespace {

Outcome walk_tables(Memory& memory, const StreamConfig& config, const Request& request,
                    WalkMemo* memo) {
  Outcome outcome;
  TableWalk walk;
  walk.begin(config, request.address, request.access, memo);
  if (run(walk, memory, outcome.counts).kind == Step::Kind::kFault) {
    outcome.kind = Outcome::Kind::kFault;
    outcome.fault = walk.fault();
    return outcome;
  }
  outcome.kind = Outcome::Kind::kTranslated;
  outcome.translation = walk.translation();
  if (is_answered_by_ipa(config, request.kind)) {
    outcome.translation.output = walk.intermediate();
  }
  outcome.pa = outcome.translation.output;
  return outcome;
}

}  // namespace

Outcome translate(Memory& memory, const StreamConfig& config, const Request& request,
                  WalkMemo* memo) {
  Outcome outcome;
  if (config.kind == StreamConfig::Kind::kAbort) {
    return outcome;  // whatever the request, and without an event
  }
  if (const Event event = check_request_kind(config, request.kind); event != Event::kNone) {
    outcome.kind = Outcome::Kind::kFault;
    outcome.fault = Fault{event, FaultClass::kInput, false, 0, request.address, 0};
    return outcome;
  }
  if (config.kind == StreamConfig::Kind::kBypass) {
    outcome.kind = Outcome::Kind::kBypass;
    outcome.pa = request.address;
    return outcome;
  }
  if (request.kind != RequestKind::kTranslated) {
    return walk_tables(memory, config, request, memo);
  }
  // A translated request carries a physical address, or with split-stage ATS (EATS 2) an IPA.
  if (config.eats == StreamConfig::kSplitAts) {
    StreamConfig second = config;
    second.s1 = false;
    return walk_tables(memory, second, request, memo);
  }
  outcome.kind = Outcome::Kind::kBypass;
  outcome.pa = request.address;
  return outcome;
}

Outcome translate(Memory& memory, const StreamTableBase& table, const Features& features,
                  const Request& request, WalkMemo* memo) {
  StreamConfig config;
  AccessCounts counts;
  const Fault fault = fetch_config(memory, table, features, request, config, counts, memo);
  Outcome outcome;
  if (fault) {
    outcome.kind = Outcome::Kind::kFault;
    outcome.fault = fault;
  } else {
    outcome = translate(memory, config, request, memo);
  }
  outcome.counts.stream_table += counts.stream_table;
  outcome.counts.cd_table += counts.cd_table;
  outcome.counts.s2_descriptors += counts.s2_descriptors;
  outcome.counts.updates += counts.updates;
  return outcome;
}

}  // namespace smmulab::smmu::hw

// SPDX-License-Identifier: Apache-2.0
#include "models/smmuv3/hw/smmu_caches.hpp"

namespace smmulab::smmu::hw {
namespace {

void take_hit(const Tlb::Hit& hit, std::uint64_t input, std::uint64_t address, Outcome& outcome) {
  if (!hit.allowed) {
    outcome.kind = Outcome::Kind::kFault;
    outcome.fault = Fault{Event::kPermission,
                          FaultClass::kInput,
                          !hit.entry->stage1,
                          hit.entry->level,
                          address,
                          hit.entry->stage1 ? 0 : address};
    return;
  }
  outcome.kind = Outcome::Kind::kTranslated;
  outcome.translation = hit.translation(input);
  outcome.pa = outcome.translation.output;
}

}  // namespace

const StreamConfig* SmmuCaches::config(Memory& memory, const Request& request, Result& result) {
  if (const StreamConfig* const cached = config_.lookup(request.stream, request.substream)) {
    result.config_hit = true;
    return cached;
  }
  result.outcome.fault =
      fetch_config(memory, streams_, features_, request, fetched_, result.outcome.counts, &walk_);
  if (result.outcome.fault) {
    result.outcome.kind = Outcome::Kind::kFault;
    return nullptr;
  }
  config_.fill(request.stream, request.substream, fetched_);
  return &fetched_;
}

bool SmmuCaches::lookup(const StreamConfig& config, const Request& request, Result& result) {
  const Tag tag = tag_of(config);
  const std::uint64_t input = canonical_input(config, request.address);
  const Access access = effective_access(config, request.access);
  if (const Tlb::Hit hit = micro_.lookup(tag, config.s1, input, access)) {
    result.from = From::kMicro;
    take_hit(hit, input, request.address, result.outcome);
    return true;
  }
  if (const Tlb::Hit hit = main_.lookup(tag, config.s1, input, access)) {
    result.from = From::kMain;
    take_hit(hit, input, request.address, result.outcome);
    if (hit.allowed) {
      micro_.fill(tag, config.s1, input, result.outcome.translation);
    }
    return true;
  }
  return false;
}

void SmmuCaches::walk(Memory& memory, const StreamConfig& config, const Request& request,
                      Result& result) {
  const AccessCounts before = result.outcome.counts;
  result.outcome = hw::translate(memory, config, request, &walk_);
  result.from = From::kWalk;
  AccessCounts& counts = result.outcome.counts;
  counts.stream_table += before.stream_table;
  counts.cd_table += before.cd_table;
  counts.s2_descriptors += before.s2_descriptors;
  counts.updates += before.updates;
  if (result.outcome.kind != Outcome::Kind::kTranslated) {
    return;
  }
  const Tag tag = tag_of(config);
  const std::uint64_t input = canonical_input(config, request.address);
  main_.fill(tag, config.s1, input, result.outcome.translation);
  micro_.fill(tag, config.s1, input, result.outcome.translation);
}

SmmuCaches::Result SmmuCaches::translate(Memory& memory, const Request& request) {
  Result result;
  const StreamConfig* const config = this->config(memory, request, result);
  if (config == nullptr) {
    return result;
  }
  // The TLBs hold whole translations, of which an IPA cannot be told.
  if (config->kind != StreamConfig::Kind::kTranslate || request.kind == RequestKind::kTranslated ||
      is_answered_by_ipa(*config, request.kind) ||
      check_request_kind(*config, request.kind) != Event::kNone) {
    const AccessCounts counts = result.outcome.counts;
    result.outcome = hw::translate(memory, *config, request, &walk_);
    result.outcome.counts.stream_table += counts.stream_table;
    result.outcome.counts.cd_table += counts.cd_table;
    result.outcome.counts.s2_descriptors += counts.s2_descriptors;
    return result;
  }
  if (!lookup(*config, request, result)) {
    walk(memory, *config, request, result);
  }
  return result;
}

std::uint32_t SmmuCaches::apply(const Command& command) {
  if (is_tlbi(command.opcode)) {
    const TlbInvalidation what = tlb_invalidation(command);
    return micro_.invalidate(what) + main_.invalidate(what) + walk_.invalidate(what);
  }
  if (const auto what = config_invalidation(command)) {
    return config_.invalidate(*what);
  }
  return 0;
}

}  // namespace smmulab::smmu::hw

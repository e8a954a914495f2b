// SPDX-License-Identifier: Apache-2.0
#include "models/smmuv3/hw/smmu.hpp"

#include <utility>

namespace smmulab::smmu::hw {

Smmu::Smmu(Memory& memory, const SmmuSetup& setup)
    : memory_(memory),
      features_(setup.features),
      streams_(setup.streams),
      record_(setup.record),
      caches_(setup.caches, setup.features, setup.streams),
      commands_(memory, setup.commands, errors_),
      events_(memory, setup.events, errors_),
      requests_(memory, setup.page_requests, errors_),
      stalls_(setup.stall_max) {}

void Smmu::enable(const SmmuEnables& enables) {
  on_ = enables;
  events_.set_enabled(on_.events);
  requests_.set_enabled(on_.page_requests && on_.smmu);
  if (!on_.smmu) {
    terminate({});
  }
  retry_waiting();
  run_commands();
}

TransactionAnswer Smmu::when_off(const Request& request) {
  if (request.kind == RequestKind::kUntranslated) {
    return {on_.abort_when_off ? Fate::kAborted : Fate::kBypass, request.address, {}};
  }
  Fault fault;
  const bool translated = request.kind == RequestKind::kTranslated;
  fault.event = translated ? Event::kTranslForbidden : Event::kBadAtsTreq;
  events_.record(make_record(request, fault, request.access));
  return {Fate::kAborted, 0,
          translated ? std::nullopt : std::optional{AtsStatus::kUnsupportedRequest}};
}

TransactionAnswer Smmu::transaction(const Request& request, std::uint64_t cookie) {
  if (!on_.smmu) {
    return when_off(request);
  }
  SmmuCaches::Result result = caches_.translate(memory_, request);
  if (result.outcome.kind == Outcome::Kind::kFault && result.from != SmmuCaches::From::kNone &&
      result.from != SmmuCaches::From::kWalk) {
    // A TLB entry without the permission; which stage denies it, the tables say.
    SmmuCaches::Result again;
    const StreamConfig config = *caches_.config(memory_, request, again);
    caches_.walk(memory_, config, request, result);
  }
  const Outcome& outcome = result.outcome;
  switch (outcome.kind) {
    case Outcome::Kind::kTranslated:
      return {Fate::kTranslated, outcome.pa, {}};
    case Outcome::Kind::kBypass:
      return {Fate::kBypass, outcome.pa, {}};
    case Outcome::Kind::kAbort:
      break;
    case Outcome::Kind::kFault:
      return fault(request, cookie, outcome.fault);
  }
  const bool ats = request.kind == RequestKind::kAtsTranslation;
  return {Fate::kAborted, 0, ats ? std::optional{ats_status(Event::kNone)} : std::nullopt};
}

// As far as it was decoded when the fault came.
StreamConfig Smmu::config_of(const Request& request, const Fault& fault) {
  SmmuCaches::Result ignored;
  if (fault.cls != FaultClass::kCd && is_translation_related(fault.event)) {
    if (const StreamConfig* const config = caches_.config(memory_, request, ignored)) {
      return *config;
    }
  }
  ConfigFetch fetch;
  AccessCounts counts;
  fetch.begin(streams_, features_, request);
  run(fetch, memory_, counts);
  return fetch.config();
}

TransactionAnswer Smmu::fault(const Request& request, std::uint64_t cookie, const Fault& fault) {
  const StreamConfig config = config_of(request, fault);
  const FaultDecision decision = decide(fault, config, request.kind, record_);
  const EventRecord record = make_record(request, fault, effective_access(config, request.access));
  if (decision.response == Response::kStall) {
    return stall(request, cookie, record);
  }
  if (decision.record) {
    events_.record(record);
  }
  const bool ats = request.kind == RequestKind::kAtsTranslation;
  return {decision.response == Response::kRazWi ? Fate::kRazWi : Fate::kAborted, 0,
          ats ? std::optional{ats_status(fault.event)} : std::nullopt};
}

TransactionAnswer Smmu::stall(const Request& request, std::uint64_t cookie, EventRecord record) {
  if (stalls_.full() || !events_.writable()) {
    waiting_.push_back({cookie, request});
    return {Fate::kStalled, 0, {}};
  }
  record.stall = true;
  record.stag = stalls_.hold(request.stream, cookie);
  held_[cookie] = request;
  // A record that is lost to an aborted write leaves a stall that only STALL_TERM and SMMUEN end.
  events_.record(record);
  return {Fate::kStalled, 0, {}};
}

void Smmu::end(std::uint64_t cookie, Fate fate) {
  if (client_ != nullptr) {
    client_->ended(cookie, {fate, 0, {}});
  }
}

void Smmu::retry(std::uint64_t cookie, const Request& request) {
  const TransactionAnswer answer = transaction(request, cookie);
  if (answer.fate != Fate::kStalled && client_ != nullptr) {
    client_->ended(cookie, answer);
  }
}

void Smmu::retry_waiting() {
  for (std::size_t n = waiting_.size(); n > 0 && !stalls_.full() && events_.writable(); --n) {
    const Waiting first = waiting_.front();
    waiting_.pop_front();
    retry(first.cookie, first.request);
  }
}

// Of one stream, or all.
void Smmu::terminate(std::optional<StreamId> stream) {
  for (const std::uint64_t cookie : stalls_.release_all(stream)) {
    held_.erase(cookie);
    end(cookie, Fate::kAborted);
  }
  std::deque<Waiting> rest;
  for (const Waiting& w : std::exchange(waiting_, {})) {
    if (stream && w.request.stream != *stream) {
      rest.push_back(w);
    } else {
      end(w.cookie, Fate::kAborted);
    }
  }
  waiting_.insert(waiting_.begin(), rest.begin(), rest.end());
}

void Smmu::page_request(const PageRequest& request) {
  const auto response =
      requests_.receive(request, [this](StreamId stream) { return ppar(stream); });
  if (response) {
    respond(*response);
  }
}

std::optional<bool> Smmu::ppar(StreamId stream) {
  Request request;
  request.stream = stream;
  ConfigFetch fetch;
  AccessCounts counts;
  fetch.begin(streams_, features_, request);
  run(fetch, memory_, counts);
  const Event event = fetch.fault().event;
  if (event == Event::kBadStreamId || event == Event::kSteFetch || event == Event::kBadSte) {
    return std::nullopt;
  }
  return fetch.ste().pasid_on_auto_response;
}

void Smmu::respond(const PageResponse& response) {
  for (const Device& d : devices_) {
    if (d.stream == response.stream) {
      d.device->page_response(response);
    }
  }
}

void Smmu::write_command_prod(std::uint32_t value) {
  commands_.write_prod(value);
  run_commands();
}

void Smmu::write_event_cons(std::uint32_t value) {
  events_.queue().write_cons(value);
  retry_waiting();
}

void Smmu::write_gerrorn(std::uint32_t value) {
  errors_.write_gerrorn(value);
  retry_waiting();
  run_commands();
}

void Smmu::run_commands() {
  if (on_.commands) {
    commands_.run(features_, [this](const Command& command) { return execute(command); });
  }
}

void Smmu::resume(const Command& command) {
  const auto cookie = stalls_.release(command.stream, command.stag);
  if (!cookie) {
    return;
  }
  const Request request = held_.at(*cookie);
  held_.erase(*cookie);
  const auto action = static_cast<ResumeAction>(command.response);
  if (action == ResumeAction::kRetry || action == ResumeAction::kRetryToo) {
    retry(*cookie, request);
  } else {
    const bool abort = action == ResumeAction::kAbort || features_.term_model;
    end(*cookie, abort ? Fate::kAborted : Fate::kRazWi);
  }
  retry_waiting();
}

CommandError Smmu::execute(const Command& command) {
  switch (command.opcode) {
    case Opcode::kSync:
      return std::exchange(atc_failed_, false) ? CommandError::kAtcInvSync : CommandError::kNone;
    case Opcode::kAtcInv:
      for (const Device& d : devices_) {
        if (d.stream == command.stream && !d.device->atc_invalidate(command)) {
          atc_failed_ = true;
        }
      }
      break;
    case Opcode::kPriResp:
      respond(page_response(command));
      break;
    case Opcode::kResume:
      resume(command);
      break;
    case Opcode::kStallTerm:
      terminate(command.stream);
      retry_waiting();
      break;
    default:
      caches_.apply(command);
      break;
  }
  return CommandError::kNone;
}

}  // namespace smmulab::smmu::hw

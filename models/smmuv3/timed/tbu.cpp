// SPDX-License-Identifier: Apache-2.0
#include "models/smmuv3/timed/tbu.hpp"

#include <algorithm>

#include "models/smmuv3/hw/translator.hpp"

namespace smmulab::smmu::timed {

using hw::StreamConfig;

namespace {

// canonical_input() and effective_access() change nothing.
bool plain(const StreamConfig& config) {
  const bool tag_byte = config.s1 && (config.tt0.top_byte_ignored || config.tt1.top_byte_ignored);
  return !tag_byte && config.privilege_override < 2 && config.instruction_override < 2;
}

}  // namespace

Tbu::Tbu(Timers& timers, const TbuParams& params, Ps dti, std::uint32_t index, Timed& tcu,
         Timed& commands)
    : timers_(timers),
      params_(params),
      dti_(dti),
      index_(index),
      tcu_(tcu),
      commands_(commands),
      config_(params.micro),
      micro_(params.micro, params.honour_global),
      main_(params.main, params.honour_global),
      reach_(timers),
      slots_(params.xlate_slots),
      leaders_(params.xlate_slots),
      without_token_(params.xlate_slots),
      tokens_(params.tokens) {
  (params.main.entries != 0 ? main_ : micro_).set_reach_listener(reach_);
  free_.reserve(params.xlate_slots);
  for (std::uint32_t i = params.xlate_slots; i-- > 0;) {
    free_.push_back(i);
  }
}

bool Tbu::look_up(const hw::Request& request, Passage& passage) {
  last_.known = false;
  const StreamConfig* const config = config_.lookup(request.stream, request.substream);
  if (config == nullptr) {
    counters_.add(&TbuCounters::config_cache_miss, request.stream);
    ++counters_.all.micro_miss;
    return false;
  }
  if (config->kind == StreamConfig::Kind::kAbort) {
    passage.verdict = Verdict::kAbort;
    return true;
  }
  passage.fault = hw::check_request_kind(*config, request.kind);
  if (passage.fault != hw::Event::kNone) {
    passage.verdict = Verdict::kFault;
    counters_.all.micro_miss += faults_to_tcu_ ? 1U : 0U;
    return !faults_to_tcu_;
  }
  const bool translated = request.kind == hw::RequestKind::kTranslated;
  if (config->kind == StreamConfig::Kind::kBypass ||
      (translated && config->eats == StreamConfig::kFullAts)) {
    passage.verdict = Verdict::kBypass;
    passage.pa = request.address;
    if (translated) {
      counters_.add(&TbuCounters::pcie_ats_trans_passed, request.stream);
    }
    return true;
  }
  if (request.kind != hw::RequestKind::kUntranslated) {
    ++counters_.all.micro_miss;  // the TCU answers these
    return false;
  }
  return look_up_tlbs(*config, request, passage);
}

bool Tbu::look_up_tlbs(const StreamConfig& config, const hw::Request& request, Passage& passage) {
  const hw::Tag tag = hw::tag_of(config);
  const std::uint64_t input = hw::canonical_input(config, request.address);
  const hw::Access access = hw::effective_access(config, request.access);
  if (const hw::Tlb::Hit hit = micro_.lookup(tag, config.s1, input, access)) {
    take_hit(hit, input, passage);
    if (hit.allowed && plain(config)) {
      last_.known = true;
      last_.stream = request.stream;
      last_.substream = request.substream;
      last_.tag = tag;
      last_.stage1 = config.s1;
      last_.take(*hit.entry);
    }
    return hit.allowed || !faults_to_tcu_;
  }
  ++counters_.all.micro_miss;
  if (params_.main.entries == 0) {
    return false;
  }
  const hw::Tlb::Hit hit = main_.lookup(tag, config.s1, input, access);
  const std::uint32_t reads = std::max(hit.probes, 1U);
  ++counters_.all.main_lookup;
  counters_.all.main_read += hit.probes;
  const Ps more = params_.cycle * (reads - 1);
  pipe_free_ += more;
  passage.ready += params_.main_lookup + more;
  if (!hit) {
    ++counters_.all.main_miss;
    return false;
  }
  take_hit(hit, input, passage);
  if (hit.allowed) {
    micro_.fill(tag, config.s1, input, hit.translation(input));
  }
  return hit.allowed || !faults_to_tcu_;
}

void Tbu::take_hit(const hw::Tlb::Hit& hit, std::uint64_t input, Passage& passage) {
  passage.verdict = hit.allowed ? Verdict::kTranslated : Verdict::kFault;
  passage.fault = hit.allowed ? hw::Event::kNone : hw::Event::kPermission;
  passage.pa = hit.output(input);
}

std::uint32_t Tbu::equal_miss(const hw::Request& request) const {
  return leaders_.find(request.address, [&](std::uint32_t i) {
    const hw::Request& other = slots_[i].request;
    return other.stream == request.stream && other.substream == request.substream &&
           other.kind == request.kind;
  });
}

void Tbu::miss(const hw::Request& request, Client& client, std::uint32_t cookie, SimTime ready) {
  const std::uint32_t leader = equal_miss(request);
  const std::uint32_t i = free_.back();
  free_.pop_back();
  if (free_.empty()) {
    full_since_ = timers_.now();
  }
  Slot& slot = slots_[i];
  slot.request = request;
  slot.client = &client;
  slot.cookie = cookie;
  slot.next = kNone;
  slot.last = i;
  if (leader != kNone) {
    ++counters_.all.merged;
    slots_[slots_[leader].last].next = i;
    slots_[leader].last = i;
    return;
  }
  leaders_.insert(i, request.address);
  timers_.at(ready, *this, kSend, i);
}

void Tbu::send(std::uint32_t slot) {
  if (tokens_ == 0) {
    if (without_token_.empty()) {
      no_token_since_ = timers_.now();
    }
    without_token_.push(slot);
    return;
  }
  --tokens_;
  counters_.add(&TbuCounters::tlb_miss, slots_[slot].request.stream);
  ++counters_.all.translation_request;
  timers_.after(dti_, tcu_, kTcuRequest, index_ << 16U | slot);
}

void Tbu::fire(std::uint32_t what, std::uint32_t index) {
  switch (what) {
    case kSend:
      send(index);
      return;
    case kTbuResponse:
      respond(index);
      return;
    case kTbuInvalidate:
      invalidate();
      return;
    case kTbuSync:
      timers_.at(std::max(timers_.now(), drain_until_) + dti_, commands_, kSyncAck, index_);
      return;
    default:
      SMMULAB_CHECK(false, "a TBU was sent an unknown message");
  }
}

void Tbu::fill(const Slot& slot) {
  const Answer& answer = slot.answer;
  if (answer.fill_config) {
    config_.fill(slot.request.stream, slot.request.substream, answer.config);
  }
  if (answer.fill && answer.verdict == Verdict::kTranslated &&
      slot.request.kind == hw::RequestKind::kUntranslated) {
    const hw::Tag tag = hw::tag_of(answer.config);
    const std::uint64_t input = hw::canonical_input(answer.config, slot.request.address);
    const std::uint32_t client = reach_.client_of(slot.request.stream);
    main_.fill(tag, answer.config.s1, input, answer.translation, client);
    micro_.fill(tag, answer.config.s1, input, answer.translation, client);
  }
  last_.known = false;
}

bool Tbu::serves(const Slot& leader, const hw::Request& request) {
  const Answer& answer = leader.answer;
  switch (answer.verdict) {
    case Verdict::kTranslated:
      return answer.translation.perms.allow(hw::effective_access(answer.config, request.access));
    case Verdict::kBypass:
    case Verdict::kAbort:
      return true;
    case Verdict::kFault:
      return false;  // it may have been the access; each learns for itself
  }
  return false;
}

void Tbu::deliver(std::uint32_t i, const Slot& leader) {
  const Slot& slot = slots_[i];
  const Answer& answer = leader.answer;
  Passage passage;
  passage.verdict = answer.verdict;
  passage.fault = answer.fault;
  passage.ready = timers_.now();
  passage.pa = answer.verdict == Verdict::kBypass
                   ? slot.request.address
                   : answer.translation.output + (slot.request.address - leader.request.address);
  if (slot.request.kind == hw::RequestKind::kTranslated && passage.passes()) {
    counters_.add(&TbuCounters::pcie_ats_trans_passed, slot.request.stream);
  }
  const SimTime done = slot.client->translated(slot.cookie, passage);
  finished_at(done);
  if (answer.stale) {
    drain_until_ = std::max(drain_until_, done);
  }
}

// The rest of a chain whose leader's answer does not do asks for its own.
void Tbu::lead(std::uint32_t i) {
  leaders_.insert(i, slots_[i].request.address);
  send(i);
}

void Tbu::respond(std::uint32_t i) {
  leaders_.erase(i);
  ++tokens_;
  fill(slots_[i]);
  deliver(i, slots_[i]);
  std::uint32_t rest = kNone;
  for (std::uint32_t next = slots_[i].next; next != kNone;) {
    const std::uint32_t waiter = next;
    next = slots_[waiter].next;
    if (serves(slots_[i], slots_[waiter].request)) {
      deliver(waiter, slots_[i]);
      release(waiter);
      continue;
    }
    slots_[waiter].next = kNone;
    if (rest == kNone) {
      rest = waiter;
      slots_[rest].last = waiter;
    } else {
      slots_[slots_[rest].last].next = waiter;
      slots_[rest].last = waiter;
    }
  }
  if (rest != kNone) {
    lead(rest);
  }
  release(i);
  if (tokens_ > 0 && !without_token_.empty()) {
    counters_.all.out_of_tokens += timers_.now() - no_token_since_;
    no_token_since_ = timers_.now();
    send(without_token_.pop());
  }
  woken_.swap(refused_);
  for (Client* const client : woken_) {
    client->slot_free();
  }
  woken_.clear();
}

TbuCounters Tbu::counters() const {
  TbuCounters c = counters_.all;
  c.micro_lookup = c.transaction;  // each has one
  c.slots_full += free_.empty() ? timers_.now() - full_since_ : Ps{0};
  c.out_of_tokens += without_token_.empty() ? Ps{0} : timers_.now() - no_token_since_;
  return c;
}

void Tbu::release(std::uint32_t i) {
  if (free_.empty()) {
    counters_.all.slots_full += timers_.now() - full_since_;
  }
  free_.push_back(i);
}

void Tbu::invalidate() {
  const hw::Command& command = *invalidation_;
  if (hw::is_tlbi(command.opcode)) {
    const hw::TlbInvalidation what = hw::tlb_invalidation(command);
    micro_.invalidate(what);
    main_.invalidate(what);
  } else if (const auto what = hw::config_invalidation(command)) {
    config_.invalidate(*what);
  }
  last_.known = false;
  drain_until_ = std::max(drain_until_, last_done_);
  timers_.after(params_.invalidate + dti_, commands_, kInvalidateAck, index_);
}

}  // namespace smmulab::smmu::timed

// SPDX-License-Identifier: Apache-2.0
#include "models/smmuv3/timed/ats_port.hpp"

#include <algorithm>

namespace smmulab::smmu::timed {
namespace {

constexpr unsigned kPageLog2 = 12;

}  // namespace

AtsPort::AtsPort(Timers& timers, const AtsParams& params, Tbu& tbu, AtcReplies& replies,
                 FaultUnit* pages)
    : timers_(timers),
      params_(params),
      tbu_(tbu),
      replies_(replies),
      pages_(pages),
      requester_(params.stream, params.page_requests),
      slots_(params.outstanding) {
  SMMULAB_CHECK(params.page_requests == 0 || pages != nullptr, "page requests have nowhere to go");
}

hw::Atc& AtsPort::atc(StreamId stream) {
  const auto found = std::ranges::find(atcs_, stream, &std::pair<StreamId, hw::Atc>::first);
  return found != atcs_.end() ? found->second
                              : atcs_.emplace_back(stream, hw::Atc(params_.entries)).second;
}

void AtsPort::set_enabled(bool on) {
  enabled_ = on;
  atcs_.clear();
  ++invalidations_;  // what is under way asks again
}

Tbu::Accepted AtsPort::translate(const hw::Request& request, Client& client, std::uint32_t cookie,
                                 Passage& passage) {
  client_ = &client;
  last_ = cookie;
  slots_[cookie].request = request;
  slots_[cookie].pa.reset();
  const Tbu::Accepted accepted = send(cookie, passage, true);
  client_refused_ = client_refused_ || accepted == Tbu::Accepted::kRefused;
  return accepted;
}

void AtsPort::finished_at(SimTime done) {
  tbu_.finished_at(done);
  if (slots_[last_].sent == hw::RequestKind::kTranslated) {
    last_done_ = std::max(last_done_, done);
  }
}

// What is next for it: with a translation (of the ATC, or the answer that it has just got) a
// translated transaction, else a translation request.
Tbu::Accepted AtsPort::send(std::uint32_t cookie, Passage& passage, bool first) {
  Slot& slot = slots_[cookie];
  hw::Request request = slot.request;
  bool hit = false;
  if (!enabled_) {
    slot.sent = hw::RequestKind::kUntranslated;
  } else {
    std::optional<std::uint64_t> pa = slot.since == invalidations_ ? slot.pa : std::nullopt;
    if (!pa) {
      pa = atc(request.stream).lookup(request.substream, request.address, request.access);
      hit = first && pa.has_value();
    }
    slot.sent = pa ? hw::RequestKind::kTranslated : hw::RequestKind::kAtsTranslation;
    request.address = pa.value_or(request.address);
  }
  request.kind = slot.sent;
  const Slot before = slot;
  slot.pa.reset();
  slot.since = invalidations_;
  const Tbu::Accepted accepted = tbu_.translate(request, *this, cookie, passage);
  if (accepted == Tbu::Accepted::kRefused) {
    slot = before;  // an answer that has come is still there
    return accepted;
  }
  stats_.atc_hits += hit ? 1U : 0U;
  stats_.translation_requests += slot.sent == hw::RequestKind::kAtsTranslation ? 1U : 0U;
  if (accepted == Tbu::Accepted::kPending && slot.sent == hw::RequestKind::kTranslated) {
    ++translated_;
  }
  SMMULAB_ASSERT(accepted != Tbu::Accepted::kReady || !passage.passes() ||
                     slot.sent != hw::RequestKind::kAtsTranslation,
                 "a TBU answers a translation request by itself");
  return accepted;
}

void AtsPort::fire(std::uint32_t /*what*/, std::uint32_t index) {
  step(index);
}

void AtsPort::step(std::uint32_t cookie) {
  Passage passage;
  const Tbu::Accepted accepted = send(cookie, passage, false);
  if (accepted == Tbu::Accepted::kRefused) {
    refused_.push_back(cookie);
  } else if (accepted == Tbu::Accepted::kReady) {
    last_ = cookie;
    const hw::RequestKind sent = slots_[cookie].sent;
    const SimTime done = client_->translated(cookie, passage);
    tbu_.finished_at(done);
    if (sent == hw::RequestKind::kTranslated) {
      last_done_ = std::max(last_done_, done);
    }
  }
}

void AtsPort::slot_free() {
  for (const std::uint32_t cookie : std::exchange(refused_, {})) {
    timers_.at(timers_.now(), *this, kStep, cookie);
  }
  if (std::exchange(client_refused_, false)) {
    client_->slot_free();
  }
}

SimTime AtsPort::translated(std::uint32_t cookie, const Passage& passage) {
  Slot& slot = slots_[cookie];
  const Slot sent = slot;
  if (sent.sent == hw::RequestKind::kAtsTranslation) {
    if (passage.verdict == Verdict::kTranslated) {
      answered(cookie, passage);
      return passage.ready;
    }
    if (pages_ != nullptr && params_.page_requests != 0 && passage.verdict == Verdict::kFault &&
        hw::ats_status(passage.fault) == hw::AtsStatus::kNoAccess) {
      ask(cookie);
      return passage.ready;
    }
  }
  const SimTime done = client_->translated(cookie, passage);
  if (sent.sent == hw::RequestKind::kTranslated) {
    --translated_;
    landed(sent, done);
  }
  return done;
}

// To its translation request. Overtaken by an invalidation it is worth nothing.
void AtsPort::answered(std::uint32_t cookie, const Passage& passage) {
  Slot& slot = slots_[cookie];
  if (slot.since == invalidations_ && enabled_) {
    hw::Translation translation;
    translation.output = passage.pa;
    translation.perms = hw::Permissions{hw::Permissions::needed(slot.request.access)};
    atc(slot.request.stream).fill(slot.request.substream, slot.request.address, translation);
    slot.pa = passage.pa;
  }
  timers_.at(passage.ready, *this, kStep, cookie);
}

// A translated transaction that the TBU or the TCU had is complete at `done`.
void AtsPort::landed(const Slot& slot, SimTime done) {
  last_done_ = std::max(last_done_, done);
  for (Invalidation& inv : waiting_) {
    if (slot.since < inv.number) {
      inv.last = std::max(inv.last, done);
      if (--inv.missing == 0) {
        replies_.atc_answered(inv.ticket, inv.last);
      }
    }
  }
  std::erase_if(waiting_, [](const Invalidation& inv) { return inv.missing == 0; });
}

std::optional<SimTime> AtsPort::atc_invalidate(const hw::Command& command, AtcTicket ticket) {
  atc(command.stream).invalidate(command);
  ++invalidations_;
  const SimTime last = std::max(last_done_, timers_.now());
  if (translated_ == 0) {
    return last;
  }
  waiting_.push_back({ticket, invalidations_, translated_, last});
  return std::nullopt;
}

void AtsPort::ask(std::uint32_t cookie) {
  const hw::Request& request = slots_[cookie].request;
  const std::uint64_t page = request.address >> kPageLog2 << kPageLog2;
  for (auto& [index, paging] : paging_) {
    if (paging.page == page) {
      paging.cookies.push_back(cookie);
      return;
    }
  }
  const auto requests = requester_.ask({&page, 1}, request.access);
  if (requests.empty()) {
    unasked_.push_back(cookie);
    return;
  }
  ++stats_.page_requests;
  paging_[requests[0].prg_index] = {page, timers_.now(), {cookie}};
  pages_->page_request(requests[0]);
}

void AtsPort::page_response(const hw::PageResponse& response) {
  if (!requester_.answered(response)) {
    return;
  }
  const Paging paging = std::move(paging_.extract(response.prg_index).mapped());
  const Ps took = timers_.now() - paging.since;
  stats_.paging_total += took;
  stats_.paging_max = std::max(stats_.paging_max, took);
  const bool success = response.code == hw::PrgCode::kSuccess;
  ++(success ? stats_.success : stats_.refused);
  for (const std::uint32_t cookie : paging.cookies) {
    if (success) {
      timers_.at(timers_.now(), *this, kStep, cookie);
    } else {
      Passage passage;
      passage.verdict = Verdict::kFault;
      passage.ready = timers_.now();
      client_->translated(cookie, passage);
    }
  }
  for (const std::uint32_t cookie : std::exchange(unasked_, {})) {
    ask(cookie);
  }
}

}  // namespace smmulab::smmu::timed

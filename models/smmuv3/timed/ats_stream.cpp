// SPDX-License-Identifier: Apache-2.0
#include "models/smmuv3/timed/ats_stream.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace smmulab::smmu::timed {
namespace {

constexpr unsigned kPageLog2 = 12;

}  // namespace

AtsStream::AtsStream(Timers& timers, const AtsStreamParams& params, Tbu& tbu, MemoryPort& port,
                     FaultUnit& faults)
    : timers_(timers),
      params_(params),
      tbu_(tbu),
      port_(port),
      faults_(faults),
      random_(params.seed, fmt::format("ats/{}", params.stream.value())),
      atc_(params.atc_entries),
      requester_(params.stream, params.allocation),
      transactions_(params.outstanding) {
  for (std::uint32_t i = 0; i < params.outstanding; ++i) {
    timers_.at(timers_.now(), *this, kGo, i);
  }
}

void AtsStream::fire(std::uint32_t what, std::uint32_t index) {
  if (what == kGo) {
    begin(index);
  } else {
    step(index);
  }
}

void AtsStream::begin(std::uint32_t cookie) {
  if (stats_.issued == params_.count) {
    return;
  }
  ++stats_.issued;
  const std::uint64_t page = random_.uniform_int(params_.pages);
  transactions_[cookie] = {params_.base + (page << kPageLog2), {}};
  step(cookie);
}

// The ATC, then a translated transaction or a translation request.
void AtsStream::step(std::uint32_t cookie) {
  Transaction& t = transactions_[cookie];
  t.pa = atc_.lookup({}, t.address, hw::Access{params_.write, false, false});
  send(cookie);
}

void AtsStream::send(std::uint32_t cookie) {
  const Transaction& t = transactions_[cookie];
  hw::Request request;
  request.stream = params_.stream;
  request.access.write = params_.write;
  request.address = t.pa.value_or(t.address);
  request.kind = t.pa ? hw::RequestKind::kTranslated : hw::RequestKind::kAtsTranslation;
  Passage passage;
  const Tbu::Accepted accepted = tbu_.translate(request, *this, cookie, passage);
  if (accepted == Tbu::Accepted::kRefused) {
    refused_.push_back(cookie);
    return;
  }
  ++(t.pa ? stats_.atc_hits : stats_.translation_requests);
  if (accepted == Tbu::Accepted::kReady) {
    tbu_.finished_at(take(cookie, passage));
  }
}

void AtsStream::slot_free() {
  for (const std::uint32_t cookie : std::exchange(refused_, {})) {
    timers_.at(timers_.now(), *this, kStep, cookie);
  }
}

SimTime AtsStream::translated(std::uint32_t cookie, const Passage& passage) {
  return take(cookie, passage);
}

SimTime AtsStream::take(std::uint32_t cookie, const Passage& passage) {
  const Transaction& t = transactions_[cookie];
  const SimTime now = timers_.now();
  if (t.pa) {
    const SimTime done =
        passage.passes()
            ? port_.access(now, MemoryPort::bursts_of(params_.payload)) + (passage.ready - now)
            : passage.ready;
    last_done_ = std::max(last_done_, done);
    end(cookie, passage.passes(), done);
    return done;
  }
  if (passage.verdict == Verdict::kTranslated) {
    hw::Translation translation;
    translation.output = passage.pa;
    translation.perms =
        hw::Permissions{hw::Permissions::needed(hw::Access{params_.write, false, false})};
    atc_.fill({}, t.address, translation);
    timers_.at(passage.ready, *this, kStep, cookie);
  } else if (passage.verdict == Verdict::kFault &&
             hw::ats_status(passage.fault) == hw::AtsStatus::kNoAccess) {
    ask(cookie);
  } else {
    end(cookie, false, passage.ready);
  }
  return passage.ready;
}

void AtsStream::ask(std::uint32_t cookie) {
  const std::uint64_t page = transactions_[cookie].address;
  for (auto& [index, paging] : paging_) {
    if (paging.page == page) {
      paging.cookies.push_back(cookie);
      return;
    }
  }
  const auto requests = requester_.ask({&page, 1}, hw::Access{params_.write, false, false});
  if (requests.empty()) {
    unasked_.push_back(cookie);
    return;
  }
  ++stats_.page_requests;
  paging_[requests[0].prg_index] = {page, timers_.now(), {cookie}};
  faults_.page_request(requests[0]);
}

void AtsStream::page_response(const hw::PageResponse& response) {
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
      end(cookie, false, timers_.now());
    }
  }
  for (const std::uint32_t cookie : std::exchange(unasked_, {})) {
    ask(cookie);
  }
}

void AtsStream::end(std::uint32_t cookie, bool passed, SimTime at) {
  ++(passed ? stats_.passed : stats_.failed);
  stats_.last = std::max(stats_.last, at);
  timers_.at(std::max(at, timers_.now()), *this, kGo, cookie);
}

std::optional<SimTime> AtsStream::atc_invalidate(const hw::Command& command) {
  atc_.invalidate(command);
  return std::max(last_done_, timers_.now());
}

}  // namespace smmulab::smmu::timed

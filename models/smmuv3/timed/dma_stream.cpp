// SPDX-License-Identifier: Apache-2.0
#include "models/smmuv3/timed/dma_stream.hpp"

#include <algorithm>
#include <bit>

#include <fmt/format.h>

#include "sim/error.hpp"

namespace smmulab::smmu::timed {
namespace {

constexpr std::uint32_t kMaxPayload = 4096;

void require(bool good, std::uint32_t stream, std::string_view what) {
  if (!good) {
    throw ConfigError(fmt::format("DMA stream of StreamID {}: {}", stream, what));
  }
}

}  // namespace

double StreamStats::bytes_per_second() const {
  const Ps time = last - first;
  return time > Ps{0} ? static_cast<double>(bytes) * 1e12 / static_cast<double>(time.count()) : 0;
}

DmaStream::DmaStream(Timers& timers, const StreamParams& params, Tbu& tbu, MemoryPort& port)
    : timers_(timers),
      params_(params),
      tbu_(tbu),
      port_(port),
      random_(params.seed, fmt::format("dma/{}", params.stream.value())),
      bursts_(MemoryPort::bursts_of(params.payload)),
      blocks_(params.payload == 0 ? 0 : params.span / params.payload),
      due_(params.start),
      issues_(params.outstanding),
      done_(params.outstanding) {
  const std::uint32_t sid = params.stream.value();
  require(std::has_single_bit(params.payload) && params.payload <= kMaxPayload, sid,
          fmt::format("payload = {} must be a power of 2 of at most 4096 bytes", params.payload));
  require(params.span != 0 && params.span % params.payload == 0, sid,
          fmt::format("span = {} must be a multiple of the payload", params.span));
  require(params.base % params.payload == 0, sid, "base must be a multiple of the payload");
  require(params.outstanding > 0, sid, "outstanding must be at least 1");
  require(params.pattern != Pattern::kStrided ||
              (params.stride != 0 && params.stride % params.payload == 0),
          sid, fmt::format("stride = {} must be a multiple of the payload", params.stride));
  require(params.pattern != Pattern::kRecorded || !params.recorded.empty(), sid,
          "no transaction is recorded");
  require(params.link_burst >= Ps{0} && params.interval >= Ps{0}, sid, "a time is negative");
  for (std::uint32_t i = params.outstanding; i-- > 0;) {
    free_cookies_.push_back(i);
  }
  wake(std::max(params.start, timers.now()));
}

void DmaStream::wake(SimTime at) {
  if (at < wake_at_) {
    wake_at_ = at;
    timers_.at(at, *this, kFirstOwnCode);
  }
}

void DmaStream::fire(std::uint32_t /*what*/, std::uint32_t /*index*/) {
  if (timers_.now() == wake_at_) {
    wake_at_ = kTimeMax;
    run();
  }
}

void DmaStream::slot_free() {
  refused_ = false;
  wake(timers_.now());
}

bool DmaStream::ended() const {
  return (params_.count != 0 && stats_.issued == params_.count) || timers_.now() >= params_.stop;
}

void DmaStream::run() {
  while (!refused_ && !ended()) {
    const SimTime now = timers_.now();
    drop_done(now);
    SimTime at = std::max({now, link_free_, due_});
    if (under_way() == params_.outstanding) {
      if (done_.empty()) {
        return;  // translated() wakes it
      }
      at = std::max(at, done_.first());
    }
    if (at > now && !timers_.pass(at)) {
      wake(at);
      return;
    }
    if (at == now && !issue()) {
      return;
    }
  }
}

std::uint64_t DmaStream::next_address() {
  switch (params_.pattern) {
    case Pattern::kSequential:
      position_ = position_ == blocks_ ? 0 : position_;
      return params_.base + params_.payload * position_++;
    case Pattern::kRandom:
      return params_.base + params_.payload * random_.uniform_int(blocks_);
    case Pattern::kStrided: {
      const std::uint64_t offset = position_;
      position_ += params_.stride;
      // One payload further at each turn, so that every block has its turn.
      if (position_ >= params_.span) {
        position_ = (position_ + params_.payload) % params_.stride % params_.span;
      }
      return params_.base + offset;
    }
    case Pattern::kRecorded:
      break;  // prepare() has it
  }
  return params_.base;
}

void DmaStream::prepare() {
  hw::Request& request = next_.request;
  request.substream = params_.substream;
  if (params_.pattern == Pattern::kRecorded) {
    const RecordedAccess& access = params_.recorded[position_];
    position_ = position_ + 1 == params_.recorded.size() ? 0 : position_ + 1;
    request.stream = access.stream;
    request.address = access.address;
    request.access.write = access.write;
    return;
  }
  request.stream = params_.stream;
  request.address = next_address();
  request.access.write = params_.write;
}

// False: refused, slot_free() wakes it.
bool DmaStream::issue() {
  if (!prepared_) {
    prepared_ = true;
    prepare();
  }
  const SimTime now = timers_.now();
  next_.issued = now;
  next_.due = params_.interval > Ps{0} ? due_ : now;
  Passage passage;
  const std::uint32_t cookie = free_cookies_.back();
  switch (tbu_.translate(next_.request, *this, cookie, passage)) {
    case Tbu::Accepted::kRefused:
      refused_ = true;
      return false;
    case Tbu::Accepted::kReady: {
      const SimTime done = complete(next_, passage);
      tbu_.finished_at(done);
      break;
    }
    case Tbu::Accepted::kPending:
      free_cookies_.pop_back();
      issues_[cookie] = next_;
      ++pending_;
      break;
  }
  prepared_ = false;
  stats_.first = stats_.issued == 0 ? now : stats_.first;
  ++stats_.issued;
  link_free_ = now + params_.link_burst * bursts_;
  due_ = params_.interval > Ps{0} ? due_ + params_.interval : due_;
  return true;
}

SimTime DmaStream::complete(const Issue& issue, const Passage& passage) {
  const SimTime now = timers_.now();
  SimTime done = passage.ready;
  if (passage.passes()) {
    done = port_.access(now, bursts_) + (passage.ready - now);
    ++stats_.passed;
    stats_.bytes += params_.payload;
  } else {
    ++(passage.verdict == Verdict::kAbort ? stats_.aborted : stats_.faulted);
  }
  note_verdict(passage.passes(), passage.ready);
  translation_.record(passage.ready - issue.issued);
  latency_.record(done - issue.due);
  stats_.last = std::max(stats_.last, done);
  done_.insert(done);
  if (observer_ != nullptr) [[unlikely]] {
    observer_->transaction(issue.request, passage, issue.issued, done);
  }
  return done;
}

void DmaStream::note_verdict(bool passes, SimTime at) {
  if (!passes) {
    if (lit_ && !dark_since_) {
      dark_since_ = at;
    }
    return;
  }
  lit_ = true;
  if (dark_since_) {
    const Ps window = std::max(at - *dark_since_, Ps{0});
    dark_since_.reset();
    ++stats_.dark_windows;
    stats_.dark_total += window;
    stats_.dark_max = std::max(stats_.dark_max, window);
  }
}

SimTime DmaStream::translated(std::uint32_t cookie, const Passage& passage) {
  const SimTime done = complete(issues_[cookie], passage);
  free_cookies_.push_back(cookie);
  --pending_;
  if (!refused_) {
    wake(std::max(done_.first(), timers_.now()));
  }
  return done;
}

void DmaStream::drop_done(SimTime now) {
  while (!done_.empty() && done_.first() <= now) {
    done_.drop_first();
  }
}

}  // namespace smmulab::smmu::timed

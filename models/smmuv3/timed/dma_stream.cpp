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

DmaStream::DmaStream(Timers& timers, const StreamParams& params, Tbu& tbu, MemoryPort& port,
                     AtsPort* ats)
    : timers_(timers),
      params_(params),
      tbu_(tbu),
      client_(tbu.reach().add()),
      port_(port),
      ats_(ats),
      random_(params.seed, fmt::format("dma/{}", params.stream.value())),
      bursts_(MemoryPort::bursts_of(params.payload)),
      blocks_(params.payload == 0 ? 0 : params.span / params.payload),
      limit_(params.count == 0 ? ~std::uint64_t{0} : params.count),
      pace_(params.start, params.interval, params.link_burst * bursts_, params.outstanding),
      issues_(params.outstanding) {
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
  tbu_.reach().assign(params.stream, client_);
  for (const RecordedAccess& access : params.recorded) {
    tbu_.reach().assign(access.stream, client_);
  }
  next_.request.stream = params.stream;
  next_.request.substream = params.substream;
  next_.request.access.write = params.write;
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

bool DmaStream::ended(SimTime now) const {
  return stats_.issued == limit_ || now >= params_.stop;
}

inline std::uint64_t DmaStream::next_address() {
  if (params_.pattern != Pattern::kSequential) {
    return next_scattered();
  }
  const std::uint64_t offset = position_ == params_.span ? 0 : position_;
  position_ = offset + params_.payload;
  return params_.base + offset;
}

std::uint64_t DmaStream::next_scattered() {
  if (params_.pattern == Pattern::kRandom) {
    return params_.base + params_.payload * random_.uniform_int(blocks_);
  }
  const std::uint64_t offset = position_;
  position_ += params_.stride;
  // One payload further at each turn, so that every block has its turn.
  if (position_ >= params_.span) {
    position_ = (position_ + params_.payload) % params_.stride % params_.span;
  }
  return params_.base + offset;
}

bool DmaStream::may_repeat() const {
  return ats_ == nullptr && observer_ == nullptr && lit_ && !dark_since_ && !prepared_ &&
         params_.pattern != Pattern::kRecorded && tbu_.may_repeat(next_.request);
}

// What issue() does, for transactions in a row that hit the micro TLB: only what changes from one
// to the next, in copies that no store can be an alias of. Gives the time of the last.
SimTime DmaStream::repeat(SimTime now) {
  const SimTime horizon = std::min(timers_.horizon(), params_.stop);
  Tbu::Repeats repeats = tbu_.repeats();
  MemoryPort port = port_;
  Pace pace = std::move(pace_);
  RunLength translation = translation_, latency = latency_;
  SteadyState steady;
  SimTime last = stats_.last;
  const std::uint64_t most = limit_ - stats_.issued;
  std::uint64_t times = 0;
  while (times != most && !prepared_) {
    next_.request.address = next_address();
    const SimTime at = pace.next(now, pending_);
    if (at >= horizon || !hits(repeats)) {
      prepared_ = true;
      break;
    }
    const Ps step = at - now;
    now = at;
    pace.drop_until(now);
    const SimTime ready = repeats.ready(now);
    const SimTime done = port.access(now, bursts_) + (ready - now);
    const Ps after_due = done - pace.due(now);
    pace.completes(done);
    pace.issued(now);
    std::uint64_t more = 0;
    if (steady.note(step, ready - now, done - now, pace)) {
      const auto room = static_cast<std::uint64_t>((horizon - now - Ps{1}) / step);
      more = hits_ahead(std::min(most - times - 1, room), repeats);
      const Ps all = step * static_cast<std::int64_t>(more);
      pace.pass(more, step);
      repeats.pass(all);
      port.repeat(more, all, bursts_);
      now += all;
    }
    last = std::max(last, now + (done - at));
    translation.record(ready - at, 1 + more);
    latency.record(after_due, 1 + more);
    times += 1 + more;
  }
  stats_.issued += times;
  stats_.passed += times;
  stats_.bytes += times * params_.payload;
  stats_.last = last;
  translation_ = translation;
  latency_ = latency;
  pace_ = std::move(pace);
  port_ = port;
  tbu_.repeated(repeats, times, last);
  timers_.pass(now);
  return now;
}

// Whether the next transaction hits the micro TLB.
inline bool DmaStream::hits(Tbu::Repeats& repeats) {
  return repeats.covers(next_.request.address) || tbu_.turn(next_.request, repeats);
}

// Goes on to the addresses of at most so many transactions while they hit; how many do. The first
// that does not is prepared.
std::uint64_t DmaStream::hits_ahead(std::uint64_t most, Tbu::Repeats& repeats) {
  const auto size_log2 = static_cast<unsigned>(std::countr_zero(params_.payload));
  std::uint64_t times = 0;
  while (times != most) {
    next_.request.address = next_address();
    if (!hits(repeats)) {
      prepared_ = true;
      break;
    }
    ++times;
    if (params_.pattern == Pattern::kSequential) {
      // Those that follow up to the end of the entry, or of the ring.
      const std::uint64_t more =
          std::min({most - times, repeats.more(next_.request.address, size_log2),
                    (params_.span - position_) >> size_log2});
      position_ += more << size_log2;
      times += more;
    }
  }
  return times;
}

void DmaStream::run() {
  SimTime now = timers_.now();
  if (refused_ || ended(now)) {
    return;
  }
  pace_.drop_until(now);
  do {
    const SimTime at = pace_.next(now, pending_);
    if (at == kTimeMax) {
      return;  // translated() wakes it
    }
    if (at > now) {
      const bool passes = timers_.pass(at);
      if (!passes || ended(at)) {
        pace_.drop_until(now);  // what was done in no time
        if (!passes) {
          wake(at);
        }
        return;
      }
      now = at;
    }
    pace_.drop_until(now);
    if (!issue(now)) {
      return;
    }
    if (may_repeat()) {
      now = repeat(now);
    }
  } while (!ended(now));
}

void DmaStream::prepare() {
  hw::Request& request = next_.request;
  if (params_.pattern == Pattern::kRecorded) {
    const RecordedAccess& access = params_.recorded[position_];
    position_ = position_ + 1 == params_.recorded.size() ? 0 : position_ + 1;
    request.stream = access.stream;
    request.address = access.address;
    request.access.write = access.write;
    return;
  }
  request.address = next_address();
}

// False: refused, slot_free() wakes it.
bool DmaStream::issue(SimTime now) {
  if (!prepared_) {
    prepared_ = true;
    prepare();
  }
  next_.issued = now;
  next_.due = pace_.due(now);
  Passage passage;
  const std::uint32_t cookie = free_cookies_.back();
  switch (ats_ == nullptr ? tbu_.translate(next_.request, *this, cookie, passage)
                          : ats_->translate(next_.request, *this, cookie, passage)) {
    case Tbu::Accepted::kRefused:
      refused_ = true;
      return false;
    case Tbu::Accepted::kReady: {
      const SimTime done = complete(next_, passage, now);
      ats_ == nullptr ? tbu_.finished_at(done) : ats_->finished_at(done);
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
  pace_.issued(now);
  return true;
}

inline SimTime DmaStream::complete(const Issue& issue, const Passage& passage, SimTime now) {
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
  pace_.completes(done);
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
  const SimTime done = complete(issues_[cookie], passage, timers_.now());
  free_cookies_.push_back(cookie);
  --pending_;
  if (!refused_) {
    wake(std::max(pace_.first_done(), timers_.now()));
  }
  return done;
}

}  // namespace smmulab::smmu::timed

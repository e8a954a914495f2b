// SPDX-License-Identifier: Apache-2.0
#include "models/smmuv3/timed/fault_unit.hpp"

#include <algorithm>
#include <utility>

namespace smmulab::smmu::timed {

FaultUnit::FaultUnit(Timers& timers, const TimedParams& params, hw::Memory& memory,
                     MemoryPort& port, const hw::Features& features,
                     const hw::StreamTableBase& streams, const FaultSetup& setup, Timed& tcu)
    : timers_(timers),
      link_(params.link),
      buffer_(params.tcu.event_buffer),
      memory_(memory),
      port_(port),
      features_(features),
      streams_(streams),
      record_(setup.record),
      tcu_(tcu),
      events_(memory, setup.events, errors_),
      requests_(memory, setup.page_requests, errors_) {
  events_.set_enabled(true);
  requests_.set_enabled(true);
}

std::optional<hw::Response> FaultUnit::fault(const hw::Request& request, const hw::Fault& fault,
                                             const hw::StreamConfig& config, std::uint16_t stag) {
  const hw::FaultDecision decision = hw::decide(fault, config, request.kind, record_);
  if (decision.record) {
    hw::EventRecord record =
        hw::make_record(request, fault, hw::effective_access(config, request.access));
    record.stall = decision.response == hw::Response::kStall;
    record.stag = record.stall ? stag : std::uint16_t{0};
    if (records_.size() >= buffer_) {
      waiting_.push_back({record, stag});
      return std::nullopt;
    }
    submit(record);
  }
  return decision.response;
}

void FaultUnit::submit(const hw::EventRecord& record) {
  ++submitted_;
  records_.push_back({record});
  write_next();
}

void FaultUnit::write_next() {
  while (!writing_ && !records_.empty()) {
    if (records_.front().gone) {
      records_.pop_front();
      settle();
      fill_buffer();
      continue;
    }
    if (events_.writable()) {
      writing_ = true;
      timers_.at(port_.access(timers_.now()), *this, kWritten);
      return;
    }
    const hw::EventRecord record = records_.front().record;
    records_.pop_front();
    if (deliver(record) == hw::EventQueue::Outcome::kHeld) {
      held_.push_back(record.stag);
    }
    settle();
    fill_buffer();
  }
}

// A record has left the buffer.
void FaultUnit::fill_buffer() {
  if (waiting_.empty()) {
    return;
  }
  const Waiting next = waiting_.front();
  waiting_.pop_front();
  ++submitted_;
  records_.push_back({next.record});
  tcu_.fire(next.record.stall ? kStallTaken : kRecordTaken, next.slot);
}

hw::EventQueue::Outcome FaultUnit::deliver(const hw::EventRecord& record) {
  const hw::EventQueue::Outcome outcome = events_.record(record);
  if (listener_ != nullptr) {
    listener_->event_settled(record, outcome);
  }
  return outcome;
}

void FaultUnit::settle() {
  ++settled_;
  if (waiter_ != nullptr && settled_ >= target_) {
    timers_.at(timers_.now(), *std::exchange(waiter_, nullptr), waiter_what_);
  }
}

void FaultUnit::notify_settled(std::uint64_t target, Timed& waiter, std::uint32_t what) {
  target_ = target;
  waiter_ = &waiter;
  waiter_what_ = what;
}

void FaultUnit::forget(std::uint16_t stag) {
  std::erase(held_, stag);
  for (auto it = records_.begin() + (writing_ ? 1 : 0); it != records_.end(); ++it) {
    it->gone |= it->record.stall && it->record.stag == stag;
  }
  write_next();
}

void FaultUnit::release_held() {
  for (std::size_t n = held_.size(); n > 0 && events_.writable(); --n) {
    const std::uint16_t stag = held_.front();
    held_.pop_front();
    tcu_.fire(kRetryStalled, stag);
  }
}

void FaultUnit::write_event_cons(std::uint32_t value) {
  events_.queue().write_cons(value);
  release_held();
}

void FaultUnit::write_gerrorn(std::uint32_t value) {
  errors_.write_gerrorn(value);
  release_held();
}

void FaultUnit::page_request(const hw::PageRequest& request) {
  arriving_.push_back(request);
  timers_.after(link_.atc_response / 2, *this, kRequestArrived);
}

void FaultUnit::respond(const hw::PageResponse& response) {
  answering_.push_back(response);
  timers_.after(link_.atc_response / 2, *this, kResponseArrived);
}

void FaultUnit::request_written() {
  const hw::PageRequest request = storing_.front();
  storing_.pop_front();
  const bool was_empty = requests_.queue().empty();
  const auto response =
      requests_.receive(request, [this](StreamId stream) { return ppar(stream); });
  if (response) {
    respond(*response);
  } else if (was_empty && !requests_.queue().empty()) {
    timers_.after(link_.completion, *this, kRequestInterrupt);
  }
}

std::optional<bool> FaultUnit::ppar(StreamId stream) {
  hw::Request request;
  request.stream = stream;
  hw::ConfigFetch fetch;
  hw::AccessCounts counts;
  fetch.begin(streams_, features_, request);
  hw::run(fetch, memory_, counts);
  const hw::Event event = fetch.fault().event;
  if (event == hw::Event::kBadStreamId || event == hw::Event::kSteFetch ||
      event == hw::Event::kBadSte) {
    return std::nullopt;
  }
  return fetch.ste().pasid_on_auto_response;
}

void FaultUnit::fire(std::uint32_t what, std::uint32_t /*index*/) {
  switch (what) {
    case kWritten: {
      writing_ = false;
      const bool was_empty = events_.queue().empty();
      const hw::EventRecord record = records_.front().record;
      records_.pop_front();
      if (deliver(record) == hw::EventQueue::Outcome::kRecorded && was_empty) {
        interrupts_.push_back(timers_.now() + link_.completion);
        timers_.at(interrupts_.back(), *this, kInterrupt);
      }
      settle();
      fill_buffer();
      write_next();
      return;
    }
    case kInterrupt:
      interrupts_.pop_front();
      if (listener_ != nullptr) {
        listener_->event_interrupt();
      }
      return;
    case kRequestArrived:
      storing_.push_back(arriving_.front());
      arriving_.pop_front();
      timers_.at(port_.access(timers_.now()), *this, kRequestWritten);
      return;
    case kRequestWritten:
      request_written();
      return;
    case kRequestInterrupt:
      if (listener_ != nullptr) {
        listener_->page_request_interrupt();
      }
      return;
    case kResponseArrived: {
      const hw::PageResponse response = answering_.front();
      answering_.pop_front();
      for (const Device& d : devices_) {
        if (d.stream == response.stream) {
          d.device->page_response(response);
        }
      }
      return;
    }
    default:
      SMMULAB_CHECK(false, "the fault unit was sent an unknown message");
  }
}

}  // namespace smmulab::smmu::timed

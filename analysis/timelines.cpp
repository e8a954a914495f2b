// SPDX-License-Identifier: Apache-2.0
#include "analysis/timelines.hpp"

#include <algorithm>
#include <utility>

namespace smmulab::analysis {

Timelines::Timelines(const Record& record)
    : record_(&record),
      threads_(record.thread_count()),
      locks_(record.lock_count()),
      running_(record.thread_count()),
      left_(record.object_count(), kNoEvent) {
  for (std::uint64_t i = 0; i < record.size(); ++i) {
    if (record[i].thread < threads_.size()) {
      read(i, record[i]);
    }
  }
}

std::uint64_t Timelines::unfinished() const {
  return static_cast<std::uint64_t>(
      std::count_if(running_.begin(), running_.end(),
                    [](const Running& r) { return r.request.event != kNoEvent; }));
}

void Timelines::read(std::uint64_t event, const RecordEvent& e) {
  Running& thread = running_[e.thread];
  switch (e.kind) {
    case RecordKind::kOpBegin:
      thread.op = e.object;
      note_context(event, e.thread);
      break;
    case RecordKind::kOpEnd:
      thread.op = kNoRecordId;
      note_context(event, e.thread);
      break;
    case RecordKind::kLockRequest:
      thread.request = {event, e.object};
      ++locks_[e.object].requests;
      break;
    case RecordKind::kLockAcquire:
      acquire(event, e);
      break;
    case RecordKind::kLockRelease:
      release(event, e);
      break;
    case RecordKind::kWaitBegin:
      thread.wait_begin = event;
      break;
    case RecordKind::kWaitEnd:
      end_wait(event, e);
      break;
    case RecordKind::kCpuOff:
      thread.off = event;
      thread.preempted = (e.flags & record_flag::kPreempted) != 0;
      left_[e.object] = event;
      break;
    case RecordKind::kCpuOn:
      cpu_on(event, e);
      break;
    case RecordKind::kThreadWake:
      thread.wake = event;
      break;
    default:
      break;
  }
}

void Timelines::acquire(std::uint64_t event, const RecordEvent& e) {
  Running& thread = running_[e.thread];
  Lock& lock = locks_[e.object];
  const Request request = std::exchange(thread.request, {});
  // A downgrade acquires without a request.
  const bool asked = request.event != kNoEvent && request.lock == e.object;
  if (asked) {
    --lock.requests;
  }
  if (asked && (e.flags & record_flag::kContended) != 0) {
    const bool read = (e.flags & record_flag::kRead) != 0;
    const std::uint64_t release = read ? lock.write_released : lock.released;
    const bool since = release != kNoEvent && release > request.event;
    threads_[e.thread].waits.push_back({request.event, event, (*record_)[request.event].time,
                                        e.time, e.object, thread.op, since ? release : kNoEvent,
                                        true});
    lock.contended_until = e.time;
  }
  thread.held.push_back(e.object);
  lock.holders.push_back(e.thread);
  note_holder(e.time, lock);
  note_context(event, e.thread);
}

void Timelines::release(std::uint64_t event, const RecordEvent& e) {
  Running& thread = running_[e.thread];
  Lock& lock = locks_[e.object];
  const auto held = std::find(thread.held.rbegin(), thread.held.rend(), e.object);
  if (held == thread.held.rend()) {
    return;  // a mistake that the record ends with
  }
  thread.held.erase(std::next(held).base());
  lock.holders.erase(std::find(lock.holders.begin(), lock.holders.end(), e.thread));
  lock.released = event;
  if ((e.flags & record_flag::kRead) == 0) {
    lock.write_released = event;
  }
  note_holder(e.time, lock);
  note_context(event, e.thread);
}

void Timelines::end_wait(std::uint64_t event, const RecordEvent& e) {
  Running& thread = running_[e.thread];
  const std::uint64_t begin = std::exchange(thread.wait_begin, kNoEvent);
  if (begin == kNoEvent || (*record_)[begin].time == e.time) {
    return;
  }
  threads_[e.thread].waits.push_back(
      {begin, event, (*record_)[begin].time, e.time, e.object, thread.op, kNoEvent, false});
}

void Timelines::cpu_on(std::uint64_t event, const RecordEvent& e) {
  Running& thread = running_[e.thread];
  const bool first = !thread.begun;
  thread.begun = true;
  const std::uint64_t off = std::exchange(thread.off, kNoEvent);
  const auto after = [off](std::uint64_t other) {
    return other != kNoEvent && (off == kNoEvent || other > off) ? other : kNoEvent;
  };
  if (!first && off == kNoEvent) {
    return;
  }
  threads_[e.thread].away.push_back({off, event, first ? SimTime{} : (*record_)[off].time, e.time,
                                     after(thread.wake), after(left_[e.object]), thread.op,
                                     first || thread.preempted});
}

void Timelines::note_context(std::uint64_t event, std::uint32_t thread) {
  const Running& now = running_[thread];
  threads_[thread].contexts.push_back(
      {event, now.op, now.held.empty() ? kNoRecordId : now.held.back()});
}

void Timelines::note_holder(SimTime now, Lock& lock) {
  const Holding holding =
      lock.holders.empty() ? Holding{now, kNoRecordId, kNoRecordId}
                           : Holding{now, lock.holders.front(), running_[lock.holders.front()].op};
  auto& all = lock.holdings;
  if (!all.empty()) {
    const Holding& last = all.back();
    if (last.thread == holding.thread && last.op == holding.op) {
      return;
    }
    // Nobody waits, and nobody did since the last change: its beginning will not be asked for.
    const bool unseen = lock.requests == 0 && last.since >= lock.contended_until;
    if (last.since == now || unseen) {
      all.back() = holding;
      return;
    }
  }
  all.push_back(holding);
}

}  // namespace smmulab::analysis

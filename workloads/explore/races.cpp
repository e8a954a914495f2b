// SPDX-License-Identifier: Apache-2.0
#include "workloads/explore/races.hpp"

#include <algorithm>
#include <bit>

namespace smmulab::explore {
namespace {

bool before_in(const Clock& clock, std::size_t thread, std::size_t step) {
  return clock[thread] > step;
}

}  // namespace

template <class Conflict>
void RaceFinder::each_conflict(const Footprint& footprint, std::size_t thread,
                               Conflict&& conflict) const {
  for (const Touch& touch : footprint) {
    if (touch.object >= last_.size()) {
      continue;
    }
    const LastSteps& last = last_[touch.object];
    for (ThreadMask others = last.threads & ~bit(thread); others != 0; others &= others - 1) {
      const auto& steps = last.steps[static_cast<std::size_t>(std::countr_zero(others))];
      for (std::size_t access = 0; access < kAccesses; ++access) {
        if (steps[access] != kNever && !commute(static_cast<lnx::Access>(access), touch.access)) {
          conflict(static_cast<std::size_t>(steps[access]));
        }
      }
    }
  }
}

void RaceFinder::note(const Footprint& footprint, std::size_t thread, std::size_t step) {
  for (const Touch& touch : footprint) {
    if (touch.object >= last_.size()) {
      last_.resize(touch.object + 1);
    }
    LastSteps& last = last_[touch.object];
    if ((last.threads & bit(thread)) == 0) {
      last.threads |= bit(thread);
      last.steps[thread].fill(kNever);
    }
    last.steps[thread][static_cast<std::size_t>(touch.access)] = static_cast<std::int32_t>(step);
  }
}

void RaceFinder::join(Clock& clock, const Clock& other) const {
  for (std::size_t i = 0; i < threads_; ++i) {
    clock[i] = std::max(clock[i], other[i]);
  }
}

Clock RaceFinder::with_conflicts(const Clock& before, const Footprint& footprint,
                                 std::size_t thread) const {
  Clock clock = before;
  each_conflict(footprint, thread, [&](std::size_t step) { join(clock, clocks_[step]); });
  return clock;
}

void RaceFinder::find(const Scheduler& run, std::size_t threads, std::size_t first,
                      const std::function<void(const Race&)>& sink) {
  threads_ = threads;
  last_.clear();
  clocks_.resize(run.size());
  std::array<Clock, kMaxThreads> of_thread{};
  for (std::size_t i = 0; i < run.size(); ++i) {
    const Step& step = run.step(i);
    Clock before = of_thread[step.thread];
    for (const std::uint32_t enabler : step.enablers) {
      join(before, clocks_[enabler]);
    }
    Clock clock = with_conflicts(before, step.footprint, step.thread);
    if (i >= first) {
      detect(run, {i, step.thread, &step.footprint, step.takes_lock, step.lock, step.mode}, before,
             clock, sink);
    }
    clock[step.thread] = static_cast<std::uint32_t>(i + 1);
    clocks_[i] = of_thread[step.thread] = clock;
    note(step.footprint, step.thread, i);
  }
  Footprint wanted;
  for (std::size_t q = 0; q < threads; ++q) {
    const Scheduler::Waiting waiting = run.waiting(q);
    if (waiting.lock == nullptr) {
      continue;
    }
    wanted.assign(1, {waiting.object,
                      waiting.mode == LockMode::kRead ? lnx::Access::kRead : lnx::Access::kWrite});
    detect(run, {run.size(), q, &wanted, true, waiting.object, waiting.mode}, of_thread[q],
           with_conflicts(of_thread[q], wanted, q), sink);
  }
}

// A step within a hold of the lock that `event` takes cannot come after it: the hold would have to.
std::size_t RaceFinder::where_taken(const Scheduler& run, const Event& event,
                                    std::size_t step) const {
  const std::size_t thread = run.step(step).thread;
  for (const Hold& hold : run.holds()) {
    if (hold.lock == event.lock && hold.thread == thread && hold.from < step && step <= hold.to &&
        (hold.mode == LockMode::kWrite || event.mode == LockMode::kWrite)) {
      return hold.from;
    }
  }
  return step;
}

void RaceFinder::detect(const Scheduler& run, const Event& event, const Clock& before,
                        const Clock& full, const std::function<void(const Race&)>& sink) {
  found_.clear();
  each_conflict(*event.footprint, event.thread, [&](std::size_t step) {
    if (event.takes_lock) {
      step = where_taken(run, event, step);
    }
    if (!before_in(before, run.step(step).thread, step) &&
        std::ranges::find(found_, step) == found_.end()) {
      found_.push_back(step);
    }
  });
  for (const std::size_t step : found_) {
    sink(race(run, event, step, full));
  }
}

// Who can go first, at step `at`, of the steps after it that do not need it and of `event`.
Race RaceFinder::race(const Scheduler& run, const Event& event, std::size_t at,
                      const Clock& full) const {
  const std::size_t other = run.step(at).thread;
  constexpr std::size_t kNone = ~std::size_t{0};
  std::array<std::size_t, kMaxThreads> first{};
  first.fill(kNone);
  for (std::size_t i = at + 1; i < event.index; ++i) {
    const std::size_t q = run.step(i).thread;
    if (first[q] == kNone && !before_in(clocks_[i], other, at)) {
      first[q] = i;
    }
  }
  Race found{at, 0, 0};
  for (std::size_t q = 0; q < threads_; ++q) {
    const bool is_event = q == event.thread && first[q] == kNone;
    if (first[q] == kNone && !is_event) {
      continue;
    }
    const Clock& clock = is_event ? full : clocks_[first[q]];
    bool initial = true;
    for (std::size_t r = 0; r < threads_; ++r) {
      initial = initial && (r == q || first[r] == kNone || !before_in(clock, r, first[r]));
    }
    if (initial) {
      found.any |= bit(q);
      found.best |= q == event.thread || before_in(full, q, first[q]) ? bit(q) : 0;
    }
  }
  return found;
}

}  // namespace smmulab::explore

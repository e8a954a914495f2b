// SPDX-License-Identifier: Apache-2.0
#include "models/linux/run_queue.hpp"

#include <algorithm>
#include <utility>

#include "sim/check.hpp"

namespace smmulab::lnx {

SimTime RunQueue::tick_at_or_after(SimTime t) const {
  const Ps over = t.time_since_epoch() % tick_;
  return over == Ps{0} ? t : t + (tick_ - over);
}

// avg_vruntime(): rounded down. Relative to one of them, so that sums stay small.
Ps RunQueue::average() const {
  if (count() == 0) {
    return last_average_;
  }
  const Ps origin = idle() ? waiting_.front()->vruntime : current_->vruntime;
  Ps sum{0};
  for (const SchedEntity* e : waiting_) {
    sum += e->vruntime - origin;
  }
  const auto n = static_cast<std::int64_t>(count());
  if (sum < Ps{0}) {
    sum -= Ps{n - 1};
  }
  return origin + sum / n;
}

bool RunQueue::eligible(const SchedEntity& e) const {
  Ps sum{0};  // of the lags
  for (const SchedEntity* other : waiting_) {
    sum += other->vruntime - e.vruntime;
  }
  if (!idle()) {
    sum += current_->vruntime - e.vruntime;
  }
  return sum >= Ps{0};
}

SchedEntity* RunQueue::best() const {
  if (count() == 0) {
    return nullptr;
  }
  // Eligible: at most the average, so n times a vruntime is at most the sum of all.
  const Ps origin = idle() ? waiting_.front()->vruntime : current_->vruntime;
  Ps sum{0};
  for (const SchedEntity* e : waiting_) {
    sum += e->vruntime - origin;
  }
  const auto n = static_cast<std::int64_t>(count());
  const auto may_run = [&](const SchedEntity& e) { return (e.vruntime - origin) * n <= sum; };
  SchedEntity* const running = idle() || !may_run(*current_) ? nullptr : current_;
  if (running != nullptr && (running->keeps_slice || waiting_.empty())) {
    return running;
  }
  SchedEntity* first = nullptr;
  for (SchedEntity* e : waiting_) {
    if ((first == nullptr || e->deadline < first->deadline) && may_run(*e)) {
      first = e;
    }
  }
  const bool stays =
      running != nullptr && (first == nullptr || running->deadline < first->deadline);
  return stays ? running : first;
}

Ps RunQueue::lag_of(const SchedEntity& e) const {
  const Ps limit = std::max(2 * slice_, tick_);
  return std::clamp(average() - e.vruntime, -limit, limit);
}

// update_curr(), as if at every tick up to now and at now.
void RunQueue::account(SimTime now) {
  if (idle() || now <= accounted_) {
    return;
  }
  SchedEntity& e = *current_;
  const auto renew = [this, &e](SimTime at) {
    e.deadline = e.vruntime + (at - accounted_) + slice_;
    e.keeps_slice = false;
  };
  bool over = false;
  for (;;) {
    const SimTime end = std::max(accounted_ + (e.deadline - e.vruntime), accounted_);
    const SimTime tick = tick_at_or_after(end);
    if (tick > now) {
      break;
    }
    renew(tick);
    over = true;
  }
  if (e.vruntime + (now - accounted_) >= e.deadline) {
    renew(now);
    over = true;
  }
  e.vruntime += now - accounted_;
  accounted_ = now;
  if (!waiting_.empty() && (over || (!e.keeps_slice && !eligible(e)))) {
    requested_ = true;
  }
}

// place_entity()
void RunQueue::place(SchedEntity& e) {
  const auto n = static_cast<std::int64_t>(count());
  const Ps lag = n == 0 ? Ps{0} : e.lag * (n + 1) / n;
  e.vruntime = average() - lag;
  if (std::exchange(e.relative_deadline, false)) {
    e.deadline += e.vruntime;
  } else {
    e.deadline = e.vruntime + (std::exchange(e.fresh, false) ? slice_ / 2 : slice_);
  }
}

void RunQueue::add(SchedEntity& e, SimTime now) {
  SMMULAB_ASSERT(!e.on_queue, "adds a thread that is on a queue");
  account(now);
  place(e);
  e.on_queue = true;
  waiting_.push_back(&e);
}

void RunQueue::add_delayed(SchedEntity& e, SimTime now) {
  account(now);
  e.delayed = false;
  if (lag_of(e) > Ps{0}) {
    std::erase(waiting_, &e);
    e.lag = Ps{0};
    place(e);
    waiting_.push_back(&e);
  }
}

// REQUIRES: e counts as on the queue still, and its vruntime is up to date.
void RunQueue::leave(SchedEntity& e) {
  e.lag = lag_of(e);
  last_average_ = average();
  if (std::exchange(e.delayed, false) && e.lag > Ps{0}) {
    e.lag = Ps{0};
  }
  e.on_queue = e.keeps_slice = false;
  if (current_ == &e) {
    current_ = nullptr;
  } else {
    std::erase(waiting_, &e);
  }
}

SchedEntity* RunQueue::pick(SimTime start) {
  requested_ = false;
  for (;;) {
    SchedEntity* const next = best();
    if (next == nullptr) {
      return nullptr;
    }
    if (next->delayed) {
      leave(*next);
      continue;
    }
    std::erase(waiting_, next);
    current_ = next;
    current_->keeps_slice = true;
    accounted_ = start;
    return next;
  }
}

bool RunQueue::keeps(SimTime now) {
  account(now);
  while (best()->delayed) {
    leave(*best());
  }
  if (best() != current_) {
    return false;
  }
  requested_ = false;
  current_->keeps_slice = true;
  return true;
}

void RunQueue::put_back(SimTime now) {
  account(now);
  current_->keeps_slice = false;
  waiting_.push_back(std::exchange(current_, nullptr));
}

void RunQueue::sleep(SimTime now) {
  account(now);
  if (eligible(*current_)) {
    leave(*current_);
    return;
  }
  current_->delayed = true;
  current_->keeps_slice = false;
  waiting_.push_back(std::exchange(current_, nullptr));
}

void RunQueue::exit(SimTime now) {
  account(now);
  leave(*current_);
}

void RunQueue::take(SchedEntity& e, SimTime now) {
  SMMULAB_ASSERT(e.on_queue && !e.delayed, "takes a thread away that does not wait");
  account(now);
  leave(e);
  e.deadline -= e.vruntime;
  e.relative_deadline = true;
}

SimTime RunQueue::next_tick_request(SimTime now) const {
  if (idle() || waiting_.empty()) {
    return kTimeMax;
  }
  const SchedEntity& e = *current_;
  SimTime due = accounted_ + (e.deadline - e.vruntime);
  if (!e.keeps_slice) {
    Ps ahead{0};  // of the others' average
    for (const SchedEntity* other : waiting_) {
      ahead += other->vruntime - e.vruntime;
    }
    due = std::min(due, accounted_ + ahead / static_cast<std::int64_t>(waiting_.size()) + Ps{1});
  }
  return tick_at_or_after(std::max(due, now));
}

}  // namespace smmulab::lnx

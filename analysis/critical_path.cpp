// SPDX-License-Identifier: Apache-2.0
#include "analysis/critical_path.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <tuple>
#include <utility>

#include <nlohmann/json.hpp>

namespace smmulab::analysis {
namespace {

// Thread, operation, state, lock class, object.
using Key = std::tuple<std::uint32_t, std::uint32_t, PathState, std::uint32_t, std::uint32_t>;

struct Sum {
  Ps total{0};
  Ps longest{0};
  std::uint64_t count = 0;
};

class Walker {
 public:
  explicit Walker(const Timelines& timelines)
      : timelines_(timelines), record_(timelines.record()) {}

  CriticalPath run();

 private:
  // The last thing of `thread_` before `event_` that had to wait; both null: none.
  struct Arrival {
    const Wait* wait = nullptr;
    const Away* away = nullptr;
  };
  [[nodiscard]] Arrival arrival() const;
  [[nodiscard]] SimTime time(std::uint64_t event) const { return record_[event].time; }
  [[nodiscard]] std::uint32_t class_of(std::uint32_t lock) const {
    return lock == kNoRecordId ? kNoRecordId : record_.lock_class(RecordLock{lock}).value();
  }

  [[nodiscard]] std::uint32_t lock_at(std::uint64_t event) const;

  void step();
  void charge(SimTime from, std::uint32_t op, PathState state, std::uint32_t lock_class,
              std::uint32_t object);
  void runs_since(std::uint64_t event);
  void go_to(std::uint32_t thread, std::uint64_t event);
  void came_from_wait(const Wait& wait);
  void came_from_away(const Away& away);
  [[nodiscard]] PathRow row(const Key& key, const Sum& sum) const;

  const Timelines& timelines_;
  const Record& record_;
  std::map<Key, Sum> sums_;
  std::uint64_t switches_ = 0;
  // Where the walk is: `thread_` just before `event_`; what is after `now_` is charged.
  std::uint32_t thread_ = kNoRecordId;
  std::uint64_t event_ = kNoEvent;
  SimTime now_{};
  bool done_ = false;
};

// Charges from `from` to now_, and goes back to `from`.
void Walker::charge(SimTime from, std::uint32_t op, PathState state, std::uint32_t lock_class,
                    std::uint32_t object) {
  if (from < now_) {
    Sum& sum = sums_[{thread_, op, state, lock_class, object}];
    sum.total += now_ - from;
    sum.longest = std::max(sum.longest, now_ - from);
    ++sum.count;
    now_ = from;
  }
}

// The lock that thread_ took last of those it holds then.
std::uint32_t Walker::lock_at(std::uint64_t event) const {
  const auto& contexts = timelines_.threads()[thread_].contexts;
  const auto it = std::lower_bound(contexts.begin(), contexts.end(), event,
                                   [](const Context& c, std::uint64_t e) { return c.event < e; });
  return it == contexts.begin() ? kNoRecordId : std::prev(it)->lock;
}

void Walker::go_to(std::uint32_t thread, std::uint64_t event) {
  switches_ += thread != thread_ ? 1U : 0U;
  thread_ = thread;
  event_ = event;
}

// The thread ran from `event` (kNoEvent: from the start) on.
void Walker::runs_since(std::uint64_t event) {
  const auto& contexts = timelines_.threads()[thread_].contexts;
  auto it = std::lower_bound(contexts.begin(), contexts.end(), event_,
                             [](const Context& c, std::uint64_t e) { return c.event < e; });
  const SimTime start = event == kNoEvent ? SimTime{} : time(event);
  while (it != contexts.begin()) {
    --it;
    const bool before = event != kNoEvent && it->event <= event;
    charge(before ? start : time(it->event), it->op, PathState::kRuns, class_of(it->lock),
           kNoRecordId);
    if (before) {
      return;
    }
  }
  charge(start, kNoRecordId, PathState::kRuns, kNoRecordId, kNoRecordId);
}

Walker::Arrival Walker::arrival() const {
  const Timelines::Thread& line = timelines_.threads()[thread_];
  const auto away_end = std::lower_bound(line.away.begin(), line.away.end(), event_,
                                         [](const Away& a, std::uint64_t e) { return a.on < e; });
  const Away* away = away_end == line.away.begin() ? nullptr : &*std::prev(away_end);
  auto wait = std::lower_bound(line.waits.begin(), line.waits.end(), event_,
                               [](const Wait& w, std::uint64_t e) { return w.end < e; });
  while (wait != line.waits.begin()) {
    --wait;
    const std::uint64_t cause = wait->lock ? wait->enabler : wait->begin;
    if (cause == kNoEvent) {
      continue;  // nobody had to let it in
    }
    if (away == nullptr || away->on < cause) {
      return {&*wait, nullptr};
    }
    break;  // it came back to its CPU later
  }
  return {nullptr, away};
}

void Walker::came_from_wait(const Wait& wait) {
  runs_since(wait.end);
  if (!wait.lock) {
    charge(wait.from, wait.op, PathState::kWaits, class_of(lock_at(wait.begin)), wait.object);
    go_to(thread_, wait.begin);
    return;
  }
  charge(time(wait.enabler), wait.op, PathState::kHandedOver, class_of(wait.object), kNoRecordId);
  go_to(record_[wait.enabler].thread, wait.enabler);
}

void Walker::came_from_away(const Away& away) {
  runs_since(away.on);
  const bool woken = away.wake != kNoEvent && record_[away.wake].peer != kNoRecordId;
  const bool queued =
      away.freed != kNoEvent && (away.runnable || (woken && away.freed > away.wake));
  if (queued) {
    charge(time(away.freed), away.op, PathState::kNeedsCpu, kNoRecordId, kNoRecordId);
    go_to(record_[away.freed].thread, away.freed);
  } else if (woken) {
    charge(time(away.wake), away.op, PathState::kWakes, kNoRecordId, kNoRecordId);
    go_to(record_[away.wake].peer, away.wake);
  } else if (away.off == kNoEvent) {
    charge(SimTime{}, away.op, PathState::kWakes, kNoRecordId, kNoRecordId);
    done_ = true;
  } else {
    charge(away.from, away.op, PathState::kAsleep, kNoRecordId, kNoRecordId);
    go_to(thread_, away.off);
  }
}

void Walker::step() {
  const Arrival last = arrival();
  if (last.wait != nullptr) {
    came_from_wait(*last.wait);
  } else if (last.away != nullptr) {
    came_from_away(*last.away);
  } else {
    runs_since(kNoEvent);
    done_ = true;
  }
}

PathRow Walker::row(const Key& key, const Sum& sum) const {
  const auto& [thread, op, state, lock_class, object] = key;
  return {.thread = record_.name(RecordThread{thread}),
          .op = op == kNoRecordId ? "" : record_.name(RecordOp{op}),
          .state = state,
          .lock_class = lock_class == kNoRecordId ? "" : record_.name(RecordLockClass{lock_class}),
          .awaited = object == kNoRecordId ? "" : record_.name(RecordObject{object}),
          .total = sum.total,
          .longest = sum.longest,
          .count = sum.count};
}

CriticalPath Walker::run() {
  CriticalPath path;
  std::uint64_t last = record_.size();
  while (last != 0 && record_[last - 1].thread >= timelines_.threads().size()) {
    --last;
  }
  if (last == 0) {
    return path;
  }
  event_ = last - 1;
  thread_ = record_[event_].thread;
  now_ = time(event_);
  path.end = now_;
  while (!done_) {
    step();
  }
  path.switches = switches_;
  for (const auto& [key, sum] : sums_) {
    path.rows.push_back(row(key, sum));
    path.length += sum.total;
  }
  const auto order = [](const PathRow& r) {
    return std::tuple(-r.total.count(), std::tie(r.thread, r.op, r.state, r.lock_class, r.awaited));
  };
  std::sort(path.rows.begin(), path.rows.end(),
            [&order](const PathRow& a, const PathRow& b) { return order(a) < order(b); });
  return path;
}

}  // namespace

CriticalPath critical_path(const Timelines& timelines) {
  return Walker(timelines).run();
}

std::string to_json(const CriticalPath& path) {
  constexpr std::array<const char*, 6> kStates = {"runs",     "handed over", "waits",
                                                  "wakes up", "needs CPU",   "asleep"};
  nlohmann::json rows = nlohmann::json::array();
  for (const PathRow& r : path.rows) {
    rows.push_back({{"thread", r.thread},
                    {"op", r.op},
                    {"state", kStates.at(static_cast<std::size_t>(r.state))},
                    {"lock_class", r.lock_class},
                    {"awaited", r.awaited},
                    {"total_ps", r.total.count()},
                    {"longest_ps", r.longest.count()},
                    {"count", r.count}});
  }
  return nlohmann::json{{"rows", std::move(rows)},
                        {"length_ps", path.length.count()},
                        {"end_ps", path.end.time_since_epoch().count()},
                        {"switches", path.switches}}
      .dump();
}

}  // namespace smmulab::analysis

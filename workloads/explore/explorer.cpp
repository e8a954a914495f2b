// SPDX-License-Identifier: Apache-2.0
#include "workloads/explore/explorer.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

#include "sim/error.hpp"
#include "workloads/explore/races.hpp"
#include "workloads/explore/verdict.hpp"

namespace smmulab::explore {
namespace {

// A thread whose step from a place has been tried there, or before, with what it touched.
struct Sleeper {
  std::size_t thread;
  Footprint footprint;
};

// A place in the tree of schedules: the state before a step.
struct Node {
  ThreadMask enabled = 0;
  ThreadMask backtrack = 0;  // to be tried, or tried
  ThreadMask done = 0;       // tried, the chosen one included
  std::size_t chosen = 0;
  std::vector<Sleeper> asleep;  // tried before, or before this place
};

ThreadMask mask_of(const std::vector<Sleeper>& asleep) {
  ThreadMask mask = 0;
  for (const Sleeper& sleeper : asleep) {
    mask |= bit(sleeper.thread);
  }
  return mask;
}

std::size_t switches(const Schedule& schedule) {
  std::size_t count = 0;
  for (std::size_t i = 1; i < schedule.size(); ++i) {
    count += schedule[i] != schedule[i - 1] ? 1U : 0U;
  }
  return count;
}

class Explorer final : public Chooser {
 public:
  Explorer(const Program& program, const ExploreOptions& options)
      : program_(program), options_(options) {}

  ExploreResult run();
  int choose(ThreadMask enabled) override;

 private:
  void run_once();
  void note(std::vector<Failure> failures);
  void count_orders();
  void find_races();
  bool next_prefix();

  const Program& program_;
  const ExploreOptions& options_;
  ExploreResult result_;
  Scheduler scheduler_;
  RaceFinder races_;
  std::vector<Node> nodes_;  // the first depth_ are in use
  std::size_t depth_ = 0;
  std::size_t prefix_ = 0;  // of these the choice is made
};

int Explorer::choose(ThreadMask enabled) {
  const std::size_t at = scheduler_.size();
  if (at < prefix_) {
    SMMULAB_CHECK(nodes_[at].enabled == enabled, "explore: a run is not like the one before");
    return static_cast<int>(nodes_[at].chosen);
  }
  if (at == nodes_.size()) {
    nodes_.emplace_back();
  }
  Node& node = nodes_[at];
  depth_ = at + 1;
  node.enabled = enabled;
  node.asleep.clear();
  std::size_t previous = 0;
  if (at > 0) {
    const Step& step = scheduler_.step(at - 1);
    previous = step.thread;
    for (const Sleeper& sleeper : nodes_[at - 1].asleep) {
      if (sleeper.thread != step.thread && independent(sleeper.footprint, step.footprint)) {
        node.asleep.push_back(sleeper);
      }
    }
  }
  const ThreadMask awake = enabled & ~mask_of(node.asleep);
  if (awake == 0) {
    --depth_;
    return -1;
  }
  node.chosen =
      (awake & bit(previous)) != 0 ? previous : static_cast<std::size_t>(std::countr_zero(awake));
  node.done = bit(node.chosen);
  node.backtrack = options_.reduce ? node.done : enabled;
  return static_cast<int>(node.chosen);
}

void Explorer::run_once() {
  std::vector<Failure> failures =
      run_program(program_, scheduler_, *this, [this](Run& run, Scheduler::End end) {
        if (options_.at_end && end != Scheduler::End::kStopped) {
          options_.at_end(run, end);
        }
      });
  result_.steps += scheduler_.size();
  if (scheduler_.end() == Scheduler::End::kStopped) {
    ++result_.cut;
  } else {
    ++result_.schedules;
    count_orders();
  }
  note(std::move(failures));
}

// (sum of steps)! / product of (steps)!
void Explorer::count_orders() {
  if (scheduler_.size() <= result_.longest) {
    return;
  }
  result_.longest = scheduler_.size();
  std::array<std::size_t, kMaxThreads> steps{};
  for (std::size_t i = 0; i < scheduler_.size(); ++i) {
    ++steps[scheduler_.step(i).thread];
  }
  double log_orders = std::lgamma(static_cast<double>(scheduler_.size()) + 1);
  for (const std::size_t n : steps) {
    log_orders -= std::lgamma(static_cast<double>(n) + 1);
  }
  result_.orders = std::round(std::exp(log_orders));
}

void Explorer::note(std::vector<Failure> failures) {
  for (Failure& failure : failures) {
    const auto known = std::ranges::find_if(result_.failures, [&failure](const Failure& f) {
      return f.kind == failure.kind && f.id == failure.id;
    });
    if (known == result_.failures.end()) {
      result_.failures.push_back(std::move(failure));
      continue;
    }
    ++known->schedules;
    const auto length = [](const Schedule& s) { return std::pair{s.size(), switches(s)}; };
    if (length(failure.schedule) < length(known->schedule)) {
      known->schedule = std::move(failure.schedule);
      known->message = std::move(failure.message);
    }
  }
}

void Explorer::find_races() {
  const std::size_t first = prefix_ == 0 ? 0 : prefix_ - 1;
  races_.find(scheduler_, program_.threads.size(), first, [this](const Race& race) {
    Node& node = nodes_[race.at];
    if ((race.any & (node.backtrack | mask_of(node.asleep))) != 0) {
      return;
    }
    ThreadMask some = race.best & node.enabled;
    if (some == 0) {
      some = race.any & node.enabled;
    }
    node.backtrack |= some != 0 ? some & (~some + 1) : node.enabled;
  });
}

// To the deepest place where something is left to try. False: everything was.
bool Explorer::next_prefix() {
  while (depth_ > 0) {
    Node& node = nodes_[depth_ - 1];
    const ThreadMask left = node.backtrack & ~node.done & ~mask_of(node.asleep);
    if (left != 0) {
      if (options_.reduce) {
        node.asleep.push_back({node.chosen, scheduler_.step(depth_ - 1).footprint});
      }
      node.chosen = static_cast<std::size_t>(std::countr_zero(left));
      node.done |= bit(node.chosen);
      prefix_ = depth_;
      return true;
    }
    result_.skipped += static_cast<std::uint64_t>(std::popcount(node.enabled & ~node.done));
    --depth_;
  }
  return false;
}

ExploreResult Explorer::run() {
  constexpr std::uint64_t kEvery = 1U << 12U;
  for (std::uint64_t runs = 0;; ++runs) {
    if (result_.schedules >= options_.max_schedules) {
      result_.exhaustive = false;
      break;
    }
    if (options_.progress && runs % kEvery == kEvery - 1 && !options_.progress(runs)) {
      throw Interrupted(fmt::format("interrupted after {} schedules", runs));
    }
    run_once();
    if (options_.reduce) {
      find_races();
    }
    if (!next_prefix()) {
      break;
    }
  }
  std::ranges::stable_sort(result_.failures, [](const Failure& a, const Failure& b) {
    return a.schedule.size() < b.schedule.size();
  });
  return std::move(result_);
}

class Replay final : public Chooser {
 public:
  Replay(const Scheduler& scheduler, const Schedule& schedule)
      : scheduler_(scheduler), schedule_(schedule) {}
  int choose(ThreadMask enabled) override {
    const std::size_t at = scheduler_.size();
    if (at >= schedule_.size()) {
      return std::countr_zero(enabled);
    }
    if ((enabled & bit(schedule_[at])) == 0) {
      refused_ = fmt::format("schedule: thread {} cannot take step {}", schedule_[at], at);
      return -1;
    }
    return schedule_[at];
  }
  [[nodiscard]] const std::string& refused() const { return refused_; }

 private:
  const Scheduler& scheduler_;
  const Schedule& schedule_;
  std::string refused_;
};

}  // namespace

std::string_view failure_name(FailureKind kind) {
  switch (kind) {
    case FailureKind::kDeadlock:
      return "deadlock";
    case FailureKind::kLostWakeUp:
      return "lost wake-up";
    case FailureKind::kWrongState:
      return "wrong state";
    case FailureKind::kModelError:
      return "model error";
  }
  return "";
}

ExploreResult explore(const Program& program, const ExploreOptions& options) {
  return Explorer(program, options).run();
}

ReplayedSchedule replay_schedule(const Program& program, const Schedule& schedule) {
  Scheduler scheduler;
  scheduler.set_logging(true);
  Replay replay(scheduler, schedule);
  ReplayedSchedule replayed;
  replayed.failures = run_program(program, scheduler, replay, {});
  if (!replay.refused().empty()) {
    throw ConfigError(replay.refused());
  }
  replayed.lines = scheduler.log();
  return replayed;
}

std::string schedule_text(const Schedule& schedule) {
  std::string text;
  for (std::size_t i = 0; i < schedule.size();) {
    std::size_t end = i;
    while (end < schedule.size() && schedule[end] == schedule[i]) {
      ++end;
    }
    text += fmt::format("{}{}*{}", text.empty() ? "" : ",", schedule[i], end - i);
    i = end;
  }
  return text;
}

Schedule parse_schedule(std::string_view text, std::size_t threads) {
  Schedule schedule;
  const char* at = text.data();
  const char* const end = at + text.size();
  constexpr std::size_t kMost = 100'000;
  while (at != end) {
    std::size_t thread = 0;
    std::size_t count = 0;
    auto parsed = std::from_chars(at, end, thread);
    bool good = parsed.ec == std::errc{} && parsed.ptr != end && *parsed.ptr == '*';
    if (good) {
      parsed = std::from_chars(parsed.ptr + 1, end, count);
      good = parsed.ec == std::errc{} && thread < threads && count > 0 &&
             schedule.size() + count <= kMost &&
             (parsed.ptr == end || (*parsed.ptr == ',' && parsed.ptr + 1 != end));
    }
    if (!good) {
      throw ConfigError(
          fmt::format("schedule '{}': expected THREAD*STEPS,THREAD*STEPS,..., threads 0 to {}",
                      text, threads - 1));
    }
    schedule.insert(schedule.end(), count, static_cast<std::uint8_t>(thread));
    at = parsed.ptr == end ? end : parsed.ptr + 1;
  }
  return schedule;
}

}  // namespace smmulab::explore

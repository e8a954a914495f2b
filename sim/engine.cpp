// SPDX-License-Identifier: Apache-2.0
#include "sim/engine.hpp"

#include <algorithm>
#include <cstddef>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "sim/error.hpp"

namespace smmulab {
namespace {

// A hint only: the frame may be gone already.
void prefetch_frame(const void* frame) {
  constexpr std::size_t kCacheLine = 64;
  __builtin_prefetch(frame);
  __builtin_prefetch(static_cast<const std::byte*>(frame) + kCacheLine);
}

}  // namespace

Engine::Engine() : reaper_(reaper()) {
  reaper_.handle().resume();
}

Engine::~Engine() {
  tearing_down_ = true;
  for (Process& p : processes_) {
    p.root_ = {};
  }
}

Process& Engine::spawn(Task<void> task, SpawnOptions options) {
  SMMULAB_CHECK(task.valid(), "spawn of an empty task");
  Process* p = nullptr;
  if (free_.empty()) {
    p = &processes_.emplace_back();
  } else {
    p = free_.back();
    free_.pop_back();
  }
  p->id_ = ProcessId{next_id_++};
  p->name_ = std::move(options.name);
  p->component_ = std::move(options.component);
  p->daemon_ = options.daemon;
  p->waiting_for_ = nullptr;
  p->backend_ = nullptr;
  p->root_ = std::move(task);
  p->root_.handle().promise().continuation = reaper_.handle();
  p->resume_point_ = p->root_.handle();
  p->state_ = Process::State::kScheduled;
  p->wake_ = Process::Wake::kTimer;
  if (!p->daemon_) {
    ++live_;
  }
  schedule(*p, now_ + options.start_after, Priority::kNormal);
  return *p;
}

// Every outermost task continues here when it ends: no test per step is needed to see that.
Task<void> Engine::reaper() {
  for (;;) {
    co_await std::suspend_always{};
    finish_current();
  }
}

void Engine::finish_current() {
  Process& p = *current_;
  p.state_ = Process::State::kDone;
  p.pending_ = 0;
  if (const std::exception_ptr exception = p.root_.exception()) {
    try {
      try {
        std::rethrow_exception(exception);
      } catch (const std::exception& e) {
        std::throw_with_nested(
            ModelError(fmt::format("{} [at {} ps, thread {}, component {}]", e.what(), to_ps(now_),
                                   p.name_, p.component_)));
      }
    } catch (...) {
      failure_ = std::current_exception();
    }
  }
  p.root_ = {};
  if (!p.daemon_) {
    --live_;
  }
  if (backend_ == nullptr) {
    free_.push_back(&p);
  }
}

void Engine::step(const Event& event) {
  Process& p = *event.process;
  now_ = event.time;
  current_ = &p;
  p.pending_ = 0;
  p.waiting_for_ = nullptr;
  p.state_ = Process::State::kRunning;
  run_ahead_ = kRunAhead;
  if (++events_ >= next_check_) [[unlikely]] {
    check_interrupt();
  }
  p.resume_point_.resume();
}

void Engine::check_interrupt() {
  next_check_ = events_ + check_every_;
  if (interrupt_check_ && interrupt_check_()) {
    throw Interrupted(fmt::format("interrupted at {} ps of simulated time", to_ps(now_)));
  }
}

void Engine::set_interrupt_check(std::function<bool()> check, std::uint32_t every_events) {
  interrupt_check_ = std::move(check);
  check_every_ = std::max(every_events, 1U);
  next_check_ =
      interrupt_check_ ? events_ + check_every_ : std::numeric_limits<std::uint64_t>::max();
}

void Engine::run() {
  run_until(kTimeMax);
}

RunEnd Engine::run_until(SimTime limit) {
  SMMULAB_CHECK(limit >= now_, "run_until a time that is over");
  limit_ = limit;
  if (backend_ != nullptr) {
    backend_->execute();
  } else {
    run_native();
  }
  if (failure_) {
    std::rethrow_exception(std::exchange(failure_, nullptr));
  }
  if (live_ == 0) {
    return RunEnd::kFinished;
  }
  const bool blocked = std::none_of(processes_.begin(), processes_.end(), [](const Process& p) {
    return p.state_ != Process::State::kDone && p.pending_ != 0;
  });
  if (blocked) {
    throw_deadlock();
  }
  now_ = limit;
  return RunEnd::kTimeLimit;
}

void Engine::run_native() {
  while (!finished() && !heap_.empty()) {
    const Event event = heap_.top();
    if (event.process->pending_ != event.order) {  // overtaken by an unpark
      heap_.pop();
      continue;
    }
    if (event.time > limit_) {
      return;
    }
    heap_.pop();
    if (!heap_.empty()) {
      // Most likely the next to run: with thousands of processes its frame is in no near cache.
      prefetch_frame(heap_.top().process->resume_point_.address());
    }
    step(event);
  }
}

// A depth-first search from each waiter over who could end its wait: one that is met again on the
// way closes a cycle. Empty: there is none.
std::vector<const Process*> Engine::cycle_among(const std::vector<const Process*>& waiting) {
  struct Visit {
    std::vector<const Process*> holders;
    std::size_t next = 0;
  };
  std::vector<const Process*> path;
  std::vector<Visit> visits;  // of those in `path`
  std::set<const Process*> known;
  const auto enter = [&](const Process* p) {
    if (p->waiting_for_ != nullptr && known.insert(p).second) {
      path.push_back(p);
      p->waiting_for_->wait_holders(visits.emplace_back().holders);
    }
  };
  for (const Process* start : waiting) {
    enter(start);
    while (!path.empty()) {
      Visit& visit = visits.back();
      if (visit.next == visit.holders.size()) {
        path.pop_back();
        visits.pop_back();
        continue;
      }
      const Process* const holder = visit.holders[visit.next++];
      const auto first = std::find(path.begin(), path.end(), holder);
      if (first != path.end()) {
        return {first, path.end()};
      }
      enter(holder);
    }
  }
  return {};
}

void Engine::throw_deadlock() const {
  std::vector<const Process*> waiting;
  for (const Process& p : processes_) {
    if (p.state_ == Process::State::kParked && !p.daemon_) {
      waiting.push_back(&p);
    }
  }
  std::sort(waiting.begin(), waiting.end(),
            [](const Process* a, const Process* b) { return a->id_ < b->id_; });
  std::vector<std::string> cycle;
  for (const Process* p : cycle_among(waiting)) {
    cycle.push_back(p->name_);
    cycle.push_back(p->waiting_for_->wait_name());
  }
  if (!cycle.empty()) {
    cycle.push_back(cycle.front());
  }
  std::string message = fmt::format("deadlock at {} ps", to_ps(now_));
  if (!cycle.empty()) {
    message += ": " + fmt::format("{}", fmt::join(cycle, " -> "));
  }
  constexpr std::size_t kListed = 16;
  for (std::size_t i = 0; i < waiting.size() && i < kListed; ++i) {
    const Process* p = waiting[i];
    message += fmt::format("; {} waits for {}", p->name_,
                           p->waiting_for_ != nullptr ? p->waiting_for_->wait_name() : "a wake-up");
  }
  if (waiting.size() > kListed) {
    message += fmt::format("; and {} more", waiting.size() - kListed);
  }
  throw DeadlockError(message, std::move(cycle));
}

}  // namespace smmulab

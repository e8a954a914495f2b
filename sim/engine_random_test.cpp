// SPDX-License-Identifier: Apache-2.0
// Random programs of delays, parks, deadlines, unparks and spawns, run by the engine and by a plain
// reference scheduler (a sorted map, no shortcuts); both must tell the same story, event by event.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "sim/engine.hpp"
#include "sim/error.hpp"

namespace smmulab {
namespace {

enum class Op : std::uint8_t { kDelay, kPark, kParkUntil, kUnpark, kSpawn, kEnd };

struct Action {
  Op op;
  Ps duration;
  Priority priority;
  std::size_t target;
};

// What both schedulers share: who is parked, what each process does next, and the story so far. The
// next action hangs on everything that happened before, so that one wrong step changes all the
// rest.
class Program {
 public:
  explicit Program(std::uint64_t seed) : state_(seed * 2 + 1) {}

  std::size_t add_process() {
    steps_left_.push_back(5 + draw(60));
    parked_.push_back(false);
    return parked_.size() - 1;
  }
  void woke(std::size_t who, SimTime when, bool unparked) {
    parked_[who] = false;
    story_.push_back(fmt::format("{} {} {}", to_ps(when), who, unparked));
    state_ += static_cast<std::uint64_t>(to_ps(when)) * 31 + who;
  }
  Action next(std::size_t who) {
    if (steps_left_[who]-- == 0) {
      return {Op::kEnd, Ps{0}, Priority::kNormal, 0};
    }
    constexpr std::array kPriorities{Priority::kFirst, Priority::kHardware, Priority::kNormal,
                                     Priority::kNormal, Priority::kLast};
    // Mostly tiny, so that ties abound; sometimes far, so that stale deadlines pile up.
    const Ps duration{static_cast<std::int64_t>(draw(8) == 0 ? draw(1000) : draw(4))};
    const Priority priority = kPriorities.at(draw(kPriorities.size()));
    const std::uint64_t choice = draw(16);
    const std::size_t parked = parked_one();
    if (choice < 6 && parked != kNobody) {
      parked_[parked] = false;
      return {Op::kUnpark, duration, priority, parked};
    }
    if (choice == 6 && parked_.size() < 60) {
      return {Op::kSpawn, duration, priority, add_process()};
    }
    if (choice < 11) {
      return {Op::kDelay, duration, priority, 0};
    }
    parked_[who] = true;
    return {choice < 13 ? Op::kPark : Op::kParkUntil, duration, priority, 0};
  }
  void ended(const std::string& how, SimTime when) {
    story_.push_back(fmt::format("{} at {}", how, to_ps(when)));
  }
  [[nodiscard]] const std::vector<std::string>& story() const { return story_; }

 private:
  static constexpr std::size_t kNobody = std::numeric_limits<std::size_t>::max();

  std::uint64_t draw(std::uint64_t below) {
    state_ = state_ * 6'364'136'223'846'793'005U + 1'442'695'040'888'963'407U;
    return (state_ >> 33U) % below;
  }
  // A parked process, searched from a random place.
  std::size_t parked_one() {
    const std::size_t start = draw(parked_.size());
    for (std::size_t i = 0; i < parked_.size(); ++i) {
      const std::size_t who = (start + i) % parked_.size();
      if (parked_[who]) {
        return who;
      }
    }
    return kNobody;
  }

  std::uint64_t state_;
  std::vector<std::uint64_t> steps_left_;
  std::vector<bool> parked_;
  std::vector<std::string> story_;
};

bool is_daemon(std::size_t who) {
  return who % 7 == 3;
}
constexpr std::size_t kFirstProcesses = 12;

class EngineRun {
 public:
  explicit EngineRun(Program* program) : program_(program) {
    for (std::size_t i = 0; i < kFirstProcesses; ++i) {
      spawn(program_->add_process(), Ps{0});
    }
  }
  // In slices of simulated time; 0: in one go.
  void run(Ps slice) {
    try {
      SimTime limit = slice == Ps{0} ? kTimeMax : kTimeZero;
      while (engine_.run_until(limit) == RunEnd::kTimeLimit) {
        limit += slice;
      }
      program_->ended("finished", engine_.now());
    } catch (const DeadlockError&) {
      program_->ended("deadlock", engine_.now());
    }
  }
  [[nodiscard]] std::uint64_t events() const { return engine_.events(); }

 private:
  void spawn(std::size_t who, Ps after) {
    processes_.push_back(
        &engine_.spawn(body(who), {std::to_string(who), "", after, is_daemon(who)}));
  }
  Task<> body(std::size_t who) {
    program_->woke(who, engine_.now(), false);
    for (;;) {
      const Action action = program_->next(who);
      bool unparked = false;
      switch (action.op) {
        case Op::kDelay:
          co_await engine_.delay(action.duration, action.priority);
          break;
        case Op::kPark:
          unparked = co_await engine_.park();
          break;
        case Op::kParkUntil:
          unparked = co_await engine_.park_until(engine_.now() + action.duration, nullptr,
                                                 action.priority);
          break;
        case Op::kUnpark:
          engine_.unpark(*processes_[action.target], action.duration, action.priority);
          continue;
        case Op::kSpawn:
          spawn(action.target, action.duration);
          continue;
        case Op::kEnd:
          co_return;
      }
      program_->woke(who, engine_.now(), unparked);
    }
  }

  Program* program_;
  Engine engine_;
  std::vector<Process*> processes_;
};

// The rule in its plainest form: everything due in one sorted map, a cancelled deadline is erased.
class ReferenceRun {
 public:
  explicit ReferenceRun(Program* program) : program_(program) {
    for (std::size_t i = 0; i < kFirstProcesses; ++i) {
      spawn(program_->add_process(), Ps{0});
    }
  }
  void run() {
    while (live_ > 0 && !due_.empty()) {
      const auto [key, wake] = *due_.begin();
      due_.erase(due_.begin());
      now_ = std::get<0>(key);
      program_->woke(wake.who, now_, wake.unparked);
      step(wake.who);
    }
    program_->ended(live_ > 0 ? "deadlock" : "finished", now_);
  }

 private:
  using Key = std::tuple<SimTime, Priority, std::uint64_t>;
  struct Wake {
    std::size_t who;
    bool unparked;
  };

  void schedule(std::size_t who, Ps after, Priority priority, bool unparked) {
    keys_.at(who) = {now_ + after, priority, ++sequence_};
    due_[keys_.at(who)] = {who, unparked};
  }
  void spawn(std::size_t who, Ps after) {
    keys_.resize(who + 1);
    live_ += is_daemon(who) ? 0 : 1;
    schedule(who, after, Priority::kNormal, false);
  }
  void step(std::size_t who) {
    for (;;) {
      const Action action = program_->next(who);
      switch (action.op) {
        case Op::kDelay:
        case Op::kParkUntil:
          schedule(who, action.duration, action.priority, false);
          return;
        case Op::kPark:
          return;
        case Op::kUnpark:
          due_.erase(keys_.at(action.target));
          schedule(action.target, action.duration, action.priority, true);
          break;
        case Op::kSpawn:
          spawn(action.target, action.duration);
          break;
        case Op::kEnd:
          live_ -= is_daemon(who) ? 0 : 1;
          return;
      }
    }
  }

  Program* program_;
  SimTime now_{};
  std::uint64_t sequence_ = 0;
  int live_ = 0;
  std::map<Key, Wake> due_;
  std::vector<Key> keys_;
};

std::vector<std::string> engine_story(std::uint64_t seed, Ps slice = Ps{0}) {
  Program program(seed);
  EngineRun run(&program);
  run.run(slice);
  EXPECT_EQ(run.events() + 1, program.story().size());  // and how it ended
  return program.story();
}

constexpr std::uint64_t kSeeds = 100;

TEST(EngineRandom, AgreesWithTheReferenceScheduler) {
  std::size_t longest = 0;
  int deadlocks = 0;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    Program program(seed);
    ReferenceRun(&program).run();
    ASSERT_EQ(engine_story(seed), program.story()) << "seed " << seed;
    longest = std::max(longest, program.story().size());
    deadlocks += program.story().back().starts_with("deadlock") ? 1 : 0;
  }
  // The programs are worth the name, and both ends occur.
  EXPECT_GT(longest, 500U);
  EXPECT_GT(deadlocks, 10);
  EXPECT_LT(deadlocks, static_cast<int>(kSeeds) - 10);
}

TEST(EngineRandom, TwoRunsAreEqual) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    ASSERT_EQ(engine_story(seed), engine_story(seed)) << "seed " << seed;
  }
  EXPECT_NE(engine_story(1), engine_story(2));
}

TEST(EngineRandom, SlicesOfTimeChangeNothing) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const auto whole = engine_story(seed);
    ASSERT_EQ(engine_story(seed, Ps{1}), whole) << "seed " << seed;
    ASSERT_EQ(engine_story(seed, Ps{17}), whole) << "seed " << seed;
  }
}

}  // namespace
}  // namespace smmulab

// SPDX-License-Identifier: Apache-2.0
// The engine's verbs: time, order, parking, spawning, daemons, limits. Errors are in
// engine_error_test.cpp, random programs in engine_random_test.cpp.
#include "sim/engine.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "sim/error.hpp"

namespace smmulab {
namespace {

using Log = std::vector<std::string>;

constexpr SimTime at_ps(std::int64_t ps) {
  return SimTime{Ps{ps}};
}

class EngineTest : public testing::Test {
 protected:
  Process& start(std::string name, Task<> task, Ps after = Ps{0}, bool daemon = false) {
    return engine_.spawn(std::move(task), {std::move(name), "test", after, daemon});
  }
  void note(const std::string& what) {
    log_.push_back(fmt::format("{} {}@{}", engine_.current().name(), what, to_ps(engine_.now())));
  }

  Task<> sleeper(std::vector<int> delays, Priority priority = Priority::kNormal) {
    note("start");
    for (const int d : delays) {
      co_await engine_.delay(Ps{d}, priority);
      note("wake");
    }
  }
  Task<> parker() {
    const bool unparked = co_await engine_.park();
    note(unparked ? "unparked" : "timeout");
  }
  Task<> waiter(std::vector<std::int64_t> deadlines) {
    for (const std::int64_t deadline : deadlines) {
      const bool unparked = co_await engine_.park_until(at_ps(deadline));
      note(unparked ? "unparked" : "timeout");
    }
  }
  Task<> waker(Process* target, Ps before, Ps after = Ps{0},
               Priority priority = Priority::kNormal) {
    co_await engine_.delay(before);
    engine_.unpark(*target, after, priority);
    note("unpark");
  }
  static std::string model_error_of(const std::function<void()>& action) {
    try {
      action();
    } catch (const ModelError& e) {
      return e.what();
    }
    return "no error";
  }

  Log log_;
  Engine engine_;
};

TEST_F(EngineTest, StartsAtZeroAndEndsAtTheLastStep) {
  EXPECT_EQ(engine_.now(), kTimeZero);
  engine_.run();  // nothing to do
  EXPECT_EQ(engine_.now(), kTimeZero);
  start("a", sleeper({5, 7}));
  engine_.run();
  EXPECT_EQ(engine_.now(), at_ps(12));
  EXPECT_EQ(log_, (Log{"a start@0", "a wake@5", "a wake@12"}));
  EXPECT_EQ(engine_.events(), 3U);
  EXPECT_STREQ(engine_.name(), "native");
}

TEST_F(EngineTest, EqualTimesRunInTheOrderOfTheCalls) {
  start("a", sleeper({10, 0}));
  start("b", sleeper({10}));
  start("c", sleeper({4, 6}), Ps{0});
  engine_.run();
  EXPECT_EQ(log_, (Log{"a start@0", "b start@0", "c start@0", "c wake@4", "a wake@10", "b wake@10",
                       "c wake@10", "a wake@10"}));
}

TEST_F(EngineTest, PriorityComesBeforeSequence) {
  start("normal", sleeper({10}, Priority::kNormal));
  start("last", sleeper({10}, Priority::kLast));
  start("first", sleeper({10}, Priority::kFirst));
  start("hardware", sleeper({10}, Priority::kHardware));
  start("soon", sleeper({9}, Priority::kLast));  // time comes before priority
  engine_.run();
  EXPECT_EQ(log_, (Log{"normal start@0", "last start@0", "first start@0", "hardware start@0",
                       "soon start@0", "soon wake@9", "first wake@10", "hardware wake@10",
                       "normal wake@10", "last wake@10"}));
}

TEST_F(EngineTest, ZeroDelayLetsDueOnesRunFirst) {
  start("a", sleeper({0, 0}));
  start("b", sleeper({0}));
  engine_.run();
  EXPECT_EQ(log_, (Log{"a start@0", "b start@0", "a wake@0", "b wake@0", "a wake@0"}));
}

// A lone process goes on without the heap; it must not pass anything that is due at the same time.
TEST_F(EngineTest, RunAheadStopsAtATie) {
  start("b", sleeper({}), Ps{10});
  start("a", sleeper({9, 1, 1}));
  engine_.run();
  EXPECT_EQ(log_, (Log{"a start@0", "a wake@9", "b start@10", "a wake@10", "a wake@11"}));
}

TEST_F(EngineTest, RunAheadKeepsThePriorityAtATie) {
  start("b", sleeper({}), Ps{10});
  start("a", sleeper({10}, Priority::kFirst));
  engine_.run();
  EXPECT_EQ(log_, (Log{"a start@0", "a wake@10", "b start@10"}));
}

TEST_F(EngineTest, RunAheadGoesOnForLongAndCountsEveryStep) {
  start("a", sleeper(std::vector<int>(5000, 1)));
  engine_.run();
  EXPECT_EQ(engine_.now(), at_ps(5000));
  EXPECT_EQ(engine_.events(), 5001U);
  EXPECT_EQ(log_.size(), 5001U);
}

TEST_F(EngineTest, UnparkEndsAPark) {
  Process& a = start("a", parker());
  start("b", waker(&a, Ps{7}, Ps{3}));
  EXPECT_FALSE(a.parked());
  EXPECT_EQ(engine_.run_until(at_ps(5)), RunEnd::kTimeLimit);
  EXPECT_TRUE(a.parked());
  EXPECT_EQ(a.state(), Process::State::kParked);
  EXPECT_EQ(engine_.run_until(at_ps(8)), RunEnd::kTimeLimit);
  EXPECT_EQ(a.state(), Process::State::kScheduled);
  engine_.run();
  EXPECT_EQ(log_, (Log{"b unpark@7", "a unparked@10"}));
}

TEST_F(EngineTest, UnparkHasAPriority) {
  Process& a = start("a", parker());
  Process& b = start("b", parker());
  start("c", waker(&a, Ps{5}, Ps{1}, Priority::kLast));
  start("d", waker(&b, Ps{5}, Ps{1}, Priority::kHardware));
  engine_.run();
  EXPECT_EQ(log_, (Log{"c unpark@5", "d unpark@5", "b unparked@6", "a unparked@6"}));
}

TEST_F(EngineTest, ParkUntilHasTwoOutcomes) {
  Process& a = start("a", waiter({20}));
  start("b", waiter({20}));
  start("c", waker(&a, Ps{19}));
  engine_.run();
  EXPECT_EQ(log_, (Log{"c unpark@19", "a unparked@19", "b timeout@20"}));
}

TEST_F(EngineTest, ADeadlineThatIsOverIsNow) {
  start("a", waiter({5}), Ps{9});
  start("b", sleeper({}), Ps{9});
  engine_.run();
  EXPECT_EQ(log_, (Log{"b start@9", "a timeout@9"}));
}

TEST_F(EngineTest, ADeadlineAtTheEndOfTimeIsNone) {
  Process& a = start("a", waiter({to_ps(kTimeMax)}));
  start("b", waker(&a, Ps{3}));
  engine_.run();
  EXPECT_EQ(log_, (Log{"b unpark@3", "a unparked@3"}));
}

// At the same time the call that came first wins: here the deadline was set before the waker's
// delay.
TEST_F(EngineTest, TheDeadlineWinsATieWithALaterWaker) {
  Process& a = start("a", waiter({20}));
  start("b", waker(&a, Ps{20}));
  EXPECT_NE(model_error_of([&] { engine_.run(); }).find("not parked"), std::string::npos);
  EXPECT_EQ(log_, (Log{"a timeout@20"}));
}

TEST_F(EngineTest, TheWakerWinsATieThatItScheduledFirst) {
  Process& a = start("a", waiter({20}), Ps{1});
  start("b", waker(&a, Ps{20}));
  engine_.run();
  EXPECT_EQ(log_, (Log{"b unpark@20", "a unparked@20"}));
}

TEST_F(EngineTest, AnOvertakenDeadlineNeverFires) {
  // Unparked at 10; the deadline of 20 is stale while it waits for 60 and, later, without any.
  Process& a = start("a", waiter({20, 60, to_ps(kTimeMax), 90}));
  start("b", waker(&a, Ps{10}));
  start("c", waker(&a, Ps{50}));
  start("d", waker(&a, Ps{70}));
  engine_.run();
  EXPECT_EQ(log_, (Log{"b unpark@10", "a unparked@10", "c unpark@50", "a unparked@50",
                       "d unpark@70", "a unparked@70", "a timeout@90"}));
  EXPECT_EQ(engine_.events(), 5U + 3U * 2U);
}

TEST_F(EngineTest, AStaleDeadlineDoesNotMoveTheClock) {
  Process& a = start("a", waiter({1000}));
  start("b", waker(&a, Ps{10}));
  engine_.run();
  EXPECT_EQ(engine_.now(), at_ps(10));
  start("c", parker());
  EXPECT_THROW(engine_.run(), DeadlockError);
  EXPECT_EQ(engine_.now(), at_ps(10));
}

TEST_F(EngineTest, OnlyAParkedProcessCanBeUnparked) {
  Process& a = start("a", parker());
  const std::string message = "unpark of a process that is not parked";
  EXPECT_EQ(model_error_of([&] { engine_.unpark(a); }), message);  // has not started
  start("b", waker(&a, Ps{5}, Ps{5}));
  EXPECT_EQ(engine_.run_until(at_ps(6)), RunEnd::kTimeLimit);
  EXPECT_EQ(model_error_of([&] { engine_.unpark(a); }), message);  // is scheduled already
  engine_.run();
  EXPECT_EQ(model_error_of([&] { engine_.unpark(a); }), message);  // has ended
}

Task<> unpark_itself(Engine* engine, Log* log) {
  try {
    engine->unpark(engine->current());
  } catch (const ModelError& e) {
    log->push_back(e.what());
  }
  co_await engine->delay(Ps{1});
}

TEST_F(EngineTest, ARunningProcessIsNotParked) {
  start("a", unpark_itself(&engine_, &log_));
  engine_.run();
  EXPECT_EQ(log_, (Log{"unpark of a process that is not parked"}));
}

TEST_F(EngineTest, AProcessCanBeUnparkedBetweenRuns) {
  Process& a = start("a", parker());
  start("d", sleeper({100}));
  EXPECT_EQ(engine_.run_until(at_ps(50)), RunEnd::kTimeLimit);
  engine_.unpark(a, Ps{10});
  engine_.run();
  EXPECT_EQ(log_, (Log{"d start@0", "a unparked@60", "d wake@100"}));
}

class SpawnTest : public EngineTest {
 protected:
  Task<> parent() {
    co_await engine_.delay(Ps{5});
    start("child", sleeper({1}));
    start("late", sleeper({}), Ps{1});
    note("spawned");
    co_await engine_.delay(Ps{0});
    note("end");
  }
  Task<> chain(int links) {
    co_await engine_.delay(Ps{1});
    if (links > 1) {
      addresses_.push_back(&start("link", chain(links - 1)));
    }
  }
  std::vector<const Process*> addresses_;
};

TEST_F(SpawnTest, ANewProcessIsDueAtOnceAfterWhatIsDue) {
  start("parent", parent());
  start("other", sleeper({5}));
  engine_.run();
  EXPECT_EQ(log_, (Log{"other start@0", "parent spawned@5", "other wake@5", "child start@5",
                       "parent end@5", "late start@6", "child wake@6"}));
}

TEST_F(SpawnTest, SlotsAreUsedAgain) {
  addresses_.push_back(&start("first", chain(1000)));
  engine_.run();
  EXPECT_EQ(engine_.now(), at_ps(1000));
  ASSERT_EQ(addresses_.size(), 1000U);
  for (std::size_t i = 2; i < addresses_.size(); ++i) {
    EXPECT_EQ(addresses_[i], addresses_[i - 2]);
  }
  EXPECT_EQ(addresses_.back()->id(), ProcessId{999});  // ids are not
}

// The slot's first user ends at 10 and leaves a deadline of 50 behind; its second must not see it.
TEST_F(SpawnTest, AStaleDeadlineOfAUsedSlotNeverFires) {
  Process& a = start("a", waiter({50}));
  start("b", waker(&a, Ps{10}));
  start("keep", sleeper({200}));
  EXPECT_EQ(engine_.run_until(at_ps(20)), RunEnd::kTimeLimit);
  EXPECT_EQ(a.state(), Process::State::kDone);
  std::vector<Process*> again{&start("c", parker()), &start("d", waiter({80, 300}))};
  EXPECT_NE(std::find(again.begin(), again.end(), &a), again.end());
  start("e", waker(again[0], Ps{80}));
  engine_.run();
  EXPECT_EQ(log_, (Log{"keep start@0", "b unpark@10", "a unparked@10", "d timeout@80",
                       "e unpark@100", "c unparked@100", "keep wake@200", "d timeout@300"}));
}

TEST_F(EngineTest, RunEndsWithoutTheDaemons) {
  start("clock", sleeper({3, 3, 3, 3}), Ps{0}, true);
  start("idle", parker(), Ps{0}, true);
  start("work", sleeper({7}));
  engine_.run();
  const Log first{"clock start@0", "work start@0", "clock wake@3", "clock wake@6", "work wake@7"};
  EXPECT_EQ(log_, first);
  log_.clear();
  start("more", sleeper({3}));  // time goes on for the daemons, too
  engine_.run();
  EXPECT_EQ(log_, (Log{"more start@7", "clock wake@9", "more wake@10"}));
}

TEST_F(EngineTest, DaemonsAloneDoNotRun) {
  start("clock", sleeper({3}), Ps{0}, true);
  engine_.run();
  EXPECT_EQ(engine_.run_until(at_ps(10)), RunEnd::kFinished);
  EXPECT_TRUE(log_.empty());
}

TEST_F(EngineTest, RunUntilStopsAndGoesOn) {
  start("a", sleeper({10, 10, 10}));
  start("b", sleeper({15}));
  EXPECT_EQ(engine_.run_until(at_ps(10)), RunEnd::kTimeLimit);  // the limit itself still runs
  EXPECT_EQ(log_, (Log{"a start@0", "b start@0", "a wake@10"}));
  EXPECT_EQ(engine_.now(), at_ps(10));
  EXPECT_EQ(engine_.run_until(at_ps(14)), RunEnd::kTimeLimit);
  EXPECT_EQ(engine_.now(), at_ps(14));
  EXPECT_EQ(engine_.run_until(at_ps(14)), RunEnd::kTimeLimit);
  EXPECT_EQ(log_.size(), 3U);
  EXPECT_THROW((void)engine_.run_until(at_ps(13)), ModelError);
  start("c", sleeper({}));
  EXPECT_EQ(engine_.run_until(at_ps(1000)), RunEnd::kFinished);
  EXPECT_EQ(engine_.now(), at_ps(30));
  EXPECT_EQ(log_, (Log{"a start@0", "b start@0", "a wake@10", "c start@14", "b wake@15",
                       "a wake@20", "a wake@30"}));
}

TEST_F(EngineTest, ALoneProcessStopsAtTheLimit) {
  start("a", sleeper({100}));
  EXPECT_EQ(engine_.run_until(at_ps(99)), RunEnd::kTimeLimit);
  EXPECT_EQ(log_, (Log{"a start@0"}));
  EXPECT_EQ(engine_.run_until(at_ps(100)), RunEnd::kFinished);
  EXPECT_EQ(log_.back(), "a wake@100");
}

TEST_F(EngineTest, ProcessesHaveNamesAndIds) {
  const Process& a = start("a", sleeper({}));
  const Process& b = engine_.spawn(sleeper({}), {"b", "smmu0.cmdq", Ps{0}, true});
  EXPECT_EQ(a.id(), ProcessId{0});
  EXPECT_EQ(b.id(), ProcessId{1});
  EXPECT_EQ(b.name(), "b");
  EXPECT_EQ(b.component(), "smmu0.cmdq");
  EXPECT_TRUE(b.daemon());
  EXPECT_FALSE(a.daemon());
  EXPECT_EQ(model_error_of([&] { start("none", Task<>()); }), "spawn of an empty task");
}

}  // namespace
}  // namespace smmulab

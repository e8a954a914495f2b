// SPDX-License-Identifier: Apache-2.0
// How a run ends badly: a task's exception, a deadlock, an interruption; and that nothing is
// leaked.
#include <cstddef>
#include <cstdint>
#include <exception>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "sim/engine.hpp"
#include "sim/error.hpp"

namespace smmulab {
namespace {

using Names = std::vector<std::string>;

// A lock with first-in first-out handover, as small as it can be.
class Lock : public Waitable {
 public:
  Lock(Engine* engine, std::string name) : engine_(engine), name_(std::move(name)) {}
  [[nodiscard]] std::string wait_name() const override { return name_; }
  void wait_holders(std::vector<const Process*>& out) const override {
    out.insert(out.end(), holders_.begin(), holders_.end());
  }
  Task<> acquire() {
    if (!holders_.empty()) {
      co_await engine_->park(this);
    }
    holders_.push_back(&engine_->current());
  }
  void also_held_by(const Process& p) { holders_.push_back(&p); }

 private:
  Engine* engine_;
  std::string name_;
  std::vector<const Process*> holders_;
};

class EngineErrorTest : public testing::Test {
 protected:
  Process& start(std::string name, Task<> task, bool daemon = false) {
    return engine_.spawn(std::move(task), {std::move(name), "iommufd", Ps{0}, daemon});
  }
  // Takes the locks in order, 10 ps apart.
  Task<> take(std::vector<Lock*> locks) {
    for (Lock* lock : locks) {
      co_await engine_.delay(Ps{10});
      co_await lock->acquire();
    }
  }
  Task<> park_on(const Waitable* what) { co_await engine_.park(what); }
  Task<> tick(int times) {
    for (int i = 0; i < times; ++i) {
      co_await engine_.delay(Ps{1});
    }
  }
  Task<int> fail_in(Ps after) {
    co_await engine_.delay(after);
    throw std::out_of_range("no such slot");
  }
  Task<> call_fail(Ps after) {
    const int value = co_await fail_in(after);
    ADD_FAILURE() << value;
  }
  // Runs until the deadlock; gives what() and the cycle.
  std::pair<std::string, Names> deadlock() {
    try {
      engine_.run();
    } catch (const DeadlockError& e) {
      return {e.what(), e.cycle()};
    }
    return {"no deadlock", {}};
  }

  Engine engine_;
  Lock a_{&engine_, "lock a"};
  Lock b_{&engine_, "lock b"};
  Lock c_{&engine_, "lock c"};
};

TEST_F(EngineErrorTest, AnExceptionSaysWhenAndWhoAndKeepsItsCause) {
  start("bystander", tick(100));
  start("cpu3/attach", call_fail(Ps{30}));
  try {
    engine_.run();
    FAIL() << "no exception";
  } catch (const ModelError& e) {
    EXPECT_STREQ(e.what(), "no such slot [at 30 ps, thread cpu3/attach, component iommufd]");
    try {
      std::rethrow_if_nested(e);
      FAIL() << "no cause";
    } catch (const std::out_of_range& cause) {
      EXPECT_STREQ(cause.what(), "no such slot");
    }
  }
  EXPECT_EQ(engine_.now(), SimTime{Ps{30}});
  engine_.run();  // the others can go on
  EXPECT_EQ(engine_.now(), SimTime{Ps{100}});
}

TEST_F(EngineErrorTest, ADaemonsExceptionEndsTheRun) {
  start("daemon", call_fail(Ps{5}), true);
  start("main", tick(100));
  EXPECT_THROW(engine_.run(), ModelError);
  EXPECT_EQ(engine_.now(), SimTime{Ps{5}});
}

TEST_F(EngineErrorTest, AnExceptionBeforeTheFirstAwait) {
  const auto at_once = []() -> Task<> {
    throw std::runtime_error("early");
    co_return;
  };
  start("x", at_once());
  EXPECT_THROW(engine_.run(), ModelError);
}

TEST_F(EngineErrorTest, FindsTheCycle) {
  start("t0", take({&c_, &c_}));
  start("t1", take({&a_, &b_}));
  start("t2", take({&b_, &a_}));
  const auto [message, cycle] = deadlock();
  // t0 waits for itself; it is met first.
  EXPECT_EQ(cycle, (Names{"t0", "lock c", "t0"}));
  EXPECT_EQ(message,
            "deadlock at 20 ps: t0 -> lock c -> t0; t0 waits for lock c; t1 waits for lock b; "
            "t2 waits for lock a");
}

TEST_F(EngineErrorTest, TheCycleLeavesOutWhoOnlyWaitsForIt) {
  Lock& d = c_;
  start("t0", take({&d, &a_}));  // gets d, then waits at the end of a's queue
  start("t1", take({&a_, &b_}));
  start("t2", take({&b_, &a_}));
  start("t3", take({&d}));
  const auto [message, cycle] = deadlock();
  EXPECT_EQ(cycle, (Names{"t1", "lock b", "t2", "lock a", "t1"}));
  EXPECT_NE(message.find("; t3 waits for lock c"), std::string::npos) << message;
}

TEST_F(EngineErrorTest, ACycleCanLeadThroughADaemon) {
  start("t1", take({&a_, &b_}));
  start("worker", take({&b_, &a_}), true);
  EXPECT_EQ(deadlock().second, (Names{"t1", "lock b", "worker", "lock a", "t1"}));
}

// Two hold lock a, as readers do: the first waits for something that nobody gives, the second
// closes the cycle.
TEST_F(EngineErrorTest, ACycleMayLeadThroughAnyOfTheHolders) {
  const Process& lost = start("t0", park_on(nullptr));
  const Process& first = start("reader 1", take({&c_}));
  start("writer", take({&b_, &a_}));
  const Process& second = start("reader 2", take({&b_}));
  c_.also_held_by(lost);
  a_.also_held_by(first);
  a_.also_held_by(second);
  EXPECT_EQ(deadlock().second, (Names{"writer", "lock a", "reader 2", "lock b", "writer"}));
}

TEST_F(EngineErrorTest, ALostWakeUpHasNoCycle) {
  start("t1", park_on(nullptr));
  start("t2", park_on(&a_));  // nobody holds it
  start("idle", park_on(nullptr), true);
  const auto [message, cycle] = deadlock();
  EXPECT_TRUE(cycle.empty());
  EXPECT_EQ(message, "deadlock at 0 ps; t1 waits for a wake-up; t2 waits for lock a");
}

TEST_F(EngineErrorTest, AHolderThatHasEndedIsNoCycle) {
  start("t1", take({&a_}));
  start("t2", take({&b_, &a_}));
  const auto [message, cycle] = deadlock();
  EXPECT_TRUE(cycle.empty());
  EXPECT_EQ(message, "deadlock at 20 ps; t2 waits for lock a");
}

TEST_F(EngineErrorTest, ListsTheFirstSixteen) {
  for (int i = 0; i < 20; ++i) {
    start(fmt::format("t{}", i), park_on(nullptr));
  }
  const std::string message = deadlock().first;
  EXPECT_NE(message.find("; t15 waits for a wake-up; and 4 more"), std::string::npos) << message;
  EXPECT_EQ(message.find("t16"), std::string::npos) << message;
}

TEST_F(EngineErrorTest, ATimerIsNoDeadlockButALimitDoesNotHideOne) {
  start("t1", park_on(nullptr));
  start("t2", tick(50));
  EXPECT_EQ(engine_.run_until(SimTime{Ps{40}}), RunEnd::kTimeLimit);
  EXPECT_THROW((void)engine_.run_until(SimTime{Ps{100}}), DeadlockError);
  EXPECT_EQ(engine_.now(), SimTime{Ps{50}});
}

TEST_F(EngineErrorTest, ARunGoesOnAfterADeadlock) {
  Process& t1 = start("t1", park_on(nullptr));
  EXPECT_THROW(engine_.run(), DeadlockError);
  engine_.unpark(t1);
  engine_.run();
  EXPECT_EQ(t1.state(), Process::State::kDone);
}

TEST_F(EngineErrorTest, AnInterruptEndsTheRun) {
  int asked = 0;
  engine_.set_interrupt_check([&] { return ++asked == 3; }, 1000);
  start("t1", tick(1'000'000));
  start("t2", tick(1'000'000));
  try {
    engine_.run();
    FAIL() << "not interrupted";
  } catch (const Interrupted& e) {
    EXPECT_EQ(std::string(e.what()),
              fmt::format("interrupted at {} ps of simulated time", to_ps(engine_.now())));
  }
  EXPECT_EQ(asked, 3);
  EXPECT_NEAR(static_cast<double>(engine_.events()), 3000.0, 3.0);
}

TEST_F(EngineErrorTest, ALoneProcessCanBeInterrupted) {
  engine_.set_interrupt_check([] { return true; }, 100);
  struct Forever {
    Engine* engine;
    [[nodiscard]] Task<> run() const {
      for (;;) {
        co_await engine->delay(Ps{0});
      }
    }
  };
  const Forever forever{&engine_};
  start("livelock", forever.run());
  EXPECT_THROW(engine_.run(), Interrupted);
}

TEST_F(EngineErrorTest, AnInterruptCheckCanBeTakenAway) {
  engine_.set_interrupt_check([] { return true; }, 1);
  engine_.set_interrupt_check({});
  start("t1", tick(10));
  engine_.run();
  EXPECT_EQ(engine_.now(), SimTime{Ps{10}});
}

// A frame's local: counts the living ones and sees whether the engine says that it is going away.
struct Witness {
  Witness(Engine* e, int* l, int* t) : engine(e), living(l), torn_down(t) { ++*living; }
  Witness(const Witness&) = delete;
  Witness& operator=(const Witness&) = delete;
  ~Witness() {
    --*living;
    *torn_down += engine->tearing_down() ? 1 : 0;
  }
  Engine* engine;
  int* living;
  int* torn_down;
};

Task<> nested_wait(Engine* engine, int* living, int* torn_down, int depth, Ps wait) {
  const Witness witness(engine, living, torn_down);
  if (depth > 0) {
    co_await nested_wait(engine, living, torn_down, depth - 1, wait);
  } else if (wait > Ps{0}) {
    co_await engine->delay(wait);
  } else {
    co_await engine->park();
  }
}

TEST(EngineTeardown, FreesTheFramesOfAllWhoWait) {
  int living = 0;
  int torn_down = 0;
  {
    Engine engine;
    for (int depth = 0; depth < 5; ++depth) {
      engine.spawn(nested_wait(&engine, &living, &torn_down, depth, Ps{0}), {"parked", "x"});
      engine.spawn(nested_wait(&engine, &living, &torn_down, depth, Ps{10}), {"ends", "x"});
      engine.spawn(nested_wait(&engine, &living, &torn_down, depth, Ps{90}), {"delayed", "x"});
    }
    EXPECT_EQ(engine.run_until(SimTime{Ps{20}}), RunEnd::kTimeLimit);
    engine.spawn(nested_wait(&engine, &living, &torn_down, 3, Ps{0}), {"never started", "x"});
    EXPECT_EQ(living, 2 * 15);
    EXPECT_EQ(torn_down, 0);
  }
  EXPECT_EQ(living, 0);
  EXPECT_EQ(torn_down, 2 * 15);
}

TEST(EngineTeardown, FreesTheFramesAfterAnError) {
  int living = 0;
  int torn_down = 0;
  {
    Engine engine;
    engine.spawn(nested_wait(&engine, &living, &torn_down, 4, Ps{0}), {"parked", "x"});
    EXPECT_THROW(engine.run(), DeadlockError);
    EXPECT_EQ(living, 5);
  }
  EXPECT_EQ(living, 0);
}

}  // namespace
}  // namespace smmulab

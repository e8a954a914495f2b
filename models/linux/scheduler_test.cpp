// SPDX-License-Identifier: Apache-2.0
// CPUs and their run queues: who runs when. All costs are 0 unless a test sets them, so that times
// are sums of what threads run. Offsets begin 10 us after the machine's clock, ticks do not.
#include "models/linux/testing.hpp"
#include "sim/error.hpp"

namespace smmulab::lnx {
namespace {

class Bell final : public Waitable {
 public:
  [[nodiscard]] std::string wait_name() const override { return "bell"; }
  void wait_holders(std::vector<const Process*>& out) const override { out.clear(); }
};

class SchedulerTest : public LinuxTest {
 protected:
  void short_slices() {
    params.sched.tick = 100_us;
    params.sched.slice = 50_us;
  }
  // Runs `work` in user mode.
  Thread& task(const std::string& name, std::uint32_t cpu, Ps work) {
    return thread(name, cpu, [=, this](Thread& t) -> Task<void> {
      co_await t.user(work);
      say(t, "done");
    });
  }
  Bell bell;
};

TEST_F(SchedulerTest, AWakeUpTakesTheLatencyAndAContextSwitch) {
  // S sleeps from 0; W rings at 5000: 1000 until CPU 0 begins to switch, 500 until S runs.
  params.sched.wake_latency = 1000_ns;
  params.sched.context_switch = 500_ns;
  Thread& s = thread("S", 0, [&](Thread& t) -> Task<void> {
    co_await until(t, 0_ns);
    t.prepare_to_sleep();
    co_await t.block(bell);
    say(t, "runs");
    co_await t.run(100_ns);
  });
  thread("W", 1, [&](Thread& t) -> Task<void> {
    co_await until(t, 5000_ns);
    machine().wake(s);
    say(t, "rang");
  });
  engine.run();
  EXPECT_EQ(log, (Lines{"5us W rang", "6.5us S runs"}));
  EXPECT_EQ(s.sleeps(), 1U);
  EXPECT_EQ(s.ready_time(), 2000_ns);         // twice the latency: at the start, and here
  EXPECT_EQ(s.run_time(), 9000_ns + 600_ns);  // from 1000 on the clock; then switch and work
}

TEST_F(SchedulerTest, AWakeUpBeforeTheSleepIsNotLost) {
  Thread& s = thread("S", 0, [&](Thread& t) -> Task<void> {
    t.prepare_to_sleep();
    co_await until(t, 1000_ns);  // W rings meanwhile
    co_await t.block(bell);
    say(t, "runs");
  });
  thread("W", 1, [&](Thread& t) -> Task<void> {
    co_await until(t, 500_ns);
    machine().wake(s);
  });
  engine.run();
  EXPECT_EQ(log, (Lines{"1us S runs"}));
  EXPECT_EQ(s.sleeps(), 0U);
}

TEST_F(SchedulerTest, OnlyTheFirstWakeUpOfASleeperCostsAWholeOne) {
  // S sleeps; W wakes it twice, 100 apart, which is before S runs.
  params.sched.wake_latency = 1000_ns;
  params.sched.wake_up = 700_ns;
  params.sched.wake_awake = 50_ns;
  Thread& s = thread("S", 0, [&](Thread& t) -> Task<void> {
    co_await until(t, 0_ns);
    t.prepare_to_sleep();
    co_await t.block(bell);
  });
  std::vector<Ps> costs;
  thread("W", 1, [&](Thread& t) -> Task<void> {
    co_await until(t, 5000_ns);
    costs.push_back(machine().wake(s));
    co_await t.run(100_ns);
    costs.push_back(machine().wake(s));
  });
  engine.run();
  EXPECT_EQ(costs, (std::vector<Ps>{700_ns, 50_ns}));
}

TEST_F(SchedulerTest, ABusyCpuNeedsNoLatencyToTakeTheNext) {
  // A ends at 30 us on the clock; the switch to B takes 500.
  params.sched.wake_latency = 1000_ns;
  params.sched.context_switch = 500_ns;
  task("A", 0, 28'500_ns);  // and 1500 to get going
  Thread& b = task("B", 0, 10_us);
  engine.run();
  EXPECT_EQ(log, (Lines{"20us A done", "30.5us B done"}));
  EXPECT_EQ(b.ready_time(), 30_us);
}

TEST_F(SchedulerTest, TwoTasksTakeTurnsAtTheTicksThatEndTheirSlices) {
  // Clock: a slice of 50 us ends at the next tick, after 100 us: A 0-100, B -200, A -300, B -350,
  // A -400.
  short_slices();
  Thread& a = task("A", 0, 250_us);
  Thread& b = task("B", 0, 150_us);
  engine.run();
  EXPECT_EQ(log, (Lines{"340us B done", "390us A done"}));
  EXPECT_EQ(a.run_time(), 250_us);
  EXPECT_EQ(a.ready_time(), 150_us);
  EXPECT_EQ(b.ready_time(), 200_us);
}

TEST_F(SchedulerTest, SlicesCostContextSwitches) {
  // Clock: A 0 switch, 1-100 works 99; B 100, 101-200 works 99; A 201-202 works 1; B 203-204.
  short_slices();
  params.sched.context_switch = 1000_ns;
  task("A", 0, 100_us);
  task("B", 0, 100_us);
  engine.run();
  EXPECT_EQ(log, (Lines{"192us A done", "194us B done"}));
}

TEST_F(SchedulerTest, WithoutANeighbourASliceDoesNotEnd) {
  short_slices();
  params.sched.context_switch = 1000_ns;
  task("A", 0, 500_us);
  engine.run();
  EXPECT_EQ(log, (Lines{"491us A done"}));
}

TEST_F(SchedulerTest, AWokenTaskWaitsForTheEndOfTheSlice) {
  // B wakes up at 130 us on the clock. The tick at 100 us gave A, alone then, a deadline 50 us
  // later; the tick at 200 us sees it.
  short_slices();
  thread("B", 0, [&](Thread& t) -> Task<void> {
    co_await t.sleep_for(130_us);
    say(t, "runs");
    co_await t.user(5_us);
  });
  task("A", 0, 250_us);
  // C wakes up at 20 us; D's slice ends at 50 us, the tick that sees it is at 100 us.
  thread("C", 1, [&](Thread& t) -> Task<void> {
    co_await t.sleep_for(20_us);
    say(t, "runs");
    co_await t.user(5_us);
  });
  task("D", 1, 210_us);
  engine.run();
  EXPECT_EQ(log, (Lines{"90us C runs", "190us B runs", "205us D done", "245us A done"}));
}

TEST_F(SchedulerTest, KernelCodeIsPreemptedOnlyIfThePreemptionModelSaysSo) {
  struct Case {
    Preempt preempt;
    const char* b_runs;
  };
  // A runs 150 us in the kernel, takes a mutex (might_sleep()), runs 150 us more and ends. The tick
  // at 100 us on the clock wants the CPU for B.
  for (const Case& c : {Case{Preempt::kFull, "90us"}, Case{Preempt::kVoluntary, "140us"},
                        Case{Preempt::kNone, "290us"}}) {
    Engine own_engine;
    short_slices();
    params.sched.preempt = c.preempt;
    Machine m(own_engine, params, uniform_topology(1));
    Mutex mutex(m, m.locks().get("m", LockKind::kMutex));
    std::string b_runs;
    m.spawn_thread("A", 0, [&](Thread& t) -> Task<void> {
      co_await t.run(150_us);
      co_await mutex.lock(t);
      co_await mutex.unlock(t);
      co_await t.run(150_us);
    });
    m.spawn_thread("B", 0, [&](Thread&) -> Task<void> {
      b_runs = format_duration(own_engine.now() - kStart);
      co_return;
    });
    own_engine.run();
    EXPECT_EQ(b_runs, c.b_runs);
  }
}

TEST_F(SchedulerTest, APreemptedHolderStopsOptimisticSpinners) {
  // A has m from 0 and needs 200 us; E waits for its CPU: the tick at 90 us gives it to E until
  // 120 us; A goes on and unlocks at 230 us. B spins from 1 us to 90 us, then sleeps.
  params.sched.preempt = Preempt::kFull;
  short_slices();
  Mutex m(machine(), lock_class("m"));
  thread("A", 0, [&](Thread& t) { return mutex_user(t, m, 0_ns, 200_us); });
  Thread& b = thread("B", 1, [&](Thread& t) { return mutex_user(t, m, 1000_ns, 10_ns); });
  task("E", 0, 30_us);
  engine.run();
  EXPECT_EQ(log, (Lines{"0ps A has", "120us E done", "230us B has"}));
  EXPECT_EQ(b.spin_time(), 89_us);
  EXPECT_EQ(b.sleeps(), 1U);
}

TEST_F(SchedulerTest, APinnedThreadWaitsThoughAnotherCpuIsIdle) {
  task("A", 0, 100_us);
  task("P", 0, 10_us);
  task("F", kAnyCpu, 10_us);  // a free one takes an idle CPU
  engine.run();
  EXPECT_EQ(log, (Lines{"0ps F done", "90us A done", "100us P done"}));
}

TEST_F(SchedulerTest, ACpuThatGoesIdlePullsAFreeThread) {
  // F and G wait for CPU 0. CPU 1 is free at 200 us on the clock and takes F; G may not go there.
  cpus = 2;
  task("A", 0, 500_us);
  task("B", 1, 200_us);
  Thread& f = thread("F", kAnyCpu, [&](Thread& t) -> Task<void> {
    co_await t.run(100_us);
    say(t, "done");
    EXPECT_EQ(t.cpu_index(), 1U);
  });
  task("G", 0, 10_us);
  engine.run();
  EXPECT_EQ(log, (Lines{"190us B done", "290us F done", "490us A done", "500us G done"}));
  EXPECT_EQ(f.ready_time(), 200_us);
}

TEST_F(SchedulerTest, MoreThreadsThanCpusShareThemAndNoCpuIdles) {
  // 4 x 1 ms of work on 2 CPUs, in slices of 100 us: on each CPU the first ends its tenth slice at
  // 1.9 ms, the second at 2 ms.
  cpus = 2;
  params.sched.tick = params.sched.slice = 100_us;
  std::vector<Thread*> threads;
  for (const char* name : {"A", "B", "C", "D"}) {
    threads.push_back(&task(name, kAnyCpu, 1_ms));
  }
  engine.run();
  EXPECT_EQ(log, (Lines{"1.89ms A done", "1.89ms B done", "1.99ms C done", "1.99ms D done"}));
  for (const Thread* t : threads) {
    EXPECT_EQ(t->run_time(), 1_ms);
  }
  EXPECT_EQ(threads[0]->ready_time(), 900_us);
  EXPECT_EQ(threads[3]->ready_time(), 1_ms);
}

TEST_F(SchedulerTest, AFreeThreadWakesUpOnItsLastCpuElseOnTheNearestIdleOne) {
  // CPUs 0, 1 and 2, 3 are a node each. F, the fourth thread, begins on CPU 3.
  params.line = {1_ns, 40_ns, 90_ns, 180_ns};
  Machine m(engine, params, uniform_topology(4, 1, 2));
  const auto sleeper = [](Thread& t) { return t.sleep_for(30_us); };
  m.spawn_thread("0", 0, sleeper);
  m.spawn_thread("1", 1, sleeper);
  m.spawn_thread("2", 2, sleeper);
  std::vector<std::uint32_t> places;
  m.spawn_thread("F", kAnyCpu, [&](Thread& t) -> Task<void> {
    for (int i = 0; i < 3; ++i) {
      places.push_back(t.cpu_index());
      co_await t.sleep_for(10_us);
    }
  });
  m.spawn_thread("P", 3, [](Thread& t) -> Task<void> {  // from 15 us on, CPU 3 is taken
    co_await t.sleep_for(15_us);
    co_await t.run(100_us);
  });
  engine.run();
  EXPECT_EQ(places, (std::vector<std::uint32_t>{3, 3, 2}));
}

TEST_F(SchedulerTest, SleepingLeavesTheCpuToOthers) {
  // A sleeps from 0 to 20 us; B runs there until 15 us.
  thread("A", 0, [&](Thread& t) -> Task<void> {
    co_await until(t, 0_ns);
    co_await t.sleep_for(20_us);
    say(t, "awake");
  });
  task("B", 0, 15_us);
  engine.run();
  EXPECT_EQ(log, (Lines{"15us B done", "20us A awake"}));
}

TEST_F(SchedulerTest, ATimedSleepCostsTheSleeperAndWhoeverRunsWhenItEnds) {
  // Clock: A 0 to 1 us sets the timer, sleeps until 21 us, whose interrupt takes B 1 us.
  params.sched.timed_sleep = 2_us;
  thread("A", 0, [&](Thread& t) -> Task<void> {
    co_await t.sleep_for(20_us);
    say(t, "awake");
  });
  task("B", 0, 50_us);
  engine.run();
  EXPECT_EQ(log, (Lines{"42us B done", "42us A awake"}));
}

TEST_F(SchedulerTest, SleepsOfOneCpuEndTogetherWhereTheirSlackAllowsIt) {
  // On the clock, A may end at 20 us and has to at 70; B 60 to 110 us, goes with A; C 71 to 121 us,
  // too late for it; D, on another CPU, 60 to 110 us.
  const auto sleeper = [&](std::string name, std::uint32_t cpu, Ps asked) {
    thread(std::move(name), cpu, [this, asked](Thread& t) -> Task<void> {
      co_await t.sleep_for(asked, 50_us);
      say(t, "awake");
    });
  };
  sleeper("A", 0, 20_us);
  sleeper("B", 0, 60_us);
  sleeper("C", 0, 71_us);
  sleeper("D", 1, 60_us);
  engine.run();
  EXPECT_EQ(log, (Lines{"60us A awake", "60us B awake", "100us D awake", "111us C awake"}));
}

TEST_F(SchedulerTest, ASleepThatMayNotEndYetKeepsThoseBehindIt) {
  // On the clock: X may end from 0 and has to at 100 us; Y 55 to 60 us; Z has to at 50 us, whose
  // interrupt Y is not ripe for, and X is behind Y. At 60 us X goes with Y.
  const auto sleeper = [&](std::string name, Ps asked, Ps slack) {
    thread(std::move(name), 0, [this, asked, slack](Thread& t) -> Task<void> {
      co_await t.sleep_for(asked, slack);
      say(t, "awake");
    });
  };
  sleeper("X", 0_us, 100_us);
  sleeper("Y", 55_us, 5_us);
  sleeper("Z", 50_us, 0_us);
  engine.run();
  EXPECT_EQ(log, (Lines{"40us Z awake", "50us Y awake", "50us X awake"}));
}

TEST_F(SchedulerTest, OnlyWhoGoesOnByItselfIsAwake) {
  Mutex m(machine(), lock_class("m"));
  std::vector<bool> seen;
  const auto look = [&](Ps at) {
    engine.spawn(
        [](Engine& e, Machine& machine, SimTime when, std::vector<bool>& out) -> Task<void> {
          co_await e.delay(when - e.now());
          out.push_back(machine.anyone_awake());
        }(engine, machine(), kTimeZero + at, seen),
        {.name = "look", .component = "test"});
  };
  thread("A", 0, [&](Thread& t) -> Task<void> {
    co_await m.lock(t);
    co_await t.sleep_for(50_us);
    co_await m.unlock(t);
  });
  thread("B", 1, [&](Thread& t) -> Task<void> {
    co_await m.lock(t);
    co_await m.unlock(t);
  });
  machine().spawn_thread("D", 2, [](Thread& t) -> Task<void> { co_await t.run(1_ms); }, true);
  look(20_us);   // A sleeps for a time
  look(100_us);  // only the daemon is left
  engine.run();
  EXPECT_EQ(seen, (std::vector<bool>{true, false}));
}

TEST_F(SchedulerTest, PollingKeepsTheCpu) {
  short_slices();
  thread("A", 0, [&](Thread& t) -> Task<void> {
    co_await t.poll_until(kStart + 400_us);
    say(t, "polled");
  });
  task("B", 0, 10_us);
  engine.run();
  EXPECT_EQ(log, (Lines{"400us A polled", "410us B done"}));
}

TEST_F(SchedulerTest, PinningToACpuThatIsNotThereIsAnError) {
  EXPECT_THROW(task("A", 4, 1_us), ConfigError);
}

}  // namespace
}  // namespace smmulab::lnx

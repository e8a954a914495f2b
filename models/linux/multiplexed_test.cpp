// SPDX-License-Identifier: Apache-2.0
// Machines whose CPUs share one host thread (QEMU TCG with -icount): one CPU works at a time, the
// others wait until it relaxes, idles or a tick comes. A context switch costs 100, giving the host
// thread to another CPU 1000 where a test says so. Times are offsets from 10 us on the clock.
#include "models/linux/testing.hpp"

namespace smmulab::lnx {
namespace {

class MultiplexedTest : public LinuxTest {
 protected:
  MultiplexedTest() {
    cpus = 2;
    params.sched.multiplexed = true;
    params.sched.context_switch = 100_ns;
  }
  Thread& task(const std::string& name, std::uint32_t cpu, Ps work) {
    return thread(name, cpu, [=, this](Thread& t) -> Task<void> {
      co_await t.run(work);
      say(t, "done");
    });
  }
};

TEST_F(MultiplexedTest, CpusTakeTurnsWhenOneIdles) {
  // Clock: A 0 switch, 100 works until 20100; the host thread is B's at 21100: 21200 works.
  params.sched.relax_switch = 1000_ns;
  task("A", 0, 20_us);
  task("B", 1, 20_us);
  engine.run();
  EXPECT_EQ(log, (Lines{"10.1us A done", "31.2us B done"}));
}

TEST_F(MultiplexedTest, ATickPassesTheHostThreadOn) {
  // Clock, in us: A 0 to 100, of which 0.1 for its switch; B to 200 likewise; A to 250.1; B to
  // 300.2.
  params.sched.tick = 100_us;
  task("A", 0, 150_us);
  task("B", 1, 150_us);
  engine.run();
  EXPECT_EQ(log, (Lines{"240.1us A done", "290.2us B done"}));
}

TEST_F(MultiplexedTest, TheEndOfASleepPassesTheHostThreadOn) {
  // Clock, in us: B 0 to 0.1 its switch, sleeps; A 0.1 to 0.2 its switch, works until 30.1; B
  // switches and works until 40.2; A has 70.1 left.
  thread("B", 0, [&](Thread& t) -> Task<void> {
    co_await t.sleep_for(30_us);
    co_await t.run(10_us);
    say(t, "done");
  });
  task("A", 1, 100_us);
  engine.run();
  EXPECT_EQ(log, (Lines{"30.2us B done", "100.3us A done"}));
}

TEST_F(MultiplexedTest, APollingLoopLetsTheOtherWork) {
  // Clock: A 100 polls for 5 us on: gives the host thread to B, which works until 20200 and ends; A
  // sees only then that its time has come.
  thread("A", 0, [&](Thread& t) -> Task<void> {
    co_await t.poll_until(kTimeZero + 5_us);
    say(t, "polled");
  });
  task("B", 1, 20_us);
  engine.run();
  EXPECT_EQ(log, (Lines{"10.2us B done", "10.2us A polled"}));
}

TEST_F(MultiplexedTest, PollingMayBeTheFirstThingAThreadDoes) {
  params.sched.context_switch = 0_ps;
  thread("A", 0, [&](Thread& t) -> Task<void> {
    co_await t.poll_until(kStart + 5_us);
    say(t, "polled");
  });
  engine.run();
  EXPECT_EQ(log, (Lines{"5us A polled"}));
}

TEST_F(MultiplexedTest, AHolderThatPollsLetsTheWaiterBurnATurn) {
  // Clock: A 100 has m and polls until 50 us. B: switch at 100 to 200, finds m taken and spins: the
  // host thread goes back to A, which polls to the end and unlocks at 50 us; B has m when A ends.
  Mutex m(machine(), lock_class("m"));
  thread("A", 0, [&](Thread& t) -> Task<void> {
    co_await m.lock(t);
    co_await t.poll_until(kTimeZero + 50_us);
    co_await m.unlock(t);
    say(t, "free");
  });
  Thread& b = thread("B", 1, [&](Thread& t) -> Task<void> {
    co_await m.lock(t);
    say(t, "has");
    co_await m.unlock(t);
  });
  engine.run();
  EXPECT_EQ(log, (Lines{"40us A free", "40us B has"}));
  EXPECT_EQ(b.spin_time(), 49'800_ns);
}

}  // namespace
}  // namespace smmulab::lnx

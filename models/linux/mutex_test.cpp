// SPDX-License-Identifier: Apache-2.0
// struct mutex, rule by rule (Linux 6.12 kernel/locking/mutex.c). Costs are round numbers, so that
// each time line can be followed by hand; cache lines are free unless a test prices them.
#include "models/linux/testing.hpp"

namespace smmulab::lnx {
namespace {

class MutexTest : public LinuxTest {
 protected:
  MutexTest() {
    params.lock.mutex_lock = 10_ns;
    params.lock.mutex_unlock = 5_ns;
    params.lock.mutex_slow = 100_ns;
    params.lock.mutex_queue = 50_ns;
    params.lock.osq = 20_ns;
    params.sched.wake_up = 200_ns;
    params.sched.wake_latency = 1000_ns;
    params.sched.context_switch = 500_ns;
  }
  Mutex& m() {
    if (!mutex_) {
      mutex_.emplace(machine(), lock_class("m"));
    }
    return *mutex_;
  }
  Thread& user(const std::string& name, std::uint32_t cpu, Ps from, Ps hold) {
    return thread(name, cpu, [=, this](Thread& t) { return mutex_user(t, m(), from, hold); });
  }
  // Holds m asleep: 10 ns to 10 ns + `asleep` and the 1.5 us that waking up takes.
  Task<void> sleeping_holder(Thread& t, Ps asleep) {
    co_await until(t, 0_ns);
    co_await m().lock(t);
    say(t, "has");
    co_await t.sleep_for(asleep);
    co_await m().unlock(t);
    co_await t.run();
    say(t, "done");
  }

 private:
  std::optional<Mutex> mutex_;
};

TEST_F(MutexTest, FastPathCostsItsTwoCosts) {
  // 0 A asks; 10 has it; 110 gives it back, which takes 5.
  user("A", 0, 0_ns, 100_ns);
  engine.run();
  EXPECT_EQ(log, (Lines{"10ns A has"}));
  EXPECT_EQ(to_ps(engine.now()), to_ps(kStart + 115_ns));
  const LockModeStat& stat = m().lock_class().stat.write();
  EXPECT_EQ(stat.acquisitions, 1U);
  EXPECT_EQ(stat.contentions, 0U);
  EXPECT_EQ(stat.holdtime, (LockTime{1, 105_ns, 105_ns, 105_ns}));
  EXPECT_EQ(m().instance_stat(), nullptr);
}

TEST_F(MutexTest, UncontendedLockAndUnlockAreOneEventEach) {
  std::uint64_t events = 0;
  thread("A", 0, [&](Thread& t) -> Task<void> {
    const std::uint64_t before = engine.events();
    for (int i = 0; i < 100; ++i) {
      t.charge(3_ns);  // is paid with the lock
      co_await m().lock(t);
      co_await m().unlock(t);
    }
    events = engine.events() - before;
  });
  engine.run();
  EXPECT_EQ(events, 200U);
}

TEST_F(MutexTest, SpinsWhileTheOwnerRunsAndPaysForTheLine) {
  // A: 10 has, 1010 unlocks, 1015 free.
  // B: 100 asks; the line is A's: 40 + 10 -> 150 fast path fails; 250 slow path; 270 in the
  //    SpinQueue, spins; 1015 sees the change, the line's 40 -> 1055 has.
  params.line.same_node = 40_ns;
  user("A", 0, 0_ns, 1000_ns);
  Thread& b = user("B", 1, 100_ns, 10_ns);
  engine.run();
  EXPECT_EQ(log, (Lines{"10ns A has", "1.055us B has"}));
  EXPECT_EQ(b.spin_time(), 745_ns);
  EXPECT_EQ(b.sleeps(), 0U);
  const LockModeStat& stat = m().lock_class().stat.write();
  EXPECT_EQ(stat.acquisitions, 2U);
  EXPECT_EQ(stat.contentions, 1U);
  EXPECT_EQ(stat.acq_bounces, 1U);
  EXPECT_EQ(stat.con_bounces, 1U);
  EXPECT_EQ(stat.waittime, (LockTime{1, 905_ns, 905_ns, 905_ns}));
  EXPECT_EQ(stat.wait_spin, 745_ns);
  EXPECT_EQ(m().instance_stat()->write().contentions, 1U);
}

TEST_F(MutexTest, SpinnersAreServedInOrderOfArrival) {
  // A: free at 10 + 5000 + 5. Each next one takes it at once, holds 1000 and gives back in 5.
  user("A", 0, 0_ns, 5000_ns);
  user("D", 3, 300_ns, 1000_ns);
  user("C", 2, 200_ns, 1000_ns);
  user("B", 1, 100_ns, 1000_ns);
  engine.run();
  EXPECT_EQ(log, (Lines{"10ns A has", "5.015us B has", "6.02us C has", "7.025us D has"}));
}

TEST_F(MutexTest, WithoutSpinningAWaiterSleepsThoughTheOwnerRuns) {
  // B: 110 fast path fails, 210 slow path, 260 queued, sleeps. A: 1015 free, wakes B: 1000 later
  // its CPU begins to switch, 500 later B runs. A pays 50 + 200 for the wake-up: 1265.
  params.lock.spin_on_owner = false;
  thread("A", 0, [&](Thread& t) -> Task<void> {
    co_await mutex_user(t, m(), 0_ns, 1000_ns);
    co_await t.run();
    say(t, "done");
  });
  Thread& b = user("B", 1, 100_ns, 10_ns);
  engine.run();
  EXPECT_EQ(log, (Lines{"10ns A has", "1.265us A done", "2.515us B has"}));
  EXPECT_EQ(b.spin_time(), 0_ns);
  EXPECT_EQ(b.sleeps(), 1U);
}

TEST_F(MutexTest, SpinningStopsWhenTheOwnerGoesToSleep) {
  // A: 10 has, 1010 sleeps for 10000, 12510 runs again, 12515 free.
  // B: 230 spins .. 1010; 1060 queued, sleeps; woken at 12515: has at 14015.
  thread("A", 0, [&](Thread& t) -> Task<void> {
    co_await until(t, 0_ns);
    co_await m().lock(t);
    co_await t.run(1000_ns);
    co_await t.sleep_for(10_us);
    co_await m().unlock(t);
  });
  Thread& b = user("B", 1, 100_ns, 10_ns);
  engine.run();
  EXPECT_EQ(log, (Lines{"14.015us B has"}));
  EXPECT_EQ(b.spin_time(), 780_ns);
  EXPECT_EQ(b.sleeps(), 1U);
}

TEST_F(MutexTest, ANewcomerStealsFromTheSlowPathWhatAWaiterWasWokenFor) {
  // A: 10 has, sleeps, 11510 runs, 11515 free; pays 250 for waking B -> 11765.
  // B: 1010 fast path fails, 1110 slow path, owner asleep: 1160 queued; woken at 11515 it runs at
  //    13015, fails, sets HANDOFF, spins on C.
  // C: 11610 fast path fails although the lock is free (WAITERS); 11710 the slow path takes it;
  //    14710 unlocks, 14715 hands over to B, who sees it at once.
  thread("A", 0, [&](Thread& t) { return sleeping_holder(t, 10_us); });
  Thread& b = user("B", 1, 1000_ns, 10_ns);
  user("C", 2, 11600_ns, 3000_ns);
  engine.run();
  EXPECT_EQ(log, (Lines{"10ns A has", "11.71us C has", "11.765us A done", "14.715us B has"}));
  EXPECT_EQ(b.spin_time(), 1700_ns);
  EXPECT_EQ(b.sleeps(), 1U);
}

TEST_F(MutexTest, TheNextWaiterTooGetsItsHandOver) {
  // As in ANewcomerSteals.. until C hands over to B, which spins, at 14715; D sleeps behind B.
  // B: 15715 unlocks, 15720 free, wakes D. E: 15860 steals from the slow path, until 25860.
  // D: 17220 fails, sets HANDOFF, spins on E. F: 20130 spins on E as well.
  // E: 25865 hands over to D. D: 25875 unlocks, 25880 free: F.
  cpus = 6;
  thread("A", 0, [&](Thread& t) { return sleeping_holder(t, 10_us); });
  user("B", 1, 1000_ns, 1000_ns);
  user("D", 3, 2000_ns, 10_ns);
  user("C", 2, 11600_ns, 3000_ns);
  user("E", 4, 15750_ns, 10_us);
  user("F", 5, 20000_ns, 10_ns);
  engine.run();
  EXPECT_EQ(log, (Lines{"10ns A has", "11.71us C has", "11.765us A done", "14.715us B has",
                        "15.86us E has", "25.865us D has", "25.88us F has"}));
}

TEST_F(MutexTest, AHandedOverLockIsHadWhenItsLineHasCome) {
  // As in ANewcomerSteals.., a line costs 40, none before A has had it:
  // A: 10 has; 11510 runs; 11515 free. B: 1050, 1150, 1200 queued; 13015 runs, fails, 13055 spins.
  // C: 11650 fails, 11750 takes, 14750 unlocks, the line is B's since 13015: 14755 hands over;
  // B: 14795.
  params.line.same_node = 40_ns;
  thread("A", 0, [&](Thread& t) { return sleeping_holder(t, 10_us); });
  user("B", 1, 1000_ns, 10_ns);
  user("C", 2, 11600_ns, 3000_ns);
  engine.run();
  EXPECT_EQ(log, (Lines{"10ns A has", "11.75us C has", "11.765us A done", "14.795us B has"}));
}

TEST_F(MutexTest, ASpinnerStealsWhatAWaiterWasWokenFor) {
  // A: 10 has, sleeps, 11510 runs, 16510 unlocks, 16515 free. B: 1160 queued; woken at 16515, runs
  // at 18015, fails: its first failure sets HANDOFF. C: 12130 spins on A, has at 16515; 26515
  // unlocks, 26520 hands over. D: 20130 spins behind the first waiter, in vain.
  thread("A", 0, [&](Thread& t) -> Task<void> {
    co_await until(t, 0_ns);
    co_await m().lock(t);
    co_await t.sleep_for(10_us);
    co_await t.run(5_us);
    co_await m().unlock(t);
  });
  Thread& b = user("B", 1, 1000_ns, 10_ns);
  user("C", 2, 12_us, 10_us);
  user("D", 3, 20_us, 10_ns);
  engine.run();
  EXPECT_EQ(log, (Lines{"16.515us C has", "26.52us B has", "26.535us D has"}));
  EXPECT_EQ(b.sleeps(), 1U);
}

TEST_F(MutexTest, NoSpinnerTakesALockThatIsHandedOver) {
  // As above until 14715; D spins on C from 13630 on, then on B: B unlocks 10 + 5 later.
  thread("A", 0, [&](Thread& t) { return sleeping_holder(t, 10_us); });
  user("B", 1, 1000_ns, 10_ns);
  user("C", 2, 11600_ns, 3000_ns);
  user("D", 3, 13500_ns, 10_ns);
  engine.run();
  EXPECT_EQ(log, (Lines{"10ns A has", "11.71us C has", "11.765us A done", "14.715us B has",
                        "14.73us D has"}));
}

TEST_F(MutexTest, AHandedOverLockBelongsToAThreadThatStillWakesUp) {
  // C has stolen the lock at 11710 and sleeps with it for 5000: 18210 runs, 18215 hands over.
  // B: 13015 fails, sets HANDOFF, finds C asleep, sleeps; woken at 18215 it runs at 19715.
  // D: 18310 and 18410 sees B as the owner, not on a CPU: 18460 queued.
  // B: 20715 unlocks, 20720 free, wakes D: 22220.
  thread("A", 0, [&](Thread& t) { return sleeping_holder(t, 10_us); });
  Thread& b = user("B", 1, 1000_ns, 1000_ns);
  thread("C", 2, [&](Thread& t) -> Task<void> {
    co_await until(t, 11600_ns);
    co_await m().lock(t);
    say(t, "has");
    co_await t.sleep_for(5_us);
    co_await m().unlock(t);
  });
  Thread& d = user("D", 3, 18300_ns, 10_ns);
  engine.run();
  EXPECT_EQ(log, (Lines{"10ns A has", "11.71us C has", "11.765us A done", "19.715us B has",
                        "22.22us D has"}));
  EXPECT_EQ(b.sleeps(), 2U);
  EXPECT_EQ(d.spin_time(), 0_ns);
}

TEST_F(MutexTest, SpinningBurnsTheCpuUntilTheSchedulerWantsIt) {
  // E waits for CPU 1 from the beginning; B's slice of 50 us is over at the tick at 100 us, which
  // is 90 us on the time line: B leaves the SpinQueue, and the CPU. E: 500 for the switch, 5000 of
  // work; B: 500 for the switch, 50 to queue. A: 200010 unlocks, 200015 wakes B: 201515.
  params.sched.tick = 100_us;
  params.sched.slice = 50_us;
  user("A", 0, 0_ns, 200_us);
  Thread& b = user("B", 1, 1000_ns, 10_ns);
  Thread& e = thread("E", 1, [&](Thread& t) -> Task<void> {
    say(t, "runs");
    co_await t.run(5_us);
    say(t, "ends");
  });
  engine.run();
  EXPECT_EQ(log, (Lines{"10ns A has", "90.5us E runs", "95.5us E ends", "201.515us B has"}));
  EXPECT_EQ(b.spin_time(), 90_us - 1130_ns);
  EXPECT_EQ(e.ready_time(), 100_us);
  EXPECT_EQ(e.run_time(), 5500_ns);
}

TEST_F(MutexTest, TheFirstWaiterYieldsAndSpinsOn) {
  // As in ANewcomerSteals.. until 13015; C holds until 151715. B spins as first waiter. E, which
  // begins to sleep at 1660, wakes up at 31660: it ran less than B, which gives it the CPU. It is
  // done at 37160. B has stayed runnable: at 37660 it spins again and takes the lock at once when
  // C hands over.
  params.sched.tick = 100_us;
  params.sched.slice = 50_us;
  thread("A", 0, [&](Thread& t) { return sleeping_holder(t, 10_us); });
  Thread& b = user("B", 1, 1000_ns, 10_ns);
  user("C", 2, 11600_ns, 140_us);
  thread("E", 1, [&](Thread& t) -> Task<void> {
    co_await t.sleep_for(30_us);
    say(t, "runs");
    co_await t.run(5_us);
  });
  engine.run();
  EXPECT_EQ(log, (Lines{"10ns A has", "11.71us C has", "11.765us A done", "32.16us E runs",
                        "151.715us B has"}));
  EXPECT_EQ(b.sleeps(), 1U);
}

}  // namespace
}  // namespace smmulab::lnx

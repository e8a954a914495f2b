// SPDX-License-Identifier: Apache-2.0
// The queued spinlock (Linux 6.12 kernel/locking/qspinlock.c). A lock costs 10, an unlock 5, moving
// a cache line 40: of the lock word for a try, and of what a spinner spins on when it is written.
#include "models/linux/testing.hpp"

namespace smmulab::lnx {
namespace {

class SpinlockTest : public LinuxTest {
 protected:
  SpinlockTest() {
    cpus = 5;
    params.lock.spin_lock = 10_ns;
    params.lock.spin_unlock = 5_ns;
    params.line.same_node = 40_ns;
  }
  Spinlock& s() {
    if (!spinlock_) {
      spinlock_.emplace(machine(), lock_class("s", LockKind::kSpinlock));
    }
    return *spinlock_;
  }
  Thread& user(const std::string& name, std::uint32_t cpu, Ps from, Ps hold) {
    return thread(name, cpu, [=, this](Thread& t) -> Task<void> {
      co_await until(t, from);
      co_await s().lock(t);
      say(t, "has");
      co_await t.run(hold);
      co_await s().unlock(t);
    });
  }

 private:
  std::optional<Spinlock> spinlock_;
};

TEST_F(SpinlockTest, ALoneThreadPaysForLockUnlockAndTheLine) {
  // A: 10 has, nobody had the line; 110 unlocks, 115. B: 210 + 40 has, 300 unlocks, 305.
  user("A", 0, 0_ns, 100_ns);
  user("B", 1, 200_ns, 50_ns);
  engine.run();
  EXPECT_EQ(log, (Lines{"10ns A has", "250ns B has"}));
  EXPECT_EQ(to_ps(engine.now()), to_ps(kStart + 305_ns));
  const LockModeStat& stat = s().lock_class().stat.write();
  EXPECT_EQ(stat.acquisitions, 2U);
  EXPECT_EQ(stat.contentions, 0U);
  EXPECT_EQ(stat.acq_bounces, 1U);
  EXPECT_EQ(stat.holdtime, (LockTime{2, 55_ns, 105_ns, 160_ns}));
}

TEST_F(SpinlockTest, TheSecondSpinsOnTheLockByte) {
  // A: 1010 unlocks, 1015 free. B: 150 fails, pending; sees the store at 1055.
  user("A", 0, 0_ns, 1000_ns);
  Thread& b = user("B", 1, 100_ns, 10_ns);
  engine.run();
  EXPECT_EQ(log, (Lines{"10ns A has", "1.055us B has"}));
  EXPECT_EQ(b.spin_time(), 905_ns);
  EXPECT_EQ(b.sleeps(), 0U);
  const LockModeStat& stat = s().lock_class().stat.write();
  EXPECT_EQ(stat.contentions, 1U);
  EXPECT_EQ(stat.con_bounces, 1U);
  EXPECT_EQ(stat.waittime, (LockTime{1, 905_ns, 905_ns, 905_ns}));
  EXPECT_EQ(stat.wait_sleep(), 0_ns);
}

TEST_F(SpinlockTest, TheThirdAndLaterQueueInOrderOfArrival) {
  // B pending from 150; C: 250 queue; D: 350 behind C. B: 1055 has, 2055 unlocks, 2060 free; C, the
  // head, sees it at 2100, writes D's node (seen at 2140); 3100 unlocks, 3105 free; D: 3145.
  user("A", 0, 0_ns, 1000_ns);
  user("D", 3, 300_ns, 1000_ns);
  user("C", 2, 200_ns, 1000_ns);
  user("B", 1, 100_ns, 1000_ns);
  engine.run();
  EXPECT_EQ(log, (Lines{"10ns A has", "1.055us B has", "2.1us C has", "3.145us D has"}));
}

TEST_F(SpinlockTest, NobodyGoesPendingWhileOthersQueue) {
  // As above, but D asks at 1500: B holds, nobody is pending, C queues. D: 1550 queues behind C.
  user("A", 0, 0_ns, 1000_ns);
  user("B", 1, 100_ns, 1000_ns);
  user("C", 2, 200_ns, 1000_ns);
  user("D", 3, 1500_ns, 10_ns);
  engine.run();
  EXPECT_EQ(log, (Lines{"10ns A has", "1.055us B has", "2.1us C has", "3.145us D has"}));
}

TEST_F(SpinlockTest, AHeadThatLearnsLateThatItIsHeadTakesAFreeLock) {
  // As in TheThirdAndLater.., but C holds for 10: 2110 unlocks, 2115 free. C's unlock is seen by D
  // with the news that it is head, at 2140.
  user("A", 0, 0_ns, 1000_ns);
  user("D", 3, 300_ns, 1000_ns);
  user("C", 2, 200_ns, 10_ns);
  user("B", 1, 100_ns, 1000_ns);
  engine.run();
  EXPECT_EQ(log, (Lines{"10ns A has", "1.055us B has", "2.1us C has", "2.14us D has"}));
}

TEST_F(SpinlockTest, NobodyStealsWhileTheLockIsOnItsWay) {
  // A: 1015 free, B (pending) sees it at 1055. C tries from 970 to 1020, when the lock is free but
  // B is pending: it queues. B: 1155 unlocks, 1160 free; C: 1200.
  user("A", 0, 0_ns, 1000_ns);
  user("B", 1, 100_ns, 100_ns);
  user("C", 2, 970_ns, 10_ns);
  engine.run();
  EXPECT_EQ(log, (Lines{"10ns A has", "1.055us B has", "1.2us C has"}));
}

TEST_F(SpinlockTest, OneThatIsOnItsWayIntoTheQueueIsPassedByANewPendingOne) {
  // The one exception to FIFO. B: 150 pending. C asks at 1020, D at 1025: the line is C's at 1060
  // and D's at 1100. C: 1070 finds B pending, needs the line again to queue: 1140.
  // A: 1035 unlocks, 1040 free: B has at 1080. D: 1110 finds only B, which holds: pending, first.
  // B: 2080 unlocks, 2085 free; D: 2125 has, 2225 unlocks, 2230 free; C: 2270.
  user("A", 0, 0_ns, 1025_ns);
  user("B", 1, 100_ns, 1000_ns);
  user("C", 2, 1020_ns, 10_ns);
  user("D", 3, 1025_ns, 100_ns);
  engine.run();
  EXPECT_EQ(log, (Lines{"10ns A has", "1.08us B has", "2.125us D has", "2.27us C has"}));
}

TEST_F(SpinlockTest, TriesAtTheSameTimeWaitForTheLine) {
  // All ask at 0; the line goes A, B, C: A: 10; B: 40 + 10; C: 80 + 10. A: 1010 unlocks, 1015.
  // B is pending from 50, C queues from 90: B: 1055 has, 1065 unlocks, 1070; C: 1110.
  user("A", 0, 0_ns, 1000_ns);
  user("B", 1, 0_ns, 10_ns);
  user("C", 2, 0_ns, 10_ns);
  engine.run();
  EXPECT_EQ(log, (Lines{"10ns A has", "1.055us B has", "1.11us C has"}));
  EXPECT_EQ(s().lock_class().stat.write().waittime,
            (LockTime{2, 1005_ns, 1020_ns, 2025_ns}));  // from 50 and 90 on
}

TEST_F(SpinlockTest, ASpinnerKeepsItsCpuWhateverTheSchedulerWants) {
  // E waits for CPU 1; B's slice is over at the tick at 90 us. Preemption is off, in a preemptible
  // kernel too: B spins until A unlocks at 300010 (free: 300015, seen: 300055), unlocks at 300070.
  params.sched.preempt = Preempt::kFull;
  params.sched.tick = 100_us;
  params.sched.slice = 50_us;
  user("A", 0, 0_ns, 300_us);
  Thread& b = user("B", 1, 1000_ns, 10_ns);
  Thread& e = thread("E", 1, [&](Thread& t) -> Task<void> {
    say(t, "runs");
    co_return;
  });
  engine.run();
  EXPECT_EQ(log, (Lines{"10ns A has", "300.055us B has", "300.07us E runs"}));
  EXPECT_EQ(b.sleeps(), 0U);
  EXPECT_EQ(e.ready_time(), 310'070_ns);
}

TEST_F(SpinlockTest, TheHolderIsNotPreempted) {
  // E waits for CPU 0, A holds from 10 on for 300 us in a preemptible kernel; the ticks at 90 us
  // and later find preemption off. After the unlock at 300015 the next run() is preempted.
  params.sched.preempt = Preempt::kFull;
  params.sched.tick = 100_us;
  params.sched.slice = 50_us;
  thread("A", 0, [&](Thread& t) -> Task<void> {
    co_await until(t, 0_ns);
    co_await s().lock(t);
    co_await t.run(300_us);
    co_await s().unlock(t);
    say(t, "free");
    co_await t.run(1000_ns);
    say(t, "done");
  });
  thread("E", 0, [&](Thread& t) -> Task<void> {
    say(t, "runs");
    co_await t.run(2000_ns);
  });
  engine.run();
  EXPECT_EQ(log, (Lines{"300.015us A free", "300.015us E runs", "303.015us A done"}));
}

}  // namespace
}  // namespace smmulab::lnx

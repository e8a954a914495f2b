// SPDX-License-Identifier: Apache-2.0
// What all locks share: the checks of the held-lock stack, and statistics by class and instance.
#include "models/linux/lock.hpp"

#include "models/linux/testing.hpp"
#include "sim/error.hpp"

namespace smmulab::lnx {
namespace {

class LockTest : public LinuxTest {
 protected:
  // The run must end with a ModelError that says so.
  void expect_error(std::string_view what) {
    const std::string message = model_error();
    EXPECT_NE(message.find(what), std::string::npos) << message;
  }
};

TEST_F(LockTest, TakingAMutexTwiceIsAnError) {
  Mutex m(machine(), lock_class("m"));
  thread("A", 0, [&](Thread& t) -> Task<void> {
    co_await m.lock(t);
    co_await m.lock(t, 1);  // a nesting subclass does not help
  });
  expect_error("thread A takes m#0 while it holds it");
}

TEST_F(LockTest, TakingASpinlockTwiceIsAnError) {
  Spinlock s(machine(), lock_class("s", LockKind::kSpinlock));
  thread("A", 0, [&](Thread& t) -> Task<void> {
    co_await s.lock(t);
    co_await s.lock(t);
  });
  expect_error("thread A takes s#0 while it holds it");
}

TEST_F(LockTest, AReaderThatWantsToWriteIsAnError) {
  Rwsem s(machine(), lock_class("s", LockKind::kRwsem));
  thread("A", 0, [&](Thread& t) -> Task<void> {
    co_await s.read_lock(t);
    co_await s.write_lock(t);
  });
  expect_error("thread A takes s#0 while it holds it");
}

// Lockdep reads the record: the mistake that ended the run must be in it.
TEST_F(LockTest, TheRecordEndsWithTheMistake) {
  Record twice;
  machine().set_record(&twice);
  Mutex m(machine(), lock_class("m"));
  thread("A", 0, [&](Thread& t) -> Task<void> {
    co_await m.lock(t);
    co_await m.lock(t, 1);
  });
  expect_error("while it holds it");
  const RecordEvent& last = twice[twice.size() - 1];
  EXPECT_EQ(last.kind, RecordKind::kLockRequest);
  EXPECT_EQ(last.detail, 1U);
}

TEST_F(LockTest, TheRecordEndsWithTheReleaseOfALockThatIsNotHeld) {
  Record record;
  machine().set_record(&record);
  Mutex m(machine(), lock_class("m"));
  thread("A", 0, [&](Thread& t) -> Task<void> { co_await m.unlock(t); });
  expect_error("which it does not hold");
  EXPECT_EQ(record[record.size() - 1].kind, RecordKind::kLockRelease);
}

TEST_F(LockTest, TheRecordTellsTrylocks) {
  Record record;
  machine().set_record(&record);
  Rwsem s(machine(), lock_class("s", LockKind::kRwsem));
  thread("A", 0, [&](Thread& t) -> Task<void> {
    EXPECT_TRUE(s.try_read_lock(t));
    co_await s.read_unlock(t);
    co_await s.read_lock(t);
    co_await s.read_unlock(t);
  });
  engine.run();
  std::vector<int> tries;
  for (const RecordEvent& e : record) {
    if (e.kind == RecordKind::kLockRequest || e.kind == RecordKind::kLockAcquire) {
      tries.push_back(e.flags & record_flag::kTry);
    }
  }
  EXPECT_EQ(tries, (std::vector<int>{record_flag::kTry, record_flag::kTry, 0, 0}));
}

TEST_F(LockTest, ReleasingAnothersLockIsAnErrorThatNamesTheHolder) {
  Mutex m(machine(), lock_class("m"));
  thread("A", 0, [&](Thread& t) { return mutex_user(t, m, 0_ns, 100_ns); });
  thread("B", 1, [&](Thread& t) -> Task<void> {
    co_await until(t, 50_ns);
    co_await m.unlock(t);
  });
  expect_error("thread B releases m#0, which it does not hold (held by thread A)");
}

TEST_F(LockTest, ReleasingAFreeLockIsAnError) {
  Spinlock first(machine(), lock_class("s", LockKind::kSpinlock));
  Spinlock s(machine(), lock_class("s", LockKind::kSpinlock));
  thread("A", 0, [&](Thread& t) -> Task<void> {
    co_await first.lock(t);
    co_await s.unlock(t);
  });
  expect_error("thread A releases s#1, which it does not hold (held by nobody)");
}

TEST_F(LockTest, ReleasingInTheWrongModeIsAnError) {
  Rwsem s(machine(), lock_class("s", LockKind::kRwsem));
  thread("A", 0, [&](Thread& t) -> Task<void> {
    co_await s.read_lock(t);
    co_await s.write_unlock(t);
  });
  expect_error("thread A releases s#0, which it does not hold (held by thread A)");
}

TEST_F(LockTest, DowngradingWhatIsNotHeldForWritingIsAnError) {
  Rwsem s(machine(), lock_class("s", LockKind::kRwsem));
  thread("A", 0, [&](Thread& t) -> Task<void> {
    co_await s.read_lock(t);
    co_await s.downgrade(t);
  });
  expect_error("thread A releases s#0, which it does not hold");
}

TEST_F(LockTest, EndingWithALockIsAnError) {
  Mutex m(machine(), lock_class("m"));
  thread("A", 0, [&](Thread& t) -> Task<void> { co_await m.lock(t); });
  expect_error("thread A ended with locks held");
}

TEST_F(LockTest, LocksMayBeGivenBackInAnyOrder) {
  Mutex m(machine(), lock_class("m"));
  Mutex n(machine(), lock_class("n"));
  thread("A", 0, [&](Thread& t) -> Task<void> {
    co_await m.lock(t);
    co_await n.lock(t);
    EXPECT_EQ(t.held().size(), 2U);
    EXPECT_EQ(t.held()[0].lock, &m);
    EXPECT_EQ(t.held()[1].lock, &n);
    co_await m.unlock(t);
    EXPECT_EQ(t.held().at(0).lock, &n);
    co_await n.unlock(t);
    EXPECT_TRUE(t.held().empty());
  });
  engine.run();
}

TEST_F(LockTest, TwoThreadsInOppositeOrderDeadlockAndTheCycleIsNamed) {
  Mutex m(machine(), lock_class("m"));
  Mutex n(machine(), lock_class("n"));
  const auto both = [this](Thread& t, Mutex& one, Mutex& other) -> Task<void> {
    co_await until(t, 0_ns);
    co_await one.lock(t);
    co_await t.sleep_for(1_us);
    co_await other.lock(t);
  };
  thread("A", 0, [&](Thread& t) { return both(t, m, n); });
  thread("B", 1, [&](Thread& t) { return both(t, n, m); });
  try {
    engine.run();
    FAIL() << "no DeadlockError";
  } catch (const DeadlockError& e) {
    const std::string message = e.what();
    for (const char* name : {"A", "B", "m#0", "n#0"}) {
      EXPECT_NE(message.find(name), std::string::npos) << message;
    }
    EXPECT_FALSE(e.cycle().empty());
  }
}

TEST_F(LockTest, StatisticsAreKeptByClassAndByContendedInstance) {
  // Three instances of one class, no costs. First: A 0 .. 1000, B spins from 400 on, 600. Second:
  // C twice for 300, alone. Third: nobody.
  LockClass& cls = lock_class("m");
  Mutex first(machine(), cls);
  Mutex second(machine(), cls);
  const Mutex third(machine(), cls);
  thread("A", 0, [&](Thread& t) { return mutex_user(t, first, 0_ns, 1000_ns); });
  thread("B", 1, [&](Thread& t) { return mutex_user(t, first, 400_ns, 200_ns); });
  thread("C", 2, [&](Thread& t) -> Task<void> {
    co_await mutex_user(t, second, 0_ns, 300_ns);
    co_await mutex_user(t, second, 500_ns, 300_ns);
  });
  engine.run();
  EXPECT_EQ(cls.instances, 3U);
  const LockModeStat& all = cls.stat.write();
  EXPECT_EQ(all.acquisitions, 4U);
  EXPECT_EQ(all.contentions, 1U);
  EXPECT_EQ(all.waittime, (LockTime{1, 600_ns, 600_ns, 600_ns}));
  EXPECT_EQ(all.wait_spin, 600_ns);
  EXPECT_EQ(all.holdtime, (LockTime{4, 200_ns, 1000_ns, 1800_ns}));
  EXPECT_EQ(cls.stat.read(), LockModeStat{});
  ASSERT_NE(first.instance_stat(), nullptr);
  EXPECT_EQ(first.instance_stat()->write().contentions, 1U);
  EXPECT_EQ(first.instance_stat()->write().wait_spin, 600_ns);
  EXPECT_EQ(second.instance_stat(), nullptr);
  EXPECT_EQ(third.instance_stat(), nullptr);
}

TEST_F(LockTest, SpinningAndSleepingAreToldApart) {
  // A holds from 0 and runs until 1000, sleeps until 5000, unlocks. B asks at 200, spins 800,
  // sleeps 4000. No costs.
  Mutex m(machine(), lock_class("m"));
  thread("A", 0, [&](Thread& t) -> Task<void> {
    co_await until(t, 0_ns);
    co_await m.lock(t);
    co_await t.run(1000_ns);
    co_await t.sleep_for(4000_ns);
    co_await m.unlock(t);
  });
  thread("B", 1, [&](Thread& t) { return mutex_user(t, m, 200_ns, 10_ns); });
  engine.run();
  const LockModeStat& stat = m.lock_class().stat.write();
  EXPECT_EQ(stat.waittime, (LockTime{1, 4800_ns, 4800_ns, 4800_ns}));
  EXPECT_EQ(stat.wait_spin, 800_ns);
  EXPECT_EQ(stat.wait_sleep(), 4000_ns);
}

TEST_F(LockTest, ReadersAndWritersAreToldApart) {
  // A writes 0 .. 1000. R asks at 100, sleeps until 1000, reads until 1200. W asks at 1100 and
  // spins on R. No costs.
  Rwsem s(machine(), lock_class("s", LockKind::kRwsem));
  thread("A", 0, [&](Thread& t) { return writer(t, s, 0_ns, 1000_ns); });
  thread("R", 1, [&](Thread& t) { return reader(t, s, 100_ns, 200_ns); });
  thread("W", 2, [&](Thread& t) { return writer(t, s, 1100_ns, 50_ns); });
  engine.run();
  const LockStat& stat = s.lock_class().stat;
  EXPECT_EQ(stat.read().acquisitions, 1U);
  EXPECT_EQ(stat.read().waittime, (LockTime{1, 900_ns, 900_ns, 900_ns}));
  EXPECT_EQ(stat.read().wait_sleep(), 900_ns);
  EXPECT_EQ(stat.read().holdtime, (LockTime{1, 200_ns, 200_ns, 200_ns}));
  EXPECT_EQ(stat.write().acquisitions, 2U);
  EXPECT_EQ(stat.write().contentions, 1U);
  EXPECT_EQ(stat.write().waittime, (LockTime{1, 100_ns, 100_ns, 100_ns}));
  EXPECT_EQ(stat.write().wait_spin, 100_ns);
  ASSERT_NE(s.instance_stat(), nullptr);  // from R's contention on
  EXPECT_EQ(s.instance_stat()->write().acquisitions, 1U);
}

TEST_F(LockTest, AnElidedMutexExcludesNobody) {
  LockClass& cls = lock_class("m");
  cls.elided = true;
  params.lock.mutex_lock = 10_ns;
  Mutex m(machine(), cls);
  thread("A", 0, [&](Thread& t) { return mutex_user(t, m, 0_ns, 1000_ns); });
  thread("B", 1, [&](Thread& t) { return mutex_user(t, m, 100_ns, 10_ns); });
  engine.run();
  EXPECT_EQ(log, (Lines{"0ps A has", "100ns B has"}));
  EXPECT_EQ(cls.stat.write().acquisitions, 0U);
}

}  // namespace
}  // namespace smmulab::lnx

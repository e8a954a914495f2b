// SPDX-License-Identifier: Apache-2.0
// struct rw_semaphore: readers, and who is woken when (Linux 6.12 kernel/locking/rwsem.c). Costs
// are round numbers, cache lines free. Spinning writers and HANDOFF: rwsem_spin_test.cpp.
#include <algorithm>

#include "models/linux/testing.hpp"

namespace smmulab::lnx {
namespace {

class RwsemTest : public LinuxTest {
 protected:
  RwsemTest() {
    cpus = 5;
    params.lock.rwsem_read = 10_ns;
    params.lock.rwsem_write = 20_ns;
    params.lock.rwsem_slow = 100_ns;
    params.lock.osq = 30_ns;
    params.sched.wake_up = 200_ns;
    params.sched.wake_latency = 1000_ns;
    params.sched.context_switch = 500_ns;
  }
  Rwsem& s() {
    if (!sem_) {
      sem_.emplace(machine(), lock_class("s", LockKind::kRwsem));
    }
    return *sem_;
  }
  Thread& read_user(const std::string& name, std::uint32_t cpu, Ps from, Ps hold) {
    return thread(name, cpu, [=, this](Thread& t) { return reader(t, s(), from, hold); });
  }
  Thread& write_user(const std::string& name, std::uint32_t cpu, Ps from, Ps hold) {
    return thread(name, cpu, [=, this](Thread& t) { return writer(t, s(), from, hold); });
  }
  // A holds s for writing, asleep, so that nobody spins: 20 ns has; 10020 wakes up, 11520 runs;
  // 11540 s is free; 11640 the pass over the queue is done.
  void sleeping_writer() {
    thread("A", 0, [&](Thread& t) -> Task<void> {
      co_await until(t, 0_ns);
      co_await s().write_lock(t);
      say(t, "writes");
      co_await t.sleep_for(10_us);
      co_await s().write_unlock(t);
    });
  }

 private:
  std::optional<Rwsem> sem_;
};

TEST_F(RwsemTest, ReadersShareItOnTheFastPath) {
  // A: 10 has, 1010 unlocks, 1020. B: 110 has, 310 unlocks, 320.
  Thread& a = read_user("A", 0, 0_ns, 1000_ns);
  read_user("B", 1, 100_ns, 200_ns);
  engine.run();
  EXPECT_EQ(log, (Lines{"10ns A reads", "110ns B reads"}));
  EXPECT_EQ(a.sleeps(), 0U);
  EXPECT_EQ(s().instance_stat(), nullptr);
  const LockModeStat& stat = s().lock_class().stat.read();
  EXPECT_EQ(stat.acquisitions, 2U);
  EXPECT_EQ(stat.contentions, 0U);
  EXPECT_EQ(stat.holdtime, (LockTime{2, 210_ns, 1010_ns, 1220_ns}));
  EXPECT_EQ(s().lock_class().stat.write().acquisitions, 0U);
}

TEST_F(RwsemTest, AReaderSleepsThoughTheWriterRuns) {
  // A: 20 has, 1020 unlocks, 1040 free, 1140 pass. B: 110 fails, 210 queued; woken at 1140: 2640.
  write_user("A", 0, 0_ns, 1000_ns);
  Thread& b = read_user("B", 1, 100_ns, 10_ns);
  engine.run();
  EXPECT_EQ(log, (Lines{"20ns A writes", "2.64us B reads"}));
  EXPECT_EQ(b.spin_time(), 0_ns);
  EXPECT_EQ(b.sleeps(), 1U);
  const LockModeStat& stat = s().lock_class().stat.read();
  EXPECT_EQ(stat.contentions, 1U);
  EXPECT_EQ(stat.waittime, (LockTime{1, 2530_ns, 2530_ns, 2530_ns}));
  EXPECT_EQ(stat.wait_spin, 0_ns);
}

TEST_F(RwsemTest, AReaderStealsFromAWriterThatIsOnItsWay) {
  // W: 1020 fails, A sleeps: 1120 queued. Woken at 11640, it runs at 13140.
  // R: 11610 no writer, no other reader: has it; its pass over the queue ends at 11710.
  // W: 13140 fails, sleeps. R: 14710 unlocks, 14720 free, 14820 pass wakes W: 16320.
  sleeping_writer();
  Thread& w = write_user("W", 1, 1000_ns, 10_ns);
  Thread& r = read_user("R", 2, 11600_ns, 3000_ns);
  engine.run();
  EXPECT_EQ(log, (Lines{"20ns A writes", "11.71us R reads", "16.32us W writes"}));
  EXPECT_EQ(w.sleeps(), 2U);
  EXPECT_EQ(r.sleeps(), 0U);
}

TEST_F(RwsemTest, AReaderQueuesBehindAWriterThatWaitsForReaders) {
  // A reads from 10 to 50020. W: 1020 fails, 1050 spins, 10.5 us for one reader: 11550; 11650
  // queued. R: 20010 finds waiters and a reader: 20110 queued.
  // 50120 W is woken: 51620 has, 52620 unlocks, 52640 free, 52740 R is granted: 54240.
  read_user("A", 0, 0_ns, 50_us);
  write_user("W", 1, 1000_ns, 1000_ns);
  Thread& r = read_user("R", 2, 20_us, 10_ns);
  engine.run();
  EXPECT_EQ(log, (Lines{"10ns A reads", "51.62us W writes", "54.24us R reads"}));
  EXPECT_EQ(r.sleeps(), 1U);
}

TEST_F(RwsemTest, OneReleaseLetsAllReadersInPastTheWriters) {
  // Queued behind A: R at 1110, W at 2120, Q at 3110. At 11640 R is woken: 13140, and, 200 later,
  // Q: 13340. Q: 14340 unlocks, 14350 free, 14450 wakes W: 15950.
  sleeping_writer();
  read_user("R", 1, 1000_ns, 1000_ns);
  write_user("W", 2, 2000_ns, 10_ns);
  read_user("Q", 3, 3000_ns, 1000_ns);
  engine.run();
  EXPECT_EQ(log,
            (Lines{"20ns A writes", "13.14us R reads", "13.34us Q reads", "15.95us W writes"}));
}

TEST_F(RwsemTest, AWriterAtTheHeadIsWokenAlone) {
  // Queued behind A: W at 1120, R at 2110. W: woken at 11640, 13140 has, 14140 unlocks, 14160
  // free, 14260 R is granted: 15760.
  sleeping_writer();
  write_user("W", 1, 1000_ns, 1000_ns);
  read_user("R", 2, 2000_ns, 10_ns);
  engine.run();
  EXPECT_EQ(log, (Lines{"20ns A writes", "13.14us W writes", "15.76us R reads"}));
}

TEST_F(RwsemTest, AWriterMayStealBeforeTheReadersAreGranted) {
  // R: 1110 queued. S: 11580 fails (waiters), 11610 heads the SpinQueue, takes the free lock.
  // A: 11640 finds a writer, wakes nobody. S: 12610 unlocks, 12630 free, 12730 grants R: 14230.
  sleeping_writer();
  read_user("R", 1, 1000_ns, 10_ns);
  write_user("S", 2, 11560_ns, 1000_ns);
  engine.run();
  EXPECT_EQ(log, (Lines{"20ns A writes", "11.61us S writes", "14.23us R reads"}));
}

TEST_F(RwsemTest, APassWakes256ReadersAtMost) {
  // 300 readers queue behind A. 256 run at 13140; the last of them to unlock, at 14150, wakes the
  // other 44: 14250 + 1500.
  cpus = 301;
  params.sched.wake_up = 0_ns;
  sleeping_writer();
  for (std::uint32_t i = 1; i <= 300; ++i) {
    read_user("R", i, 1000_ns, 1000_ns);
  }
  engine.run();
  EXPECT_EQ(std::count(log.begin(), log.end(), "13.14us R reads"), 256);
  EXPECT_EQ(std::count(log.begin(), log.end(), "15.75us R reads"), 44);
  EXPECT_EQ(log.size(), 301U);
}

TEST_F(RwsemTest, ADowngradeLetsReadersInAndKeepsWritersOut) {
  // A: 20 has, 1020 downgrades, 1040 is a reader, 1140 pass grants R, 1340 has woken it; 6340
  // unlocks. R: 210 queued; 2640 reads with A. W: 620 fails, 650 spins on A, on readers from 1040:
  // up to 10.5 us for A alone. A: 6350 not the last; R: 7640 unlocks, 7650 free: W.
  thread("A", 0, [&](Thread& t) -> Task<void> {
    co_await until(t, 0_ns);
    co_await s().write_lock(t);
    say(t, "writes");
    co_await t.run(1000_ns);
    co_await s().downgrade(t);
    EXPECT_FALSE(s().held_for_write_by(t));
    co_await t.run(5000_ns);
    co_await s().read_unlock(t);
  });
  read_user("R", 1, 100_ns, 5000_ns);
  write_user("W", 2, 600_ns, 10_ns);
  engine.run();
  EXPECT_EQ(log, (Lines{"20ns A writes", "2.64us R reads", "7.65us W writes"}));
  const LockStat& stat = s().lock_class().stat;
  EXPECT_EQ(stat.write().acquisitions, 2U);
  EXPECT_EQ(stat.read().acquisitions, 2U);
  EXPECT_EQ(stat.read().holdtime.max, 5310_ns);   // A: 1040 .. 6350
  EXPECT_EQ(stat.write().holdtime.max, 1020_ns);  // A: 20 .. 1040
}

TEST_F(RwsemTest, TryingToReadFailsIfAWriterHoldsOrAnybodyWaits) {
  // A and W as in AReaderQueuesBehind..: A alone until 11650, W waits until 51620, holds until
  // 52640.
  read_user("A", 0, 0_ns, 50_us);
  write_user("W", 1, 1000_ns, 1000_ns);
  thread("T", 2, [&](Thread& t) -> Task<void> {
    for (const Ps at : {100_ns, 20_us, 52_us, 60_us}) {
      co_await until(t, at);
      const bool got = s().try_read_lock(t);
      say(t, got ? "got" : "failed");
      if (got) {
        co_await s().read_unlock(t);
      }
      co_await t.run();  // what trying costs
      say(t, "goes on");
    }
  });
  engine.run();
  EXPECT_EQ(log, (Lines{"10ns A reads", "100ns T got", "120ns T goes on", "20us T failed",
                        "20.01us T goes on", "51.62us W writes", "52us T failed",
                        "52.01us T goes on", "60us T got", "60.02us T goes on"}));
  EXPECT_EQ(s().lock_class().stat.read().acquisitions, 3U);
}

}  // namespace
}  // namespace smmulab::lnx

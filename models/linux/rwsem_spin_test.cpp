// SPDX-License-Identifier: Apache-2.0
// struct rw_semaphore: writers that spin, and HANDOFF (Linux 6.12 kernel/locking/rwsem.c). Costs as
// in rwsem_test.cpp.
#include "models/linux/testing.hpp"

namespace smmulab::lnx {
namespace {

class RwsemSpinTest : public LinuxTest {
 protected:
  RwsemSpinTest() {
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
  // A has s at 20 for writing, sleeps with it for `asleep`, runs 1500 later, frees it 20 later.
  void sleeping_writer(Ps asleep) {
    thread("A", 0, [=, this](Thread& t) -> Task<void> {
      co_await until(t, 0_ns);
      co_await s().write_lock(t);
      say(t, "writes");
      co_await t.sleep_for(asleep);
      co_await s().write_unlock(t);
    });
  }

 private:
  std::optional<Rwsem> sem_;
};

TEST_F(RwsemSpinTest, WritersSpinInOrderWhileTheWriterRuns) {
  // A: 20 has, 5020 unlocks, 5040 free. B: 120 fails, 150 heads the SpinQueue. C: 250 behind it.
  write_user("A", 0, 0_ns, 5000_ns);
  write_user("C", 2, 200_ns, 10_ns);
  Thread& b = write_user("B", 1, 100_ns, 1000_ns);
  engine.run();
  EXPECT_EQ(log, (Lines{"20ns A writes", "5.04us B writes", "6.06us C writes"}));
  EXPECT_EQ(b.spin_time(), 4890_ns);
  EXPECT_EQ(b.sleeps(), 0U);
  const LockModeStat& stat = s().lock_class().stat.write();
  EXPECT_EQ(stat.contentions, 2U);
  EXPECT_EQ(stat.waittime, (LockTime{2, 4920_ns, 5840_ns, 10760_ns}));
  EXPECT_EQ(stat.wait_spin, 4890_ns + 5810_ns);
}

TEST_F(RwsemSpinTest, AWriterStopsSpinningWhenTheWriterSleeps) {
  // A: 20 has, 1020 sleeps, 12520 runs, 12540 free, 12640 wakes W: 14140.
  // W: 150 spins, 1020 stops, 1120 queued.
  thread("A", 0, [&](Thread& t) -> Task<void> {
    co_await until(t, 0_ns);
    co_await s().write_lock(t);
    co_await t.run(1000_ns);
    co_await t.sleep_for(10_us);
    co_await s().write_unlock(t);
  });
  Thread& w = write_user("W", 1, 100_ns, 10_ns);
  engine.run();
  EXPECT_EQ(log, (Lines{"14.14us W writes"}));
  EXPECT_EQ(w.spin_time(), 870_ns);
  EXPECT_EQ(w.sleeps(), 1U);
}

struct ReaderLimit {
  std::uint32_t readers;
  Ps spin;
};

class RwsemReaderLimitTest : public RwsemSpinTest,
                             public ::testing::WithParamInterface<ReaderLimit> {};

TEST_P(RwsemReaderLimitTest, SpinningOnReadersEndsAfterTheirLimit) {
  // (20 + min(readers, 30)) / 2 us; the readers hold on for 100 us.
  const std::uint32_t n = GetParam().readers;
  cpus = n + 1;
  for (std::uint32_t i = 0; i < n; ++i) {
    read_user("R", i, 0_ns, 100_us);
  }
  Thread& w = write_user("W", n, 1000_ns, 10_ns);
  engine.run();
  EXPECT_EQ(w.spin_time(), GetParam().spin);
  EXPECT_EQ(w.sleeps(), 1U);
}

INSTANTIATE_TEST_SUITE_P(Counts, RwsemReaderLimitTest,
                         ::testing::Values(ReaderLimit{1, 10500_ns}, ReaderLimit{2, 11_us},
                                           ReaderLimit{10, 15_us}, ReaderLimit{30, 25_us},
                                           ReaderLimit{31, 25_us}, ReaderLimit{60, 25_us}),
                         [](const auto& which) {
                           return std::to_string(which.param.readers) + "readers";
                         });

TEST_F(RwsemSpinTest, AReaderThatEndsWithinTheLimitIsFollowedAtOnce) {
  // A: 10 has, 10010 unlocks, 10020 free. W: 1050 spins, could until 11550.
  read_user("A", 0, 0_ns, 10_us);
  Thread& w = write_user("W", 1, 1000_ns, 10_ns);
  engine.run();
  EXPECT_EQ(log, (Lines{"10ns A reads", "10.02us W writes"}));
  EXPECT_EQ(w.spin_time(), 8970_ns);
  EXPECT_EQ(w.sleeps(), 0U);
}

TEST_F(RwsemSpinTest, OnceAWriterGaveUpOnReadersTheNextDoesNotSpin) {
  // A reads until 50020. W gives up at 11550, 11650 queued. X: 15020 fails, 15120 queued.
  // 50120 wakes W: 51620 has; 52640 free, 52740 wakes X: 54240.
  read_user("A", 0, 0_ns, 50_us);
  write_user("W", 1, 1000_ns, 1000_ns);
  Thread& x = write_user("X", 2, 15_us, 10_ns);
  engine.run();
  EXPECT_EQ(log, (Lines{"10ns A reads", "51.62us W writes", "54.24us X writes"}));
  EXPECT_EQ(x.spin_time(), 0_ns);
}

TEST_F(RwsemSpinTest, SpinningOnReadersStopsWhenTheSchedulerWantsTheCpu) {
  // E waits for CPU 1 from the beginning; W's slice is over at the tick at 10 us + 5 us. W: 1050
  // spins, 5000 stops, 5100 queued, sleeps; E has the CPU after the switch of 500.
  params.sched.tick = 15_us;
  params.sched.slice = 10_us;
  read_user("A", 0, 0_ns, 50_us);
  Thread& w = write_user("W", 1, 1000_ns, 10_ns);
  thread("E", 1, [&](Thread& t) -> Task<void> {
    say(t, "runs");
    co_return;
  });
  engine.run();
  EXPECT_EQ(log, (Lines{"10ns A reads", "5.6us E runs", "51.62us W writes"}));
  EXPECT_EQ(w.spin_time(), 3950_ns);
}

// Sleeps of A after which a woken writer that finds the lock stolen comes too early or just in time
// to set HANDOFF. It queued in jiffy 0 and retries at asleep + 13.14 us on the machine's clock.
struct Timeout {
  std::uint32_t hz;
  Ps tick;
  Ps too_early;
  Ps in_time;
};

class RwsemTimeoutTest : public LinuxTest, public ::testing::WithParamInterface<Timeout> {
 protected:
  // A sleeps with s; W queues at 1120. R steals just after A's release (as in rwsem_test.cpp).
  bool handoff_after(Ps asleep) {
    Engine own_engine;
    LinuxParams p = params_without_costs();
    p.sched.tick = GetParam().tick;
    p.lock.rwsem_read = 10_ns;
    p.lock.rwsem_write = 20_ns;
    p.lock.rwsem_slow = 100_ns;
    p.sched.wake_latency = 1500_ns;
    Machine m(own_engine, p, uniform_topology(3));
    Rwsem s(m, m.locks().get("s", LockKind::kRwsem));
    bool handoff = false;
    m.spawn_thread("A", 0, [&](Thread& t) -> Task<void> {
      co_await t.run(kStart - own_engine.now());
      co_await s.write_lock(t);
      co_await t.sleep_for(asleep);
      co_await s.write_unlock(t);
    });
    m.spawn_thread("W", 1, [&](Thread& t) -> Task<void> {
      co_await t.run(kStart + 1000_ns - own_engine.now());
      co_await s.write_lock(t);
      co_await s.write_unlock(t);
    });
    m.spawn_thread("R", 2, [&](Thread& t) -> Task<void> {
      co_await t.run(kStart + asleep + 1600_ns - own_engine.now());
      co_await s.read_lock(t);
      co_await t.run(20_us);
      handoff = s.handoff();
      co_await s.read_unlock(t);
    });
    own_engine.run();
    return handoff;
  }
};

TEST_P(RwsemTimeoutTest, AWriterAsksForTheLockWhenJiffiesHavePassedItsTimeout) {
  EXPECT_FALSE(handoff_after(GetParam().too_early));
  EXPECT_TRUE(handoff_after(GetParam().in_time));
}

// time_after(jiffies, 0 + DIV_ROUND_UP(HZ, 250)): jiffy 2, 5 and 2.
INSTANTIATE_TEST_SUITE_P(Hz, RwsemTimeoutTest,
                         ::testing::Values(Timeout{250, 4_ms, 7'980_us, 7'990_us},
                                           Timeout{1000, 1_ms, 4'980_us, 4'990_us},
                                           Timeout{100, 10_ms, 19'980_us, 19'990_us}),
                         [](const auto& which) { return "Hz" + std::to_string(which.param.hz); });

TEST_F(RwsemSpinTest, WithoutHandoffASpinnerBeatsTheFirstWaiter) {
  // A frees s at 6001540. R: 6001610 steals, 6001710 goes on. W: queued since 1120, 6003140 fails
  // in jiffy 1. S: 6095050 spins on R. R: 6101720 free, S takes it; 6102720 unlocks, 6102740 free.
  // W: woken at 6101820: 6103320.
  sleeping_writer(6_ms);
  write_user("W", 1, 1000_ns, 10_ns);
  read_user("R", 2, 6'001'600_ns, 100_us);
  write_user("S", 3, 6'095'000_ns, 1000_ns);
  engine.run();
  EXPECT_EQ(log, (Lines{"20ns A writes", "6001.71us R reads", "6101.72us S writes",
                        "6103.32us W writes"}));
}

TEST_F(RwsemSpinTest, AfterHandoffNobodyPassesTheFirstWaiter) {
  // The same 2 ms later: W fails in jiffy 2 and sets HANDOFF. Q: 8050010 must queue. R: 8101720
  // free, S may not take it; W: 8103320 has, 8104320 unlocks, 8104340 free: S, which has spun on;
  // it unlocks at 8104350, 8104370 free. W's pass ends at 8104440 and grants Q: 8105940.
  cpus = 5;
  sleeping_writer(8_ms);
  write_user("W", 1, 1000_ns, 1000_ns);
  read_user("R", 2, 8'001'600_ns, 100_us);
  read_user("Q", 4, 8'050'000_ns, 10_ns);
  write_user("S", 3, 8'095'000_ns, 10_ns);
  engine.run();
  EXPECT_EQ(log, (Lines{"20ns A writes", "8001.71us R reads", "8103.32us W writes",
                        "8104.34us S writes", "8105.94us Q reads"}));
}

TEST_F(RwsemSpinTest, AWaiterWithHandoffSpinsOnTheWriterThatStole) {
  // S: 8001520 fails, 8001550 takes the lock A freed at 8001540. W: 8003140 fails in jiffy 2, sets
  // HANDOFF, spins. S: 8011550 unlocks, 8011570 free: W.
  sleeping_writer(8_ms);
  Thread& w = write_user("W", 1, 1000_ns, 10_ns);
  write_user("S", 3, 8'001'500_ns, 10_us);
  engine.run();
  EXPECT_EQ(log, (Lines{"20ns A writes", "8001.55us S writes", "8011.57us W writes"}));
  EXPECT_EQ(w.sleeps(), 1U);
  EXPECT_EQ(w.spin_time(), 8430_ns);
}

// R has waited since 1110. S: takes the lock A freed at sleep + 1540, 10 ns later. A's pass ends at
// + 1640, finds S, and sets HANDOFF for R if that has timed out. S: + 11550 unlocks, + 11570 free.
TEST_F(RwsemSpinTest, APassForAReaderInTimeLeavesTheLockToSpinners) {
  // T, which spins on S, takes it; S's pass at + 11670 finds T. T: + 12570 unlocks, + 12590 free;
  // its pass grants R at + 12690.
  cpus = 5;
  sleeping_writer(6_ms);
  read_user("R", 1, 1000_ns, 10_ns);
  write_user("S", 2, 6'001'500_ns, 10_us);
  write_user("T", 3, 6'005'000_ns, 1000_ns);
  engine.run();
  EXPECT_EQ(log, (Lines{"20ns A writes", "6001.55us S writes", "6011.57us T writes",
                        "6014.19us R reads"}));
}

TEST_F(RwsemSpinTest, APassForAReaderThatTimedOutKeepsSpinnersAway) {
  // T may not take it; S's pass grants R at + 11670, which runs 1500 later, unlocks 10 later: T.
  cpus = 5;
  sleeping_writer(8_ms);
  read_user("R", 1, 1000_ns, 10_ns);
  write_user("S", 2, 8'001'500_ns, 10_us);
  write_user("T", 3, 8'005'000_ns, 10_ns);
  engine.run();
  EXPECT_EQ(log, (Lines{"20ns A writes", "8001.55us S writes", "8013.17us R reads",
                        "8013.19us T writes"}));
}

}  // namespace
}  // namespace smmulab::lnx

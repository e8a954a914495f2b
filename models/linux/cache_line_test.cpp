// SPDX-License-Identifier: Apache-2.0
// Topology, cache lines and reference counts: what moving a line costs, by distance.
#include "models/linux/refcount.hpp"
#include "models/linux/testing.hpp"
#include "sim/error.hpp"

namespace smmulab::lnx {
namespace {

constexpr LineParams kLine{1_ns, 45_ns, 95_ns, 180_ns};
constexpr SimTime kNow{1'000_ns};

TEST(Topology, SharesOutCpusInOrder) {
  const Topology t = uniform_topology(8, 2, 2);
  for (std::uint32_t cpu = 0; cpu < 8; ++cpu) {
    EXPECT_EQ(t[cpu].node, cpu / 2);
    EXPECT_EQ(t[cpu].socket, cpu / 4);
  }
  EXPECT_THROW((void)uniform_topology(6, 2, 2), ConfigError);
  EXPECT_THROW((void)uniform_topology(0), ConfigError);
  EXPECT_THROW((void)uniform_topology(4, 0), ConfigError);
}

TEST(CacheLine, CostsByDistanceFromWhereItWas) {
  const Topology t = uniform_topology(8, 2, 2);
  struct Case {
    std::uint32_t from;
    std::uint32_t to;
    Ps cost;
  };
  for (const Case& c : {Case{0, 0, 1_ns}, Case{0, 1, 45_ns}, Case{1, 0, 45_ns}, Case{0, 2, 95_ns},
                        Case{3, 0, 95_ns}, Case{3, 4, 180_ns}, Case{7, 0, 180_ns}}) {
    CacheLine line;
    EXPECT_EQ(line.access(kNow, c.from, kLine, t), 1_ns);  // nobody had it
    EXPECT_EQ(line.bounces(c.to), c.from != c.to);
    EXPECT_EQ(line.access(kNow + 1_us, c.to, kLine, t), c.cost) << c.from << " to " << c.to;
    EXPECT_FALSE(line.bounces(c.to));
  }
}

TEST(CacheLine, AccessesAreServedOneAfterAnother) {
  // All ask at the same time: 0 has it after 1, 1 after 45 more, 2 (other node) after 95 more.
  const Topology t = uniform_topology(8, 2, 2);
  CacheLine line;
  EXPECT_EQ(line.access(kNow, 0, kLine, t), 1_ns);
  EXPECT_EQ(line.access(kNow, 1, kLine, t), 46_ns);
  EXPECT_EQ(line.access(kNow, 2, kLine, t), 141_ns);
  // One who asks 100 later waits for the 41 that are left.
  EXPECT_EQ(line.access(kNow + 100_ns, 3, kLine, t), 41_ns + 45_ns);
  EXPECT_EQ(line.access(kNow + 1_us, 3, kLine, t), 1_ns);
}

TEST(CacheLine, ACpuPaysForItsWaitOnce) {
  // Both steps are charged at the same time: 180 for the line to come, then 1 with it there. The
  // next one, 10 later, waits for 171 more, and 180.
  const Topology t = uniform_topology(8, 2, 2);
  CacheLine line;
  EXPECT_EQ(line.access(kNow, 0, kLine, t), 1_ns);
  EXPECT_EQ(line.access(kNow + 1_us, 4, kLine, t), 180_ns);
  EXPECT_EQ(line.access(kNow + 1_us, 4, kLine, t), 1_ns);
  EXPECT_EQ(line.access(kNow + 1_us + 10_ns, 0, kLine, t), 171_ns + 180_ns);
}

class RefcountTest : public LinuxTest {
 protected:
  RefcountTest() {
    params.lock.atomic = 6_ns;
    params.line = kLine;
  }
};

TEST_F(RefcountTest, CountsAndCharges) {
  // A: two steps of 6 + 1. B: 100, 6 + 45. The last reference goes with B's second step.
  Refcount refs;
  thread("A", 0, [&](Thread& t) -> Task<void> {
    co_await until(t, 0_ns);
    refs.inc(t);
    EXPECT_EQ(refs.read(), 2U);
    EXPECT_FALSE(refs.dec_and_test(t));
    co_await t.run();
    say(t, "done");
  });
  thread("B", 1, [&](Thread& t) -> Task<void> {
    co_await until(t, 100_ns);
    EXPECT_TRUE(refs.inc_not_zero(t));
    co_await t.run();
    say(t, "has one");
    EXPECT_FALSE(refs.dec_and_test(t));
    EXPECT_TRUE(refs.dec_and_test(t));
    EXPECT_FALSE(refs.inc_not_zero(t));
    EXPECT_EQ(refs.read(), 0U);
  });
  engine.run();
  EXPECT_EQ(log, (Lines{"14ns A done", "151ns B has one"}));
}

TEST_F(RefcountTest, ADeadCountIsAnError) {
  Refcount refs(0);
  thread("A", 0, [&](Thread& t) -> Task<void> {
    refs.inc(t);
    co_return;
  });
  EXPECT_NE(model_error().find("increment of a dead object by A"), std::string::npos);
}

TEST_F(RefcountTest, DroppingOneTooManyIsAnError) {
  Refcount refs;
  thread("A", 0, [&](Thread& t) -> Task<void> {
    EXPECT_TRUE(refs.dec_and_test(t));
    refs.dec_and_test(t);
    co_return;
  });
  EXPECT_NE(model_error().find("decrement of a dead object by A"), std::string::npos);
}

TEST_F(LinuxTest, AMutexPaysForItsLineByDistance) {
  // CPU 0 had the line. From CPU 1 it costs 40, from the other node 90, the other socket 180.
  params.line = {0_ns, 40_ns, 90_ns, 180_ns};
  Machine m(engine, params, uniform_topology(8, 2, 2));
  for (const auto& [cpu, cost] :
       std::vector<std::pair<std::uint32_t, Ps>>{{0, 0_ns}, {1, 40_ns}, {2, 90_ns}, {4, 180_ns}}) {
    Mutex mutex(m, m.locks().get("m", LockKind::kMutex));
    m.spawn_thread("first", 0, [&](Thread& t) -> Task<void> {
      co_await mutex.lock(t);
      co_await mutex.unlock(t);
    });
    engine.run();
    const SimTime before = engine.now();
    m.spawn_thread("second", cpu, [&](Thread& t) -> Task<void> {
      co_await mutex.lock(t);
      EXPECT_EQ(engine.now() - before, cost) << cpu;
      co_await mutex.unlock(t);
    });
    engine.run();
  }
}

}  // namespace
}  // namespace smmulab::lnx

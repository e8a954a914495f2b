// SPDX-License-Identifier: Apache-2.0
#include "sim/stat_registry.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "sim/error.hpp"

namespace smmulab {
namespace {

constexpr SimTime at_ns(int ns) {
  return kTimeZero + Ps{1000LL * ns};
}

// A component as models write them.
struct Queue {
  explicit Queue(const StatScope& stats)
      : pushed{stats, "pushed", Unit::kCount, "entries written"},
        depth{stats, "depth", Unit::kCount, "entries waiting"},
        latency{stats, "latency", Unit::kPs, "write to completion"},
        lock{stats, "lock", Unit::kPs, "producer lock"} {}

  void push(SimTime now) {
    ++pushed;
    depth.add(now, 1);
    latency.record(5_ns);
    lock.on_acquire(1_ns, Ps{0}, true, false, LockMode::kWrite);
    lock.on_release(2_ns, LockMode::kWrite);
  }

  Declared<Counter> pushed;
  Declared<Gauge> depth;
  Declared<Histogram> latency;
  Declared<LockStat> lock;
};

std::vector<std::string> names(const StatRegistry& registry) {
  std::vector<std::string> out;
  for (const StatInfo& info : registry.describe()) {
    out.push_back(info.component + ":" + info.name);
  }
  return out;
}

TEST(StatRegistry, ListsInOrderOfDeclaration) {
  StatRegistry registry;
  const StatScope smmu = StatScope(registry).child("smmu0");
  const Queue queue(smmu.child("cmdq"));
  const Declared<Counter> first(smmu, "a", Unit::kPages, "");
  EXPECT_EQ(names(registry),
            (std::vector<std::string>{"smmu0/cmdq:pushed", "smmu0/cmdq:depth", "smmu0/cmdq:latency",
                                      "smmu0/cmdq:lock", "smmu0:a"}));
  EXPECT_EQ(registry.describe()[0].doc, "entries written");
  EXPECT_EQ(registry.describe()[4].unit, Unit::kPages);
}

TEST(StatRegistry, AComponentThatEndsTakesItsStatisticsAlong) {
  StatRegistry registry;
  const StatScope scope(registry, "x");
  const Declared<Counter> before(scope, "before", Unit::kCount, "");
  {
    const Declared<Counter> gone(scope, "gone", Unit::kCount, "");
  }
  const Declared<Counter> after(scope, "after", Unit::kCount, "");
  EXPECT_EQ(names(registry), (std::vector<std::string>{"x:before", "x:after"}));
  const Declared<Counter> again(scope, "gone", Unit::kCount, "");  // the name is free again
}

TEST(StatRegistry, RefusesANameTwice) {
  StatRegistry registry;
  const StatScope scope(registry, "x");
  const Declared<Counter> one(scope, "n", Unit::kCount, "");
  EXPECT_THROW(Declared<Gauge>(scope, "n", Unit::kCount, ""), ModelError);
  const Declared<Counter> elsewhere(scope.child("y"), "n", Unit::kCount, "");
}

TEST(StatRegistry, DeclaredStatisticsPassArgumentsAndCopyAsPlainValues) {
  StatRegistry registry;
  const Declared<Gauge> level(StatScope(registry), "level", Unit::kBytes, "", at_ns(5), 64);
  const Gauge plain = level;
  EXPECT_EQ(plain.level(), 64);
  EXPECT_EQ(names(registry), (std::vector<std::string>{":level"}));
}

TEST(StatSnapshot, IsAValueThatSubtractsAndMerges) {
  StatRegistry registry;
  Queue queue(StatScope(registry, "q"));
  queue.push(at_ns(10));
  const StatSnapshot warm_up = registry.snapshot(at_ns(20));
  queue.push(at_ns(30));
  queue.push(at_ns(30));
  const StatSnapshot end = registry.snapshot(at_ns(40));
  const StatSnapshot roi = end - warm_up;

  EXPECT_EQ(std::get<Counter>(*roi.find("q", "pushed")), Counter{2});
  EXPECT_DOUBLE_EQ(std::get<GaugeWindow>(*roi.find("q", "depth")).mean(), 2.0);
  EXPECT_EQ(std::get<Histogram>(*roi.find("q", "latency")).count(), 2U);
  EXPECT_EQ(std::get<LockStat>(*roi.find("q", "lock")).write().contentions, 2U);
  EXPECT_EQ(roi.find("q", "absent"), nullptr);
  EXPECT_EQ(warm_up + roi, end);
  EXPECT_FALSE(end == warm_up);
}

TEST(StatSnapshot, RefusesAnotherList) {
  StatRegistry registry;
  const StatScope scope(registry, "x");
  const Declared<Counter> one(scope, "one", Unit::kCount, "");
  StatSnapshot before = registry.snapshot(kTimeZero);
  const Declared<Counter> two(scope, "two", Unit::kCount, "");
  EXPECT_THROW((void)(registry.snapshot(kTimeZero) - before), ModelError);
  EXPECT_THROW(before += registry.snapshot(kTimeZero), ModelError);
}

TEST(StatSnapshot, TidyRows) {
  StatRegistry registry;
  Queue queue(StatScope(registry, "q"));
  queue.push(at_ns(10));
  const std::vector<StatRow> rows = registry.snapshot(at_ns(20)).rows();
  ASSERT_EQ(rows.size(), 1U + 5U + 8U + 14U);
  EXPECT_EQ(rows[0], (StatRow{"q", "pushed", StatKind::kCounter, Unit::kCount, std::uint64_t{1}}));
  EXPECT_EQ(rows[1], (StatRow{"q", "depth.mean", StatKind::kGauge, Unit::kCount, 0.5}));
  EXPECT_EQ(rows[5],
            (StatRow{"q", "depth.observed", StatKind::kGauge, Unit::kPs, std::int64_t{20'000}}));
  EXPECT_EQ(rows[6],
            (StatRow{"q", "latency.count", StatKind::kHistogram, Unit::kCount, std::uint64_t{1}}));
  EXPECT_EQ(rows[12],
            (StatRow{"q", "latency.p99", StatKind::kHistogram, Unit::kPs, std::uint64_t{5000}}));
  EXPECT_EQ(rows[15], (StatRow{"q", "lock.write.contentions", StatKind::kLock, Unit::kCount,
                               std::uint64_t{1}}));
  EXPECT_EQ(rows[27], (StatRow{"q", "lock.write.holdtime_avg", StatKind::kLock, Unit::kPs,
                               std::int64_t{2000}}));
}

TEST(StatSnapshot, NamesOfUnitsAndKinds) {
  EXPECT_EQ(to_string(Unit::kPs), "ps");
  EXPECT_EQ(to_string(Unit::kPages), "pages");
  EXPECT_EQ(to_string(StatKind::kHistogram), "histogram");
  EXPECT_EQ(to_string(StatKind::kLock), "lock");
}

}  // namespace
}  // namespace smmulab

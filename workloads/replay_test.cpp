// SPDX-License-Identifier: Apache-2.0
// When the replay issues operations: closed and timed, think time, speed, dependencies between
// threads, phases. Scheduling costs nothing here, and dma operations occupy their thread for
// exactly the recorded duration, so that start times can be worked out by hand.
#include "workloads/replay.hpp"

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "workloads/replay_testing.hpp"
#include "workloads/unread_settings.hpp"

namespace smmulab::workloads {
namespace {

constexpr std::string_view kHeader = R"(smmulab-trace 1
cpu 0 socket=0 node=0
cpu 1 socket=0 node=0
smmu 0
group 0
devset 0
device 0 name=d0 smmu=0 sid=0x10 group=0 devset=0
thread 0 name=a cpu=0
thread 1 name=b cpu=1
begin
)";

class ReplayTest : public ::testing::Test {
 protected:
  std::string trace(std::string_view operations) const {
    std::size_t count = 0;
    for (std::size_t at = 0; at < operations.size(); at = operations.find('\n', at) + 1) {
      count += operations.substr(at).starts_with("phase") ? 0U : 1U;
    }
    testing::write_bytes(path_, fmt::format("{}{}end {}\n", kHeader, operations, count));
    return path_;
  }
  // With the costs of scheduling set to zero.
  testing::Outcomes run(std::string_view operations, std::vector<std::string> assignments = {}) {
    assignments.insert(assignments.begin(),
                       {"sched.context_switch=0", "sched.wake_up=0", "sched.wake_latency=0"});
    return testing::replay_all(trace(operations), testing::settings_with(assignments));
  }

  testing::TempDir dir_;
  std::string path_ = dir_.file("t.iotrace");
};

// Recorded gaps: 1000 ns, 2500 ns, 3300 ns.
constexpr std::string_view kGaps =
    "0 0 bind dev=0 ret=0 dur=1000\n"
    "2000 0 dma dev=0 iova=0x1000 len=4096 ret=0 dur=500\n"
    "5000 0 dma dev=0 iova=0x1000 len=4096 ret=0 dur=700\n"
    "9000 0 dma dev=0 iova=0x1000 len=4096 ret=0 dur=100.25\n";

void expect_gaps(const std::vector<OpOutcome>& ops, const std::vector<Ps>& gaps) {
  ASSERT_EQ(ops.size(), gaps.size() + 1);
  for (std::size_t i = 0; i < gaps.size(); ++i) {
    EXPECT_EQ(ops[i + 1].start - ops[i].end, gaps[i]) << i;
  }
}

TEST_F(ReplayTest, ClosedIssuesEachOperationWhenTheLastHasEnded) {
  const auto [result, ops] = run(kGaps);
  expect_gaps(ops, {0_ps, 0_ps, 0_ps});
  EXPECT_EQ(ops[0].start, kTimeZero);
  EXPECT_EQ(ops[1].end - ops[1].start, 500_ns);
  EXPECT_EQ(ops[2].end - ops[2].start, 700_ns);
  EXPECT_EQ(ops[3].end - ops[3].start, Ps{100'250});
  EXPECT_EQ(result.end, ops[3].end);
}

TEST_F(ReplayTest, ClosedWithRecordedThinkTimeKeepsTheGaps) {
  expect_gaps(run(kGaps, {"replay.think=recorded"}).ops, {1000_ns, 2500_ns, 3300_ns});
}

TEST_F(ReplayTest, AThreadThatSleepsBetweenOperationsLeavesItsCpuToOthers) {
  // Two threads on one CPU, each with a gap of 9 us.
  constexpr std::string_view kBoth =
      "0 0 bind dev=0 ret=0 dur=1000\n"
      "1000 1 dma dev=0 iova=0x1000 len=4096 ret=0 dur=500\n"
      "10000 0 dma dev=0 iova=0x1000 len=4096 ret=0 dur=500\n"
      "10500 1 dma dev=0 iova=0x1000 len=4096 ret=0 dur=500\n";
  const std::vector<std::string> one_cpu{"machine.cpus=1", "machine.pinning=spread"};
  const auto end_of = [&](const std::string& think) {
    std::vector<std::string> settings = one_cpu;
    settings.push_back("replay.think=" + think);
    return run(kBoth, settings).result.end;
  };
  const SimTime busy = end_of("recorded");
  const SimTime asleep = end_of("slept");
  const SimTime none = end_of("zero");
  EXPECT_GE(busy - none, 18_us);    // one gap after the other
  EXPECT_GE(asleep - none, 8_us);   // both at once,
  EXPECT_LE(asleep - none, 12_us);  // and the CPU works for one thread while the other sleeps
}

TEST_F(ReplayTest, UserTimeComesBeforeEachOperationInAddition) {
  const auto ops = run(kGaps, {"replay.user_time=300ns"}).ops;
  EXPECT_EQ(ops[0].start, SimTime{300_ns});
  expect_gaps(ops, {300_ns, 300_ns, 300_ns});
  expect_gaps(run(kGaps, {"replay.user_time=300ns", "replay.think=recorded"}).ops,
              {1300_ns, 2800_ns, 3600_ns});
}

TEST_F(ReplayTest, ASleepIsDrawnWhereTheRecordedGapHoldsTheWaitForACpuToo) {
  // 200 gaps of 1 ms, of which the program asks for up to 300 us.
  std::string operations = "0 0 bind dev=0 ret=0 dur=1000\n";
  for (int i = 1; i <= 200; ++i) {
    operations +=
        fmt::format("{} 0 dma dev=0 iova=0x1000 len=4096 ret=0 dur=0\n", 1000 + i * 1'000'000);
  }
  const std::vector<std::string> slept{"replay.think=slept", "sched.timer_slack=50us"};
  const auto gaps_of = [&](const std::string& extra) {
    std::vector<std::string> settings = slept;
    settings.push_back(extra);
    const auto ops = run(operations, settings).ops;
    std::vector<Ps> gaps;
    for (std::size_t i = 1; i < ops.size(); ++i) {
      gaps.push_back(ops[i].start - ops[i - 1].end);
    }
    return gaps;
  };
  EXPECT_EQ(gaps_of("replay.sleep_up_to=0"), std::vector<Ps>(200, 1000_us));
  const std::vector<Ps> drawn = gaps_of("replay.sleep_up_to=300us");
  const auto [least, most] = std::minmax_element(drawn.begin(), drawn.end());
  EXPECT_GE(*least, 50_us);
  EXPECT_LE(*least, 70_us);
  EXPECT_GE(*most, 330_us);
  EXPECT_LE(*most, 350_us);
  const Ps sum = std::accumulate(drawn.begin(), drawn.end(), Ps{0});
  EXPECT_NEAR(static_cast<double>(sum / 200 / 1_us), 200.0, 20.0);
  EXPECT_EQ(gaps_of("replay.sleep_up_to=300us"), drawn);
  // Never longer than recorded.
  EXPECT_LE(std::ranges::max(gaps_of("replay.sleep_up_to=100ms")), 1000_us);
}

TEST_F(ReplayTest, WithoutRecordedDurationsThereIsNoGapToKeep) {
  expect_gaps(run("0 0 bind dev=0\n9000 0 dma dev=0 iova=0 len=1\n", {"replay.think=recorded"}).ops,
              {0_ps});
}

// Far enough apart that the bind is over before the first and, as recorded, each over before the
// next.
constexpr std::string_view kSparse =
    "0 0 bind dev=0\n"
    "1000000 0 dma dev=0 iova=0x1000 len=4096 dur=500\n"
    "1500000.5 0 dma dev=0 iova=0x1000 len=4096 dur=200000\n"
    "1800000 0 dma dev=0 iova=0x1000 len=4096 dur=10\n"
    "2000000 1 dma dev=0 iova=0x1000 len=4096 dur=10\n";

void expect_starts(const std::vector<OpOutcome>& ops, const std::vector<Ps>& starts) {
  ASSERT_EQ(ops.size(), starts.size() + 1);
  for (std::size_t i = 0; i < starts.size(); ++i) {
    EXPECT_EQ(ops[i + 1].start, SimTime{starts[i]}) << i;
  }
}

TEST_F(ReplayTest, TimedIssuesAtTheRecordedTimes) {
  expect_starts(run(kSparse, {"replay.mode=timed"}).ops,
                {1000_us, Ps{1'500'000'500}, 1800_us, 2000_us});
}

TEST_F(ReplayTest, TimedSlowerAndFaster) {
  expect_starts(run(kSparse, {"replay.mode=timed", "replay.speed_percent=50"}).ops,
                {2000_us, Ps{3'000'001'000}, 3600_us, 4000_us});
  // Twice as fast, the third dma is due at 900 us, but its thread is busy until 950.00025 us.
  expect_starts(run(kSparse, {"replay.mode=timed", "replay.speed_percent=200"}).ops,
                {500_us, Ps{750'000'250}, Ps{950'000'250}, 1000_us});
}

// Time stamps since boot: 30 hours of picoseconds times 100 do not fit 64 bits.
TEST_F(ReplayTest, TimedLongAfterTheClockBegan) {
  constexpr std::string_view kLate = "108000000000000 0 bind dev=0\n";
  const auto late = run(kLate, {"replay.mode=timed"}).ops;
  ASSERT_EQ(late.size(), 1U);
  EXPECT_EQ(late[0].start, SimTime{108'000'000'000_us});
  EXPECT_THROW(run(kLate, {"replay.mode=timed", "replay.speed_percent=1"}), ConfigError);
}

TEST_F(ReplayTest, TimedThreadsPayForTheirWakeUp) {
  expect_starts(run(kSparse, {"replay.mode=timed", "sched.wake_latency=5us"}).ops,
                {1005_us, Ps{1'505'000'500}, 1805_us, 2005_us});
}

// Thread b has nothing before its map in a closed replay, but the ioas comes 1 ms later.
TEST_F(ReplayTest, AnObjectsUserWaitsForItsMaker) {
  const auto ops = run("0 0 bind dev=0\n"
                       "1 0 dma dev=0 iova=0 len=1 dur=1000000\n"
                       "2000000 0 ioas_alloc ioas=5\n"
                       "2000001 1 map ioas=5 iova=0x1000 len=4096\n"
                       "2000002 0 unmap ioas=5 iova=0x1000 len=4096\n")
                       .ops;
  EXPECT_GE(ops[2].start, SimTime{1000_us});
  EXPECT_EQ(ops[3].start, ops[2].end);
  EXPECT_EQ(ops[3].rc, 0);
  EXPECT_EQ(ops[4].start, ops[3].end);  // it undoes the map
  EXPECT_EQ(ops[4].rc, 0);
}

TEST_F(ReplayTest, ADestroyerWaitsForAllUsers) {
  const auto [result, ops] =
      run("0 0 bind dev=0\n"
          "1 0 ioas_alloc ioas=5\n"
          "2 0 hwpt_alloc hwpt=6 dev=0 pt=5\n"
          "3 1 dma dev=0 iova=0 len=1 dur=1000000\n"
          "2000000 1 attach dev=0 pt=6\n"
          "2000001 1 detach dev=0 old=6\n"
          "2000002 0 hwpt_destroy hwpt=6\n");
  EXPECT_GE(ops[4].start, SimTime{1000_us});
  EXPECT_EQ(ops[6].start, ops[5].end);
  EXPECT_EQ(result.kinds[static_cast<std::size_t>(OpKind::kHwptDestroy)].errors, 0U);
}

TEST_F(ReplayTest, APhaseWaitsForAllBeforeIt) {
  const auto [result, ops] =
      run("0 0 bind dev=0\n"
          "1 0 dma dev=0 iova=0 len=1 dur=1000000\n"
          "2 1 dma dev=0 iova=0 len=1 dur=10\n"
          "phase run\n"
          "2000000 1 dma dev=0 iova=0 len=1 dur=10\n"
          "2000001 0 dma dev=0 iova=0 len=1 dur=20\n"
          "2000100 1 dma dev=0 iova=0 len=1 dur=30\n"
          "2000101 0 dma dev=0 iova=0 len=1 dur=40\n");
  EXPECT_EQ(ops[2].start, ops[0].end);  // the dma needs the bind, not the other dma
  EXPECT_EQ(ops[3].start, ops[1].end);
  EXPECT_EQ(ops[4].start, ops[1].end);
  EXPECT_EQ(result.main_phase, "run");
  EXPECT_EQ(result.main_operations, 4U);
  EXPECT_EQ(result.main_span, 60_ns);  // thread a: 20 + 40
}

TEST_F(ReplayTest, ResultsAreHeldAgainstTheRecordedOnes) {
  const auto [result, ops] =
      run("0 0 bind dev=0 ret=0\n"
          "1 0 ioas_alloc ioas=5\n"
          "2 0 map ioas=5 iova=0x1000 len=4096 ret=0\n"
          "3 0 map ioas=5 iova=0x1000 len=4096 ret=-17\n"
          "4 0 map ioas=5 iova=0x2000 len=4096 ret=-12\n");
  const KindResult& map = result.kinds[static_cast<std::size_t>(OpKind::kMap)];
  EXPECT_EQ(map.count, 3U);
  EXPECT_EQ(map.errors, 1U);  // EEXIST, as recorded
  EXPECT_EQ(map.different, 1U);
  EXPECT_EQ(ops[3].rc, -17);
  EXPECT_TRUE(ops[1].as_recorded);  // nothing was recorded
  EXPECT_TRUE(ops[3].as_recorded);
  EXPECT_FALSE(ops[4].as_recorded);
  EXPECT_EQ(result.final_state,
            (std::vector<std::string>{"ioas 5 area 0x1000-0x1fff", "ioas 5 area 0x2000-0x2fff",
                                      "device d0 bound, to nothing"}));
}

TEST_F(ReplayTest, ErrorsOfTheMainPhaseAreCounted) {
  const auto [result, ops] =
      run("0 0 ioas_alloc ioas=5\n"
          "1 0 map ioas=5 iova=0x1000 len=4096\n"
          "2 0 map ioas=5 iova=0x1000 len=4096 ret=-17\n"
          "phase run\n"
          "3 0 map ioas=5 iova=0x2000 len=4096\n"
          "4 0 map ioas=5 iova=0x3000 len=4096\n"
          "5 0 map ioas=5 iova=0x2000 len=4096 ret=-17\n"
          "6 0 map ioas=5 iova=0x1000 len=4096 ret=-17\n");
  EXPECT_EQ(result.main_operations, 4U);
  EXPECT_EQ(result.main_errors, 2U);
}

TEST_F(ReplayTest, WarnsOfUnusedAndOfSharedCpus) {
  using Warnings = std::vector<std::string>;
  const std::string path = trace("0 0 bind dev=0\n");
  const auto warnings = [&path](const std::vector<std::string>& assignments) {
    return testing::replay_all(path, testing::settings_with(assignments)).result.warnings;
  };
  EXPECT_EQ(warnings({}), Warnings{});
  EXPECT_EQ(warnings({"machine.cpus=8"}), Warnings{});  // two threads can use two CPUs only
  EXPECT_EQ(warnings({"machine.cpus=1"}),
            Warnings{"2 threads share 1 CPU: latencies include waiting for a CPU"});
  std::string text = testing::read_bytes(path);
  text.replace(text.find("name=b cpu=1"), 12, "name=b cpu=0");
  testing::write_bytes(path, text);
  EXPECT_EQ(warnings({}),
            Warnings{"1 of 2 CPUs are left to no pinned thread: 2 threads are pinned to 1 "
                     "(machine.pinning=spread shares them out)"});
  EXPECT_EQ(warnings({"machine.pinning=spread"}), Warnings{});
  EXPECT_EQ(warnings({"machine.pinning=none"}), Warnings{});
}

TEST_F(ReplayTest, WarnsOfThinkTimesThatAreLeftOut) {
  using Warnings = std::vector<std::string>;
  const std::string path = trace("0 0 bind dev=0\n");
  const std::string text = testing::read_bytes(path);
  const auto warnings = [&](const std::string& meta, const std::vector<std::string>& assignments) {
    std::string with = text;
    testing::write_bytes(path, with.insert(with.find('\n') + 1, "meta source " + meta + "\n"));
    return testing::replay_all(path, testing::settings_with(assignments)).result.warnings;
  };
  const std::string generated = "smmulab generate --mix replace=1 --think exp:20us --seed 1";
  EXPECT_EQ(warnings(generated, {}),
            Warnings{"the trace has think times (exp:20us), and the replay leaves them out "
                     "(-s replay.think=recorded keeps them)"});
  EXPECT_EQ(warnings("smmulab generate --think const:1us", {}).size(), 1U);
  EXPECT_EQ(warnings(generated, {"replay.think=recorded"}), Warnings{});
  EXPECT_EQ(warnings(generated, {"replay.think=slept"}), Warnings{});
  EXPECT_EQ(warnings(generated, {"replay.mode=timed"}), Warnings{});
  EXPECT_EQ(warnings("smmulab generate --think 0 --seed 1", {}), Warnings{});
  EXPECT_EQ(warnings("a machine --think exp:20us", {}), Warnings{});
}

TEST_F(ReplayTest, WarnsOfSettingsThatAreNotRead) {
  using Warnings = std::vector<std::string>;
  const std::string path = trace("0 0 bind dev=0\n");
  const auto warnings = [&path](const std::vector<std::string>& assignments) {
    return testing::replay_all(path, testing::settings_with(assignments)).result.warnings;
  };
  EXPECT_EQ(warnings({"smmuv3.hardware=counted"}), Warnings{});
  EXPECT_EQ(warnings({"smmuv3.mtlb_entries=64", "stream.pattern=random", "stream.payload=512",
                      "stream.footprint_kib=4"}),
            Warnings{});
  EXPECT_EQ(warnings({"smmuv3.preset=mmu600-agilex5", "smmuv3.mtlb_entries=64",
                      "smmuv3.mtlb_entries=128", "smmuv3.hardware=counted"}),
            Warnings{"smmuv3.preset, smmuv3.mtlb_entries are set, but not read: smmuv3.hardware is "
                     "counted, whose times are hw.*"});
  EXPECT_EQ(warnings({"dma.gap=1us", "stream.payload=512"}),
            (Warnings{"stream.payload is set, but not read: there is no stream.pattern and no DMA "
                      "trace",
                      "dma.gap is set, but not read: a replay has no map+unmap loop (smmulab "
                      "dma-bench has)"}));
  EXPECT_EQ(warnings({"stream.payload=512", "preset=server"}), Warnings{});  // starts anew
  EXPECT_EQ(unread_settings(testing::settings_with({"stream.payload=512"}), true), Warnings{});
  EXPECT_EQ(warnings({"driver.evtq_entry=1us", "driver.events=true"}), Warnings{});
  EXPECT_EQ(warnings({"driver.evtq_entry=1us"}),
            Warnings{"driver.evtq_entry is set, but not read: driver.events is false"});
  EXPECT_EQ(warnings({"smmuv3.preset=mmu600-agilex5"}), Warnings{});
  EXPECT_EQ(warnings({"smmuv3.preset=mmu600-agilex5", "driver.range_inv=true"}),
            Warnings{"driver.range_inv is set, but not read: this smmuv3.part has no range "
                     "invalidation"});
  EXPECT_EQ(warnings({"smmuv3.preset=mmu600-agilex5", "driver.range_inv=false"}), Warnings{});
}

TEST_F(ReplayTest, TheProgressFunctionCanEndTheRun) {
  std::string text = "0 0 bind dev=0\n";
  for (int i = 1; i <= 100'000; ++i) {
    text += fmt::format("{} {} dma dev=0 iova=0 len=1 dur=10\n", 100 * i, i % 2);
  }
  ReplayOptions options;
  options.progress = [](std::uint64_t) { return false; };
  EXPECT_THROW((void)replay(trace(text), Settings{}, options), Interrupted);
}

}  // namespace
}  // namespace smmulab::workloads

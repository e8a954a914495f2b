// SPDX-License-Identifier: Apache-2.0
// Replays on timed hardware: operations end as with counted hardware, DMA runs beside them, and
// neither the engine nor run-ahead changes what comes out.
#include <algorithm>

#include <gtest/gtest.h>

#include "sim/engine_agreement.hpp"
#include "sim/error.hpp"
#include "sim/sanitized_testing.hpp"
#include "workloads/replay_testing.hpp"
#include "workloads/report_json.hpp"

namespace smmulab::workloads {
namespace {

using Assignments = std::vector<std::string>;

std::string dma_trace() {
  for (const std::string& path : testing::recorded_traces()) {
    if (path.find("g_dma") != std::string::npos) {
      return path;
    }
  }
  return "";
}

// The default.
Settings timed_settings(const Assignments& more = {}) {
  Assignments all = {"machine.cpus=8", "machine.pinning=spread"};
  all.insert(all.end(), more.begin(), more.end());
  return testing::settings_with(all);
}

// The trace is of 650 ms: few transactions, so that it is a test.
const Assignments kStreams = {"stream.pattern=random", "stream.interval=1us"};

Settings with_streams(Assignments more = {}) {
  more.insert(more.begin(), kStreams.begin(), kStreams.end());
  return timed_settings(more);
}

std::string run(EngineKind engine, const std::string& protocol, const Settings& settings) {
  std::string text;
  ReplayOptions options;
  options.protocol = protocol;
  options.engine = engine;
  options.sink = [&text](const OpOutcome& op) {
    text += fmt::format("{} {} {} {}\n", op.seq, to_ps(op.start), to_ps(op.end), op.rc);
  };
  ReplayResult result = replay(dma_trace(), settings, options);
  result.events = 0;  // how the engine came there is its own business
  return text + to_json(result);
}

class TimedRecorded : public ::testing::TestWithParam<std::string> {};

TEST_P(TimedRecorded, OperationsEndAsOnCountedHardware) {
  for (const std::string version : {"6.2", "6.12"}) {
    const std::string driver = "driver.version=" + version;
    const std::string protocol = version == "6.2" ? "v6.2" : "igroup";
    const auto timed = testing::replay_all(GetParam(), timed_settings({driver}), protocol);
    const auto counted = testing::replay_all(
        GetParam(), timed_settings({"smmuv3.hardware=counted", driver}), protocol);
    EXPECT_EQ(timed.result.status, counted.result.status);
    ASSERT_EQ(timed.ops.size(), counted.ops.size());
    if (testing::traits_of(GetParam()).groups) {
      continue;  // which of the devices of a group comes first, and so which fails, is time's
    }
    EXPECT_EQ(timed.result.final_state, counted.result.final_state);
    for (std::size_t i = 0; i < timed.ops.size(); ++i) {
      EXPECT_EQ(timed.ops[i].rc, counted.ops[i].rc) << "operation " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, TimedRecorded, ::testing::ValuesIn(testing::recorded_traces()),
                         [](const auto& each) { return testing::test_name(each.param); });

TEST(TimedReplay, RunAheadChangesNothing) {
  for (const std::string pattern : {"sequential", "random", "strided"}) {
    for (const std::string more :
         {"driver.events=false", "driver.events=true", "stream.ats=true"}) {
      Assignments closed = {"stream.pattern=" + pattern,
                            std::string("stream.link_burst=") + unless_sanitized("500ns", "1us"),
                            "machine.ats=all", more};
      const Settings on = timed_settings(closed);
      closed.emplace_back("smmuv3.run_ahead=false");
      const Settings off = timed_settings(closed);
      EXPECT_EQ(run(EngineKind::kNative, "igroup", on), run(EngineKind::kNative, "igroup", off))
          << pattern << ", " << more;
    }
  }
}

void expect_agreement(const Settings& settings) {
  for (const std::string protocol : {"igroup", "v6.2"}) {
    const std::string native = run(EngineKind::kNative, protocol, settings);
    EXPECT_EQ(native, run(EngineKind::kNative, protocol, settings));
    if (!simgrid_available()) {
      continue;
    }
    EXPECT_EQ(native, agreement::in_child([&](int out) {
                const std::string text = run(EngineKind::kSimGrid, protocol, settings);
                agreement::write_all(out, text.data(), text.size());
              }))
        << protocol;
  }
}

TEST(TimedReplay, BothEnginesAgreeAndTwoRunsAreEqual) {
  // Eighteen replays: with fewer transactions than elsewhere.
  const std::string rare = std::string("stream.interval=") + unless_sanitized("5us", "25us");
  expect_agreement(with_streams({rare}));
  expect_agreement(with_streams({rare, "driver.events=true", "driver.evtq_log2=3"}));
  expect_agreement(
      with_streams({rare, "machine.ats=all", "stream.ats=true", "stream.atc_entries=8"}));
}

std::uint64_t transactions(const ReplayResult& result) {
  std::uint64_t sum = 0;
  for (const auto& rows : result.pmu) {
    for (const smmu::timed::PmuRow& row : rows) {
      sum += row.unit.starts_with("tbu") && row.name == "transaction" ? row.value : 0;
    }
  }
  return sum;
}

TEST(TimedReplay, CountersAreThoseOfTheDevicesOrOfTheFiltersAlone) {
  const auto replayed = [](const Assignments& more) {
    return testing::replay_all(dma_trace(), with_streams(more), "igroup").result;
  };
  const ReplayResult all = replayed({});
  std::uint64_t issued = 0;
  for (const DeviceResult& device : all.devices) {
    issued += device.dma ? device.dma->stream.issued : 0;
  }
  EXPECT_GT(issued, 1000U);
  EXPECT_EQ(transactions(all), issued);
  for (const auto& rows : all.pmu) {
    EXPECT_EQ(rows.front().name, "cycles");
    EXPECT_EQ(rows.front().value, static_cast<std::uint64_t>(to_ps(all.end)) / 1000);  // 1 ns each
  }
  const Assignments every = {"smmuv3.pmu.filter_enable=true", "smmuv3.pmu.filter_span=true",
                             "smmuv3.pmu.filter_stream_id=4294967295"};
  EXPECT_EQ(transactions(replayed(every)), issued);
  const ReplayResult one =
      replayed({"smmuv3.pmu.filter_enable=true", "smmuv3.pmu.filter_stream_id=16"});
  EXPECT_TRUE(std::ranges::any_of(one.devices, [&one](const DeviceResult& device) {
    return device.dma && device.dma->stream.issued == transactions(one);
  }));
  EXPECT_EQ(one.end, all.end);
}

TEST(TimedReplay, CountedHardwareHasNoCounters) {
  const ReplayResult counted =
      testing::replay_all(dma_trace(), timed_settings({"smmuv3.hardware=counted"}), "igroup")
          .result;
  EXPECT_NE(to_json(counted).find("\"pmu\":[]"), std::string::npos);
}

// Every fault has a record, in the queue or lost, but for those under way at the end.
TEST(TimedReplay, FaultsAreRecordedAndAThreadReadsThem) {
  const auto replayed = [](const Assignments& more) {
    return testing::replay_all(dma_trace(), with_streams(more), "igroup").result;
  };
  const ReplayResult off = replayed({});
  const ReplayResult on = replayed({"driver.events=true"});
  const ReplayResult small =
      replayed({"driver.events=true", "driver.evtq_log2=0", "driver.evtq_entry=10ms"});
  const auto thread_of = [](const ReplayResult& result) {
    return std::ranges::find(result.threads, "irq/smmu0-evtq", &ThreadResult::name);
  };
  EXPECT_EQ(thread_of(off), off.threads.end());
  ASSERT_NE(thread_of(on), on.threads.end());
  EXPECT_GT(thread_of(on)->run, 1_us);
  std::uint64_t recorded = 0, lost = 0;
  for (std::size_t i = 0; i < on.devices.size(); ++i) {
    EXPECT_FALSE(off.devices[i].dma->events);
    const DmaResult& dma = *on.devices[i].dma;
    EXPECT_LE(dma.events->recorded + dma.events->lost, dma.stream.faulted + 64);
    EXPECT_GE(dma.events->recorded + dma.events->lost + 64, dma.stream.faulted);
    EXPECT_EQ(dma.events->lost, 0U);
    recorded += dma.events->recorded;
    lost += small.devices[i].dma->events->lost;
  }
  EXPECT_GT(recorded, 0U);
  EXPECT_GT(lost, 0U);
}

// Devices with an ATC: its invalidations are on the way of an unmap, and what they hit is asked for
// again.
TEST(TimedReplay, DevicesWithAtsHaveAnAtc) {
  const auto replayed = [](Assignments more) {
    more.emplace_back("machine.ats=all");
    return testing::replay_all(dma_trace(), with_streams(more), "igroup").result;
  };
  const ReplayResult off = replayed({});
  const ReplayResult on = replayed({"stream.ats=true", "driver.events=true"});
  EXPECT_EQ(on.status, "ok");
  EXPECT_EQ(on.final_state, off.final_state);
  for (std::size_t i = 0; i < on.devices.size(); ++i) {
    EXPECT_FALSE(off.devices[i].dma->ats);
    const DmaResult& dma = *on.devices[i].dma;
    EXPECT_GT(dma.ats->atc_hits, 1000U);
    EXPECT_GT(dma.ats->translation_requests, 0U);
    // Each has gone by a hit or an answer; a request may have been made once more.
    EXPECT_GE(dma.ats->atc_hits + dma.ats->translation_requests, dma.stream.passed);
    EXPECT_EQ(dma.events->recorded, 0U);  // devices are told, software is not
  }
}

// v6.2 replaces by a detach and an attach.
TEST(TimedReplay, DetachAndAttachLeavesDmaDarkForLongerThanAReplace) {
  const auto dark = [](const std::string& protocol) {
    const auto outcomes = testing::replay_all(dma_trace(), with_streams(), protocol);
    Ps total{0};
    for (const DeviceResult& device : outcomes.result.devices) {
      EXPECT_TRUE(device.dma) << device.name;
      EXPECT_GT(device.dma->stream.passed, 1000U) << device.name;
      EXPECT_GT(device.dma->stream.dark_windows, 0U) << device.name;
      total += device.dma->stream.dark_total;
    }
    return total;
  };
  EXPECT_GT(dark("v6.2"), dark("igroup"));
}

// Unmaps page by page fill a queue of 128 entries, whatever way they are inserted.
TEST(TimedReplay, AFullQueueIsWaitedFor) {
  for (const std::string insertion : {"cmpxchg", "spinlock", "fetch-add"}) {
    const auto outcomes = testing::replay_all(
        dma_trace(), timed_settings({"driver.cmdq_insertion=" + insertion, "driver.queue_log2=7",
                                     "driver.range_inv=false", "iommufd.run_pages=1"}));
    EXPECT_EQ(outcomes.result.status, "ok") << insertion;
    EXPECT_LT(to_ps(outcomes.result.end), to_ps(SimTime{100'000_ms})) << insertion;
  }
}

// An MMU-600 has none, whatever driver.range_inv says: unmaps take a command for each page.
TEST(TimedReplay, RangeInvalidationFollowsThePart) {
  const auto end = [](Assignments more) {
    more.emplace_back("iommufd.run_pages=1");
    return to_ps(testing::replay_all(dma_trace(), timed_settings(more)).result.end);
  };
  const auto mmu600 = end({"smmuv3.preset=mmu600-agilex5"});
  EXPECT_EQ(mmu600, end({"smmuv3.preset=mmu600-agilex5", "driver.range_inv=false"}));
  EXPECT_GT(mmu600, end({"smmuv3.preset=mmu600-agilex5", "smmuv3.part=any"}));
}

TEST(TimedReplay, DevicesWithoutAStreamHaveNoDmaResult) {
  const auto outcomes = testing::replay_all(dma_trace(), with_streams({"stream.devices=1"}));
  EXPECT_TRUE(outcomes.result.devices[0].dma);
  EXPECT_FALSE(outcomes.result.devices[1].dma);
  EXPECT_FALSE(testing::replay_all(dma_trace(), timed_settings()).result.devices[0].dma);
}

TEST(TimedReplay, RefusesWhatDoesNotFit) {
  const auto refuses = [](const Settings& settings, const std::string& key) {
    try {
      (void)replay(dma_trace(), settings, {});
      ADD_FAILURE() << "accepted: " << key;
    } catch (const ConfigError& error) {
      EXPECT_NE(std::string(error.what()).find(key), std::string::npos) << error.what();
    }
  };
  refuses(testing::settings_with({"smmuv3.hardware=counted", "stream.pattern=random"}),
          "smmuv3.hardware = timed");
  // Costs of the hardware that is not there.
  refuses(timed_settings({"hw.sync=1us"}), "hw.sync = 1us");
  refuses(timed_settings({"hw.doorbell=0"}), "hw.doorbell = 0ps");
  refuses(timed_settings({"preset=qemu-tcg", "hw.tlbi=95ns"}), "hw.tlbi = 95ns");
  refuses(timed_settings({"preset=d06", "smmuv3.hardware=timed"}), "hw.sync = 300ns");
  const Settings slower = timed_settings({"preset=qemu-tcg", "smmuv3.link.doorbell=1us"});
  EXPECT_NO_THROW(smmu::check_counted_costs(slower.hardware, slower.driver));
  refuses(testing::settings_with({"smmuv3.hardware=counted", "driver.events=true"}),
          "driver.events");
  refuses(timed_settings({"stream.ats=true"}), "machine.ats");
  refuses(timed_settings({"smmuv3.oas=40"}), "smmuv3.oas");
  refuses(timed_settings({"smmuv3.tcu.ptw_slots=128"}), "smmuv3.tcu.ptw_slots");
  refuses(timed_settings({"smmuv3.tcu.ctw_slots=3"}), "smmuv3.tcu.ctw_slots");
  refuses(timed_settings({"smmuv3.link.atc_response=60ms"}), "smmuv3.link.atc_timeout = 50ms");
  refuses(
      timed_settings({"stream.pattern=random", "stream.payload=300", "stream.footprint_kib=64"}),
      "payload");
}

TEST(TimedReplay, TakesCostsOfCountedHardwareThatSayTheSame) {
  for (const Assignments& each :
       std::vector<Assignments>{{"hw.sync=250ns"},
                                {"preset=qemu-tcg"},
                                {"preset=d06"},
                                {"smmuv3.hardware=counted", "hw.sync=1us"}}) {
    EXPECT_EQ(testing::replay_all(dma_trace(), testing::settings_with(each)).result.status, "ok")
        << each.back();
  }
}

}  // namespace
}  // namespace smmulab::workloads

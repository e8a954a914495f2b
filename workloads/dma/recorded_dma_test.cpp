// SPDX-License-Identifier: Apache-2.0
// Replays whose devices issue what a DMA trace recorded: which device issues what, what becomes of
// it, and that files and settings that do not fit are refused.
#include <optional>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "sim/error.hpp"
#include "workloads/dma/dma_trace.hpp"
#include "workloads/replay.hpp"
#include "workloads/report_json.hpp"
#include "workloads/trace_testing.hpp"

namespace smmulab::workloads::dma {
namespace {

using Assignments = std::vector<std::string>;

// All are attached to one hwpt with 2 MiB mapped from 1 MiB on, while a thread maps and unmaps
// behind that; the second device has two StreamIDs.
std::string operations() {
  std::string text = R"(smmulab-trace 1
cpu 0 socket=0 node=0
smmu 0
group 0
group 1
group 2
devset 0
device 0 name=nic smmu=0 sid=0x10 group=0 devset=0
device 1 name=disk smmu=0 sid=0x18,0x19 group=1 devset=0
device 2 name=idle smmu=0 sid=0x20 group=2 devset=0
thread 0 name=a cpu=0
begin
0 0 bind dev=0
0 0 bind dev=1
0 0 bind dev=2
0 0 ioas_alloc ioas=1
0 0 map ioas=1 iova=0x100000 len=2097152
0 0 hwpt_alloc hwpt=2 dev=0 pt=1
0 0 attach dev=0 pt=2
0 0 attach dev=1 pt=2
0 0 attach dev=2 pt=2
)";
  constexpr int kTurns = 20;
  for (int i = 0; i < kTurns; ++i) {
    text += "0 0 map ioas=1 iova=0x400000 len=65536\n0 0 unmap ioas=1 iova=0x400000 len=65536\n";
  }
  return text + fmt::format("end {}\n", 9 + 2 * kTurns);
}

class RecordedDmaTest : public ::testing::Test {
 protected:
  RecordedDmaTest() { testing::write_bytes(trace_, operations()); }
  std::string dma_file(const std::string& lines) {
    testing::write_bytes(dma_, "smmulab-dma 1\n" + lines);
    return dma_;
  }
  ReplayResult run(const std::string& lines, const Assignments& more = {},
                   const std::string& hardware = "timed") {
    Settings settings;
    apply_assignment("smmuv3.hardware=" + hardware, settings);
    for (const std::string& assignment : more) {
      apply_assignment(assignment, settings);
    }
    const RecordedDma recorded = read_recorded_dma(dma_file(lines));
    ReplayOptions options;
    options.dma = &recorded;
    return replay(trace_, settings, options);
  }
  template <class Error>
  std::string error_of(const std::string& lines, const Assignments& more = {},
                       const std::string& hardware = "timed") {
    try {
      (void)run(lines, more, hardware);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }
  testing::TempDir dir_;
  std::string trace_ = dir_.file("operations.iotrace"), dma_ = dir_.file("test.dma");
};

TEST_F(RecordedDmaTest, EachDeviceIssuesItsOwnAndOthersNothing) {
  const ReplayResult result =
      run("dma 0x18 1 0x100000\ndma 0x10 1 0x200000 w\ndma 0x19 1 0x2FFFC0 w\ndma 0x10 1 0x210000\n"
          "dma 0x18 1 0x101000 w\n",
          {"stream.payload=512"});
  EXPECT_EQ(result.status, "ok");
  EXPECT_TRUE(result.warnings.empty());
  ASSERT_EQ(result.devices.size(), 3U);
  ASSERT_TRUE(result.devices[0].dma && result.devices[1].dma);
  EXPECT_FALSE(result.devices[2].dma);
  for (std::size_t i = 0; i < 2; ++i) {
    const smmu::timed::StreamStats& stats = result.devices[i].dma->stream;
    EXPECT_GT(stats.passed, 100U) << i;  // over and over
    EXPECT_EQ(stats.bytes, 512 * stats.passed) << i;
    EXPECT_GT(stats.aborted + stats.faulted, 0U) << i;  // until it is attached
    EXPECT_EQ(stats.dark_windows, 0U) << i;
  }
}

// Half of what the device issues is mapped nowhere, all the time; a quarter is beyond the IOVAs.
TEST_F(RecordedDmaTest, WhatIsNotMappedFaultsAndIsCounted) {
  const ReplayResult result =
      run("dma 0x10 1 0x100000\ndma 0x10 1 0x80000000\ndma 0x10 1 0x100000 w\n"
          "dma 0x10 1 0xFFFFFFFFFFFFF000\n",
          {"stream.outstanding=1"});
  const smmu::timed::StreamStats& stats = result.devices[0].dma->stream;
  EXPECT_GT(stats.passed, 100U);
  EXPECT_GE(stats.faulted + stats.aborted + 2, stats.passed);
  EXPECT_GT(stats.dark_windows, 50U);
  EXPECT_LE(stats.issued - stats.passed - stats.faulted - stats.aborted, 1U);  // the last
}

TEST_F(RecordedDmaTest, UnmapsOfItsIovasAreSeen) {
  const ReplayResult result = run("dma 0x10 1 0x400000\ndma 0x10 1 0x401000 w\n");
  EXPECT_GT(result.devices[0].dma->unmaps.old_uses, 0U);
  EXPECT_GT(result.devices[0].dma->stream.dark_windows, 10U);
}

TEST_F(RecordedDmaTest, RunAheadChangesNothingAndTwoRunsAreEqual) {
  std::string lines;
  for (int i = 0; i < 100; ++i) {
    lines += fmt::format("dma {:#x} 1 {:#x}{}\n", i % 3 == 0 ? 0x18 : 0x10,
                         0x100000 + 4096 * (i * 37 % 530), i % 2 == 0 ? " w" : "");
  }
  const auto text = [&](bool run_ahead) {
    ReplayResult result =
        run(lines, {fmt::format("smmuv3.run_ahead={}", run_ahead), "stream.link_burst=50ns"});
    result.events = 0;
    return to_json(result);
  };
  const std::string ahead = text(true);
  EXPECT_EQ(ahead, text(false));
  EXPECT_EQ(ahead, text(true));
}

TEST_F(RecordedDmaTest, OtherStreamIdsAreAWarningOrIfThereAreNoMoreAnError) {
  const ReplayResult result =
      run("dma 0x10 1 0x100000\ndma 0x77 1 0\ndma 0x88 1 0\ndma 0x77 1 0\n");
  EXPECT_EQ(result.warnings, Assignments{dma_ + ": 3 of 4 transactions are left out, of StreamIDs "
                                                "that no device has: 0x77, 0x88"});
  EXPECT_EQ(error_of<ConfigError>("dma 0x77 1 0\n"),
            dma_ +
                ": no transaction is of a device of the replayed trace: StreamIDs 0x77, and the "
                "devices have 0x10, 0x18, 0x19, 0x20");
  EXPECT_EQ(error_of<ConfigError>("map 1 0 0 4k\n"),
            dma_ + ": no transaction (a line 'dma STREAM SPACE IOVA') is in it");
}

// A DMA trace does not say which SMMU a StreamID is of.
TEST_F(RecordedDmaTest, EachDeviceWithAStreamIdIssuesItsTransactionsInTheirOrder) {
  TraceHeader header;
  header.devices.resize(3);
  header.devices[0].stream_ids = {StreamId{0x10}};
  header.devices[1].stream_ids = {StreamId{0x10}, StreamId{0x11}};
  header.devices[1].smmu = SmmuIndex{1};
  header.devices[2].stream_ids = {StreamId{0x12}};
  const RecordedDma recorded = read_recorded_dma(
      dma_file("dma 0x11 1 0x1000 w\nmap 1 0 0 4k\ndma 0x10 2 0x2000\ndma 0x11 1 0x3000\n"));
  const DeviceAccesses found = by_device(recorded, header);
  const auto addresses = [&found](std::size_t device) {
    std::vector<std::uint64_t> all;
    for (const smmu::timed::RecordedAccess& access : found.devices[device]) {
      all.push_back(access.address);
    }
    return all;
  };
  EXPECT_EQ(addresses(0), std::vector<std::uint64_t>{0x2000});
  EXPECT_EQ(addresses(1), (std::vector<std::uint64_t>{0x1000, 0x2000, 0x3000}));
  EXPECT_EQ(addresses(2), std::vector<std::uint64_t>{});
  EXPECT_TRUE(found.devices[1][0].write);
  EXPECT_EQ(found.devices[1][1].stream, StreamId{0x10});
  EXPECT_FALSE(found.devices[1][1].write);
}

TEST_F(RecordedDmaTest, AnErrorNamesTheLineAndWhatWasExpected) {
  EXPECT_EQ(error_of<TraceError>("dma 0x10 1 0x1000\ndma 0x10 1\n"), dma_ + ":3:11: expected IOVA");
  EXPECT_EQ(error_of<TraceError>("map 1 0 0 4k\nmap 1 0 0 1\ndma 0x10 1 0\n"),
            dma_ + ":3:11: size is a multiple of 4096, at least 4096");
}

TEST_F(RecordedDmaTest, SettingsThatDoNotFitAreRefused) {
  const std::string line = "dma 0x10 1 0x100000\n";
  EXPECT_EQ(error_of<ConfigError>(line, {}, "counted"),
            "a DMA trace needs smmuv3.hardware = timed");
  EXPECT_EQ(error_of<ConfigError>(line, {"stream.pattern=random"}),
            "stream.pattern and a DMA trace: give one of them");
  EXPECT_EQ(error_of<ConfigError>(line, {"stream.interval=1us"}),
            "stream.interval and a DMA trace: the trace has no times, only closed loop");
}

}  // namespace
}  // namespace smmulab::workloads::dma

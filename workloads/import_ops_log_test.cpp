// SPDX-License-Identifier: Apache-2.0
// Imports a log written by hand, and what is wrong with a log.
#include "workloads/import_ops_log.hpp"

#include <string>

#include <gtest/gtest.h>

#include "sim/error.hpp"
#include "workloads/trace_testing.hpp"

namespace smmulab::workloads {
namespace {

constexpr std::string_view kLogHeader =
    "# iofd_bench shape=auto iters=1 ndev=2 nhwpt=0 nioas=2 nmap=1 pin=1 seed=1\n"
    "# dev 0 bdf=0000:00:02.0 iommu_group=0 iommufd_devid=1\n"
    "# dev 1 bdf=0000:01:03.1 iommu_group=4 iommufd_devid=2\n"
    "# ioas 0 id=3\n"
    "# ioas 1 id=4\n"
    "# start_ns end_ns thread cpu_at_end op dev devid group pt_id old_pt_id iova len ret\n";

// Lines 7 to 15 of the log.
constexpr std::string_view kLogLines =
    "1000 1500 -1 1 bind 0 1 0 0 0 0x0 0 0\n"
    "1600 1700 -1 1 bind 1 2 4 0 0 0x0 0 0\n"
    "1800 1900 -1 1 ioas_alloc -1 0 -1 3 0 0x0 0 0\n"
    "1950 1960 -1 1 ioas_alloc -1 0 -1 4 0 0x0 0 0\n"
    "2000 2600 0 0 attach 0 1 0 7 0 0x0 0 0\n"
    "2100 2400 2 0 map -1 0 -1 3 0 0x10000 8192 0\n"
    "2700 2900 0 0 replace 0 1 0 8 3 0x0 0 -22\n"
    "3000 3100 0 0 detach 0 1 0 0 3 0x0 0 0\n"
    "4000 4100 -1 1 destroy -1 0 -1 4 0 0x0 0 0\n";

// Worked out from the log by the rules in import_ops_log.hpp: times from the first start on; the
// attach asked for ioas 3 (as the detach tells) and got hwpt 7; thread 2 of the log is the map
// thread, pinned to CPU 2 mod 2; main comes last.
constexpr std::string_view kTrace =
    "cpu 0 socket=0 node=0\n"
    "cpu 1 socket=0 node=0\n"
    "smmu 0\n"
    "group 0\n"
    "group 4\n"
    "devset 0\n"
    "devset 1\n"
    "device 0 name=0000:00:02.0 smmu=0 sid=0x10 group=0 devset=0\n"
    "device 1 name=0000:01:03.1 smmu=0 sid=0x119 group=4 devset=1\n"
    "thread 0 name=dev0 cpu=0\n"
    "thread 1 name=dev1 cpu=1\n"
    "thread 2 name=map0 cpu=0\n"
    "thread 3 name=main cpu=-\n"
    "begin\n"
    "phase setup\n"
    "0 3 bind dev=0 ret=0 dur=500\n"
    "600 3 bind dev=1 ret=0 dur=100\n"
    "800 3 ioas_alloc ioas=3 ret=0 dur=100\n"
    "950 3 ioas_alloc ioas=4 ret=0 dur=10\n"
    "phase run\n"
    "1000 0 attach dev=0 pt=3 got=7 ret=0 dur=600\n"
    "1100 2 map ioas=3 iova=0x10000 len=8192 ret=0 dur=300\n"
    "1700 0 replace dev=0 pt=8 old=3 ret=-22 dur=200\n"
    "2000 0 detach dev=0 old=3 ret=0 dur=100\n"
    "phase teardown\n"
    "3000 3 ioas_destroy ioas=4 ret=0 dur=100\n"
    "end 9\n";

class ImportOpsLogTest : public ::testing::Test {
 protected:
  std::string log(std::string_view bytes) const {
    const std::string path = dir_.file("x.ops.txt");
    testing::write_bytes(path, bytes);
    return path;
  }
  std::string error_of(std::string_view bytes) const {
    const std::string path = log(bytes);
    try {
      (void)import_ops_log(path, dir_.file("t.iotrace"));
    } catch (const TraceError& e) {
      EXPECT_EQ(dir_.names().size(), 1U) << "a trace was left behind";
      return std::string(e.what()).substr(path.size());
    }
    return "no error";
  }

  testing::TempDir dir_;
};

TEST_F(ImportOpsLogTest, AutomaticDomains) {
  const std::string path = log(std::string(kLogHeader) + std::string(kLogLines));
  const ImportSummary summary = import_ops_log(path, dir_.file("t.iotrace"));
  EXPECT_EQ(summary.kind, "iofd-ops");
  EXPECT_EQ(summary.operations, 9U);
  EXPECT_EQ(summary.failed, 1U);
  EXPECT_EQ(summary.devices, 2U);
  EXPECT_EQ(summary.threads, 4U);
  EXPECT_EQ(summary.cpus, 2U);
  const std::string text = testing::read_bytes(dir_.file("t.iotrace"));
  EXPECT_EQ(text.substr(text.find("cpu 0 ")), kTrace);
  const TraceHeader header = TraceReader(dir_.file("t.iotrace")).header();
  EXPECT_EQ(*header.find_meta("source"), "x.ops.txt");
  EXPECT_EQ(*header.find_meta("source_xxh3_128"), trace_hash(path));
  EXPECT_EQ(*header.find_meta("time_origin_ns"), "1000");
}

TEST_F(ImportOpsLogTest, OptionsAreKept) {
  const std::string path = log(std::string(kLogHeader) + std::string(kLogLines));
  ImportOptions options;
  options.cpus = 3;
  options.source = "run/x";
  options.kernel = "6.12.117";
  EXPECT_EQ(import_ops_log(path, dir_.file("t.iotrace.zst"), options).cpus, 3U);
  const TraceHeader header = TraceReader(dir_.file("t.iotrace.zst")).header();
  EXPECT_EQ(header.cpus.size(), 3U);
  EXPECT_EQ(header.threads[2].cpu, CpuId{2});
  EXPECT_EQ(*header.find_meta("source"), "run/x");
  EXPECT_EQ(*header.find_meta("kernel"), "6.12.117");
  options.cpus = 1;
  EXPECT_THROW((void)import_ops_log(path, dir_.file("u.iotrace"), options), ConfigError);
}

TEST_F(ImportOpsLogTest, BadLogs) {
  const std::string header(kLogHeader);
  EXPECT_EQ(error_of(""), ":1:1: the log is empty");
  EXPECT_EQ(error_of(header.substr(0, header.find("# start_ns"))),
            ":6:1: the log is truncated: its header has no line '# start_ns end_ns ...'");
  EXPECT_EQ(error_of(header + "1000 1500 -1 1 bnd 0 1 0 0 0 0x0 0 0\n"),
            ":7:16: unknown operation 'bnd' (did you mean 'bind'?)");
  EXPECT_EQ(error_of(header + "1000 900 -1 1 bind 0 1 0 0 0 0x0 0 0\n"),
            ":7:1: end_ns 900 is before start_ns 1000: negative time");
  EXPECT_EQ(error_of(header + "1000 1500 -1 1 bind 0 1 0 0 0 0x0\n"), ":7:34: expected len");
  EXPECT_EQ(error_of(header + "1000 1500 -1 1 destroy -1 0 -1 9 0 0x0 0 0\n"),
            ":7:1: destroy of object 9, which the log did not make");
  EXPECT_EQ(error_of(header + "1000 1500 7 1 bind 0 1 0 0 0 0x0 0 0\n"),
            ":7:1: thread 7: the header tells of no such thread");
  const std::string lines(kLogLines);
  EXPECT_EQ(error_of(header + lines.substr(0, lines.find("2700 "))),
            ":11:1: the log ends before it tells which ioas this attach asked for (truncated?)");
  EXPECT_EQ(error_of(header + "5 6 -1 1 map -1 0 -1 3 0 0x0 4096 0\n"),
            ":7:1: ioas 3 is used before it was made");
}

TEST_F(ImportOpsLogTest, KindsAreRecognized) {
  EXPECT_EQ(detect_log_kind(log(kLogHeader)), "iofd-ops");
  const std::string path = log("smmulab-trace 1\n");
  try {
    (void)detect_log_kind(path);
    FAIL();
  } catch (const TraceError& e) {
    const std::string expected = path + ":1:1: already a trace; known kinds of log: iofd-ops (";
    EXPECT_EQ(std::string(e.what()).substr(0, expected.size()), expected);
    EXPECT_NE(std::string(e.what()).find("qemu-smmu"), std::string::npos);
  }
}

}  // namespace
}  // namespace smmulab::workloads

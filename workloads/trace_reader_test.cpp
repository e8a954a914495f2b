// SPDX-License-Identifier: Apache-2.0
// What the reader gives out, and the message for everything it refuses.
#include "workloads/trace_reader.hpp"

#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "workloads/trace_testing.hpp"

namespace smmulab::workloads {
namespace {

using testing::read_all;
using testing::TempDir;
using testing::write_bytes;

constexpr const char* kHeader =
    "smmulab-trace 1\n"
    "meta source by hand\n"
    "cpu 0 socket=0 node=0\n"
    "smmu 0\n"
    "group 3\n"
    "devset 2\n"
    "device 0 name=0000:00:02.0 smmu=0 sid=0x10,0x11 group=3 devset=2 ats=1 "
    "msi=0x8000000+0x100000\n"
    "device 1 name=0000:00:03.0 smmu=0 sid=24 group=3 devset=2\n"
    "thread 0 name=main cpu=-\n"
    "thread 1 name=worker cpu=0\n"
    "begin\n";
constexpr std::size_t kHeaderLines = 11;
constexpr const char* kMade =
    "0 0 bind dev=0\n"
    "1 0 ioas_alloc ioas=5\n"
    "2 0 hwpt_alloc hwpt=6 dev=0 pt=5\n";

class TraceReaderTest : public ::testing::Test {
 protected:
  // What the reader says about a file, without "FILE:"; "" if it is content.
  std::string verdict(const std::string& text, const std::string& name = "t.iotrace") {
    const std::string path = dir_.file(name);
    write_bytes(path, text);
    try {
      read_all(path);
    } catch (const TraceError& error) {
      EXPECT_EQ(error.file(), path);
      return std::string(error.what()).substr(path.size() + 1);
    }
    return "";
  }
  // The same for operation lines behind kHeader; line numbers count from the first of them.
  std::string ops(const std::string& lines, int count) {
    const std::string path = dir_.file("t.iotrace");
    write_bytes(path, kHeader + lines + "end " + std::to_string(count) + "\n");
    try {
      read_all(path);
    } catch (const TraceError& error) {
      const std::string place =
          path + ":" + std::to_string(error.line()) + ":" + std::to_string(error.column()) + ": ";
      return std::to_string(error.line() - kHeaderLines) + ":" + std::to_string(error.column()) +
             ": " + std::string(error.what()).substr(place.size());
    }
    return "";
  }
  TempDir dir_;
};

TEST_F(TraceReaderTest, HeaderAndOperations) {
  const std::string path = dir_.file("a.iotrace");
  write_bytes(path, std::string(kHeader) +
                        "# a comment\n\n"
                        "phase setup\n"
                        "0 0 bind dev=0 ret=0 dur=1.5\n"
                        "100.25 0 ioas_alloc ioas=5 dur=2 ret=0\n"
                        "  200   0 map  len=0x2000 iova=4096 ioas=5\n"
                        "phase run\n"
                        "300 1 attach dev=0 pt=5 old=7 got=6 ret=-22\n"
                        "end 4\n");
  TraceReader reader(path);
  const TraceHeader& h = reader.header();
  ASSERT_EQ(h.devices.size(), 2U);
  EXPECT_EQ(*h.find_meta("source"), "by hand");
  EXPECT_EQ(h.devices[0].stream_ids, (std::vector<StreamId>{StreamId{0x10}, StreamId{0x11}}));
  EXPECT_TRUE(h.devices[0].ats);
  EXPECT_EQ(h.devices[0].msi->base, Iova{0x8000000});
  EXPECT_EQ(h.devices[1].stream_ids, (std::vector<StreamId>{StreamId{24}}));
  EXPECT_FALSE(h.threads[0].cpu.has_value());
  EXPECT_EQ(h.threads[1].cpu, CpuId{0});

  Op op;
  ASSERT_TRUE(reader.next(op));
  EXPECT_EQ(op.kind, OpKind::kPhase);
  EXPECT_EQ(reader.phase_name(op), "setup");
  EXPECT_EQ(op.thread, kNoThread);
  ASSERT_TRUE(reader.next(op));
  EXPECT_EQ(op.kind, OpKind::kBind);
  EXPECT_EQ(op.duration, Ps{1500});
  EXPECT_EQ(op.ret, 0);
  EXPECT_EQ(op.seq, 0U);
  EXPECT_EQ(op.line, kHeaderLines + 4);
  ASSERT_TRUE(reader.next(op));
  EXPECT_EQ(to_ps(op.issue), 100'250);
  ASSERT_TRUE(reader.next(op));
  EXPECT_EQ(op.first(), 0x1000U);
  EXPECT_EQ(op.last(), 0x2fffU);
  EXPECT_FALSE(op.has_ret());
  EXPECT_FALSE(op.has_duration());
  ASSERT_TRUE(reader.next(op));
  EXPECT_EQ(reader.phase_name(op), "run");
  EXPECT_EQ(op.seq, 3U);  // operations before the barrier
  EXPECT_EQ(to_ps(op.issue), 200'000);
  ASSERT_TRUE(reader.next(op));
  EXPECT_TRUE(op.failed());
  EXPECT_EQ(op.old, ObjectId{7});
  EXPECT_EQ(op.got, ObjectId{6});
  EXPECT_EQ(op.seq, 3U);
  EXPECT_FALSE(reader.next(op));
  EXPECT_FALSE(reader.next(op));
  EXPECT_EQ(reader.operations(), 4U);
}

TEST_F(TraceReaderTest, WrongVersionAndNoTrace) {
  EXPECT_EQ(verdict("smmulab-trace 2\nbegin\nend 0\n"),
            "1:15: trace format version 2 is not supported; expected version 1");
  EXPECT_EQ(verdict("hello\n"), "1:1: not a trace: the first line should read 'smmulab-trace 1'");
  EXPECT_EQ(verdict("# smmulab\n\nA simulator\n"),
            "1:1: not a trace: the first line should read 'smmulab-trace 1'");
  EXPECT_EQ(verdict(""), "1:1: not a trace: the first line should read 'smmulab-trace 1'");
  EXPECT_EQ(verdict("smmulab-trace 1\nbegin\nend 0\n"), "");
}

TEST_F(TraceReaderTest, MissingFileIsAConfigError) {
  EXPECT_THROW(TraceReader(dir_.file("none")), ConfigError);
  EXPECT_THROW(TraceReader(dir_.file("")), ConfigError);
}

TEST_F(TraceReaderTest, Truncated) {
  EXPECT_EQ(verdict("smmulab-trace 1\nsmmu 0\n"), "3:1: the trace is truncated: no 'begin' line");
  EXPECT_EQ(verdict(std::string(kHeader) + kMade),
            "15:1: the trace is truncated: no 'end' line after 3 operations");
  EXPECT_EQ(ops(kMade, 4), "4:5: the end line says 4 operations, but 3 were read");
  EXPECT_EQ(verdict(std::string(kHeader) + "end 0\nsmmu 1\n"),
            "13:1: unexpected text behind the end line");
}

TEST_F(TraceReaderTest, HeaderLines) {
  const std::string v = "smmulab-trace 1\n";
  EXPECT_EQ(verdict(v + "devise 0\n"),
            "2:1: unknown header line 'devise' (did you mean 'device'?)");
  EXPECT_EQ(verdict(v + "cpu 1 socket=0 node=0\n"), "2:5: expected cpu 0, found 1");
  EXPECT_EQ(verdict(v + "cpu 0 socket=0 nod=0\n"),
            "2:16: unknown key 'nod' (did you mean 'node'?)");
  EXPECT_EQ(verdict(v + "cpu 0 socket=0 socket=0\n"), "2:16: duplicate key 'socket'");
  EXPECT_EQ(verdict(v + "cpu 0 socket=0\n"), "2:15: missing key 'node'");
  EXPECT_EQ(verdict(v + "cpu 0 socket=0 node=4294967296\n"),
            "2:21: node: 4294967296 is out of range (at most 4294967295)");
  EXPECT_EQ(verdict(v + "cpu 0 socket=x node=0\n"),
            "2:14: socket: expected a whole number, found 'x'");
  EXPECT_EQ(verdict(v + "cpu 0 socket node=0\n"), "2:7: expected key=value, found 'socket'");
  EXPECT_EQ(verdict(v + "thread 0 name=a cpu=3\n"), "2:21: cpu 3 is not declared above");
  EXPECT_EQ(verdict(v + "device 0 name=a smmu=0 sid=1 group=0 devset=0\n"),
            "2:22: smmu 0 is not declared above");
  EXPECT_EQ(verdict(v + "smmu 0\ndevice 0 name=a smmu=0 sid=1 group=9 devset=0\n"),
            "3:36: group 9 is not declared above");
  EXPECT_EQ(verdict(v + "smmu 0\ngroup 9\ndevice 0 name=a smmu=0 sid=1 group=9 devset=4\n"),
            "4:45: devset 4 is not declared above");
}

TEST_F(TraceReaderTest, DuplicateIdsInTheHeader) {
  const std::string v = "smmulab-trace 1\n";
  const std::string device = " smmu=0 sid=1 group=1 devset=1\n";
  const std::string base = v + "smmu 0\ngroup 1\ndevset 1\ndevice 0 name=a" + device;
  EXPECT_EQ(verdict(v + "cpu 0 socket=0 node=0\ncpu 0 socket=0 node=0\n"), "3:5: duplicate cpu 0");
  EXPECT_EQ(verdict(v + "smmu 0\nsmmu 0\n"), "3:6: duplicate smmu 0");
  EXPECT_EQ(verdict(v + "group 4\ngroup 4\n"), "3:7: duplicate group 4");
  EXPECT_EQ(verdict(v + "devset 4\ndevset 4\n"), "3:8: duplicate devset 4");
  EXPECT_EQ(verdict(base + "device 0 name=b" + device), "6:8: duplicate device 0");
  EXPECT_EQ(verdict(base + "device 1 name=a" + device), "6:15: duplicate device name 'a'");
  EXPECT_EQ(verdict(v + "thread 0 name=a cpu=-\nthread 0 name=b cpu=-\n"),
            "3:8: duplicate thread 0");
  EXPECT_EQ(verdict(v + "meta a 1\nmeta a 2\n"), "3:6: duplicate meta key 'a'");
  EXPECT_EQ(verdict(v + "smmu 0\ngroup 1\ndevset 1\n"
                        "device 0 name=a smmu=0 sid=1,0x1 group=1 devset=1\n"),
            "5:30: duplicate stream id 0x1");
  EXPECT_EQ(verdict(base + "device 1 name=b smmu=0 sid=7,1 group=1 devset=1\n"),
            "6:30: duplicate stream id 0x1: device 0 on smmu 0 has it");
  EXPECT_EQ(verdict(base + "smmu 1\ndevice 1 name=b smmu=1 sid=1 group=1 devset=1\nbegin\nend 0\n"),
            "");
  EXPECT_EQ(verdict(v + "smmu 0\ngroup 1\ndevset 1\n"
                        "device 0 name=a smmu=0 sid=1 group=1 devset=1 msi=0x800+0x1000\n"),
            "5:51: msi: expected whole 4096-byte pages, at least one, below 2^64");
}

TEST_F(TraceReaderTest, UnknownWords) {
  EXPECT_EQ(ops("0 0 atach dev=0 pt=5\n", 1),
            "1:5: unknown operation 'atach' (did you mean 'attach'?)");
  EXPECT_EQ(ops("0 0 fly dev=0\n", 1).substr(0, 42), "1:5: unknown operation 'fly' (known: bind,");
  EXPECT_EQ(ops("0 0 bind dve=0\n", 1), "1:10: bind takes no key 'dve' (did you mean 'dev'?)");
  EXPECT_EQ(ops("0 0 bind flags=0\n", 1), "1:10: bind takes no key 'flags' (known: dev, ret, dur)");
  EXPECT_EQ(ops("0 0 bind dev=0 dev=0\n", 1), "1:16: duplicate key 'dev'");
  EXPECT_EQ(ops("0 0 bind\n", 1), "1:9: bind: missing key 'dev'");
  EXPECT_EQ(ops("0 0 bind dev=\n", 1), "1:14: dev: expected a whole number, found ''");
  EXPECT_EQ(ops("bind 0 0\n", 1),
            "1:1: expected an operation (it begins with its issue time in ns), 'phase' or 'end', "
            "found 'bind'");
  EXPECT_EQ(ops("0 0\n", 1), "1:4: expected an operation");
  EXPECT_EQ(ops("phase\n", 0), "1:6: expected the name of the phase");
  EXPECT_EQ(ops("phase a b\n", 0), "1:9: unexpected 'b': the line should end here");
}

TEST_F(TraceReaderTest, Times) {
  EXPECT_EQ(ops("-5 0 bind dev=0\n", 1), "1:1: issue time: -5 is negative");
  EXPECT_EQ(ops("0 0 bind dev=0 dur=-1\n", 1), "1:20: dur: -1 is negative");
  EXPECT_EQ(ops("1.2345 0 bind dev=0\n", 1),
            "1:1: issue time: expected nanoseconds (such as 1500 or 0.25), found '1.2345'");
  EXPECT_EQ(ops("1. 0 bind dev=0\n", 1),
            "1:1: issue time: expected nanoseconds (such as 1500 or 0.25), found '1.'");
  EXPECT_EQ(ops("9e9 0 bind dev=0\n", 1),
            "1:1: issue time: expected nanoseconds (such as 1500 or 0.25), found '9e9'");
  EXPECT_EQ(ops("99999999999999999999999 0 bind dev=0\n", 1),
            "1:1: issue time: 99999999999999999999999 is out of range (at most 4611686018427387 "
            "ns)");
  EXPECT_EQ(ops("5000000000000000 0 bind dev=0\n", 1),
            "1:1: issue time: 5000000000000000 is out of range (at most 4611686018427387 ns)");
  EXPECT_EQ(ops("10 0 bind dev=0\n9.5 1 bind dev=1\n", 2),
            "2:1: issue time 9.5 ns is before that of line 12 (10 ns): operations are ordered by "
            "issue time");
  EXPECT_EQ(ops("10 0 bind dev=0 dur=5\n14 0 bind dev=1\n", 2),
            "2:1: thread 0 begins this operation before its last one (line 12) ended at 15 ns");
  EXPECT_EQ(ops("10 0 bind dev=0 dur=5\n15 0 bind dev=1\n", 2), "");
}

TEST_F(TraceReaderTest, ValuesOutOfRange) {
  EXPECT_EQ(ops("0 2 bind dev=0\n", 1), "1:3: thread 2 is not declared");
  EXPECT_EQ(ops("0 0 bind dev=2\n", 1), "1:14: device 2 is not declared");
  EXPECT_EQ(ops("0 0 ioas_alloc ioas=0\n", 1),
            "1:21: ioas: 0 is out of range (object ids start at 1)");
  EXPECT_EQ(ops("0 0 ioas_alloc ioas=2147483647\n", 1), "");
  EXPECT_EQ(ops("0 0 ioas_alloc ioas=2147483648\n", 1),
            "1:21: ioas: 2147483648 is out of range (object ids end at 2147483647, xa_limit_31b)");
  EXPECT_EQ(ops("0 0 bind dev=0 ret=1\n", 1), "1:20: ret: 1 is out of range (0 or -errno)");
  EXPECT_EQ(ops("0 0 bind dev=0 ret=-4096\n", 1),
            "1:21: errno in ret: 4096 is out of range (at most 4095)");
  const std::string made = "0 0 ioas_alloc ioas=5\n";
  EXPECT_EQ(ops(made + "1 0 map ioas=5 iova=0 len=0\n", 2),
            "2:27: len: 0 is out of range (at least one byte)");
  EXPECT_EQ(ops(made + "1 0 map ioas=5 iova=0 len=100\n", 2),
            "2:27: len: 100 is not a multiple of the page size 4096");
  EXPECT_EQ(ops(made + "1 0 unmap ioas=5 iova=0x10 len=4096\n", 2),
            "2:23: iova: 0x10 is not a multiple of the page size 4096");
  EXPECT_EQ(ops(made + "1 0 map ioas=5 iova=0xfffffffffffff000 len=8192\n", 2),
            "2:21: iova + len is beyond 2^64");
  EXPECT_EQ(ops(made + "1 0 map ioas=5 iova=0xfffffffffffff000 len=4096\n", 2), "");
  EXPECT_EQ(ops(made + "1 0 map ioas=5 iova=0x1ffffffffffffffff len=4096\n", 2),
            "2:21: iova: 0x1ffffffffffffffff is out of range (at most 18446744073709551615)");
}

TEST_F(TraceReaderTest, Objects) {
  EXPECT_EQ(ops("0 0 attach dev=0 pt=5\n", 1), "1:16: device 0 is used before it was bound");
  EXPECT_EQ(ops("0 0 bind dev=0\n1 0 attach dev=0 pt=5\n", 2),
            "2:21: object 5 is used before it was made");
  EXPECT_EQ(ops("0 0 map ioas=5 iova=0 len=4096\n", 1), "1:14: ioas 5 is used before it was made");
  EXPECT_EQ(ops("0 0 hwpt_destroy hwpt=5\n", 1), "1:23: hwpt 5 is used before it was made");
  const std::string made = kMade;
  EXPECT_EQ(ops(made + "3 0 hwpt_destroy hwpt=6\n4 1 attach dev=0 pt=6\n", 5),
            "5:21: object 6 is used after it was destroyed (line 15)");
  EXPECT_EQ(ops(made + "3 0 unbind dev=0\n4 1 attach dev=0 pt=6\n", 5),
            "5:16: device 0 is used after it was unbound (line 15)");
  EXPECT_EQ(ops(made + "3 0 ioas_destroy ioas=6\n", 4),
            "4:23: expected an ioas, but line 14 made it a hwpt");
  EXPECT_EQ(ops(made + "3 0 hwpt_destroy hwpt=5\n", 4),
            "4:23: expected a hwpt, but line 13 made it an ioas");
  EXPECT_EQ(ops(made + "3 0 ioas_alloc ioas=6\n", 4),
            "4:21: duplicate id: ioas 6 is alive, made at line 14");
  EXPECT_EQ(ops(made + "3 0 bind dev=0\n", 4),
            "4:14: duplicate id: device 0 was bound already at line 12");
  EXPECT_EQ(ops(made + "3 0 hwpt_destroy hwpt=6\n4 0 ioas_alloc ioas=6\n", 5), "");
  EXPECT_EQ(ops(made + "3 0 access_attach access=6 ioas=5\n", 4),
            "4:26: expected an access, but line 14 made it a hwpt");
  EXPECT_EQ(ops(made + "3 0 pin access=7 iova=0 len=4096\n", 4),
            "4:16: access 7 is used before it was made");
  const std::string access = made + "3 0 access_create access=7\n";
  EXPECT_EQ(ops(access + "4 0 access_attach access=7 ioas=6\n", 5),
            "5:33: expected an ioas, but line 14 made it a hwpt");
  EXPECT_EQ(ops(access + "4 0 attach dev=0 pt=7\n", 5),
            "5:21: expected an ioas or a hwpt, but line 15 made it an access");
  EXPECT_EQ(ops(access + "4 0 access_destroy access=7\n5 0 access_detach access=7\n", 6),
            "6:26: access 7 is used after it was destroyed (line 16)");
  const std::string fault = made + "3 0 fault_alloc fault=7\n";
  EXPECT_EQ(ops(fault + "4 0 hwpt_alloc hwpt=8 fault=7 dev=0 pt=6 flags=4\n", 5), "");
  EXPECT_EQ(ops(fault + "4 0 hwpt_alloc hwpt=8 fault=7 dev=0 pt=6\n", 5),
            "5:29: fault: flags= does not have 0x4 (IOMMU_HWPT_FAULT_ID_VALID)");
  EXPECT_EQ(ops(fault + "4 0 hwpt_alloc hwpt=8 fault=6 dev=0 pt=6 flags=4\n", 5),
            "5:29: expected a fault, but line 14 made it a hwpt");
  EXPECT_EQ(ops(fault + "4 0 set_dirty hwpt=5\n", 5),
            "5:20: expected a hwpt, but line 13 made it an ioas");
  EXPECT_EQ(ops(fault + "4 0 attach_pasid dev=0 pasid=0 pt=6\n", 5),
            "5:30: pasid: 0 is out of range (1 to 1048575)");
  EXPECT_EQ(ops(fault + "4 0 attach_pasid dev=0 pasid=1 pt=9\n", 5),
            "5:35: object 9 is used before it was made");
  EXPECT_EQ(ops(fault + "4 0 hwpt_invalidate hwpt=6 count=524289\n", 5),
            "5:34: count: 524289 is out of range (at most 524288)");
  EXPECT_EQ(ops(fault + "4 0 get_dirty hwpt=6 iova=0 len=4096 flags=0x2\n", 5),
            "5:44: flags: 0x2 is out of range (0 to 0x1)");
  EXPECT_EQ(ops("0 0 msi_prepare dev=0\n", 1), "1:21: device 0 is used before it was bound");
  EXPECT_EQ(ops(access + "4 0 ioas_alloc ioas=7\n", 5),
            "5:21: duplicate id: ioas 7 is alive, made at line 15");
  // Recorded failures change nothing and may name what does not exist.
  EXPECT_EQ(ops(made + "3 0 hwpt_destroy hwpt=6 ret=-16\n4 0 attach dev=0 pt=6\n", 5), "");
  EXPECT_EQ(ops(made + "3 0 attach dev=0 pt=99 ret=-2\n4 0 ioas_alloc ioas=5 ret=-12\n", 5), "");
}

TEST_F(TraceReaderTest, Areas) {
  const std::string map = std::string(kMade) + "3 0 map ioas=5 iova=0x2000 len=0x2000\n";
  EXPECT_EQ(ops(map + "4 0 map ioas=5 iova=0x3000 len=0x4000 ret=0\n", 5),
            "5:21: map of 0x3000..0x6fff overlaps the area 0x2000..0x3fff of line 15, which was "
            "not unmapped");
  EXPECT_EQ(ops(map + "4 0 map ioas=5 iova=0x3000 len=0x4000 ret=-17\n", 5), "");
  EXPECT_EQ(ops(map + "4 0 unmap ioas=5 iova=0x8000 len=0x1000\n", 5),
            "5:23: unmap of 0x8000..0x8fff is not recorded as failed, but nothing is mapped there");
  EXPECT_EQ(ops(map + "4 0 unmap ioas=5 iova=0x2000 len=0x1000 ret=0\n", 5),
            "5:23: unmap of 0x2000..0x2fff is not recorded as failed, but would cut the area "
            "0x2000..0x3fff of line 15");
  EXPECT_EQ(ops(map + "4 0 unmap ioas=5 iova=0x2000 len=0x1000 ret=-2\n", 5), "");
  EXPECT_EQ(
      ops(map + "4 0 unmap ioas=5 iova=0 len=0x10000\n5 1 map ioas=5 iova=0x2000 len=4096\n", 6),
      "");
  EXPECT_EQ(ops(map + "4 0 unmap_all ioas=5\n5 1 map ioas=5 iova=0x2000 len=4096\n", 6), "");
  EXPECT_EQ(ops(map + "4 0 unmap_all ioas=5\n5 0 unmap ioas=5 iova=0x2000 len=0x2000\n", 6),
            "6:23: unmap of 0x2000..0x3fff is not recorded as failed, but nothing is mapped there");
}

TEST_F(TraceReaderTest, Copies) {
  const std::string map = std::string(kMade) +
                          "3 0 map ioas=5 iova=0x2000 len=0x2000\n"
                          "4 0 map ioas=5 iova=0x5000 len=0x1000\n"
                          "5 0 ioas_alloc ioas=7\n";
  const auto copy = [&](const std::string& fields) { return ops(map + "6 0 copy " + fields, 7); };
  EXPECT_EQ(copy("ioas=7 src=5 from=0x2000 iova=0 len=0x2000\n"), "");
  EXPECT_EQ(copy("ioas=5 src=5 from=0x3000 iova=0x4000 len=0x1000\n"), "");
  EXPECT_EQ(copy("ioas=7 src=5 from=0x3000 iova=0 len=0x2000\n"),
            "7:28: copy from 0x3000..0x4fff of ioas 5 is not recorded as failed, but nothing is "
            "mapped at 0x4000");
  EXPECT_EQ(copy("ioas=7 src=5 from=0x1000 iova=0 len=0x2000\n"),
            "7:28: copy from 0x1000..0x2fff of ioas 5 is not recorded as failed, but nothing is "
            "mapped at 0x1000");
  EXPECT_EQ(copy("ioas=5 src=5 from=0x2000 iova=0x5000 len=0x1000\n"),
            "7:40: map of 0x5000..0x5fff overlaps the area 0x5000..0x5fff of line 16, which was "
            "not unmapped");
  EXPECT_EQ(copy("ioas=7 src=6 from=0x2000 iova=0 len=0x1000\n"),
            "7:21: expected an ioas, but line 14 made it a hwpt");
  EXPECT_EQ(copy("ioas=7 src=5 from=0x2010 iova=0 len=0x1000\n"),
            "7:28: from: 0x2010 is not a multiple of the page size 4096, or from + len is beyond "
            "2^64");
  EXPECT_EQ(copy("ioas=7 src=5 iova=0 len=0x1000\n"), "7:40: copy: missing key 'from'");
  EXPECT_EQ(copy("ioas=7 src=5 from=0 iova=0 len=0x1000 ret=-2\n"), "");
}

TEST_F(TraceReaderTest, BadBytes) {
  EXPECT_EQ(ops("0 0 bind\tdev=0\n", 1), "1:9: unexpected control byte 0x09");
  EXPECT_EQ(ops("0 0 bind dev=0\r\n", 1), "1:15: unexpected control byte 0x0d");
  EXPECT_EQ(ops(std::string("# \xc3\xa4 \xff\n"), 0), "1:6: the text is not UTF-8");
  EXPECT_EQ(ops(std::string("# \xe2\x82\xac\n"), 0), "");
  EXPECT_EQ(ops("# " + std::string(70'000, 'x') + "\n", 0),
            "1:65536: the line is longer than 65536 bytes");
  EXPECT_EQ(ops("# " + std::string(200'000, 'x') + "\n", 0),
            "1:65536: the line is longer than 65536 bytes");
  EXPECT_EQ(ops("# " + std::string(65'000, 'x') + "\n0 0 bind dev=0\n", 1), "");
}

TEST_F(TraceReaderTest, CorruptZstd) {
  const std::string path = dir_.file("good.iotrace.zst");
  {
    TraceWriter writer(path, TraceHeader{});
    writer.finish();
  }
  const std::string good = testing::read_bytes(path);
  EXPECT_EQ(verdict(good, "renamed"), "");  // known by its magic number
  EXPECT_EQ(verdict("smmulab-trace 1\nbegin\nend 0\n", "plain.zst"),
            "1:1: corrupt zstd data: Unknown frame descriptor");
  EXPECT_EQ(verdict("", "empty.zst"),
            "1:1: corrupt zstd data: the file ends inside a frame (truncated?)");
  EXPECT_EQ(verdict(good.substr(0, good.size() - 3), "cut.zst"),
            "4:1: corrupt zstd data: the file ends inside a frame (truncated?)");
  std::string flipped = good;
  flipped[good.size() / 2] = static_cast<char>(flipped[good.size() / 2] ^ 0x40);
  EXPECT_NE(verdict(flipped, "flipped.zst").find("corrupt zstd data"), std::string::npos);
}

// Text that makes no sense is told with the damage behind it, which may be its cause.
TEST_F(TraceReaderTest, WrongTextInADamagedFile) {
  const std::string more = "# " + std::string(60'000, '-') + "\n";  // so that a block comes whole
  for (const auto& [text, message] :
       {std::pair{std::string("smmulab-trace 1\nbegim\n"),
                  "2:1: unknown header line 'begim' (did you mean 'begin'?)"},
        std::pair{std::string(kHeader) + "0 0 bimd dev=0\n",
                  "12:5: unknown operation 'bimd' (did you mean 'bind'?)"}}) {
    const std::string path = dir_.file("whole.iotrace.zst");
    const auto sink = open_sink(path, 3);
    sink->write(text);
    for (int i = 0; i < 8; ++i) {
      sink->write(more);
    }
    sink->commit();
    const std::string whole = testing::read_bytes(path);
    EXPECT_EQ(verdict(whole, "whole.zst"), message);
    std::string damaged = whole;
    damaged.back() = static_cast<char>(~damaged.back());  // the checksum
    EXPECT_EQ(verdict(damaged, "damaged.zst"),
              fmt::format("{} (the file is damaged: corrupt zstd data: Restored data doesn't match "
                          "checksum)",
                          message));
    EXPECT_EQ(verdict(whole.substr(0, whole.size() - 6), "cut.zst"),
              fmt::format("{} (the file is damaged: corrupt zstd data: the file ends inside a "
                          "frame (truncated?))",
                          message));
  }
}

}  // namespace
}  // namespace smmulab::workloads

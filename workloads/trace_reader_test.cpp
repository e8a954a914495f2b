// SPDX-License-Identifier: Apache-2.0
// What the reader gives out, and the message for headers and bytes that it refuses.
#include "workloads/trace_reader.hpp"

#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "workloads/trace_reader_testing.hpp"

namespace smmulab::workloads {
namespace {

using testing::kHeader;
using testing::kHeaderLines;
using testing::kMade;
using testing::TraceReaderTest;
using testing::write_bytes;

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
  EXPECT_EQ(verdict(v + "smmu 0\ngroup 1\ndevset 1\n"
                        "device 0 name=a smmu=0 sid=1 group=1 devset=1 msi=0x9000000+0x100000\n"),
            "5:51: msi: expected 0x8000000+0x100000, which is what Linux reserves behind every "
            "SMMUv3, found '0x9000000+0x100000'");
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

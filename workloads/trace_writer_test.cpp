// SPDX-License-Identifier: Apache-2.0
#include "workloads/trace_writer.hpp"

#include <filesystem>
#include <string>

#include <gtest/gtest.h>

#include "workloads/trace_testing.hpp"

namespace smmulab::workloads {
namespace {

using testing::read_bytes;
using testing::TempDir;
using testing::write_bytes;

constexpr const char* kCanonical =
    "smmulab-trace 1\n"
    "meta source by hand, in µs\n"
    "meta empty\n"
    "cpu 0 socket=0 node=0\n"
    "cpu 1 socket=1 node=2\n"
    "smmu 0\n"
    "group 3\n"
    "devset 2\n"
    "device 0 name=0000:00:02.0 smmu=0 sid=0x10,0x11 group=3 devset=2 ats=1 "
    "msi=0x8000000+0x100000\n"
    "thread 0 name=main cpu=-\n"
    "thread 1 name=worker cpu=1\n"
    "begin\n"
    "phase setup\n"
    "0 0 bind dev=0 ret=0 dur=0.001\n"
    "1.5 0 ioas_alloc ioas=5 ret=0 dur=1\n"
    "2.75 0 hwpt_alloc hwpt=6 dev=0 pt=5 flags=0x2 ret=0 dur=0\n"
    "3 0 map ioas=5 iova=0x1000 len=8192\n"
    "phase run\n"
    "4 1 attach dev=0 pt=5 got=7 ret=0 dur=10.25\n"
    "20 1 replace dev=0 pt=6 old=5\n"
    "21 1 dma dev=0 iova=0x1010 len=17 ret=-5\n"
    "22 1 detach dev=0 old=6 ret=0\n"
    "23 0 unmap ioas=5 iova=0x1000 len=8192\n"
    "24 0 unmap_all ioas=5\n"
    "25 0 hwpt_destroy hwpt=6 ret=-16\n"
    "26 0 hwpt_destroy hwpt=6\n"
    "27 0 ioas_destroy ioas=5\n"
    "28 0 unbind dev=0\n"
    "29 0 ioas_alloc ioas=5\n"
    "30 0 map ioas=5 iova=0x1000 len=8192\n"
    "31 0 copy ioas=5 src=5 from=0x1000 iova=0x8000 len=4096 ret=0\n"
    "32 0 access_create access=9 flags=0x1\n"
    "33 0 access_attach access=9 ioas=5 ret=0\n"
    "34 0 pin access=9 iova=0x8000 len=4096\n"
    "35 0 unpin access=9 iova=0x8000 len=4096\n"
    "36 0 access_detach access=9\n"
    "37 0 access_destroy access=9 dur=1\n"
    "38 0 fault_alloc fault=8\n"
    "39 0 bind dev=0\n"
    "40 0 hwpt_alloc hwpt=6 dev=0 pt=5 flags=0x1\n"
    "41 0 hwpt_alloc hwpt=7 fault=8 dev=0 pt=6 flags=0x4\n"
    "42 0 hwpt_invalidate hwpt=7 count=12 ret=0\n"
    "43 0 set_dirty hwpt=6 flags=0x1 ret=-95\n"
    "44 0 get_dirty hwpt=6 iova=0x1000 len=4096 flags=0x1\n"
    "45 0 attach_pasid dev=0 pasid=3 pt=6\n"
    "46 0 detach_pasid dev=0 pasid=3 ret=0 dur=1\n"
    "47 0 msi_prepare dev=0\n"
    "48 0 reset_begin dev=0\n"
    "49 0 reset_done dev=0\n"
    "50 0 hwpt_destroy hwpt=7\n"
    "51 0 fault_destroy fault=8\n"
    "52 0 allow_iovas ioas=5 iova=0x100000 len=4096 ret=0\n"
    "end 38\n";

class TraceWriterTest : public ::testing::Test {
 protected:
  static TraceHeader small_header() {
    TraceHeader header;
    header.smmu_count = 1;
    header.groups = {GroupId{0}};
    header.devsets = {DevSetId{0}};
    header.devices = {{"d", SmmuIndex{0}, {StreamId{1}}, GroupId{0}, DevSetId{0}, false, {}}};
    header.threads = {{"t", std::nullopt}};
    return header;
  }
  static Op bind_at(std::int64_t ps) {
    Op op;
    op.kind = OpKind::kBind;
    op.thread = ThreadIndex{0};
    op.issue = SimTime{Ps{ps}};
    return op;
  }
  std::string refusal(const TraceHeader& header) {
    const std::string path = dir_.file("refused.iotrace");
    try {
      TraceWriter writer(path, header);
    } catch (const TraceError& error) {
      return std::string(error.what()).substr(path.size() + 1);
    }
    return "";
  }
  TempDir dir_;
};

TEST_F(TraceWriterTest, CanonicalTextComesBackByteForByte) {
  write_bytes(dir_.file("a.iotrace"), kCanonical);
  testing::rewrite(dir_.file("a.iotrace"), dir_.file("b.iotrace"));
  EXPECT_EQ(read_bytes(dir_.file("b.iotrace")), kCanonical);
}

TEST_F(TraceWriterTest, TheExampleInTheDocumentationIsCanonical) {
  const std::string page = read_bytes(SMMULAB_SOURCE_DIR "/docs/trace-format.md");
  const std::size_t begin = page.find("smmulab-trace 1\n");
  const std::string example = page.substr(begin, page.find("```", begin) - begin);
  write_bytes(dir_.file("a.iotrace"), example);
  testing::rewrite(dir_.file("a.iotrace"), dir_.file("b.iotrace"));
  EXPECT_EQ(read_bytes(dir_.file("b.iotrace")), example);
}

TEST_F(TraceWriterTest, RecordedTracesComeBackByteForByte) {
  std::size_t traces = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(SMMULAB_SOURCE_DIR "/workloads/traces")) {
    if (entry.path().extension() == ".zst") {
      testing::rewrite(entry.path().string(), dir_.file("b.iotrace"));
      EXPECT_EQ(trace_hash(dir_.file("b.iotrace")), trace_hash(entry.path().string()))
          << entry.path();
      ++traces;
    }
  }
  EXPECT_GT(traces, 0U);
}

TEST_F(TraceWriterTest, CompressedBytesAreIdenticalToo) {
  write_bytes(dir_.file("a.iotrace"), kCanonical);
  testing::rewrite(dir_.file("a.iotrace"), dir_.file("b.iotrace.zst"), 19);
  testing::rewrite(dir_.file("b.iotrace.zst"), dir_.file("c.iotrace.zst"), 19);
  EXPECT_EQ(read_bytes(dir_.file("b.iotrace.zst")), read_bytes(dir_.file("c.iotrace.zst")));
  EXPECT_EQ(read_bytes(dir_.file("b.iotrace.zst")).substr(0, 4), "\x28\xb5\x2f\xfd");
  testing::rewrite(dir_.file("c.iotrace.zst"), dir_.file("d.iotrace"));
  EXPECT_EQ(read_bytes(dir_.file("d.iotrace")), kCanonical);
}

TEST_F(TraceWriterTest, HashIsOfTheUncompressedBytes) {
  write_bytes(dir_.file("a.iotrace"), kCanonical);
  testing::rewrite(dir_.file("a.iotrace"), dir_.file("b.iotrace.zst"));
  const std::string hash = trace_hash(dir_.file("a.iotrace"));
  EXPECT_EQ(hash.size(), 32U);
  EXPECT_EQ(hash, trace_hash(dir_.file("b.iotrace.zst")));
  write_bytes(dir_.file("empty"), "");
  EXPECT_EQ(trace_hash(dir_.file("empty")), "99aa06d3014798d86001c324468d497f");  // XXH3's own
  write_bytes(dir_.file("bad.zst"), "no zstd");
  EXPECT_THROW((void)trace_hash(dir_.file("bad.zst")), TraceError);
  EXPECT_THROW((void)trace_hash(dir_.file("none")), ConfigError);
}

TEST_F(TraceWriterTest, NothingStaysWithoutFinish) {
  {
    TraceWriter writer(dir_.file("a.iotrace"), small_header());
    writer.write(bind_at(0));
    EXPECT_FALSE(std::filesystem::exists(dir_.file("a.iotrace")));
    EXPECT_EQ(dir_.names().size(), 1U);  // the temporary file
  }
  EXPECT_TRUE(dir_.names().empty());
}

TEST_F(TraceWriterTest, AnOldFileStaysUntilTheNewIsWhole) {
  write_bytes(dir_.file("a.iotrace"), "old");
  {
    TraceWriter writer(dir_.file("a.iotrace"), small_header());
    writer.write(bind_at(0));
    EXPECT_THROW(writer.write(bind_at(0)), TraceError);
  }
  EXPECT_EQ(read_bytes(dir_.file("a.iotrace")), "old");
  TraceWriter writer(dir_.file("a.iotrace"), small_header());
  EXPECT_EQ(writer.finish(), 0U);
  EXPECT_EQ(testing::read_all(dir_.file("a.iotrace")).size(), 0U);
  EXPECT_EQ(dir_.names().size(), 1U);
}

TEST_F(TraceWriterTest, ErrorsNameTheTraceOrTheSource) {
  const std::string path = dir_.file("a.iotrace");
  Op wrong = bind_at(0);
  wrong.line = 77;
  wrong.device = DeviceIndex{4};
  try {
    TraceWriter(path, small_header()).write(wrong);
    FAIL();
  } catch (const TraceError& error) {
    EXPECT_EQ(error.what(), path + ":8:1: device 4 is not declared");
  }
  try {
    TraceWriter(path, small_header(), {3, "some.log"}).write(wrong);
    FAIL();
  } catch (const TraceError& error) {
    EXPECT_STREQ(error.what(), "some.log:77:1: device 4 is not declared");
  }
}

TEST_F(TraceWriterTest, RefusesWhatCouldNotBeReadBack) {
  TraceHeader header = small_header();
  header.threads[0].name = "two words";
  EXPECT_EQ(refusal(header), "6:19: expected key=value, found 'words'");
  header = small_header();
  header.meta = {{"key", "two\nlines"}};
  EXPECT_EQ(refusal(header),
            "3:1: unknown header line 'lines' (known: begin, meta, cpu, smmu, "
            "group, devset, device, thread)");
  header.meta = {{"key", " blank in front"}};
  EXPECT_EQ(refusal(header),
            "8:1: a header text holds line breaks or blanks that would not be read back");
  header.meta = {{"key", "a\tb"}};
  EXPECT_EQ(refusal(header), "2:1: a header text holds control bytes, is too long or is not UTF-8");
  header = small_header();
  header.devices[0].stream_ids.clear();
  EXPECT_EQ(refusal(header), "5:28: sid: expected a whole number, found ''");
  TraceWriter writer(dir_.file("a.iotrace"), small_header());
  EXPECT_THROW(writer.phase("two words"), ModelError);
  Op phase;
  phase.kind = OpKind::kPhase;
  EXPECT_THROW(writer.write(phase), ModelError);
  EXPECT_THROW(TraceWriter(dir_.file("b.zst"), small_header(), {23, ""}), ConfigError);
}

TEST_F(TraceWriterTest, UnwritableFolder) {
  try {
    TraceWriter writer(dir_.file("no/such/folder.iotrace"), small_header());
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_NE(std::string(error.what()).find("cannot write"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("No such file or directory"), std::string::npos);
  }
}

}  // namespace
}  // namespace smmulab::workloads

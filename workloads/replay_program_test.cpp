// SPDX-License-Identifier: Apache-2.0
// smmulab-replay on bad input: what it says, its exit code, and that it leaves nothing behind; and
// on a protocol that deadlocks.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "workloads/replay_testing.hpp"

namespace smmulab::workloads {
namespace {

constexpr int kModelFailure = 1;
constexpr int kUsageError = 2;

// Lines 1 to 8.
constexpr std::string_view kHeader = R"(smmulab-trace 1
cpu 0 socket=0 node=0
smmu 0
group 0
devset 0
device 0 name=d0 smmu=0 sid=0x10 group=0 devset=0
thread 0 name=a cpu=0
begin
)";

class ReplayProgramTest : public ::testing::Test {
 protected:
  std::string file(std::string_view name, std::string_view bytes) const {
    const std::string path = dir_.file(name);
    testing::write_bytes(path, bytes);
    return path;
  }
  std::string good() const {
    return file("good.iotrace",
                fmt::format("{}0 0 bind dev=0\n5 0 ioas_alloc ioas=5\nend 2\n", kHeader));
  }
  // Writes an --ops file too, which must not appear.
  void expect_refused(std::vector<std::string> arguments, const std::string& message) const {
    arguments.insert(arguments.end(), {"--ops", dir_.file("ops")});
    const testing::CommandResult result = testing::run_replay_program(arguments);
    EXPECT_EQ(result.exit_code, kUsageError);
    EXPECT_EQ(result.out, "");
    EXPECT_EQ(result.err, "smmulab-replay: " + message + "\n");
    for (const std::string& name : dir_.names()) {
      EXPECT_FALSE(name.starts_with("ops")) << name;
    }
  }
  // The message is "FILE:" and `message`.
  void expect_bad_trace(std::string_view text, const std::string& message) const {
    const std::string path = file("bad.iotrace", text);
    expect_refused({path}, path + ":" + message);
    if (simgrid_available()) {
      expect_refused({path, "--engine", "simgrid"}, path + ":" + message);
    }
  }
  void expect_bad_operations(std::string_view operations, const std::string& message) const {
    expect_bad_trace(fmt::format("{}{}", kHeader, operations), message);
  }

  testing::TempDir dir_;
};

// The DMA trace is looked at before the replay.
TEST_F(ReplayProgramTest, DmaTrace) {
  const std::string dma = file("good.dma", "smmulab-dma 1\ndma 0x10 1 0x1000\n");
  const std::vector<std::string> timed = {good(), "--dma-trace"};
  const auto with = [](std::vector<std::string> words, const std::vector<std::string>& more) {
    words.insert(words.end(), more.begin(), more.end());
    return words;
  };
  const testing::CommandResult result = testing::run_replay_program(with(timed, {dma, "--json"}));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.out.find(",\"dma_trace\":\"" + trace_hash(dma) + "\","), std::string::npos);
  EXPECT_NE(result.out.find("\"dma_transactions\":"), std::string::npos);
  const std::string bad = file("bad.dma", "smmulab-dma 1\ndma 0x10 1 0x1000 x\n");
  expect_refused(with(timed, {bad}), bad + ":2:19: unexpected 'x'");
  expect_refused(with(timed, {dma, "-s", "smmuv3.hardware=counted"}),
                 "a DMA trace needs smmuv3.hardware = timed");
  expect_refused(with(timed, {dma, "-s", "stream.pattern=random"}),
                 "stream.pattern and a DMA trace: give one of them");
  expect_refused(with(timed, {dir_.file("none")}),
                 "cannot read " + dir_.file("none") + ": No such file or directory");
}

TEST_F(ReplayProgramTest, GoodTrace) {
  const testing::CommandResult result =
      testing::run_replay_program({good(), "--ops", dir_.file("ops")});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.err, "");
  EXPECT_NE(result.out.find("igroup"), std::string::npos) << result.out;
  const std::string ops = testing::read_bytes(dir_.file("ops"));
  EXPECT_TRUE(ops.starts_with("0 0 bind ")) << ops;
  EXPECT_NE(ops.find("\n1 0 ioas_alloc "), std::string::npos) << ops;
}

TEST_F(ReplayProgramTest, TruncatedTrace) {
  expect_bad_operations("0 0 bind dev=0\n",
                        "10:1: the trace is truncated: no 'end' line after 1 operations");
  expect_bad_trace("smmulab-trace 1\ncpu 0 socket=0 node=0\n",
                   "3:1: the trace is truncated: no 'begin' line");
  expect_bad_operations("0 0 bind dev=0\nend 2\n",
                        "10:5: the end line says 2 operations, but 1 were read");
}

TEST_F(ReplayProgramTest, WrongVersionOrNoTrace) {
  expect_bad_trace("smmulab-trace 2\nbegin\nend 0\n",
                   "1:15: trace format version 2 is not supported; expected version 1");
  expect_bad_trace("hello\n", "1:1: not a trace: the first line should read 'smmulab-trace 1'");
}

TEST_F(ReplayProgramTest, UnknownOperation) {
  expect_bad_operations("0 0 bind dev=0\n5 0 atach dev=0 pt=5\nend 2\n",
                        "10:5: unknown operation 'atach' (did you mean 'attach'?)");
}

TEST_F(ReplayProgramTest, ObjectUsedBeforeMade) {
  expect_bad_operations("0 0 bind dev=0\n5 0 attach dev=0 pt=5\nend 2\n",
                        "10:21: object 5 is used before it was made");
  expect_bad_operations("0 0 detach dev=0\nend 1\n", "9:16: device 0 is used before it was bound");
}

TEST_F(ReplayProgramTest, OverlappingMap) {
  expect_bad_operations(
      "0 0 ioas_alloc ioas=5\n1 0 map ioas=5 iova=0x1000 len=8192\n"
      "2 0 map ioas=5 iova=0x2000 len=4096\nend 3\n",
      "11:21: map of 0x2000..0x2fff overlaps the area 0x1000..0x2fff of line 10, which was not "
      "unmapped");
}

TEST_F(ReplayProgramTest, NegativeTime) {
  expect_bad_operations("-5 0 bind dev=0\nend 1\n", "9:1: issue time: -5 is negative");
  expect_bad_operations("0 0 bind dev=0 dur=-1\nend 1\n", "9:20: dur: -1 is negative");
}

TEST_F(ReplayProgramTest, DuplicateId) {
  expect_bad_operations("0 0 ioas_alloc ioas=5\n1 0 ioas_alloc ioas=5\nend 2\n",
                        "10:21: duplicate id: ioas 5 is alive, made at line 9");
}

TEST_F(ReplayProgramTest, CorruptZstd) {
  std::string bytes = testing::read_bytes(testing::recorded_traces().front());
  const std::string cut = file("cut.iotrace.zst", bytes.substr(0, bytes.size() / 2));
  const testing::CommandResult truncated = testing::run_replay_program({cut});
  EXPECT_EQ(truncated.exit_code, kUsageError);
  EXPECT_TRUE(truncated.err.starts_with("smmulab-replay: " + cut + ":")) << truncated.err;
  EXPECT_NE(truncated.err.find("corrupt zstd data: the file ends inside a frame (truncated?)"),
            std::string::npos)
      << truncated.err;

  bytes.back() = static_cast<char>(~bytes.back());  // the checksum
  const testing::CommandResult flipped =
      testing::run_replay_program({file("flipped.iotrace.zst", bytes)});
  EXPECT_EQ(flipped.exit_code, kUsageError);
  EXPECT_NE(flipped.err.find("corrupt zstd data: Restored data doesn't match checksum"),
            std::string::npos)
      << flipped.err;

  const std::string plain = file("plain.iotrace.zst", kHeader);
  expect_refused({plain}, plain + ":1:1: corrupt zstd data: Unknown frame descriptor");
}

TEST_F(ReplayProgramTest, MissingTrace) {
  const std::string path = dir_.file("none.iotrace");
  expect_refused({path}, "cannot read " + path + ": No such file or directory");
}

TEST_F(ReplayProgramTest, OnlyRegularFiles) {
  expect_refused({"-"}, "cannot read -: standard input cannot be read twice; name a file");
  const std::string pipe = dir_.file("pipe");
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  const int writer = ::open(pipe.c_str(), O_RDWR | O_CLOEXEC);
  expect_refused({pipe},
                 "cannot read " + pipe + ": it is no regular file, so it cannot be read twice");
  ::close(writer);
  for (const auto& [path, why] :
       {std::pair<std::string, std::string>{"-", "standard output will not do; name a file"},
        {pipe, "it is no regular file"},
        {std::filesystem::path(pipe).parent_path(), "Is a directory"}}) {
    const testing::CommandResult result = testing::run_replay_program({good(), "--ops", path});
    EXPECT_EQ(result.exit_code, kUsageError);
    EXPECT_EQ(result.err, fmt::format("smmulab-replay: {}: cannot be written: {}\n", path, why));
  }
}

TEST_F(ReplayProgramTest, UnknownProtocol) {
  const testing::CommandResult result = testing::run_replay_program({good(), "-p", "igruop"});
  EXPECT_EQ(result.exit_code, kUsageError);
  EXPECT_TRUE(
      result.err.starts_with("smmulab-replay: unknown protocol 'igruop', did you mean "
                             "'igroup'?; known: "))
      << result.err;
  for (const std::string& known : testing::protocol_names()) {
    EXPECT_NE(result.err.find(known), std::string::npos) << known;
  }
}

TEST_F(ReplayProgramTest, RepeatedProtocol) {
  expect_refused({good(), "-p", "igroup", "-p", "v6.2", "-p", "igroup"},
                 "protocol 'igroup' is named twice");
}

TEST_F(ReplayProgramTest, UnknownNames) {
  expect_refused({good(), "-s", "sched.contxt_switch=1ns"},
                 "unknown parameter 'sched.contxt_switch'; did you mean 'sched.context_switch'?");
  expect_refused({good(), "--engine", "simgird"},
                 "unknown engine 'simgird' (known: native, simgrid)");
  expect_refused({good(), "-s", "replay.mode=open"},
                 "parameter 'replay.mode': 'open' is no value of it: expected one of closed|timed");
  expect_refused({good(), "-s", "sched"}, "'sched' is not KEY=VALUE");
  const testing::CommandResult preset = testing::run_replay_program({good(), "-s", "preset=servr"});
  EXPECT_EQ(preset.exit_code, kUsageError);
  EXPECT_TRUE(
      preset.err.starts_with("smmulab-replay: unknown preset 'servr', did you mean "
                             "'server'?; known: "))
      << preset.err;
}

TEST_F(ReplayProgramTest, ValueOutOfRange) {
  expect_refused({good(), "-s", "sched.context_switch=101us"},
                 "parameter 'sched.context_switch': '101us' is out of range: expected a duration "
                 "from 0ps to 100us");
  expect_refused({good(), "-s", "sched.context_switch=5"},
                 "parameter 'sched.context_switch': '5' has no unit: expected a number with ps, "
                 "ns, us, ms or s, such as 15ns or 1.5us");
  expect_refused({good(), "-s", "replay.speed_percent=0"},
                 "parameter 'replay.speed_percent': '0' is out of range: expected a count (an "
                 "integer) from 1 to 100000");
}

TEST_F(ReplayProgramTest, MachineFile) {
  const std::string missing = dir_.file("none.toml");
  expect_refused({good(), "-m", missing}, missing + ": cannot be read: No such file or directory");
  const std::string machine =
      file("m.toml", "preset = \"server\"\n[sched]\ncontext_swich = \"1us\"\n");
  const testing::CommandResult result = testing::run_replay_program({good(), "-m", machine});
  EXPECT_EQ(result.exit_code, kUsageError);
  EXPECT_TRUE(result.err.starts_with("smmulab-replay: " + machine + ":3:")) << result.err;
  EXPECT_NE(result.err.find("did you mean 'sched.context_switch'?"), std::string::npos)
      << result.err;
}

TEST_F(ReplayProgramTest, UnwritableOpsFile) {
  const std::string no_folder = dir_.file("none/ops");
  const std::string under_a_file = good() + "/ops";
  for (const auto& [path, why] : {std::pair{no_folder, "No such file or directory"},
                                  std::pair{under_a_file, "Not a directory"}}) {
    const testing::CommandResult result = testing::run_replay_program({good(), "--ops", path});
    EXPECT_EQ(result.exit_code, kUsageError);
    EXPECT_EQ(result.out, "");
    EXPECT_EQ(result.err, fmt::format("smmulab-replay: {}: cannot be written: {}\n", path, why));
  }
}

TEST_F(ReplayProgramTest, OneJsonDocumentForSeveralProtocols) {
  const std::vector<std::string> arguments{good(), "--json", "-p", "igroup", "-p", "v6.2"};
  const testing::CommandResult native = testing::run_replay_program(arguments);
  EXPECT_EQ(native.exit_code, 0) << native.err;
  EXPECT_EQ(std::ranges::count(native.out, '\n'), 1);
  if (!simgrid_available()) {
    return;
  }
  std::vector<std::string> with_simgrid = arguments;
  with_simgrid.insert(with_simgrid.end(), {"--engine", "simgrid"});
  const testing::CommandResult simgrid = testing::run_replay_program(with_simgrid);
  EXPECT_EQ(simgrid.exit_code, 0) << simgrid.err;
  EXPECT_EQ(simgrid.out, native.out);
}

// Stopped in the middle, by either signal, with the engine in this process or in a child.
TEST_F(ReplayProgramTest, SignalsLeaveNoFile) {
  std::string text(kHeader);
  constexpr int kPairs = 300'000;
  for (int i = 0; i < kPairs; ++i) {
    text += "0 0 ioas_alloc ioas=5\n0 0 ioas_destroy ioas=5\n";
  }
  const std::string trace = file("long.iotrace", text + fmt::format("end {}\n", 2 * kPairs));
  for (const std::string engine : {"native", "simgrid"}) {
    for (const int signal : {SIGINT, SIGTERM}) {
      if (engine == "simgrid" && !simgrid_available()) {
        continue;
      }
      const auto when_it_writes = [&](pid_t program) {
        while (dir_.names().size() == 1 && ::waitpid(program, nullptr, WNOHANG) == 0) {
          std::this_thread::sleep_for(std::chrono::milliseconds{5});
        }
        ::kill(program, signal);
      };
      const testing::CommandResult result = testing::run_replay_program(
          {trace, "--ops", dir_.file("ops"), "--engine", engine, "-p", "v6.2", "-p", "igroup"},
          when_it_writes);
      EXPECT_EQ(result.exit_code, 128 + signal) << engine << result.err;
      EXPECT_EQ(result.out, "");
      EXPECT_TRUE(result.err.starts_with("smmulab-replay: ")) << result.err;
      EXPECT_EQ(dir_.names(), std::vector<std::string>{"long.iotrace"});
    }
  }
}

// SimGrid's runs take place in processes of their own; the worst exit code counts.
TEST_F(ReplayProgramTest, OneBadProtocolOfSeveral) {
  for (const std::string engine : {"native", "simgrid"}) {
    if (engine == "simgrid" && !simgrid_available()) {
      continue;
    }
    const testing::CommandResult result =
        testing::run_replay_program({good(), "--engine", engine, "-p", "igruop", "-p", "igroup"});
    EXPECT_EQ(result.exit_code, kUsageError) << engine;
    EXPECT_TRUE(result.err.starts_with("smmulab-replay: unknown protocol 'igruop'")) << result.err;
  }
}

// Two replaces that cross: seed-unordered deadlocks, the comparison goes on.
TEST_F(ReplayProgramTest, ADeadlockOfOneProtocolDoesNotStopTheOthers) {
  const std::string trace = file("cross.iotrace", R"(smmulab-trace 1
cpu 0 socket=0 node=0
cpu 1 socket=0 node=0
cpu 2 socket=0 node=0
smmu 0
group 0
group 1
devset 0
devset 1
device 0 name=d0 smmu=0 sid=0x10 group=0 devset=0
device 1 name=d1 smmu=0 sid=0x11 group=1 devset=1
thread 0 name=a cpu=0
thread 1 name=b cpu=1
thread 2 name=main cpu=2
begin
0 2 bind dev=0
1 2 bind dev=1
2 2 ioas_alloc ioas=1
3 2 hwpt_alloc hwpt=2 dev=0 pt=1
4 2 hwpt_alloc hwpt=3 dev=0 pt=1
5 2 attach dev=0 pt=2
6 2 attach dev=1 pt=3
phase run
7 0 replace dev=0 pt=3 old=2
8 1 replace dev=1 pt=2 old=3
end 9
)");
  for (const std::string engine : {"native", "simgrid"}) {
    if (engine == "simgrid" && !simgrid_available()) {
      continue;
    }
    std::vector<std::string> arguments{trace, "--engine", engine};
    for (const char* protocol : {"igroup", "seed-unordered", "ioas-pair"}) {
      arguments.insert(arguments.end(), {"-p", protocol});
    }
    const testing::CommandResult text = testing::run_replay_program(arguments);
    EXPECT_EQ(text.exit_code, kModelFailure) << text.err;
    EXPECT_NE(text.out.find("igroup: ok\n"), std::string::npos) << text.out;
    EXPECT_NE(text.out.find("seed-unordered: deadlock\n"), std::string::npos) << text.out;
    EXPECT_NE(text.out.find(": a -> hwpt->devices_lock#1 -> b -> hwpt->devices_lock#0 -> a; "),
              std::string::npos)
        << text.out;
    EXPECT_NE(text.out.find("ioas-pair: ok\n"), std::string::npos) << text.out;
    arguments.emplace_back("--json");
    const testing::CommandResult json = testing::run_replay_program(arguments);
    EXPECT_EQ(json.exit_code, kModelFailure) << json.err;
    EXPECT_NE(json.out.find(R"("deadlock_cycle":["a","hwpt->devices_lock#1","b",)"),
              std::string::npos);
  }
}

TEST_F(ReplayProgramTest, Arguments) {
  EXPECT_EQ(testing::run_replay_program({}).exit_code, kUsageError);
  const testing::CommandResult unknown = testing::run_replay_program({good(), "--oops"});
  EXPECT_EQ(unknown.exit_code, kUsageError);
  EXPECT_EQ(unknown.err,
            "smmulab-replay: The following argument was not expected: --oops; see smmulab-replay "
            "--help\n");
  const testing::CommandResult help = testing::run_replay_program({"--help"});
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_NE(help.out.find("TRACE"), std::string::npos) << help.out;
  const testing::CommandResult version = testing::run_replay_program({"--version"});
  EXPECT_EQ(version.exit_code, 0);
  EXPECT_TRUE(version.out.starts_with("smmulab ")) << version.out;
}

}  // namespace
}  // namespace smmulab::workloads

// SPDX-License-Identifier: Apache-2.0
// Oracle O8: the native and the SimGrid engine give every operation of a replay the same start, end
// and result, to the picosecond.
#include <gtest/gtest.h>

#include "sim/engine_agreement.hpp"
#include "workloads/random_trace_testing.hpp"
#include "workloads/replay_testing.hpp"
#include "workloads/report_json.hpp"

namespace smmulab::workloads {
namespace {

// One line for each operation, in the order in which they ended, and the whole result.
std::string run(EngineKind engine, const std::string& path, const Settings& settings,
                const std::string& protocol) {
  std::string text;
  ReplayOptions options;
  options.protocol = protocol;
  options.engine = engine;
  options.sink = [&text](const OpOutcome& op) {
    text += fmt::format("operation {} of thread {}: {} ps to {} ps, result {}\n", op.seq,
                        op.thread.value(), to_ps(op.start), to_ps(op.end), op.rc);
  };
  return text += to_json(replay(path, settings, options)) + "\n";
}

std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> found;
  std::size_t begin = 0;
  for (std::size_t end = 0; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    found.push_back(text.substr(begin, end - begin));
  }
  return found;
}

void expect_engines_agree(const std::string& path, const Settings& settings,
                          const std::string& protocol, std::uint64_t operations) {
  const auto native = lines(run(EngineKind::kNative, path, settings, protocol));
  const auto simgrid = lines(agreement::in_child([&](int out) {
    const std::string text = run(EngineKind::kSimGrid, path, settings, protocol);
    agreement::write_all(out, text.data(), text.size());
  }));
  ASSERT_LE(native.size(), operations + 1) << protocol;
  if (native.back().find("\"status\":\"deadlock\"") == std::string::npos) {
    ASSERT_EQ(native.size(), operations + 1) << protocol;
  }
  ASSERT_EQ(native.size(), simgrid.size()) << protocol;
  for (std::size_t i = 0; i < native.size(); ++i) {
    ASSERT_EQ(native[i], simgrid[i]) << protocol << ", line " << i;
  }
}

std::uint64_t operations_in(const std::string& path) {
  TraceReader reader(path);
  Op op;
  while (reader.next(op)) {
  }
  return reader.operations();
}

class RecordedTraceEngines : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (!simgrid_available()) {
      GTEST_SKIP() << "built without SimGrid";
    }
  }
};

TEST_P(RecordedTraceEngines, AgreeUnderEveryProtocol) {
  const std::uint64_t operations = operations_in(GetParam());
  for (const std::string& protocol : testing::protocol_names()) {
    expect_engines_agree(GetParam(), Settings{}, protocol, operations);
  }
}

INSTANTIATE_TEST_SUITE_P(All, RecordedTraceEngines, ::testing::ValuesIn(testing::recorded_traces()),
                         [](const auto& each) { return testing::test_name(each.param); });

class RandomTraceEngines : public RecordedTraceEngines {};

// Threads contend for two CPUs, some of them free to move; the kernel preempts, at short ticks.
TEST_P(RandomTraceEngines, AgreeUnderEveryProtocol) {
  const Settings settings =
      testing::settings_with({"sched.preempt=" + GetParam(), "sched.tick=100us",
                              "sched.slice=100us", "replay.user_time=700ns"});
  const testing::TempDir dir;
  for (std::uint64_t seed = 0; seed < 7; ++seed) {
    const testing::RandomTrace trace = testing::random_trace(seed, {6, 3, 150, true, true});
    const std::string path = dir.file(fmt::format("{}.iotrace", seed));
    TraceWriter writer(path, trace.header);
    for (const Op& op : trace.ops) {
      writer.write(op);
    }
    const std::uint64_t operations = writer.finish();
    for (const std::string& protocol : testing::protocol_names()) {
      SCOPED_TRACE(fmt::format("seed {}", seed));
      expect_engines_agree(path, settings, protocol, operations);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Preemption, RandomTraceEngines,
                         ::testing::Values("none", "voluntary", "full"),
                         [](const auto& each) { return each.param; });

}  // namespace
}  // namespace smmulab::workloads

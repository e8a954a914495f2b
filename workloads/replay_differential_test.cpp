// SPDX-License-Identifier: Apache-2.0
// Every protocol runs on every recorded trace; the correct ones, and the others once their hazards
// are mended, leave the mapping and attachment state that the trace's operations call for; and the
// same run gives the same bytes.
#include <algorithm>
#include <utility>

#include <gtest/gtest.h>

#include "sim/sanitized_testing.hpp"
#include "workloads/reference_state_testing.hpp"
#include "workloads/replay_testing.hpp"
#include "workloads/report_json.hpp"

namespace smmulab::workloads {
namespace {

struct Facts {
  std::uint64_t operations = 0;
  std::uint64_t failed = 0;
};

Facts facts_of(const std::string& path) {
  Facts facts;
  for (const Op& op : testing::read_all(path)) {
    facts.operations += op.kind != OpKind::kPhase ? 1U : 0U;
    facts.failed += op.failed() ? 1U : 0U;
  }
  return facts;
}

void expect_final_state(const std::string& path, const std::vector<std::string>& expected) {
  const testing::TraceTraits traits = testing::traits_of(path);
  for (const std::string& protocol : testing::protocol_names()) {
    SCOPED_TRACE(protocol);
    const auto settings = testing::correct_settings(protocol, traits);
    if (!settings) {
      continue;
    }
    auto [result, ops] = testing::replay_all(path, *settings, protocol);
    EXPECT_EQ(result.status, "ok") << result.message;
    for (const OpOutcome& op : ops) {
      ASSERT_EQ(op.rc, 0) << op_name(op.kind) << ", operation " << op.seq;
    }
    std::ranges::sort(result.final_state);
    EXPECT_EQ(result.final_state, expected);
  }
}

// The trace without what follows its phase "teardown": then something is left to compare.
std::vector<std::string> copy_without_teardown(const std::string& from, const std::string& to) {
  TraceReader reader(from);
  TraceWriter writer(to, reader.header());
  testing::ReferenceState state;
  Op op;
  while (reader.next(op)) {
    if (op.kind != OpKind::kPhase) {
      writer.write(op);
      state.apply(op);
    } else if (reader.phase_name(op) == "teardown") {
      break;
    } else {
      writer.phase(reader.phase_name(op));
    }
  }
  writer.finish();
  return state.lines(reader.header());
}

class RecordedTraceReplay : public ::testing::TestWithParam<std::string> {};

TEST_P(RecordedTraceReplay, EveryProtocolRunsToTheEnd) {
  const Facts facts = facts_of(GetParam());
  const testing::TraceTraits traits = testing::traits_of(GetParam());
  for (const std::string& protocol : testing::protocol_names()) {
    SCOPED_TRACE(protocol);
    const auto settings = testing::correct_settings(protocol, traits);
    const testing::Outcomes outcomes =
        testing::replay_all(GetParam(), settings.value_or(testing::mended_settings()), protocol);
    if (settings) {
      EXPECT_EQ(outcomes.result.status, "ok") << outcomes.result.message;
    } else {  // a hazard without remedy: no deadlock among them
      EXPECT_NE(outcomes.result.status, "deadlock") << outcomes.result.message;
    }
    ASSERT_EQ(outcomes.ops.size(), facts.operations);
    EXPECT_EQ(outcomes.result.operations, facts.operations);
    for (std::size_t i = 0; i < outcomes.ops.size(); ++i) {
      ASSERT_EQ(outcomes.ops[i].seq, i);
      ASSERT_LE(outcomes.ops[i].start, outcomes.ops[i].end);
    }
  }
}

// A number, or "deadlock" with who waits for whom, or "wrong state" with what broke.
TEST_P(RecordedTraceReplay, AsPostedEveryProtocolEndsWithAVerdict) {
  const Facts facts = facts_of(GetParam());
  for (const std::string& protocol : testing::protocol_names()) {
    SCOPED_TRACE(protocol);
    const auto [result, ops] = testing::replay_all(GetParam(), Settings{}, protocol);
    EXPECT_EQ(result.status == "ok", result.message.empty());
    EXPECT_EQ(result.status == "deadlock", ops.size() < facts.operations);
    if (result.status == "wrong state") {
      EXPECT_FALSE(result.broken_invariants.empty());
    } else if (result.status == "deadlock") {
      EXPECT_NE(result.message.find(" waits for "), std::string::npos) << result.message;
    } else {
      EXPECT_EQ(result.status, "ok");
    }
  }
}

TEST_P(RecordedTraceReplay, CorrectProtocolsEndInTheStateTheOperationsCallFor) {
  if (facts_of(GetParam()).failed > 0) {
    GTEST_SKIP() << "the trace has errors: the order of the threads decides what they do";
  }
  const testing::TempDir dir;
  const std::string path = dir.file("cut.iotrace");
  expect_final_state(path, copy_without_teardown(GetParam(), path));
}

TEST_P(RecordedTraceReplay, SameRunSameBytes) {
  for (const std::string& protocol : testing::protocol_names()) {
    const auto run = [&] { return to_json(testing::replay_all(GetParam(), {}, protocol).result); };
    EXPECT_EQ(run(), run()) << protocol;
  }
}

INSTANTIATE_TEST_SUITE_P(All, RecordedTraceReplay, ::testing::ValuesIn(testing::recorded_traces()),
                         [](const auto& each) { return testing::test_name(each.param); });

// In two processes, so that nothing may hang on addresses.
TEST(ReplayDeterminismTest, TwoProcessesPrintTheSameBytes) {
  const auto traces = testing::recorded_traces();
  ASSERT_FALSE(traces.empty());
  std::vector<std::string> arguments{traces.front(), "--json"};
  int expected = 0;
  for (const std::string& protocol : testing::protocol_names()) {
    arguments.insert(arguments.end(), {"-p", protocol});
    const auto result = testing::replay_all(traces.front(), Settings{}, protocol).result;
    expected = result.status == "ok" ? expected : 1;
  }
  const testing::CommandResult first = testing::run_replay_program(arguments);
  EXPECT_EQ(first.exit_code, expected) << first.err;
  EXPECT_GT(first.out.size(), 1000U);
  EXPECT_EQ(first.out, testing::run_replay_program(arguments).out);
}

TEST(ReplayDifferentialTest, RandomTracesEndInTheStateTheOperationsCallFor) {
  const testing::TempDir dir;
  const std::string path = dir.file("random.iotrace");
  constexpr std::uint64_t kTraces = unless_sanitized(30, 9);
  for (std::uint64_t seed = 0; seed < kTraces; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    const auto threads = static_cast<std::uint32_t>(1 + seed % 9);
    expect_final_state(path, testing::write_independent_trace(path, seed, {threads, 400, false}));
  }
}

}  // namespace
}  // namespace smmulab::workloads

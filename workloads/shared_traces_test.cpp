// SPDX-License-Identifier: Apache-2.0
// The recorded runs in ../shared/traces (skipped where that folder is absent): the importer keeps
// every fact of a log, and every protocol replays every trace to its end.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include <gtest/gtest.h>

#include "sim/sanitized_testing.hpp"
#include "workloads/import_ops_log.hpp"
#include "workloads/replay_testing.hpp"

namespace smmulab::workloads {
namespace {

namespace fs = std::filesystem;

// What a log says, read by means of its own.
struct LogFacts {
  std::map<std::string, std::uint64_t> kinds;
  std::map<int, std::uint64_t> results;  // without dma: the log has the NVMe status there
  std::set<int> threads;
  std::uint64_t devices = 0;
  std::uint64_t total_ns = 0;  // of all durations
  std::uint64_t span_ns = 0;   // from the first start to the last
  std::uint64_t mapped_bytes = 0;
};

LogFacts read_log(const fs::path& path) {
  LogFacts facts;
  std::ifstream in(path);
  std::uint64_t origin = 0;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("#")) {
      facts.devices += line.starts_with("# dev ") ? 1U : 0U;
      continue;
    }
    std::istringstream words(line);
    std::uint64_t start = 0;
    std::uint64_t end = 0;
    int thread = 0;
    int ret = 0;
    std::uint64_t length = 0;
    std::string kind;
    std::string skipped;
    words >> start >> end >> thread >> skipped >> kind;
    words >> skipped >> skipped >> skipped >> skipped >> skipped >> skipped >> length >> ret;
    origin = facts.kinds.empty() ? start : origin;
    ++facts.kinds[kind];
    facts.results[ret] += kind == "dma" ? 0U : 1U;
    facts.threads.insert(thread);
    facts.total_ns += end - start;
    facts.span_ns = start - origin;
    facts.mapped_bytes += kind == "map" ? length : 0U;
  }
  return facts;
}

LogFacts facts_of(const std::string& trace) {
  LogFacts facts;
  TraceReader reader(trace);
  facts.devices = reader.header().devices.size();
  const int main = static_cast<int>(reader.header().threads.size()) - 1;
  Op op;
  while (reader.next(op)) {
    if (op.kind == OpKind::kPhase) {
      continue;
    }
    const bool destroys = op.kind == OpKind::kIoasDestroy || op.kind == OpKind::kHwptDestroy;
    ++facts.kinds[destroys ? "destroy" : std::string(op_name(op.kind))];
    facts.results[op.ret] += op.kind == OpKind::kDma ? 0U : 1U;
    const int thread = static_cast<int>(op.thread.value());
    facts.threads.insert(thread == main ? -1 : thread);
    facts.total_ns += static_cast<std::uint64_t>(op.duration / 1_ns);
    facts.span_ns = static_cast<std::uint64_t>(op.issue.time_since_epoch() / 1_ns);
    facts.mapped_bytes += op.kind == OpKind::kMap ? op.length.value() : 0U;
  }
  return facts;
}

void expect_same_facts(const LogFacts& log, const LogFacts& trace) {
  EXPECT_EQ(trace.kinds, log.kinds);
  EXPECT_EQ(trace.results, log.results);
  EXPECT_EQ(trace.threads.size(), log.threads.size());  // map threads are numbered anew
  EXPECT_EQ(trace.devices, log.devices);
  EXPECT_EQ(trace.total_ns, log.total_ns);
  EXPECT_EQ(trace.span_ns, log.span_ns);
  EXPECT_EQ(trace.mapped_bytes, log.mapped_bytes);
}

std::vector<fs::path> logs_in(const fs::path& folder) {
  std::vector<fs::path> logs;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.path().string().ends_with(".ops.txt")) {
      logs.push_back(entry.path());
    }
  }
  std::ranges::sort(logs);
  return logs;
}

// A run's name.
class SharedRunTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const std::string runs = testing::shared_runs();
    if (runs.empty()) {
      GTEST_SKIP() << "the folder ../shared/traces/runs is absent";
    }
    folder_ = dir_.file(GetParam());
    fs::create_directory(folder_);
    ASSERT_TRUE(testing::unpack(fmt::format("{}/{}.tar.xz", runs, GetParam()), folder_));
    logs_ = logs_in(folder_);
    ASSERT_FALSE(logs_.empty());
  }

  testing::TempDir dir_;
  std::string folder_;
  std::vector<fs::path> logs_;
};

// With sanitizers every fourth protocol has to do, and the copies in workloads/traces run under
// all.
constexpr std::size_t kEvery = unless_sanitized(1, 4);

TEST_P(SharedRunTest, ImportKeepsTheFactsAndEveryProtocolReplays) {
  for (const fs::path& log : logs_) {
    SCOPED_TRACE(log.filename().string());
    const std::string trace = dir_.file("t.iotrace");
    const ImportSummary summary = import_ops_log(log.string(), trace);
    const LogFacts facts = read_log(log);
    expect_same_facts(facts, facts_of(trace));
    const testing::TraceTraits traits = testing::traits_of(trace);
    const std::vector<std::string> names = testing::protocol_names();
    for (std::size_t i = 0; i < names.size(); i += kEvery) {
      const std::string& protocol = names[i];
      SCOPED_TRACE(protocol);
      const auto settings = testing::correct_settings(protocol, traits);
      const ReplayResult result =
          testing::replay_all(trace, settings.value_or(testing::mended_settings()), protocol)
              .result;
      EXPECT_EQ(settings ? result.status : "ok", "ok") << result.message;
      EXPECT_EQ(result.operations, summary.operations);
    }
  }
}

// The copies in workloads/traces are what an import of the run's logs gives.
TEST_P(SharedRunTest, TheCopiesInTheRepositoryAreImportsOfTheLogs) {
  const std::string run = GetParam();
  for (const std::string& copy : testing::recorded_traces()) {
    std::string shape = fs::path(copy).filename().string();
    if (!shape.starts_with(run + "-")) {
      continue;
    }
    shape = shape.substr(run.size() + 1, shape.find('.') - run.size() - 1);
    const std::string again = dir_.file("again.iotrace");
    (void)import_ops_log(fmt::format("{}/{}.ops.txt", folder_, shape), again);
    EXPECT_EQ(trace_hash(again), trace_hash(copy)) << copy;
  }
}

INSTANTIATE_TEST_SUITE_P(Runs, SharedRunTest,
                         ::testing::Values("A_ev_smp2", "A_fg_smp2", "A_ic_smp2", "A_la_smp2",
                                           "A_plain_smp2", "A_qdma_smp2", "A_qplain_smp2",
                                           "B_lk_smp2", "B_lst_smp2"),
                         [](const auto& each) { return std::string(each.param); });

}  // namespace
}  // namespace smmulab::workloads

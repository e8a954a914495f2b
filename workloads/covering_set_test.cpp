// SPDX-License-Identifier: Apache-2.0
// Does the covering set see every order of locks? Random operations, which know nothing of it, run
// one after another under each protocol: what they take, and in what order, it has taken as well.
#include "workloads/covering_set.hpp"

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "analysis/lock_graph.hpp"
#include "models/iommufd/protocol.hpp"
#include "workloads/random_trace_testing.hpp"
#include "workloads/settings.hpp"
#include "workloads/trace_testing.hpp"

namespace smmulab::workloads {
namespace {

struct Taken {
  std::set<std::string> classes;
  // Held, then wanted: who did so first.
  std::map<std::pair<std::string, std::string>, std::string> orders;
};

class Taker {
 public:
  void add(const RecordedRun& run) {
    builder_.add(run.record, {run.name, run.message, run.status == "model error"});
  }
  [[nodiscard]] Taken taken() const {
    const analysis::LockGraph graph = builder_.graph();
    Taken all;
    for (const analysis::LockNode& node : graph.nodes) {
      all.classes.insert(node.label());
    }
    for (const analysis::LockEdge& edge : graph.edges) {
      const std::pair order{graph.nodes[edge.from].label(), graph.nodes[edge.to].label()};
      all.orders.emplace(order, edge.first.operation + ", seed " + graph.runs[edge.first.run].name);
    }
    return all;
  }

 private:
  analysis::LockGraphBuilder builder_;
};

std::vector<std::string> protocol_names() {
  std::vector<std::string> names;
  for (const iommufd::ProtocolInfo& info : iommufd::protocols()) {
    names.emplace_back(info.name);
  }
  return names;
}

class CoveringSetTest : public ::testing::TestWithParam<std::string> {};

TEST_P(CoveringSetTest, HasEveryLockAndOrderOfRandomOperations) {
  const std::string& protocol = GetParam();
  const Settings settings;
  Taker covering;
  record_covering_set(settings, protocol, [&](const RecordedRun& run) { covering.add(run); });
  const testing::TempDir folder;
  Taker random;
  for (std::uint64_t seed = 1; seed <= 25; ++seed) {
    testing::RandomTrace trace = testing::random_trace(
        seed, {.threads = 1, .operations = 120, .durations = false, .destroy_races = false});
    const std::string path = folder.file("random.iotrace");
    write_workload({"random", std::move(trace.header), std::move(trace.ops)}, path);
    random.add(record_trace(path, std::to_string(seed), settings, protocol));
  }
  const Taken expected = random.taken();
  const Taken got = covering.taken();
  EXPECT_GE(expected.classes.size(), 3U);
  for (const std::string& each : expected.classes) {
    EXPECT_TRUE(got.classes.contains(each)) << each;
  }
  for (const auto& [order, witness] : expected.orders) {
    EXPECT_TRUE(got.orders.contains(order))
        << order.first << ", then " << order.second << ": " << witness;
  }
}

INSTANTIATE_TEST_SUITE_P(Protocols, CoveringSetTest, ::testing::ValuesIn(protocol_names()),
                         [](const auto& each) {
                           std::string name = each.param;
                           std::erase_if(name, [](char c) { return c == '.' || c == '-'; });
                           return name;
                         });

}  // namespace
}  // namespace smmulab::workloads

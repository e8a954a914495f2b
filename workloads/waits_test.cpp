// SPDX-License-Identifier: Apache-2.0
// Blame and critical path on what recorded traces make of the protocols, and locks made free.
#include <algorithm>
#include <filesystem>
#include <map>

#include <gtest/gtest.h>

#include "analysis/blame.hpp"
#include "analysis/critical_path.hpp"
#include "models/iommufd/protocol.hpp"
#include "sim/sanitized_testing.hpp"
#include "workloads/replay.hpp"

namespace smmulab::workloads {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> traces() {
  std::vector<std::string> paths;
  for (const auto& entry : fs::directory_iterator(SMMULAB_SOURCE_DIR "/workloads/traces")) {
    if (entry.path().extension() == ".zst") {
      paths.push_back(entry.path().string());
    }
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

Settings with(const std::vector<std::string>& assignments) {
  Settings settings;
  for (const std::string& assignment : assignments) {
    apply_assignment(assignment, settings);
  }
  return settings;
}

struct Recorded {
  Record record;
  ReplayResult result;
};

Recorded run(const std::string& trace, const std::string& protocol,
             const std::vector<std::string>& assignments = {}) {
  Recorded recorded;
  ReplayOptions options;
  options.protocol = protocol;
  options.record = &recorded.record;
  recorded.result = replay(trace, with(assignments), options);
  return recorded;
}

Ps recorded_waits(const Record& record) {
  std::map<std::pair<std::uint32_t, std::uint32_t>, SimTime> asked;
  Ps total{0};
  for (const RecordEvent& e : record) {
    if (e.kind == RecordKind::kLockRequest) {
      asked[{e.thread, e.object}] = e.time;
    } else if (e.kind == RecordKind::kLockAcquire && (e.flags & record_flag::kContended) != 0) {
      total += e.time - asked.at({e.thread, e.object});
    }
  }
  return total;
}

constexpr Ps kHandOver{1'500'000};  // twice sched.wake_up, and moving lines
constexpr Ps kWakeUp{2'500'000};    // sched.wake_latency

class WaitsTest : public ::testing::TestWithParam<std::string> {};

TEST_P(WaitsTest, TheCriticalPathIsAsLongAsTheRunAndBlameIsAllTheWaiting) {
  for (const iommufd::ProtocolInfo& protocol : iommufd::protocols()) {
    for (const char* machine : {"machine.cpus=0", "machine.cpus=2", "sched.preempt=full"}) {
      SCOPED_TRACE(std::string(protocol.name) + " " + machine);
      const Recorded r = run(GetParam(), std::string(protocol.name), {machine});
      const analysis::Timelines timelines(r.record);
      const analysis::Blame blame = analysis::blame(timelines);
      Ps blamed{0};
      for (const analysis::BlameRow& row : blame.rows) {
        blamed += row.kind == analysis::WaitKind::kLock ? row.total : Ps{0};
      }
      EXPECT_EQ(blamed, recorded_waits(r.record));
      EXPECT_EQ(blame.unfinished == 0, r.result.status != "deadlock");
      if (r.result.status == "deadlock") {
        continue;
      }
      const analysis::CriticalPath path = analysis::critical_path(timelines);
      EXPECT_EQ(path.length, r.result.end.time_since_epoch());
      for (const analysis::PathRow& row : path.rows) {
        EXPECT_NE(row.state, analysis::PathState::kAsleep) << row.thread << " " << row.op;
        EXPECT_GT(row.total, Ps{0});
        // No slack: who is let in goes on within the lock's slow path, in which a waiter of an
        // rwsem may have to wake others first; who is woken, within the wake-up latency.
        if (row.state == analysis::PathState::kHandedOver) {
          EXPECT_LT(row.longest, kHandOver) << row.thread << " " << row.op << row.lock_class;
        } else if (row.state == analysis::PathState::kWakes) {
          EXPECT_LE(row.longest, kWakeUp) << row.thread << " " << row.op;
        }
      }
    }
  }
}

constexpr std::size_t kEvery = unless_sanitized(1, 4);  // of the protocols

// What a free lock protected may break, but a run goes on or says what broke.
TEST_P(WaitsTest, EachLockCanBeFreeUnderEachProtocol) {
  for (std::size_t i = 0; i < iommufd::protocols().size(); i += kEvery) {
    const iommufd::ProtocolInfo& protocol = iommufd::protocols()[i];
    for (const std::string_view lock : kFreeableClasses) {
      SCOPED_TRACE(std::string(protocol.name) + " " + std::string(lock));
      try {
        const Recorded r = run(GetParam(), std::string(protocol.name), {free_key(lock) + "=true"});
        for (const LockResult& each : r.result.locks) {
          const bool used = each.stat.write().acquisitions + each.stat.read().acquisitions != 0;
          EXPECT_FALSE(each.name == lock && used);
        }
      } catch (const ModelError&) {
        SUCCEED() << "the model saw it break";
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Traces, WaitsTest, ::testing::ValuesIn(traces()), [](const auto& each) {
  std::string name = fs::path(each.param).stem().stem().string();
  std::replace_if(name.begin(), name.end(), [](char c) { return std::isalnum(c) == 0; }, '_');
  return name;
});

// A class name that freeing does not know would silently not be tried by what-if.
TEST(FreeLocksTest, EveryClassThatARunHasCanBeFreedButDestroyRwsem) {
  for (const std::string& trace : traces()) {
    for (std::size_t i = 0; i < iommufd::protocols().size(); i += kEvery) {
      const std::string protocol(iommufd::protocols()[i].name);
      for (const LockResult& lock : run(trace, protocol).result.locks) {
        const bool known = std::count(kFreeableClasses.begin(), kFreeableClasses.end(),
                                      std::string_view(lock.name)) == 1;
        EXPECT_EQ(known, lock.name != "destroy_rwsem") << lock.name;
      }
    }
  }
}

TEST(FreeLocksTest, AFreeLockIsTheGlobalAsidLockGone) {
  const std::string trace = traces().front();
  const ReplayResult off = run(trace, "igroup", {"driver.global_asid_lock=false"}).result;
  const ReplayResult freed = run(trace, "igroup", {"free.asid_lock=true"}).result;
  EXPECT_EQ(off.end, freed.end);
  EXPECT_EQ(off.events, freed.events);
}

}  // namespace
}  // namespace smmulab::workloads

// SPDX-License-Identifier: Apache-2.0
// The built-in cases under the protocols: hazards of the registry are found,
// mended versions and the designs without them are clean, each in every order.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "sim/error.hpp"
#include "workloads/explore/explorer.hpp"
#include "workloads/explore/protocol_program.hpp"
#include "workloads/trace_testing.hpp"

namespace smmulab::explore {
namespace {

using Assignments = std::vector<std::string>;

workloads::Settings settings_with(const Assignments& assignments) {
  workloads::Settings settings;
  for (const std::string& assignment : assignments) {
    workloads::apply_assignment(assignment, settings);
  }
  return free_of_cost(settings);
}

ExploreResult explore_case(const Case& c, const std::string& protocol,
                           const Assignments& assignments = {}) {
  const workloads::Settings settings = settings_for(c, settings_with(assignments));
  const Program program = protocol_program(c, iommufd::find_protocol(protocol), settings);
  ExploreResult result = explore(program, {});
  EXPECT_TRUE(result.exhaustive) << protocol << " " << c.name;
  for (const Failure& failure : result.failures) {  // each can be shown again
    const ReplayedSchedule again = replay_schedule(program, failure.schedule);
    EXPECT_TRUE(std::ranges::any_of(again.failures, [&failure](const Failure& f) {
      return f.kind == failure.kind && f.id == failure.id;
    })) << failure.message;
  }
  return result;
}

Case case_named(const std::string& name) {
  const std::vector<Case> all = cases();
  return *std::ranges::find_if(all, [&name](const Case& c) { return c.name == name; });
}

void expect_clean(const std::string& name, const std::string& protocol,
                  const Assignments& assignments = {}) {
  const ExploreResult result = explore_case(case_named(name), protocol, assignments);
  for (const Failure& failure : result.failures) {
    ADD_FAILURE() << protocol << ", " << name << ": " << failure_name(failure.kind) << ": "
                  << failure.message;
  }
}

void expect_deadlock(const std::string& name, const std::string& protocol,
                     const std::string& classes, const Assignments& assignments = {}) {
  const ExploreResult result = explore_case(case_named(name), protocol, assignments);
  EXPECT_TRUE(std::ranges::any_of(
      result.failures,
      [&classes](const Failure& f) { return f.kind == FailureKind::kDeadlock && f.id == classes; }))
      << protocol << ", " << name << ": " << result.failures.size() << " failures";
}

constexpr const char* kStale = "protocol.mend_stale_domain=true";

TEST(ExploreProtocols, FindsH1) {
  const std::string locks = "hwpt->devices_lock, hwpt->devices_lock";
  expect_deadlock("replace", "seed-unordered", locks);
  expect_clean("replace", "seed-unordered", {"protocol.mend_h1=true"});
  expect_deadlock("replace", "posted-v1", locks, {kStale});
  expect_clean("replace", "posted-v1", {kStale, "protocol.mend_h1=true"});
}

TEST(ExploreProtocols, FindsH2) {
  expect_deadlock("attach-detach", "posted-v2", "hwpt->devices_lock, ioas->mutex");
  expect_clean("attach-detach", "posted-v2", {"protocol.mend_h2=true"});
}

TEST(ExploreProtocols, FindsH3) {
  const std::string h2 = "protocol.mend_h2=true";
  const ExploreResult result = explore_case(case_named("replace-ioas"), "posted-v2", {h2});
  ASSERT_FALSE(result.failures.empty());
  EXPECT_EQ(result.failures.front().kind, FailureKind::kDeadlock);
  expect_clean("replace-ioas", "posted-v2", {h2, "protocol.mend_h3=true"});
}

TEST(ExploreProtocols, FindsH4) {
  const ExploreResult result = explore_case(case_named("group-detach"), "devices-users-3");
  ASSERT_FALSE(result.failures.empty());
  EXPECT_EQ(result.failures.front().kind, FailureKind::kWrongState);
  expect_clean("group-detach", "devices-users-3", {"protocol.mend_h4=true"});
}

TEST(ExploreProtocols, DesignsWithoutTheHazardsAreClean) {
  for (const std::string protocol :
       {"v6.2", "v6.4", "seed-lock-both", "ioas-pair", "devices-users-1", "devices-users-2",
        "core-group", "igroup", "igroup-pasid", "one-lock"}) {
    for (const Case& c : cases()) {
      const workloads::Settings settings = settings_for(c, settings_with({}));
      if (left_out(c, iommufd::find_protocol(protocol), settings).empty()) {
        expect_clean(c.name, protocol);
      }
    }
  }
}

TEST(ExploreProtocols, FindsGroupMove) {
  for (const std::string protocol : {"seed-lock-both", "core-group"}) {
    const ExploreResult result = explore_case(case_named("group-replace"), protocol);
    ASSERT_FALSE(result.failures.empty()) << protocol;
    EXPECT_EQ(result.failures.front().kind, FailureKind::kWrongState);
  }
}

// The core refuses the detach, whose caller cannot fail.
TEST(ExploreProtocols, FindsResetDetach) {
  const ExploreResult result = explore_case(case_named("reset-detach"), "igroup-pasid");
  ASSERT_FALSE(result.failures.empty());
  EXPECT_EQ(result.failures.front().kind, FailureKind::kWrongState);
  EXPECT_LT(result.failures.front().schedules, result.schedules);  // not if the detach comes first
  expect_clean("reset-detach", "igroup-pasid", {"protocol.mend_reset_detach=true"});
}

TEST(ExploreProtocols, CasesOfYoungerKernelsAreLeftOut) {
  const auto why = [](const std::string& name, const std::string& protocol) {
    const Case c = case_named(name);
    return left_out(c, iommufd::find_protocol(protocol), settings_for(c, settings_with({})));
  };
  EXPECT_EQ(why("unmap-pin", "v6.2"), "");
  EXPECT_EQ(why("nested-destroy", "v6.4"), "needs Linux 6.7");
  EXPECT_EQ(why("nested-destroy", "igroup"), "");
  EXPECT_EQ(why("pasid-replace", "igroup"), "needs Linux 6.15");
  EXPECT_EQ(why("pasid-replace", "igroup-pasid"), "");
  EXPECT_EQ(why("reset-detach", "igroup"), "needs Linux 7.0");
  EXPECT_EQ(why("reset-detach", "igroup-pasid"), "hazard reset-detach");
  EXPECT_EQ(why("group-replace", "core-group"), "hazard group-move");
}

// What the operations return if one thread goes before the other, then the other way round: so the
// operations are there, and do meet.
TEST(ExploreProtocols, WhoComesFirstMatters) {
  using Results = std::vector<std::string>;
  const auto results = [](Case c, bool swapped) {
    if (swapped) {
      std::swap(c.ops[0], c.ops[1]);
    }
    const workloads::Settings settings = settings_for(c, settings_with({}));
    const auto& protocol = iommufd::find_protocol("igroup-pasid");
    Results found;
    for (const LogLine& line : replay_schedule(protocol_program(c, protocol, settings), {}).lines) {
      if (line.text.starts_with("= ")) {
        found.push_back(line.text.substr(2));
      }
    }
    return found;
  };
  EXPECT_EQ(results(case_named("unmap-pin"), false), (Results{"0", "-2"}));
  EXPECT_EQ(results(case_named("unmap-pin"), true), (Results{"0", "0"}));
  EXPECT_EQ(results(case_named("copy-unmap"), false), (Results{"0", "0"}));
  EXPECT_EQ(results(case_named("copy-unmap"), true), (Results{"0", "-2"}));
  EXPECT_EQ(results(case_named("pasid-replace"), false), (Results{"0", "0", "-22"}));
  EXPECT_EQ(results(case_named("pasid-replace"), true), (Results{"0", "0", "0"}));
  EXPECT_EQ(results(case_named("nested-destroy"), false), (Results{"0", "-2"}));
  EXPECT_EQ(results(case_named("nested-destroy"), true), (Results{"0", "-16"}));
}

// Without reduction: the same failures, in many more schedules.
TEST(ExploreProtocols, ReductionLosesNoFailure) {
  const workloads::Settings settings = settings_with({});
  const Case c = case_named("attach-detach");
  const Program program = protocol_program(c, iommufd::find_protocol("posted-v2"), settings);
  ExploreOptions naive;
  naive.reduce = false;
  naive.max_schedules = 20'000;
  const ExploreResult all = explore(program, naive);
  const ExploreResult reduced = explore(program, {});
  EXPECT_EQ(all.failures.size(), reduced.failures.size());
  EXPECT_GT(all.schedules, 10 * reduced.schedules);
}

TEST(ExploreProtocols, RefusesDevicesWithoutVfio) {
  EXPECT_THROW(settings_with({"iommufd.vfio=false"}), ConfigError);
}

// A trace: bind and alloc by main, then two threads.
TEST(ExploreProtocols, TakesATrace) {
  const workloads::testing::TempDir dir;
  const std::string path = dir.file("t.iotrace");
  workloads::testing::write_bytes(path, R"(smmulab-trace 1
cpu 0 socket=0 node=0
cpu 1 socket=0 node=0
smmu 0
group 0
group 1
devset 0
devset 1
device 0 name=d0 smmu=0 sid=0x10 group=0 devset=0
device 1 name=d1 smmu=0 sid=0x11 group=1 devset=1
thread 0 name=a cpu=0
thread 1 name=b cpu=1
thread 2 name=main cpu=0
begin
0 2 bind dev=0
1 2 bind dev=1
2 2 ioas_alloc ioas=1
3 2 hwpt_alloc hwpt=11 dev=0 pt=1
4 2 hwpt_alloc hwpt=12 dev=0 pt=1
5 2 attach dev=0 pt=11
6 2 attach dev=1 pt=12
phase run
7 0 replace dev=0 pt=12 old=11
8 1 replace dev=1 pt=11 old=12
phase down
9 0 detach dev=0
10 0 detach dev=1
11 0 hwpt_destroy hwpt=11
end 12
)");
  const Case c = case_of_trace(path);
  EXPECT_EQ(c.set_up.size(), 7U);
  EXPECT_EQ(c.threads, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(c.ops[0].size(), 4U);
  EXPECT_FALSE(explore_case(c, "seed-unordered").failures.empty());
  EXPECT_TRUE(explore_case(c, "igroup").failures.empty());
  EXPECT_TRUE(explore_case(c, "seed-lock-both").failures.empty());
}

}  // namespace
}  // namespace smmulab::explore

// SPDX-License-Identifier: Apache-2.0
// The hazards of the designs (docs/protocols.md, those with a number and those without):
// for each a small trace that shows it, as a deadlock with its cycle or as a wrong state with the
// invariant that broke, and the same trace clean once the hazard is mended. Devices 0 and 1 have a
// dev_set each, so that VFIO lets them race.
#include <cerrno>
#include <utility>

#include <gtest/gtest.h>

#include "workloads/covering_set.hpp"
#include "workloads/replay_testing.hpp"

namespace smmulab::workloads {
namespace {

using testing::Outcomes;

// Devices 1 and 4 in groups of their own; device 2 in device 0's group; device 3 on another SMMU,
// with ATS.
constexpr std::string_view kHeader = R"(smmulab-trace 1
cpu 0 socket=0 node=0
cpu 1 socket=0 node=0
cpu 2 socket=0 node=0
smmu 0
smmu 1
group 0
group 1
group 3
group 4
devset 0
devset 1
devset 2
devset 3
devset 4
device 0 name=d0 smmu=0 sid=0x10 group=0 devset=0
device 1 name=d1 smmu=0 sid=0x11 group=1 devset=1
device 2 name=d2 smmu=0 sid=0x12 group=0 devset=2
device 3 name=d3 smmu=1 sid=0x13 group=3 devset=3 ats=1
device 4 name=d4 smmu=0 sid=0x14 group=4 devset=4
thread 0 name=a cpu=0
thread 1 name=b cpu=1
thread 2 name=main cpu=2
begin
)";
// IOAS 1 with hwpts 11 and 12, IOAS 2 with hwpt 21, all by the main thread: a and b wait for it to
// end "run", and are woken at the same time.
const std::vector<std::string> kSetUp{"2 bind dev=0",
                                      "2 bind dev=1",
                                      "2 bind dev=2",
                                      "2 bind dev=3",
                                      "2 bind dev=4",
                                      "2 ioas_alloc ioas=1",
                                      "2 ioas_alloc ioas=2",
                                      "2 hwpt_alloc hwpt=11 dev=0 pt=1",
                                      "2 hwpt_alloc hwpt=12 dev=0 pt=1",
                                      "2 hwpt_alloc hwpt=21 dev=0 pt=2",
                                      "2 hwpt_alloc hwpt=31 dev=3 pt=1"};

class HazardTest : public ::testing::Test {
 protected:
  // Each operation without its time; "phase" is a barrier.
  Outcomes run(const std::string& protocol, const std::vector<std::string>& operations,
               const std::vector<std::string>& assignments = {}) const {
    std::string text{kHeader};
    std::size_t count = 0;
    const auto add = [&](const std::string& operation) {
      const bool phase = operation.starts_with("phase");
      text += phase ? operation + "\n" : fmt::format("{} {}\n", 10'000 * count, operation);
      count += phase ? 0U : 1U;
    };
    std::ranges::for_each(kSetUp, add);
    std::ranges::for_each(operations, add);
    const std::string path = dir_.file("t.iotrace");
    testing::write_bytes(path, fmt::format("{}end {}\n", text, count));
    return testing::replay_all(path, testing::settings_with(assignments), protocol);
  }
  static void expect_clean(const Outcomes& outcomes) {
    EXPECT_EQ(outcomes.result.status, "ok") << outcomes.result.message;
    EXPECT_TRUE(outcomes.result.deadlock_cycle.empty());
    for (const OpOutcome& op : outcomes.ops) {
      EXPECT_EQ(op.rc, 0) << op_name(op.kind) << ", operation " << op.seq;
    }
  }
  // The cycle's locks, without the number of the instance.
  static void expect_deadlock(const Outcomes& outcomes, std::vector<std::string> classes) {
    const ReplayResult& result = outcomes.result;
    EXPECT_EQ(result.status, "deadlock") << result.message;
    std::vector<std::string> found;
    for (std::size_t i = 1; i < result.deadlock_cycle.size(); i += 2) {
      found.push_back(result.deadlock_cycle[i].substr(0, result.deadlock_cycle[i].find('#')));
    }
    std::ranges::sort(found);
    std::ranges::sort(classes);
    EXPECT_EQ(found, classes) << result.message;
  }
  static void expect_wrong_state(const Outcomes& outcomes, std::string_view invariant,
                                 std::string_view detail) {
    const ReplayResult& result = outcomes.result;
    EXPECT_EQ(result.status, "wrong state") << result.message;
    ASSERT_FALSE(result.broken_invariants.empty());
    EXPECT_EQ(result.broken_invariants.front().invariant, invariant);
    EXPECT_EQ(result.broken_invariants.front().detail, detail);
    EXPECT_NE(result.message.find(invariant), std::string::npos) << result.message;
    EXPECT_NE(result.message.find(detail), std::string::npos) << result.message;
  }

  testing::TempDir dir_;
};

// X->Y and Y->X at the same time, in one IOAS (hwpts 11 and 12) or across two (11 and 21).
std::vector<std::string> crossing(int x, int y) {
  return {fmt::format("2 attach dev=0 pt={}", x),
          fmt::format("2 attach dev=1 pt={}", y),
          "phase run",
          fmt::format("0 replace dev=0 pt={} old={}", y, x),
          fmt::format("1 replace dev=1 pt={} old={}", x, y),
          "phase teardown",
          "0 detach dev=0",
          "0 detach dev=1",
          "0 hwpt_destroy hwpt=11",
          "0 hwpt_destroy hwpt=12"};
}

constexpr std::string_view kDevicesLock = "hwpt->devices_lock";
constexpr std::string_view kIoasMutex = "ioas->mutex";

TEST_F(HazardTest, H1SeedUnordered) {
  expect_deadlock(run("seed-unordered", crossing(11, 12)),
                  {std::string(kDevicesLock), std::string(kDevicesLock)});
  expect_clean(run("seed-unordered", crossing(11, 12), {"protocol.mend_h1=true"}));
}

// A device whose DMA faults for ever, and a driver that reads of it, hide no deadlock.
TEST_F(HazardTest, H1WhileADeviceFaults) {
  const std::vector<std::string> faulting{"stream.pattern=sequential", "stream.footprint_kib=64",
                                          "stream.interval=1us",       "stream.devices=1",
                                          "driver.events=true",        "machine.cpus=8"};
  for (const std::string entry : {"driver.evtq_entry=100ns", "driver.evtq_entry=5us"}) {
    std::vector<std::string> settings = faulting;
    settings.push_back(entry);
    expect_deadlock(run("seed-unordered", crossing(11, 12), settings),
                    {std::string(kDevicesLock), std::string(kDevicesLock)});
  }
}

TEST_F(HazardTest, H1PostedV1) {
  const std::string stale = "protocol.mend_stale_domain=true";
  expect_deadlock(run("posted-v1", crossing(11, 12), {stale}),
                  {std::string(kDevicesLock), std::string(kDevicesLock)});
  expect_clean(run("posted-v1", crossing(11, 12), {stale, "protocol.mend_h1=true"}));
}

TEST_F(HazardTest, CrossingReplacesAreCleanInTheOrderedDesigns) {
  for (const std::string protocol :
       {"seed-lock-both", "ioas-pair", "devices-users-1", "devices-users-2", "devices-users-3",
        "core-group", "igroup", "igroup-pasid", "v6.2", "v6.4"}) {
    SCOPED_TRACE(protocol);
    expect_clean(run(protocol, crossing(11, 12)));
    expect_clean(run(protocol, crossing(11, 21)));
  }
}

// Attaches against detaches on one hwpt. Three threads: a detach and an attach wait while a second
// attach holds both locks, and each gets one of them.
std::vector<std::string> attaching_and_detaching() {
  std::vector<std::string> operations{"phase run"};
  for (int i = 0; i < 20; ++i) {
    for (const auto& [thread, device] : {std::pair{0, 0}, {1, 1}, {2, 4}}) {
      operations.push_back(fmt::format("{} attach dev={} pt=11", thread, device));
      operations.push_back(fmt::format("{} detach dev={} old=11", thread, device));
    }
  }
  return operations;
}

TEST_F(HazardTest, H2PostedV2) {
  expect_deadlock(run("posted-v2", attaching_and_detaching()),
                  {std::string(kDevicesLock), std::string(kIoasMutex)});
  expect_clean(run("posted-v2", attaching_and_detaching(), {"protocol.mend_h2=true"}));
}

TEST_F(HazardTest, H3PostedV2) {
  const std::string h2 = "protocol.mend_h2=true";
  const Outcomes outcomes = run("posted-v2", crossing(11, 21), {h2});
  EXPECT_EQ(outcomes.result.status, "deadlock");
  EXPECT_EQ(outcomes.result.deadlock_cycle.size(), 5U) << outcomes.result.message;
  expect_clean(run("posted-v2", crossing(11, 21), {h2, "protocol.mend_h3=true"}));
  expect_clean(run("posted-v2", crossing(11, 12), {h2}));  // within one ioas there is no hazard
}

// Both devices of a group attached, then detached one after the other.
const std::vector<std::string> kGroupDetach{
    "0 attach dev=0 pt=11",  "0 attach dev=2 pt=11",  "phase run",
    "0 detach dev=0 old=11", "0 detach dev=2 old=11", "0 hwpt_destroy hwpt=11"};

TEST_F(HazardTest, H4DevicesUsers3) {
  const Outcomes outcomes = run("devices-users-3", kGroupDetach);
  expect_wrong_state(outcomes, "a device that iommufd believes attached has a domain in the core",
                     "device d2 is attached to hwpt 11, but its group is on the blocked domain");
  // What follows from it: the second detach leaves the domain in the ioas.
  EXPECT_EQ(outcomes.result.broken_invariants.back().detail,
            "hwpt 11 is destroyed, but its domain is one of ioas 1");
  expect_clean(run("devices-users-3", kGroupDetach, {"protocol.mend_h4=true"}));
  expect_clean(run("devices-users-1", kGroupDetach));
  expect_clean(run("devices-users-2", kGroupDetach));
}

TEST_F(HazardTest, H5CoreGroup) {
  const std::vector<std::string> operations{"0 attach dev=0 pt=11", "0 attach dev=2 pt=12"};
  expect_wrong_state(run("core-group", operations),
                     "every device of a group has the same domain, that of its hwpt",
                     "device d2 is attached to hwpt 12 (domain 5), but its group is on domain 4");
  const Outcomes mended = run("core-group", operations, {"protocol.mend_h5=true"});
  EXPECT_EQ(mended.result.status, "ok") << mended.result.message;
  EXPECT_EQ(mended.ops.back().rc, -EBUSY);
}

// v6.2 keeps a group where it is while a group-mate is attached.
TEST_F(HazardTest, H6V62) {
  const std::vector<std::string> operations{"0 attach dev=0 pt=11", "0 attach dev=2 pt=11",
                                            "0 replace dev=0 pt=12 old=11"};
  for (const std::string protocol : {"v6.2", "v6.4"}) {
    const Outcomes outcomes = run(protocol, operations);
    EXPECT_EQ(outcomes.result.status, "ok") << outcomes.result.message;
    EXPECT_EQ(outcomes.ops.back().rc, -EBUSY) << protocol;
  }
  expect_clean(run("igroup", operations));
}

// Hwpt 31 is behind the other SMMU: the driver refuses it.
TEST_F(HazardTest, H9Igroup) {
  const std::vector<std::string> operations{"0 attach dev=0 pt=11",
                                            "0 replace dev=0 pt=31 ret=-22"};
  for (const std::string protocol : {"igroup", "igroup-pasid"}) {
    expect_wrong_state(run(protocol, operations),
                       "the reserved regions of an attached device are in its ioas",
                       "device d0 is attached to hwpt 11, but ioas 1 does not reserve its regions");
    const Outcomes mended = run(protocol, operations, {"protocol.mend_h9=true"});
    EXPECT_EQ(mended.result.status, "ok") << mended.result.message;
    EXPECT_EQ(mended.ops.back().rc, -EINVAL);
  }
}

// What mends it is an owner that lets go.
TEST_F(HazardTest, H10IsInEveryProtocol) {
  const std::string page = "iova=0x100000 len=4096";
  const auto operations = [&page](int flags, const std::vector<std::string>& rest) {
    std::vector<std::string> all{fmt::format("0 access_create access=51 flags={}", flags),
                                 "0 access_attach access=51 ioas=1", "0 map ioas=1 " + page,
                                 "0 pin access=51 " + page};
    all.insert(all.end(), rest.begin(), rest.end());
    return all;
  };
  for (const iommufd::ProtocolInfo& info : iommufd::protocols()) {
    const std::string protocol(info.name);
    SCOPED_TRACE(protocol);
    EXPECT_NE(std::ranges::find(info.hazards, "H10"), info.hazards.end());
    const Outcomes kept =
        run(protocol, operations(1, {fmt::format("0 unmap ioas=1 {} ret=-{}", page, EDEADLOCK),
                                     "0 unpin access=51 " + page, "0 unmap ioas=1 " + page}));
    EXPECT_EQ(kept.result.status, "ok") << kept.result.message;
    EXPECT_EQ(kept.ops.at(kept.ops.size() - 3).rc, -EDEADLOCK);
    EXPECT_EQ(kept.ops.back().rc, 0);
    expect_clean(run(protocol, operations(0, {"0 unmap ioas=1 " + page})));
  }
}

// Device 3, behind the other SMMU, is reset.
std::vector<std::string> reset(const std::vector<std::string>& meanwhile) {
  std::vector<std::string> all{"0 hwpt_alloc hwpt=32 dev=3 pt=1", "0 attach dev=3 pt=31",
                               "0 reset_begin dev=3"};
  all.insert(all.end(), meanwhile.begin(), meanwhile.end());
  all.emplace_back("0 reset_done dev=3");
  return all;
}

// The design has no remedy: user space tries again.
TEST_F(HazardTest, H13IgroupPasid) {
  const std::vector<std::string> settings{"protocol.reset_hooks=true", "protocol.mend_h9=true"};
  std::vector<std::string> operations = reset({"0 replace dev=3 pt=32 ret=-16"});
  const Outcomes refused = run("igroup-pasid", operations, settings);
  EXPECT_EQ(refused.result.status, "ok") << refused.result.message;
  EXPECT_EQ(refused.ops.at(refused.ops.size() - 2).rc, -EBUSY);
  operations = reset({});
  operations.emplace_back("0 replace dev=3 pt=32 old=31");
  expect_clean(run("igroup-pasid", operations, settings));
}

TEST_F(HazardTest, ResetDetachIgroupPasid) {
  const std::vector<std::string> operations =
      reset({"0 detach dev=3 old=31", "0 hwpt_destroy hwpt=31"});
  const std::string hooks = "protocol.reset_hooks=true";
  expect_wrong_state(run("igroup-pasid", operations, {hooks}),
                     "every device of a group has the same domain, that of its hwpt",
                     "no device of group 3 is attached, but the group is on domain 8");
  expect_clean(run("igroup-pasid", operations, {hooks, "protocol.mend_reset_detach=true"}));
}

TEST_F(HazardTest, StaleDomainPostedV1) {
  const std::vector<std::string> leave{"0 attach dev=0 pt=11", "0 replace dev=0 pt=12 old=11",
                                       "0 hwpt_destroy hwpt=11"};
  const std::vector<std::string> come_back{"0 attach dev=0 pt=11", "0 replace dev=0 pt=12 old=11",
                                           "0 replace dev=0 pt=11 old=12"};
  expect_wrong_state(run("posted-v1", leave), "an hwpt that is destroyed is not in use",
                     "hwpt 11 is destroyed, but its domain is one of ioas 1");
  expect_wrong_state(run("posted-v1", come_back), "a domain is linked to its ioas once",
                     "hwpt 11 is filled again: its domain is still one of ioas 1");
  for (const auto& operations : {leave, come_back}) {
    expect_clean(run("posted-v1", operations, {"protocol.mend_stale_domain=true"}));
  }
}

// The refused ioctl is long over, but destroy_rwsem is still held for reading: by the thread
// itself.
TEST_F(HazardTest, LeakedReferencePostedV2) {
  const std::vector<std::string> operations{
      "0 attach dev=0 pt=21",  "0 attach dev=1 pt=11",   "0 replace dev=0 pt=2 old=21 ret=-16",
      "0 detach dev=0 old=21", "0 hwpt_destroy hwpt=21", "0 ioas_destroy ioas=2"};
  const Outcomes outcomes = run("posted-v2", operations);
  expect_deadlock(outcomes, {"destroy_rwsem"});
  const Outcomes mended = run("posted-v2", operations, {"protocol.mend_leaked_reference=true"});
  EXPECT_EQ(mended.result.status, "ok") << mended.result.message;
  EXPECT_EQ(mended.ops.back().rc, 0);
}

// A group-mate's bookkeeping stays behind; the group lock is what mends it.
TEST_F(HazardTest, GroupMove) {
  const std::vector<std::string> operations{"0 attach dev=0 pt=11", "0 attach dev=2 pt=11",
                                            "0 replace dev=0 pt=12 old=11"};
  for (const std::string protocol :
       {"seed-unordered", "seed-lock-both", "ioas-pair", "posted-v1", "posted-v2",
        "devices-users-1", "devices-users-2", "devices-users-3", "core-group"}) {
    SCOPED_TRACE(protocol);
    expect_wrong_state(run(protocol, operations),
                       "every device of a group has the same domain, that of its hwpt",
                       "device d2 is attached to hwpt 11 (domain 4), but its group is on domain 5");
  }
  expect_clean(run("igroup", operations));
  expect_clean(run("igroup-pasid", operations));
}

// That the covering set's hazards and unwinding happen: each operation ends as it is written there.
TEST_F(HazardTest, TheCoveringSetMeetsThem) {
  std::size_t seen = 0;
  for (const CoveringWorkload& workload : covering_set()) {
    if (workload.name != "accesses" && workload.name != "deaf-access" &&
        workload.name != "resets") {
      continue;
    }
    ++seen;
    SCOPED_TRACE(workload.name);
    const std::string path = dir_.file("t.iotrace");
    write_workload(workload, path);
    const Outcomes outcomes = testing::replay_all(
        path, testing::settings_with({"protocol.reset_hooks=true"}), "igroup-pasid");
    EXPECT_EQ(outcomes.result.status, "ok") << outcomes.result.message;
    ASSERT_EQ(outcomes.ops.size(), workload.ops.size());
    for (std::size_t i = 0; i < outcomes.ops.size(); ++i) {
      EXPECT_EQ(outcomes.ops[i].rc, workload.ops[i].failed() ? workload.ops[i].ret : 0)
          << op_name(workload.ops[i].kind) << ", operation " << i;
    }
  }
  EXPECT_EQ(seen, 3U);
}

TEST_F(HazardTest, EachHazardNamesAParameterThatExists) {
  (void)testing::mended_settings();  // throws otherwise
  for (const iommufd::ProtocolInfo& info : iommufd::protocols()) {
    for (const std::string_view hazard : info.hazards) {
      EXPECT_FALSE(iommufd::find_hazard(hazard).effect.empty()) << hazard;
    }
  }
}

}  // namespace
}  // namespace smmulab::workloads

// SPDX-License-Identifier: Apache-2.0
// Single facts of a walk: permissions, access flag, dirty state, global, reach, address size,
// aborts. Expected values are from the architecture's tables.
#include <gtest/gtest.h>

#include "models/smmuv3/hw/world_testing.hpp"

namespace smmulab::smmu::hw {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): sizes

constexpr std::uint64_t kVa = 0x4000;

class WalkTest : public ::testing::Test {
 protected:
  void map(const Protection& protection) {
    ASSERT_EQ(table.map(kVa, k2M, k4K, protection), MapError::kNone);
    world.attach_s1(1, table);
  }
  Event access(const Access& a) {
    return world.translate(Request{StreamId{1}, {}, kVa, a, RequestKind::kUntranslated})
        .fault.event;
  }
  void set_cd(bool access_flag, bool dirty) {
    Cd cd = World::base_cd();
    point_cd_at(cd, table);
    cd.hw_access = access_flag;
    cd.hw_dirty = dirty;
    cds.write(Ssid{0}, cd);
    Ste ste = World::ste_of(Ste::Config::kS1);
    cds.point_ste(ste);
    world.streams.write(StreamId{1}, ste);
  }
  std::uint64_t word() { return world.memory.peek64(*table.leaf_address(kVa)); }

  World world;
  PageTable table{world.frames, {}};
  ContextTable cds{world.frames, ContextTable::Format::kLinear, 0};
  static constexpr Access kRead{}, kWrite{true}, kPrivRead{false, true}, kPrivWrite{true, true},
      kExec{false, false, true}, kPrivExec{false, true, true};
};

TEST_F(WalkTest, UserPagesAreForAll) {
  map({});
  EXPECT_EQ(access(kRead), Event::kNone);
  EXPECT_EQ(access(kWrite), Event::kNone);
  EXPECT_EQ(access(kPrivWrite), Event::kNone);
  EXPECT_EQ(access(kExec), Event::kPermission);
}

TEST_F(WalkTest, PrivilegedPagesAreNotForUsers) {
  Protection p;
  p.user = false;
  p.execute = true;
  map(p);
  EXPECT_EQ(access(kRead), Event::kPermission);
  EXPECT_EQ(access(kPrivRead), Event::kNone);
  EXPECT_EQ(access(kPrivExec), Event::kNone);
}

TEST_F(WalkTest, ReadOnlyAndWhatUsersWriteIsNotRunWithPrivilege) {
  Protection p;
  p.execute = true;
  map(p);
  EXPECT_EQ(access(kExec), Event::kNone);
  EXPECT_EQ(access(kPrivExec), Event::kPermission);
  ASSERT_EQ(table.unmap(kVa, k4K), k4K);
  p.write = false;
  map(p);
  EXPECT_EQ(access(kWrite), Event::kPermission);
  EXPECT_EQ(access(kPrivWrite), Event::kPermission);
  EXPECT_EQ(access(kPrivExec), Event::kNone);
}

TEST_F(WalkTest, AccessFlagFaultsOrIsSet) {
  Protection p;
  p.access_flag = false;
  map(p);
  EXPECT_EQ(access(kRead), Event::kAccess);
  set_cd(true, false);
  const Outcome first = world.translate(1, kVa);
  EXPECT_EQ(first.kind, Outcome::Kind::kTranslated);
  EXPECT_EQ(first.counts.updates, 1U);
  EXPECT_NE(word() & descriptor::kAccessFlag, 0U);
  EXPECT_EQ(world.translate(1, kVa).counts.updates, 0U);
}

TEST_F(WalkTest, WritableCleanBecomesDirtyOnWriteOnly) {
  Protection p;
  p.write = false;
  p.dirty_managed = true;
  map(p);
  EXPECT_EQ(access(kWrite), Event::kPermission);  // HD is off
  set_cd(true, true);
  const Outcome read = world.translate(1, kVa);
  EXPECT_TRUE(read.translation.clean);
  EXPECT_EQ(read.counts.updates, 0U);
  const Outcome write = world.translate(1, kVa, true);
  EXPECT_EQ(write.counts.updates, 1U);
  EXPECT_FALSE(write.translation.clean);
  EXPECT_EQ(word() & descriptor::kApReadOnly, 0U);
}

TEST_F(WalkTest, GlobalAndReach) {
  Protection p;
  p.global = true;
  ASSERT_EQ(table.map(0, 0, k64K, p, true), MapError::kNone);
  ASSERT_EQ(table.map(k32M, k32M, k32M, Protection{}, true), MapError::kNone);
  world.attach_s1(1, table);
  EXPECT_TRUE(world.translate(1, 0).translation.global);
  EXPECT_EQ(world.translate(1, 0).translation.reach_log2, 16U);
  EXPECT_FALSE(world.translate(1, k32M).translation.global);
  EXPECT_EQ(world.translate(1, k32M).translation.reach_log2, 25U);
  EXPECT_EQ(world.translate(1, k32M).translation.page_log2, 21U);
}

TEST_F(WalkTest, OutputBeyondIpsIsAnAddressSizeFault) {
  map({});
  world.memory.write64(*table.leaf_address(kVa), word() | 1ULL << 47U);
  Cd cd = World::base_cd();
  point_cd_at(cd, table);
  cd.ips = 4;  // 44 bits
  cds.write(Ssid{0}, cd);
  Ste ste = World::ste_of(Ste::Config::kS1);
  cds.point_ste(ste);
  world.streams.write(StreamId{1}, ste);
  const Fault fault = world.translate(1, kVa).fault;
  EXPECT_EQ(fault.event, Event::kAddrSize);
  EXPECT_EQ(fault.level, 3U);
}

TEST_F(WalkTest, AnAbortedDescriptorFetchIsAWalkAbort) {
  map({});
  world.memory.poison(*table.leaf_address(kVa));
  const Fault fault = world.translate(1, kVa).fault;
  EXPECT_EQ(fault.event, Event::kWalkEabt);
  EXPECT_EQ(fault.level, 3U);
  EXPECT_EQ(fault.cls, FaultClass::kTableWalk);  // although of stage 1
  EXPECT_EQ(fault.fetch, *table.leaf_address(kVa));
}

TEST_F(WalkTest, TopByteIsIgnoredWhereTheCdSaysSo) {
  map({});
  const std::uint64_t tagged = kVa | 0xA5ULL << 56U;
  EXPECT_EQ(world.translate(1, tagged).fault.event, Event::kTranslation);
  Cd cd = World::base_cd();
  point_cd_at(cd, table);
  cd.tbi0 = true;
  cds.write(Ssid{0}, cd);
  Ste ste = World::ste_of(Ste::Config::kS1);
  cds.point_ste(ste);
  world.streams.write(StreamId{1}, ste);
  EXPECT_EQ(world.translate(1, tagged).pa, k2M);
}

TEST_F(WalkTest, ControlsOfTablesLimitWhatIsBelow) {
  map({});
  // APTable: no writes below the level 0 entry.
  world.memory.write64(table.root(),
                       world.memory.peek64(table.root()) | descriptor::kApTableReadOnly);
  EXPECT_EQ(access(kRead), Event::kNone);
  EXPECT_EQ(access(kWrite), Event::kPermission);
  Cd cd = World::base_cd();
  point_cd_at(cd, table);
  cd.had0 = true;
  cds.write(Ssid{0}, cd);
  Ste ste = World::ste_of(Ste::Config::kS1);
  cds.point_ste(ste);
  world.streams.write(StreamId{1}, ste);
  EXPECT_EQ(access(kWrite), Event::kNone);
}

TEST_F(WalkTest, StreamWorldEl2HasOneRangeAndOnePrivilege) {
  Protection p;
  p.user = false;
  map(p);
  Cd cd = World::base_cd(9);
  point_cd_at(cd, table);
  cds.write(Ssid{0}, cd);
  Ste ste = World::ste_of(Ste::Config::kS1);
  ste.stream_world = 2;
  cds.point_ste(ste);
  world.streams.write(StreamId{1}, ste);
  EXPECT_EQ(access(kWrite), Event::kNone);
  world.features.e2h = true;
  EXPECT_EQ(access(kWrite), Event::kPermission);
  world.features.hyp = false;
  EXPECT_EQ(access(kWrite), Event::kBadSte);
}

}  // namespace
}  // namespace smmulab::smmu::hw

// SPDX-License-Identifier: Apache-2.0
// Prefetch into the TCU's caches: by STE.PF after a translation, by command; what it costs, when it
// helps, and that invalidations hold for it as for any walk.
#include <gtest/gtest.h>

#include "models/smmuv3/timed/bench_testing.hpp"

namespace smmulab::smmu::timed {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): set-ups
using hw::Opcode;

constexpr std::uint32_t kSid = 5;
constexpr std::uint8_t kForward = 2, kBackward = 3;

class PrefetchTest : public ::testing::Test {
 protected:
  PrefetchTest() : table_(world_.frames, {1, hw::Granule::k4K, 48, 48}) {
    EXPECT_EQ(table_.map_pages(k2M, k1G, 12, 16, {}), hw::MapError::kNone);
  }
  void build(std::uint8_t direction, hw::Ste::Config config = hw::Ste::Config::kS1) {
    hw::Cd cd = hw::testing::World::base_cd();
    cd.record = true;
    point_cd_at(cd, table_);
    hw::ContextTable cds(world_.frames, hw::ContextTable::Format::kLinear, 0);
    cds.write(hw::Ssid{0}, cd);
    hw::Ste ste = hw::testing::World::ste_of(config);
    ste.prefetch = direction;
    ste.eats = 1;
    cds.point_ste(ste);
    world_.streams.write(StreamId{kSid}, ste);
    probe_.reset();
    smmu_.emplace(p_, world_.features, world_.streams.base(), world_.memory);
    commands_.emplace(*smmu_, world_);
    probe_.emplace(smmu_->timers(), smmu_->tbu(0));
  }
  // Reads of descriptors from now until all is quiet.
  std::uint64_t reads_of(std::uint64_t va, bool write = false) {
    const std::uint64_t before = smmu_->tcu().counters().trans_table_walk_access;
    last_ = probe_->send(kSid, va, write);
    run();
    return smmu_->tcu().counters().trans_table_walk_access - before;
  }
  static hw::Command prefetch(Opcode opcode, std::uint32_t sid = kSid) {
    hw::Command c;
    c.opcode = opcode;
    c.stream = StreamId{sid};
    c.address = k2M;
    c.size = 3;
    return c;
  }
  void issue(const hw::Command& command) {
    commands_->add(command);
    commands_->ring();
    run();
  }
  void run() { smmu_->timers().run_to_idle(); }
  [[nodiscard]] std::uint64_t ahead() const { return smmu_->tcu().counters().prefetch; }

  hw::testing::World world_;
  hw::PageTable table_;
  TimedParams p_;
  std::optional<TimedSmmu> smmu_;
  std::optional<Commands> commands_;
  std::optional<Probe> probe_;
  std::uint32_t last_ = 0;
};

TEST_F(PrefetchTest, NothingWithoutPf) {
  build(0);
  EXPECT_EQ(reads_of(k2M), 4U);
  EXPECT_EQ(reads_of(k2M + k4K), 1U);
  EXPECT_EQ(ahead(), 0U);
}

TEST_F(PrefetchTest, TheNextRangeIsInTheWalkCachesAndNotInTheTbu) {
  build(kForward);
  EXPECT_EQ(reads_of(k2M), 4U + 1U);
  EXPECT_EQ(smmu_->tbu(0).main().size(), 1U);
  const Ps cold = probe_->latency(last_);
  EXPECT_EQ(reads_of(k2M + k4K), 1U);  // of the page after it
  EXPECT_EQ(probe_->passage(last_)->pa, k1G + k4K);
  // A miss of the TBU that reads no descriptor.
  EXPECT_LT(probe_->latency(last_) + p_.memory.latency, cold);
  EXPECT_EQ(probe_->latency(last_), p_.tbu.micro_lookup + p_.tbu.main_lookup + 2 * p_.link.dti +
                                        p_.tcu.config_lookup + p_.tcu.walk_lookup);
}

TEST_F(PrefetchTest, TheResponseDoesNotWaitForIt) {
  build(0);
  reads_of(k2M);
  const Ps without = probe_->latency(last_);
  build(kForward);
  reads_of(k2M);
  EXPECT_EQ(probe_->latency(last_), without);
}

TEST_F(PrefetchTest, BackwardGoesBack) {
  build(kBackward);
  reads_of(k2M + 5 * k4K);
  EXPECT_EQ(reads_of(k2M + 4 * k4K), 1U);
  EXPECT_EQ(reads_of(k2M + 9 * k4K), 2U);
}

TEST_F(PrefetchTest, BlocksAreFollowedByBlocks) {
  ASSERT_EQ(table_.map_pages(k1G, k1G, 21, 2, {}), hw::MapError::kNone);
  build(kForward);
  reads_of(k1G + 3 * k4K);
  EXPECT_EQ(reads_of(k1G + k2M + 7 * k4K), 1U);  // the prefetch of what follows, which faults
}

TEST_F(PrefetchTest, NotAfterFaultsAtsRequestsAndBypass) {
  build(kForward);
  FaultUnit& faults =
      smmu_->enable_faults({{world_.frames.allocate(12), 3}, {world_.frames.allocate(12), 3}, {}});
  reads_of(k1G);
  EXPECT_EQ(faults.events().recorded(), 1U);
  EXPECT_EQ(ahead(), 0U);
  hw::Request request;
  request.stream = StreamId{kSid};
  request.address = k2M;
  request.kind = hw::RequestKind::kAtsTranslation;
  probe_->send(request);
  run();
  EXPECT_EQ(ahead(), 0U);
  // A prefetch that faults raises no event: the page after the last.
  reads_of(k2M + 15 * k4K);
  EXPECT_EQ(ahead(), 1U);
  EXPECT_EQ(faults.events().recorded(), 1U);
  build(kForward, hw::Ste::Config::kBypass);
  reads_of(k2M);
  EXPECT_EQ(ahead(), 0U);
}

// It runs in the slot of the original: a request that comes at once is not faster, and with one
// slot in the way it waits.
TEST_F(PrefetchTest, ItHelpsOnlyIfTheGapIsLongEnough) {
  build(kForward);
  reads_of(k2M);  // warm
  const auto second = [this](std::uint64_t va, Ps gap) {
    probe_->send(kSid, va);
    smmu_->timers().run_until(smmu_->now() + gap);
    const std::uint32_t n = probe_->send(kSid, va + k4K);
    run();
    return probe_->latency(n);
  };
  const Ps back_to_back = second(k2M + 4 * k4K, 0_ps);
  const Ps later = second(k2M + 10 * k4K, 2_us);
  EXPECT_LT(later + p_.memory.latency / 2, back_to_back);
}

TEST_F(PrefetchTest, AnInvalidationCoversTheWalkAhead) {
  p_.memory.latency = 5_us;
  build(kForward);
  probe_->send(kSid, k2M);
  while (ahead() == 0) {
    smmu_->timers().run_until(smmu_->timers().next());
  }
  const SimTime begins = smmu_->now();
  // Once more, with a TLBI that is executed while the walk ahead waits for its descriptor.
  build(kForward);
  probe_->send(kSid, k2M);
  smmu_->timers().run_until(begins - 3_us);
  commands_->add(Opcode::kTlbiNsnhAll);
  const std::uint64_t sync = commands_->add(Opcode::kSync);
  commands_->ring();
  smmu_->timers().run_until(begins + 10_ns);
  ASSERT_EQ(ahead(), 1U);
  table_.unmap(k2M + k4K, k4K);
  smmu_->timers().run_until(begins + 4_us);
  EXPECT_EQ(smmu_->tcu().stale(), 1U);
  run();
  EXPECT_NE(commands_->done(sync), kTimeMax);
  const std::uint32_t n = probe_->send(kSid, k2M + k4K);
  run();
  EXPECT_EQ(probe_->passage(n)->verdict, Verdict::kFault);
}

TEST_F(PrefetchTest, CommandsAreIgnoredAsTheManualsSay) {
  build(0);
  issue(prefetch(Opcode::kPrefetchConfig));
  issue(prefetch(Opcode::kPrefetchAddr));
  EXPECT_EQ(smmu_->tcu().counters().config_struct_access, 0U);
  EXPECT_TRUE(smmu_->commands().idle());
}

TEST_F(PrefetchTest, CommandsFillWhereTheyAreHeeded) {
  p_.tcu.prefetch_commands = true;
  build(0);
  issue(prefetch(Opcode::kPrefetchConfig));
  EXPECT_EQ(smmu_->tcu().config_cache().size(), 1U);
  EXPECT_EQ(smmu_->tcu().counters().trans_table_walk_access, 0U);
  issue(prefetch(Opcode::kPrefetchAddr));  // 8 pages
  EXPECT_EQ(smmu_->tcu().counters().trans_table_walk_access, 4U + 7U);
  EXPECT_EQ(reads_of(k2M + 7 * k4K), 0U);
  EXPECT_EQ(reads_of(k2M + 8 * k4K), 1U);
  EXPECT_EQ(smmu_->tcu().counters().config_miss, 1U);
  EXPECT_EQ(smmu_->tcu().counters().config_cache_miss, 0U);  // nobody's request read it
}

TEST_F(PrefetchTest, CommandsForWhatIsNotThereAreSilent) {
  p_.tcu.prefetch_commands = true;
  build(0);
  FaultUnit& faults =
      smmu_->enable_faults({{world_.frames.allocate(12), 3}, {world_.frames.allocate(12), 3}, {}});
  issue(prefetch(Opcode::kPrefetchAddr, 77));
  hw::Command unmapped = prefetch(Opcode::kPrefetchAddr);
  unmapped.address = k1G;
  issue(unmapped);
  EXPECT_EQ(faults.submitted(), 0U);
  EXPECT_EQ(commands_->errors.size(), 0U);
  EXPECT_EQ(reads_of(k2M), 3U);  // the upper levels differ from the second one down
}

}  // namespace
}  // namespace smmulab::smmu::timed

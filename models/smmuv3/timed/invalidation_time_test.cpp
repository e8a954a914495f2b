// SPDX-License-Identifier: Apache-2.0
// Time of commands: each is the sum of its parts on an idle SMMU; a SYNC waits for what IHI 0070
// 3.21.1 says, and for nothing else.
#include "models/smmuv3/timed/command_time_testing.hpp"

namespace smmulab::smmu::timed {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): set-ups
using hw::Opcode;

class CommandTime : public CommandBench {
 protected:
  // From the doorbell to CONS past the command; all timers run out.
  Ps time_of(std::uint64_t index, SimTime rung) {
    smmu_->timers().run_to_idle();
    return commands_->done(index) - rung;
  }
  [[nodiscard]] SimTime now() { return smmu_->timers().now(); }
};

TEST_F(CommandTime, SyncAlone) {
  const std::uint64_t sync = commands_->add(Opcode::kSync);
  commands_->ring();
  EXPECT_EQ(time_of(sync, kTimeZero), start() + p_.link.completion);
}

TEST_F(CommandTime, InvalidateAndSync) {
  const std::uint64_t inv = commands_->add(tlbi(k2M));
  const std::uint64_t sync = commands_->add(Opcode::kSync);
  commands_->ring();
  EXPECT_EQ(time_of(inv, kTimeZero), start() + p_.tcu.invalidate);
  // The SYNC is fetched while the invalidation is at the TBU.
  EXPECT_EQ(time_of(sync, kTimeZero), start() + p_.tcu.invalidate +
                                          std::max(fetch(), round_trip()) + 2 * p_.link.dti +
                                          p_.link.completion);
}

TEST_F(CommandTime, OneInvalidationTokenPerTbu) {
  constexpr int kCommands = 64;
  for (const std::uint32_t tbus : {1U, 4U}) {
    for (const Ps dti : {10_ns, 200_ns}) {
      p_.tbus = tbus;
      p_.link.dti = dti;
      build();
      std::uint64_t last = 0;
      for (int i = 0; i < kCommands; ++i) {
        last = commands_->add(tlbi(k2M));
      }
      commands_->ring();
      // Either the fetch or the token is the bottleneck, however many TBUs there are.
      const Ps each = p_.tcu.invalidate + std::max(fetch(), round_trip());
      EXPECT_EQ(time_of(last, kTimeZero), start() + p_.tcu.invalidate + (kCommands - 1) * each);
    }
  }
}

TEST_F(CommandTime, SyncWaitsForTransactionsThatWereTranslatedBefore) {
  probe_->hold = 5_us;
  probe_->send(kSid, k2M);
  smmu_->timers().run_to_idle();
  const SimTime sent = now();
  probe_->send(kSid, k2M);  // a hit, 5 us until it is complete
  const SimTime complete = sent + p_.tbu.micro_lookup + 5_us;
  commands_->add(tlbi(k2M));
  const std::uint64_t sync = commands_->add(Opcode::kSync);
  commands_->ring();
  smmu_->timers().run_until(sent + 2_us);
  const std::uint32_t later = probe_->send(kSid, k2M + k4K);  // after the invalidation
  time_of(sync, sent);
  EXPECT_EQ(commands_->done(sync), complete + p_.link.dti + p_.link.completion);
  EXPECT_LT(commands_->done(sync), probe_->passage(later)->ready + 5_us);
}

TEST_F(CommandTime, SyncWaitsForAWalkThatItOvertakes) {
  p_.memory.latency = 2_us;
  build();
  const std::uint32_t n = probe_->send(kSid, k2M);
  smmu_->timers().run_until(kTimeZero + 9_us);  // the walk is in its second level
  ASSERT_FALSE(probe_->passage(n).has_value());
  probe_->hold = 1_us;
  commands_->add(tlbi(k2M));
  const std::uint64_t sync = commands_->add(Opcode::kSync);
  commands_->ring();
  smmu_->timers().run_to_idle();
  const SimTime ready = probe_->passage(n)->ready;
  ASSERT_EQ(probe_->passage(n)->verdict, Verdict::kTranslated);
  EXPECT_EQ(commands_->done(sync), ready + 1_us + p_.link.dti + p_.link.completion);
  // What it brought was not cached.
  EXPECT_EQ(smmu_->tbu(0).main().size(), 0U);
}

TEST_F(CommandTime, SyncDoesNotWaitForWalksOfAnotherVmid) {
  hw::PageTable other(world_.frames, {1, hw::Granule::k4K, 48, 48});
  ASSERT_EQ(other.map_pages(k2M, k1G, 12, 16, {}), hw::MapError::kNone);
  world_.attach_s1(6, other, 1, 7);
  p_.memory.latency = 2_us;
  build();
  probe_->send(6, k2M);
  smmu_->timers().run_until(kTimeZero + 9_us);
  commands_->add(tlbi(k2M));
  const std::uint64_t sync = commands_->add(Opcode::kSync);
  commands_->ring();
  const SimTime rung = now();
  EXPECT_EQ(time_of(sync, rung), start() + p_.tcu.invalidate + std::max(fetch(), round_trip()) +
                                     2 * p_.link.dti + p_.link.completion);
  EXPECT_EQ(smmu_->tbu(0).main().size(), 1U);
}

TEST_F(CommandTime, IllegalCommandStopsTheQueueUntilAcknowledged) {
  commands_->add(Opcode::kTlbiNsnhAll);
  const std::uint64_t bad = commands_->add_words({0xFF, 0});
  const std::uint64_t sync = commands_->add(Opcode::kSync);
  commands_->ring();
  smmu_->timers().run_to_idle();
  ASSERT_EQ(commands_->errors.size(), 1U);
  EXPECT_EQ(commands_->errors[0].index, bad);
  EXPECT_EQ(smmu_->commands().error(), CommandError::kIll);
  EXPECT_EQ(smmu_->commands().cons(), bad);
  // What Linux does: it makes a SYNC of it, then acknowledges.
  const hw::CommandWords words = hw::encode(hw::Command{});
  world_.memory.write64(smmu_->commands().address_of(bad), words[0]);
  world_.memory.write64(smmu_->commands().address_of(bad) + 8, words[1]);
  smmu_->commands().acknowledge_error();
  smmu_->timers().run_to_idle();
  EXPECT_NE(commands_->done(sync), kTimeMax);
  EXPECT_TRUE(smmu_->commands().idle());
}

class Device final : public AtcTarget {
 public:
  explicit Device(Timers& timers) : timers_(timers) {}
  std::optional<SimTime> atc_invalidate(const hw::Command& /*command*/, AtcTicket ticket) override {
    tickets.push_back(ticket);
    return answers ? std::optional{timers_.now() + busy} : std::nullopt;
  }
  bool answers = true;
  Ps busy{0};
  std::vector<AtcTicket> tickets;

 private:
  Timers& timers_;
};

TEST_F(CommandTime, AtcInvalidationTakesTheDevicesTime) {
  Device device(smmu_->timers());
  device.busy = 3_us;
  smmu_->commands().add_atc(StreamId{kSid}, device);
  hw::Command atc;
  atc.opcode = Opcode::kAtcInv;
  atc.stream = StreamId{kSid};
  commands_->add(atc);
  const std::uint64_t second = commands_->add(atc);
  const std::uint64_t sync = commands_->add(Opcode::kSync);
  commands_->ring();
  // Both are at the device at once.
  EXPECT_EQ(time_of(second, kTimeZero), start() + fetch());
  EXPECT_EQ(time_of(sync, kTimeZero),
            start() + fetch() + 3_us + p_.link.atc_response + p_.link.completion);
}

// Answers that come later, the other way round; nobody listens to the time-outs any more.
TEST_F(CommandTime, AnAtcInvalidationMayBeAnsweredLater) {
  Device device(smmu_->timers());
  device.answers = false;
  smmu_->commands().add_atc(StreamId{kSid}, device);
  hw::Command atc;
  atc.opcode = Opcode::kAtcInv;
  atc.stream = StreamId{kSid};
  commands_->add(atc);
  commands_->add(atc);
  const std::uint64_t sync = commands_->add(Opcode::kSync);
  commands_->ring();
  smmu_->timers().run_until(kTimeZero + 20_us);
  ASSERT_EQ(device.tickets.size(), 2U);
  smmu_->commands().atc_answered(device.tickets[1], now() + 2_us);
  smmu_->timers().run_until(kTimeZero + 30_us);
  EXPECT_EQ(commands_->done(sync), kTimeMax);
  smmu_->commands().atc_answered(device.tickets[0], now());
  smmu_->timers().run_until(kTimeZero + 40_us);
  const Ps back = p_.link.atc_response - p_.link.atc_response / 2;
  EXPECT_EQ(commands_->done(sync), kTimeZero + 30_us + back + p_.link.completion);
  // Another that is not answered has its own time-out, though it takes the first one's place.
  commands_->add(atc);
  commands_->add(Opcode::kSync);
  commands_->ring();
  smmu_->timers().run_until(kTimeZero + 20_us + p_.link.atc_timeout);
  EXPECT_TRUE(commands_->errors.empty());
  smmu_->timers().run_to_idle();
  EXPECT_EQ(commands_->errors.size(), 1U);
  EXPECT_EQ(now(), kTimeZero + 40_us + start() + p_.link.atc_timeout);
}

TEST_F(CommandTime, AtcTimeOutIsAnErrorOfTheSync) {
  Device device(smmu_->timers());
  device.answers = false;
  smmu_->commands().add_atc(StreamId{kSid}, device);
  hw::Command atc;
  atc.opcode = Opcode::kAtcInv;
  atc.stream = StreamId{kSid};
  commands_->add(atc);
  const std::uint64_t sync = commands_->add(Opcode::kSync);
  commands_->ring();
  smmu_->timers().run_to_idle();
  ASSERT_EQ(commands_->errors.size(), 1U);
  EXPECT_EQ(commands_->errors[0].index, sync);
  EXPECT_EQ(commands_->errors[0].error, CommandError::kAtcInvSync);
  EXPECT_EQ(now(), kTimeZero + start() + p_.link.atc_timeout);
  smmu_->commands().acknowledge_error();
  smmu_->timers().run_to_idle();
  EXPECT_NE(commands_->done(sync), kTimeMax);
}

}  // namespace
}  // namespace smmulab::smmu::timed

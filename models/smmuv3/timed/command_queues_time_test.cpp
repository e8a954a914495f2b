// SPDX-License-Identifier: Apache-2.0
// Several command queues: whose command is next, what a SYNC of one queue waits for, and that an
// error stops its own queue only.
#include "models/smmuv3/timed/command_time_testing.hpp"

namespace smmulab::smmu::timed {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): set-ups
using hw::Opcode;

class QueuesTime : public CommandBench {
 protected:
  QueuesTime() : CommandBench(3) {}
  std::uint64_t add_tlbi(QueueNumber queue) { return commands_->add(tlbi(k2M), queue); }
  std::uint64_t add_sync(QueueNumber queue) { return commands_->add(Opcode::kSync, queue); }
  void ring_all() {
    for (QueueNumber queue = 0; queue < 3; ++queue) {
      commands_->ring(queue);
    }
  }
  void run() { smmu_->timers().run_to_idle(); }
  // When CONS passed the command.
  [[nodiscard]] Ps done(std::uint64_t index, QueueNumber queue) const {
    return commands_->done(index, queue) - kTimeZero;
  }
};

TEST_F(QueuesTime, TakeTurnsCommandByCommand) {
  for (int i = 0; i < 3; ++i) {
    for (QueueNumber queue = 0; queue < 3; ++queue) {
      add_tlbi(queue);
    }
  }
  ring_all();
  run();
  // The fetch hides the way to the TBU, so that it is the pace of them all.
  ASSERT_GT(fetch(), round_trip());
  const Ps each = fetch() + p_.tcu.invalidate;
  for (std::int64_t i = 0; i < 9; ++i) {
    EXPECT_EQ(done(static_cast<std::uint64_t>(i / 3), static_cast<QueueNumber>(i % 3)),
              p_.link.doorbell + (i + 1) * each)
        << i;
  }
}

// Each queue's commands are in memory of its own: what one holds says nothing about another.
TEST_F(QueuesTime, ReadOnlyTheirOwnMemory) {
  const std::uint64_t sync = add_sync(2);
  commands_->ring(2);
  run();
  EXPECT_EQ(done(sync, 2), p_.link.doorbell + fetch() + p_.link.completion);
  EXPECT_EQ(smmu_->commands().cons(0), 0U);
  EXPECT_EQ(smmu_->commands().cons(2), 1U);
  EXPECT_TRUE(smmu_->commands().idle());
}

// One queue's SYNC waits for a transaction that is 5 us under way; another's TLBIs go on.
TEST_F(QueuesTime, ASyncHoldsUpItsOwnQueueOnly) {
  probe_->hold = 5_us;
  probe_->send(kSid, k2M);
  run();
  probe_->send(kSid, k2M);
  const SimTime sent = smmu_->now();
  add_tlbi(1);
  const std::uint64_t sync = add_sync(1);
  const std::uint64_t after = add_tlbi(1);
  commands_->ring(1);
  const std::uint64_t other = add_tlbi(2);
  commands_->ring(2);
  run();
  EXPECT_GT(commands_->done(sync, 1) - sent, 5_us);
  EXPECT_GT(commands_->done(after, 1), commands_->done(sync, 1));
  EXPECT_LT(commands_->done(other, 2) - sent, 2_us);
}

// A SYNC in a queue without invalidations of its own says nothing about another queue's.
TEST_F(QueuesTime, ASyncWaitsForItsOwnQueuesInvalidationsOnly) {
  p_.link.dti = 3_us;
  build();
  add_tlbi(0);
  const std::uint64_t sync = add_sync(0);
  commands_->ring(0);
  const std::uint64_t bare = add_sync(1);
  commands_->ring(1);
  run();
  EXPECT_LT(done(bare, 1), 1_us);
  EXPECT_GT(done(sync, 0), 4 * p_.link.dti);
}

TEST_F(QueuesTime, ABareSyncDoesNotWaitForAnothersTransactions) {
  probe_->hold = 5_us;
  probe_->send(kSid, k2M);
  run();
  probe_->send(kSid, k2M);
  add_tlbi(0);
  const std::uint64_t sync = add_sync(0);
  commands_->ring(0);
  const SimTime begins = smmu_->now();
  smmu_->timers().run_until(begins + 2_us);  // queue 0 drains
  const std::uint64_t bare = add_sync(1);
  commands_->ring(1);
  run();
  EXPECT_LT(commands_->done(bare, 1), begins + 3_us);
  EXPECT_GE(commands_->done(sync, 0), begins + 5_us);
}

// Both SYNCs are asked for while the TBU still drains for the first: it is asked twice, no more.
TEST_F(QueuesTime, SyncsThatWaitTogetherAreAnsweredTogether) {
  probe_->hold = 5_us;
  probe_->send(kSid, k2M);
  run();
  probe_->send(kSid, k2M);
  std::vector<std::uint64_t> syncs;
  for (QueueNumber queue = 0; queue < 3; ++queue) {
    add_tlbi(queue);
    syncs.push_back(add_sync(queue));
  }
  ring_all();
  run();
  std::vector<SimTime> times;
  for (QueueNumber queue = 0; queue < 3; ++queue) {
    times.push_back(commands_->done(syncs[queue], queue));
  }
  std::ranges::sort(times);
  EXPECT_EQ(times[1] - times[0], 2 * p_.link.dti);
  EXPECT_EQ(times[2], times[1]);
}

// A stream of invalidations in one queue marks walk after walk; another queue's SYNC waits for
// those that were marked before it, and comes back.
TEST_F(QueuesTime, OtherQueuesInvalidationsDoNotStarveASync) {
  p_.memory.latency = 2_us;
  p_.tcu.walk.entries = 0;  // four reads a walk, longer than from one invalidation to the next
  build();
  for (std::uint64_t i = 0; i < 200; ++i) {
    hw::Command all;
    all.opcode = Opcode::kTlbiNhAsid;
    all.asid = Asid{1};
    commands_->add(all, 1);
  }
  add_tlbi(0);
  const std::uint64_t sync = add_sync(0);
  // A walk is in work all the time: one more begins before the last has ended.
  for (std::uint64_t i = 0; i < 400; ++i) {
    smmu_->timers().run_until(kTimeZero + 1_us * static_cast<std::int64_t>(i));
    probe_->send(kSid, k2M + (i % 16) * k4K);
    if (i == 10) {
      ring_all();
    }
  }
  EXPECT_LT(done(sync, 0), 50_us);
  run();
}

TEST_F(QueuesTime, AnErrorStopsItsQueueOnly) {
  const std::uint64_t bad = commands_->add_words({0xFF, 0}, 1);
  const std::uint64_t behind = add_sync(1);
  const std::uint64_t sync = add_sync(2);
  ring_all();
  run();
  ASSERT_EQ(commands_->errors.size(), 1U);
  EXPECT_EQ(commands_->errors[0].queue, 1U);
  EXPECT_EQ(commands_->errors[0].index, bad);
  EXPECT_EQ(smmu_->commands().error(1), CommandError::kIll);
  EXPECT_EQ(smmu_->commands().error(2), CommandError::kNone);
  EXPECT_NE(commands_->done(sync, 2), kTimeMax);
  EXPECT_EQ(commands_->done(behind, 1), kTimeMax);
  const hw::CommandWords words = hw::encode(hw::Command{});
  world_.memory.write64(smmu_->commands().address_of(bad, 1), words[0]);
  world_.memory.write64(smmu_->commands().address_of(bad, 1) + 8, words[1]);
  smmu_->commands().acknowledge_error(1);
  run();
  EXPECT_NE(commands_->done(behind, 1), kTimeMax);
}

// What a VCMDQ of a guest takes, by opcode, and that nothing else is done.
TEST_F(QueuesTime, AGuestsVcmdqTakesFewCommands) {
  const QueueNumber guest =
      commands_->add_queue(CommandProcessor::Interface::kGuestVcmdq, Vmid{0}, world_);
  const QueueNumber host =
      commands_->add_queue(CommandProcessor::Interface::kHostVcmdq, Vmid{0}, world_);
  std::vector<unsigned> taken;
  for (unsigned code = 1; code <= 0x46; ++code) {
    hw::Command command;
    command.opcode = static_cast<Opcode>(code);
    if (!hw::decode_command(hw::encode(command))) {
      continue;
    }
    const auto consumed = [&](QueueNumber queue) {
      const std::uint64_t index = commands_->add(command, queue);
      commands_->ring(queue);
      run();
      return commands_->done(index, queue) != kTimeMax;
    };
    EXPECT_TRUE(consumed(0)) << code;
    EXPECT_TRUE(consumed(1)) << code;  // an ECMDQ
    EXPECT_TRUE(consumed(host)) << code;
    if (consumed(guest)) {
      taken.push_back(code);
      continue;
    }
    // Stopped at the command; software puts another in its place.
    EXPECT_EQ(smmu_->commands().error(guest), CommandError::kIll) << code;
    const std::uint64_t at = smmu_->commands().address_of(smmu_->commands().cons(guest), guest);
    world_.memory.write64(at, static_cast<std::uint64_t>(Opcode::kSync));
    world_.memory.write64(at + 8, 0);
    smmu_->commands().acknowledge_error(guest);
    run();
  }
  EXPECT_EQ(taken,
            (std::vector<unsigned>{0x11, 0x12, 0x40, 0x46}));  // NH_ASID, NH_VA, ATC_INV, SYNC
}

// A guest knows nothing of the VMID that it has: whatever it writes, its own entries go.
TEST_F(QueuesTime, AGuestsVcmdqHasTheVmidOfItsInterface) {
  const auto misses_after = [this](Vmid of_interface) {
    build();
    const QueueNumber guest =
        commands_->add_queue(CommandProcessor::Interface::kGuestVcmdq, of_interface, world_);
    probe_->send(kSid, k2M);  // VMID 0
    run();
    hw::Command command = tlbi(k2M);
    command.vmid = Vmid{0};
    commands_->add(command, guest);
    commands_->add(Opcode::kSync, guest);
    commands_->ring(guest);
    run();
    const std::uint64_t before = smmu_->tbu(0).counters().translation_request;
    probe_->send(kSid, k2M);
    run();
    return smmu_->tbu(0).counters().translation_request - before;
  };
  EXPECT_EQ(misses_after(Vmid{0}), 1U);
  EXPECT_EQ(misses_after(Vmid{7}), 0U);
}

// GERROR tells of the SMMU's own queue and of ECMDQs apart, and of VCMDQs not at all.
TEST_F(QueuesTime, WhoseErrorItIsGerrorTells) {
  const auto raised = [this](QueueNumber queue) {
    build();
    const QueueNumber guest =
        commands_->add_queue(CommandProcessor::Interface::kGuestVcmdq, Vmid{0}, world_);
    FaultUnit& faults = smmu_->enable_faults(
        {{world_.frames.allocate(12), 3}, {world_.frames.allocate(12), 3}, {}});
    const QueueNumber at = queue == 3 ? guest : queue;
    commands_->add_words({0xFF, 0}, at);
    commands_->ring(at);
    run();
    EXPECT_EQ(smmu_->commands().error(at), CommandError::kIll);
    return faults.errors().gerror();
  };
  EXPECT_EQ(raised(0), 1U);        // CMDQ_ERR
  EXPECT_EQ(raised(1), 1U << 9U);  // CMDQP_ERR
  EXPECT_EQ(raised(3), 0U);
}

}  // namespace
}  // namespace smmulab::smmu::timed

// SPDX-License-Identifier: Apache-2.0
// Which queue a batch goes to, and what queues of one SMMU share. A TLBI takes 1 us, a SYNC 10 us.
#include "models/smmuv3/driver/command_queues.hpp"

#include "models/smmuv3/driver/testing.hpp"

namespace smmulab::smmu {
namespace {

class CommandQueuesTest : public lnx::LinuxTest {
 protected:
  CommandQueuesTest() {
    driver_params.hw_tlbi = 1_us;
    driver_params.hw_sync = 10_us;
  }
  CommandQueues& queues() {
    if (!queues_) {
      queues_.emplace(machine(), driver_params, 0);
    }
    return *queues_;
  }
  void user(std::uint32_t cpu, std::uint32_t n, Command command = Command::kTlbiNhVa) {
    thread(std::to_string(cpu), cpu, [=, this](lnx::Thread& t) -> Task<void> {
      co_await until(t, 0_ns);
      CommandBatch batch;
      for (std::uint32_t i = 0; i < n; ++i) {
        batch.add(command);
      }
      co_await queues().issue(t, batch, true);
      co_await t.run();
      say(t, "synced");
    });
  }

  DriverParams driver_params = params_without_costs();

 private:
  std::optional<CommandQueues> queues_;
};

TEST_F(CommandQueuesTest, OneQueueSyncsInOrder) {
  user(0, 1);
  user(1, 1);
  engine.run();
  EXPECT_EQ(log, (Lines{"11us 0 synced", "22us 1 synced"}));
  EXPECT_EQ(queues().size(), 1U);
}

TEST_F(CommandQueuesTest, EcmdqsShareTheInvalidationUnitButNotTheSyncs) {
  // The second TLBI waits for the first (1 us), its SYNC does not wait for the other's.
  driver_params.cmdq_kind = QueueKind::kEcmdq;
  user(0, 1);
  user(1, 1);
  engine.run();
  EXPECT_EQ(log, (Lines{"11us 0 synced", "12us 1 synced"}));
  EXPECT_EQ(queues().size(), 5U);  // the main one and one for each CPU
  EXPECT_EQ(queues()[0].stat().submissions, 0U);
  EXPECT_EQ(queues().stat().submissions, 2U);
  EXPECT_EQ(queues().count(Command::kSync), 2U);
}

TEST_F(CommandQueuesTest, FewerEcmdqsThanCpusAreShared) {
  driver_params.cmdq_kind = QueueKind::kEcmdq;
  driver_params.cmdq_count = 2;
  user(0, 1);
  user(2, 1);  // the same queue
  user(1, 1);
  engine.run();
  EXPECT_EQ(queues()[1].stat().submissions, 2U);
  EXPECT_EQ(queues()[2].stat().submissions, 1U);
}

// tegra241_vcmdq_hw_init() restricts commands in a VINTF without hyp_own only.
TEST_F(CommandQueuesTest, TheHostsVcmdqsTakeEveryCommand) {
  driver_params.cmdq_kind = QueueKind::kCmdqv;
  user(0, 1, Command::kTlbiNhVa);
  user(1, 1, Command::kAtcInv);
  user(2, 1, Command::kCfgiSte);
  user(3, 0);  // a bare SYNC
  engine.run();
  EXPECT_EQ(queues()[0].stat().submissions, 0U);
  for (const std::size_t queue : {1U, 2U, 3U, 4U}) {
    EXPECT_EQ(queues()[queue].stat().submissions, 1U) << queue;
  }
}

}  // namespace
}  // namespace smmulab::smmu

// SPDX-License-Identifier: Apache-2.0
// The shared command queue, rule by rule (Linux 6.12 arm_smmu_cmdq_issue_cmdlist()). Costs are
// round numbers, so that each time line can be followed by hand; what is not priced is free.
#include "models/smmuv3/driver/testing.hpp"

namespace smmulab::smmu {
namespace {

class CommandQueueTest : public lnx::LinuxTest {
 protected:
  CommandQueue& queue() {
    if (!queue_) {
      queue_.emplace(machine(), driver_params, 0, unit_);
    }
    return *queue_;
  }
  // From `from` on: issues n commands, with a SYNC if `sync`; says when it is through.
  void user(const std::string& name, std::uint32_t cpu, Ps from, std::uint32_t n, bool sync,
            Command command = Command::kTlbiNhVa) {
    thread(name, cpu, [=, this](lnx::Thread& t) -> Task<void> {
      co_await until(t, from);
      co_await issue(t, n, sync, command);
    });
  }
  Task<void> issue(lnx::Thread& t, std::uint32_t n, bool sync, Command command) {
    CommandBatch batch;
    for (std::uint32_t i = 0; i < n; ++i) {
      batch.add(command);
    }
    co_await queue().issue(t, batch, sync);
    co_await t.run();
    say(t, sync ? "synced" : "issued");
  }

  DriverParams driver_params = params_without_costs();

 protected:
  InvalidationUnit unit_;

 private:
  std::optional<CommandQueue> queue_;
};

TEST_F(CommandQueueTest, OneCpuPaysEachPartInTurn) {
  // 10 reserve, 2 * 1 entries, 20 as owner, 30 PROD write: 62. The SMMU: 100 to the first fetch,
  // 40 TLBI, 300 SYNC: 502. The CPU sees it at the end of a polling turn of 5.
  driver_params.cmdq_reserve = 10_ns;
  driver_params.cmdq_entry = 1_ns;
  driver_params.cmdq_owner = 20_ns;
  driver_params.mmio_write = 30_ns;
  driver_params.hw_doorbell = 100_ns;
  driver_params.hw_tlbi = 40_ns;
  driver_params.hw_sync = 300_ns;
  driver_params.sync_poll = 5_ns;
  user("A", 0, 0_ns, 1, true);
  engine.run();
  EXPECT_EQ(log, (Lines{"507ns A synced"}));
  EXPECT_EQ(queue().stat().submissions, 1U);
  EXPECT_EQ(queue().stat().commands, 1U);
  EXPECT_EQ(queue().stat().syncs, 1U);
  EXPECT_EQ(queue().stat().doorbells, 1U);
  EXPECT_EQ(queue().stat().cmpxchg_failures, 0U);
  EXPECT_EQ(queue().stat().sync_wait, 445_ns);
}

TEST_F(CommandQueueTest, WithoutSyncNobodyWaitsForTheHardware) {
  driver_params.mmio_write = 30_ns;
  driver_params.hw_tlbi = 1_ms;
  user("A", 0, 0_ns, 3, false);
  engine.run();
  EXPECT_EQ(log, (Lines{"30ns A issued"}));
  EXPECT_EQ(queue().hardware().count(Command::kTlbiNhVa), 3U);
  EXPECT_EQ(queue().hardware().count(Command::kSync), 0U);
}

TEST_F(CommandQueueTest, AnEmptyBatchWithSyncIsABareSync) {
  driver_params.hw_sync = 300_ns;
  user("A", 0, 0_ns, 0, true);
  engine.run();
  EXPECT_EQ(log, (Lines{"300ns A synced"}));
  EXPECT_EQ(queue().stat().commands, 0U);
  EXPECT_EQ(queue().hardware().count(Command::kSync), 1U);
}

TEST_F(CommandQueueTest, SyncWaitsForAllThatIsBeforeIt) {
  // A publishes 50 commands of 1 us at 0; B's SYNC comes at 10 us and ends after them: 50 us, then
  // its own TLBI and the SYNC. C comes when the queue has drained and is not held up.
  driver_params.hw_tlbi = 1_us;
  driver_params.hw_sync = 2_us;
  user("A", 0, 0_ns, 50, false);
  user("B", 1, 10_us, 1, true);
  user("C", 2, 60_us, 1, true);
  engine.run();
  EXPECT_EQ(log, (Lines{"0ps A issued", "53us B synced", "63us C synced"}));
}

TEST_F(CommandQueueTest, SyncsOfSeveralCpusCompleteInQueueOrder) {
  driver_params.hw_sync = 1_us;
  for (std::uint32_t cpu = 0; cpu < 4; ++cpu) {
    user(std::string(1, static_cast<char>('A' + cpu)), cpu, 10_ns * cpu, 0, true);
  }
  engine.run();
  EXPECT_EQ(log, (Lines{"1us A synced", "2us B synced", "3us C synced", "4us D synced"}));
}

TEST_F(CommandQueueTest, LoserOfTheCmpxchgTriesAgain) {
  // Every move of a line costs 100, staying where it is nothing; asked for is served in order.
  // A: read at 0 (nobody had it), reserved at once: no window to lose in.
  // B, C: both ask to read at 10: B at 110, C at 210. B's cmpxchg is asked for at 110, when C has
  // asked already: 310. C's, asked for at 210: 410. B wins; C sees another value and tries again.
  params.line.same_node = 100_ns;
  user("A", 0, 0_ns, 1, false);
  user("B", 1, 10_ns, 1, false);
  user("C", 2, 10_ns, 1, false);
  engine.run();
  EXPECT_EQ(queue().stat().cmpxchg_failures, 1U);
  EXPECT_EQ(queue().hardware().count(Command::kTlbiNhVa), 3U);
}

TEST_F(CommandQueueTest, AnAdditionNeverLoses) {
  // As above, but B and C add: one access each, in order: B at 110, C at 210.
  params.line.same_node = 100_ns;
  driver_params.cmdq_insertion = Insertion::kFetchAdd;
  user("A", 0, 0_ns, 1, false);
  user("B", 1, 10_ns, 1, false);
  user("C", 2, 10_ns, 1, false);
  engine.run();
  EXPECT_EQ(queue().stat().cmpxchg_failures, 0U);
  EXPECT_EQ(queue().hardware().count(Command::kTlbiNhVa), 3U);
}

TEST_F(CommandQueueTest, WithinTheSpinlockNobodyLosesToAnotherInserter) {
  // An owner takes the OWNED flag out of the word without the lock: that alone can make a cmpxchg
  // fail, once for each owner. A loss to another inserter would come on top.
  params.line.same_node = 100_ns;
  driver_params.cmdq_insertion = Insertion::kSpinlock;
  user("A", 0, 0_ns, 1, false);
  for (const std::uint32_t cpu : {1U, 2U, 3U}) {
    user(std::to_string(cpu), cpu, 10_us, 1, false);
  }
  engine.run();
  EXPECT_LE(queue().stat().cmpxchg_failures, queue().stat().doorbells);
  EXPECT_EQ(lock_class("cmdq_insertion", lnx::LockKind::kSpinlock).stat.write().acquisitions, 4U);
}

TEST_F(CommandQueueTest, AnAdditionBeyondTheEndWaitsForSpace) {
  // 128 slots, full until the first command is done at 1 us. B has added and waits: it reads CONS
  // (100) in vain at 110 ns, and with success at 1.1 us.
  driver_params.queue_log2 = 7;
  driver_params.mmio_read = 100_ns;
  driver_params.hw_tlbi = 1_us;
  driver_params.cmdq_insertion = Insertion::kFetchAdd;
  thread("A", 0, [this](lnx::Thread& t) -> Task<void> {
    co_await until(t, 0_ns);
    co_await issue(t, 64, false, Command::kTlbiNhVa);
    co_await issue(t, 64, false, Command::kTlbiNhVa);
  });
  user("B", 1, 10_ns, 1, false);
  engine.run();
  EXPECT_EQ(log, (Lines{"0ps A issued", "0ps A issued", "1.1us B issued"}));
  EXPECT_EQ(queue().hardware().count(Command::kTlbiNhVa), 129U);
}

TEST_F(CommandQueueTest, CoherentLinesLoseNothing) {
  // Every variant, eight times the slots of the queue by four CPUs: all is carried out, and each
  // CPU's SYNC after its own commands.
  params.line.model = lnx::LineModel::kCoherent;
  params.line.same_node = 70_ns;
  driver_params.queue_log2 = 7;
  driver_params.hw_tlbi = 10_ns;
  driver_params.hw_sync = 100_ns;
  for (const Insertion insertion :
       {Insertion::kCmpxchg, Insertion::kSpinlock, Insertion::kFetchAdd}) {
    driver_params.cmdq_insertion = insertion;
    InvalidationUnit unit;
    CommandQueue fresh(machine(), driver_params, 1, unit);
    for (std::uint32_t cpu = 0; cpu < 4; ++cpu) {
      thread(std::to_string(cpu), cpu, [&fresh](lnx::Thread& t) -> Task<void> {
        for (std::uint32_t i = 0; i < 128; ++i) {
          CommandBatch one;
          one.add(Command::kTlbiNhVa);
          co_await fresh.issue(t, one, true);
        }
      });
    }
    engine.run();
    EXPECT_EQ(fresh.hardware().count(Command::kTlbiNhVa), 512U);
    EXPECT_EQ(fresh.hardware().count(Command::kSync), 512U);
    EXPECT_EQ(fresh.stat().submissions, 512U);
  }
}

TEST_F(CommandQueueTest, OwnerPublishesWhatOthersWrote) {
  // A reserves at 0 and needs 100 for each entry; B reserves at 50 behind it: A is the owner still.
  // A: entry written at 100, then 200 of the owner's work, during which B's entry (150) is written.
  // At 300 A closes the burst and rings once for both. B, no owner, was through at 150.
  driver_params.cmdq_entry = 100_ns;
  driver_params.cmdq_owner = 200_ns;
  user("A", 0, 0_ns, 1, false);
  user("B", 1, 50_ns, 1, false);
  engine.run();
  EXPECT_EQ(log, (Lines{"150ns B issued", "300ns A issued"}));
  EXPECT_EQ(queue().stat().doorbells, 1U);
  EXPECT_EQ(queue().hardware().count(Command::kTlbiNhVa), 2U);
}

TEST_F(CommandQueueTest, OwnerWaitsForTheEntriesItGathered) {
  // A: its entry at 100, closes the burst at once. B reserved 5 entries at 50 and has written them
  // at 550: A waits for B's valid bits, then rings.
  driver_params.cmdq_entry = 100_ns;
  user("A", 0, 0_ns, 1, false);
  user("B", 1, 50_ns, 5, false);
  engine.run();
  EXPECT_EQ(log, (Lines{"550ns B issued", "550ns A issued"}));
  EXPECT_EQ(queue().stat().doorbells, 1U);
  EXPECT_EQ(queue().hardware().count(Command::kTlbiNhVa), 6U);
}

TEST_F(CommandQueueTest, TheNextOwnerWaitsForTheOneBeforeIt) {
  // A closes its burst at 100 and writes PROD until 1100. B reserves at 200, owner of the next
  // burst: written at 300, waits until 1100, then 1000 for its own PROD write.
  driver_params.cmdq_entry = 100_ns;
  driver_params.mmio_write = 1_us;
  user("A", 0, 0_ns, 1, false);
  user("B", 1, 200_ns, 1, false);
  engine.run();
  EXPECT_EQ(log, (Lines{"1.1us A issued", "2.1us B issued"}));
  EXPECT_EQ(queue().stat().doorbells, 2U);
}

TEST_F(CommandQueueTest, AFollowersSyncIsAnsweredAfterTheOwnersDoorbell) {
  // As above with SYNCs: both are published at 300 (two entries each would be 400: a SYNC alone is
  // one). A's SYNC is done at 1300, B's behind it at 2300.
  driver_params.cmdq_entry = 100_ns;
  driver_params.cmdq_owner = 200_ns;
  driver_params.hw_sync = 1_us;
  user("A", 0, 0_ns, 0, true);
  user("B", 1, 50_ns, 0, true);
  engine.run();
  EXPECT_EQ(log, (Lines{"1.3us A synced", "2.3us B synced"}));
  EXPECT_EQ(queue().stat().doorbells, 1U);
}

TEST_F(CommandQueueTest, AFullQueueIsWaitedFor) {
  // 128 slots. A fills them with commands of 1 us each, published at 0. B needs one slot at 10 ns:
  // it reads CONS (100) in vain at 110 ns, waits for the first completion at 1 us, reads again.
  driver_params.queue_log2 = 7;
  driver_params.mmio_read = 100_ns;
  driver_params.hw_tlbi = 1_us;
  thread("A", 0, [this](lnx::Thread& t) -> Task<void> {
    co_await until(t, 0_ns);
    co_await issue(t, 64, false, Command::kTlbiNhVa);
    co_await issue(t, 64, false, Command::kTlbiNhVa);
  });
  user("B", 1, 10_ns, 1, false);
  engine.run();
  EXPECT_EQ(log, (Lines{"0ps A issued", "0ps A issued", "1.1us B issued"}));
  EXPECT_EQ(queue().stat().full_waits, 1U);
}

TEST_F(CommandQueueTest, AQueueThatWrapsManyTimesLosesNothing) {
  driver_params.queue_log2 = 7;
  driver_params.hw_tlbi = 10_ns;
  driver_params.hw_sync = 100_ns;
  driver_params.cmdq_entry = 7_ns;
  for (std::uint32_t cpu = 0; cpu < 4; ++cpu) {
    thread(std::to_string(cpu), cpu, [this](lnx::Thread& t) -> Task<void> {
      for (std::uint32_t i = 0; i < 50; ++i) {
        co_await issue(t, 1 + i % 64, i % 3 != 0, Command::kTlbiNhVa);
      }
    });
  }
  engine.run();
  // 1 + ... + 50 each; 17 of 50 go without SYNC.
  EXPECT_EQ(queue().hardware().count(Command::kTlbiNhVa), 4U * 1275U);
  EXPECT_EQ(queue().hardware().count(Command::kSync), 4U * 33U);
  EXPECT_GT(queue().stat().full_waits, 0U);
}

// Interrupts are off from the reservation to the end of the SYNC wait: however long it takes and
// whoever waits for the CPU, no tick ends it.
TEST_F(CommandQueueTest, NobodyElseRunsOnTheCpuDuringTheWait) {
  params.sched.preempt = lnx::Preempt::kFull;
  driver_params.hw_sync = 50_ms;  // many ticks and slices
  driver_params.sync_poll = 1_us;
  user("A", 0, 0_ns, 0, true);
  thread("B", 0, [this](lnx::Thread& t) -> Task<void> {  // runnable all the time
    co_await t.run();
    say(t, "runs");
  });
  engine.run();
  EXPECT_EQ(log, (Lines{"50.001ms A synced", "50.001ms B runs"}));
}

TEST_F(CommandQueueTest, EveryTenthPollingTurnIsAPause) {
  // Nine turns of relax (10) and CONS read (90) end at 900, a pause of 1 us and a read at 1.99 us;
  // nine turns at 2.89, 2 us: 4.98; nine turns: 5.88. A SYNC done at 3 us is seen at 4.98 us, one
  // at 5 us in the first turn after that, one at 250 ns in the third.
  driver_params.sync_mode = SyncMode::kPoll;
  driver_params.sync_poll = 10_ns;
  driver_params.mmio_read = 90_ns;
  Ps from{0};
  for (const Ps sync : {3_us, 5_us, 250_ns}) {
    driver_params.hw_sync = sync;
    from += 100_us;
    InvalidationUnit unit;
    CommandQueue fresh(machine(), driver_params, 1, unit);
    thread("A", 0, [&, from](lnx::Thread& t) -> Task<void> {
      co_await until(t, from);
      const SimTime start = engine.now();
      co_await fresh.issue(t, CommandBatch{}, true);
      co_await t.run();
      log.push_back(format_duration(engine.now() - start));
    });
    engine.run();
  }
  EXPECT_EQ(log, (Lines{"4.98us", "5.08us", "300ns"}));
}

}  // namespace
}  // namespace smmulab::smmu

// SPDX-License-Identifier: Apache-2.0
// The driver on the timed SMMU: the same commands and locks as on counted hardware, times that come
// out of the parts, and translations that follow what the driver stored.
#include "models/smmuv3/driver/stream_params.hpp"
#include "models/smmuv3/driver/testing.hpp"

namespace smmulab::smmu {
namespace {

constexpr std::uint64_t k4K = 4096;
constexpr std::uint64_t k2M = 2ULL << 20U;

struct Choice {
  DriverVersion version;
  Stage stage;
  SyncMode mode = SyncMode::kMsi;
  QueueKind queues = QueueKind::kSingle;
};

class TimedHardwareTest : public DriverTest, public ::testing::WithParamInterface<Choice> {
 protected:
  TimedHardwareTest() : DriverTest(GetParam().version) {
    driver_params.stage = GetParam().stage;
    driver_params.sync_mode = GetParam().mode;
    driver_params.cmdq_kind = GetParam().queues;
    timed_hardware.emplace();
  }
  [[nodiscard]] bool blocks() const { return GetParam().version != DriverVersion::k6_2; }
  void block(Master& m) {
    timed([&](lnx::Thread& t) -> Task<void> { co_await driver().attach_blocked(t, m); });
  }
  void map(Domain& d, std::uint64_t iova, std::uint64_t size, std::uint64_t run) {
    timed([&, iova, size, run](lnx::Thread& t) -> Task<void> {
      EXPECT_EQ(co_await driver().map(t, d, Iova{iova}, Bytes{size}, Bytes{run}), 0);
    });
  }
  void unmap(Domain& d, std::uint64_t iova, std::uint64_t size) {
    timed([&, iova, size](lnx::Thread& t) -> Task<void> {
      co_await driver().unmap(t, d, Iova{iova}, Bytes{size});
    });
  }
  void free(Domain& d) {
    timed([&](lnx::Thread& t) -> Task<void> { co_await driver().domain_free(t, d); });
  }
  // What every operation sends and which locks it takes, one line each.
  std::vector<std::string> story() {
    std::vector<std::string> lines;
    const auto say = [&] { lines.push_back(sent() + " | " + locks()); };
    Master& m = master(2, true);
    Domain& a = alloc(m);
    say();
    attach(m, a);
    say();
    map(a, k2M, 2 * k2M, k4K);
    map(a, 16 * k2M, k2M + 3 * k4K, k2M);
    unmap(a, 16 * k2M, k2M + 3 * k4K);
    unmap(a, k2M, 2 * k2M);
    say();
    map(a, 32 * k2M, k4K, k4K);
    unmap(a, 32 * k2M, k4K);
    map(a, 32 * k2M, k2M, k2M);  // over an emptied table
    say();
    attach(m, used(m));
    say();
    if (blocks()) {
      block(m);
      say();
      attach(m, a);
      say();
    }
    attach(m, used(m));
    free(a);
    say();
    return lines;
  }
  // What maps send and lock: three blocks, two of them over emptied tables, then one that finds
  // none.
  std::string blocks_over_emptied_tables() {
    Master& m = master(2, true);
    Domain& d = *m.domain;
    for (const std::uint64_t at : {k2M, 3 * k2M}) {
      map(d, at, k4K, k4K);
      unmap(d, at, k4K);
    }
    sent();
    locks();
    map(d, k2M, 3 * k2M, k2M);
    const std::string over_tables = sent() + " | " + locks();
    map(d, 8 * k2M, k2M, k2M);
    return over_tables + " | " + sent();
  }
  // The physical address of what the device's access comes to; 0: none.
  std::uint64_t pa(const Master& m, std::uint64_t iova) {
    const hw::Outcome outcome = hardware().look_up(m.stream_ids.back(), Iova{iova});
    return outcome.kind == hw::Outcome::Kind::kTranslated ? outcome.pa : 0;
  }
};

TEST_P(TimedHardwareTest, EntriesAndTablesInMemoryAreWhatTheDriverMeans) {
  Master& m = master(2);
  Domain& a = used(m);
  Domain& b = used(m);
  map(a, k2M, k2M, k4K);
  map(b, k2M, 2 * k2M, 2 * k2M);
  EXPECT_EQ(pa(m, k2M), 0U);
  attach(m, a);
  EXPECT_EQ(pa(m, k2M + 0x123), hardware().domain_pa(a.id, k2M + 0x123));
  EXPECT_EQ(pa(m, 2 * k2M), 0U);
  attach(m, b);
  EXPECT_NE(hardware().domain_pa(a.id, k2M), hardware().domain_pa(b.id, k2M));
  EXPECT_EQ(pa(m, 3 * k2M - 1), hardware().domain_pa(b.id, 3 * k2M - 1));
  unmap(b, k2M, 2 * k2M);
  EXPECT_EQ(pa(m, k2M), 0U);
  map(b, k2M, k4K, k4K);
  EXPECT_EQ(pa(m, k2M), hardware().domain_pa(b.id, k2M));
  unmap(b, k2M, k4K);
  map(b, k2M, k2M, k2M);  // in the place of an empty table
  EXPECT_EQ(pa(m, k2M + k4K), hardware().domain_pa(b.id, k2M + k4K));
  if (blocks()) {
    block(m);
    EXPECT_EQ(hardware().look_up(m.stream_ids.front(), Iova{k2M}).kind, hw::Outcome::Kind::kAbort);
  }
}

TEST_P(TimedHardwareTest, SendsAndLocksAsWithCountedHardware) {
  const std::vector<std::string> timed = story();
  class Counted : public TimedHardwareTest {
   public:
    Counted() { timed_hardware.reset(); }
    void TestBody() override {}
    using TimedHardwareTest::story;
  };
  EXPECT_EQ(timed, Counted().story());
}

// A block where a table has become empty: walks that know the table are flushed, and the ATCs, by
// the map itself [Linux 6.12 arm_lpae_init_pte()].
TEST_P(TimedHardwareTest, ABlockOverAnEmptiedTableIsFlushedWithCountedHardwareToo) {
  class Counted : public TimedHardwareTest {
   public:
    Counted() { timed_hardware.reset(); }
    void TestBody() override {}
    using TimedHardwareTest::blocks_over_emptied_tables;
  };
  const bool stage2 = GetParam().stage == Stage::kS2;
  const std::string expected =
      fmt::format("{} 2, ATC_INV 4, SYNC 4 | {} | ", stage2 ? "TLBI_S2_IPA" : "TLBI_NH_VA",
                  GetParam().version == DriverVersion::kNewest
                      ? ""
                      : "+devices_lock -devices_lock +devices_lock -devices_lock");
  EXPECT_EQ(blocks_over_emptied_tables(), expected);
  EXPECT_EQ(Counted().blocks_over_emptied_tables(), expected);
}

// One SYNC alone: doorbell, fetch, decoding, completion. With an invalidation before it: another
// fetch and decoding, the TCU's caches, the way to the TBU and back; then the TBU is asked whether
// its transactions are complete.
TEST_P(TimedHardwareTest, ASyncTakesTheSumOfItsParts) {
  if (GetParam().mode == SyncMode::kPoll) {
    GTEST_SKIP() << "a polling CPU notices at the end of a round";
  }
  const timed::TimedParams& p = timed_hardware->smmu;
  const Ps command = p.memory.burst + p.memory.latency + p.tcu.command_decode;
  const Ps alone = p.link.doorbell + command + p.link.completion;
  Master& m = master(1);
  EXPECT_EQ(timed([&](lnx::Thread& t) -> Task<void> {
              co_await m.smmu->queue.issue(t, CommandBatch{}, true);
            }),
            alone);
  const Ps tbu = p.link.dti + p.tbu.invalidate + p.link.dti;
  const Ps synced = p.link.dti + p.link.dti + p.link.completion;
  EXPECT_EQ(
      timed([&](lnx::Thread& t) -> Task<void> { co_await driver().flush_iotlb_all(t, *m.domain); }),
      p.link.doorbell + command + p.tcu.invalidate + std::max(tbu, command) + synced);
}

// Walk caches may still point to its tables [Linux 6.12 free_io_pgtable_ops()]; in newest kernels
// the detach before has flushed them.
TEST_P(TimedHardwareTest, FreeingADomainFlushesIt) {
  Master& m = master(1);
  Domain& d = used(m);
  sent();
  free(d);
  const std::string flush =
      d.stage == Stage::kS1 ? "TLBI_NH_ASID 1, SYNC 1" : "TLBI_S12_VMALL 1, SYNC 1";
  EXPECT_EQ(sent(), GetParam().version == DriverVersion::kNewest ? "" : flush);
}

TEST_P(TimedHardwareTest, AMoreDistantTbuMakesEverySyncLonger) {
  timed_hardware->smmu.link.dti = 1_us;
  Master& m = master(1);
  EXPECT_GE(attach(m, used(m)), 3 * 4_us);  // at least three SYNCs, each there and back twice
}

INSTANTIATE_TEST_SUITE_P(
    Drivers, TimedHardwareTest,
    ::testing::Values(
        Choice{DriverVersion::k6_12, Stage::kS1}, Choice{DriverVersion::k6_12, Stage::kS2},
        Choice{DriverVersion::k6_12, Stage::kS1, SyncMode::kSev},
        Choice{DriverVersion::k6_12, Stage::kS1, SyncMode::kPoll},
        Choice{DriverVersion::k6_2, Stage::kS1}, Choice{DriverVersion::k6_2, Stage::kS2},
        Choice{DriverVersion::kNewest, Stage::kS1},
        Choice{DriverVersion::k6_12, Stage::kS1, SyncMode::kMsi, QueueKind::kEcmdq},
        Choice{DriverVersion::k6_12, Stage::kS2, SyncMode::kSev, QueueKind::kCmdqv},
        Choice{DriverVersion::k6_12, Stage::kS1, SyncMode::kPoll, QueueKind::kEcmdq},
        Choice{DriverVersion::k6_2, Stage::kS1, SyncMode::kMsi, QueueKind::kEcmdq},
        Choice{DriverVersion::k6_2, Stage::kS2, SyncMode::kMsi, QueueKind::kCmdqv},
        Choice{DriverVersion::kNewest, Stage::kS1, SyncMode::kMsi, QueueKind::kCmdqv}));

// With CD tables of two levels, PASIDs' CDs are in memory too.
TEST_P(TimedHardwareTest, CdTablesOfTwoLevelsInMemoryAreWhatTheDriverMeans) {
  driver_params.ssid_bits = 20;
  Master& m = master(2);
  Domain& a = alloc(m);
  Domain& b = used(m);
  attach(m, a);
  map(a, k2M, k4K, k4K);
  map(b, k2M, k4K, k4K);
  EXPECT_EQ(pa(m, k2M), hardware().domain_pa(a.id, k2M));
  if (blocks() && GetParam().stage == Stage::kS1) {
    const auto pasid_pa = [&](std::uint32_t pasid) {
      const hw::Outcome outcome =
          hardware().look_up(m.stream_ids.back(), Iova{k2M}, false, hw::Ssid{pasid});
      return outcome.kind == hw::Outcome::Kind::kTranslated ? outcome.pa : 0;
    };
    for (const std::uint32_t pasid : {5U, 1500U}) {
      EXPECT_EQ(pasid_pa(pasid), 0U);
      timed([&, pasid](lnx::Thread& t) -> Task<void> {
        EXPECT_EQ(co_await driver().attach_pasid(t, m, pasid, b), 0);
      });
      EXPECT_EQ(pasid_pa(pasid), hardware().domain_pa(b.id, k2M));
      EXPECT_EQ(pasid_pa(pasid + 1), 0U);
      timed([&, pasid](lnx::Thread& t) -> Task<void> {
        co_await driver().detach_pasid(t, m, pasid);
      });
      EXPECT_EQ(pasid_pa(pasid), 0U);
    }
  }
  attach(m, b);
  EXPECT_EQ(pa(m, k2M), hardware().domain_pa(b.id, k2M));
}

// Two CPUs flush at once. With one queue the second CPU's SYNC is behind the first's; with one for
// each CPU it does not wait for the first's completion signal.
TEST(TimedQueues, ASyncOfOneCpuDoesNotWaitForAnothers) {
  class TwoFlush : public DriverTest {
   public:
    explicit TwoFlush(QueueKind queues) : DriverTest(DriverVersion::k6_12) {
      driver_params.cmdq_kind = queues;
      timed_hardware.emplace();
      timed_hardware->smmu.link.completion = 10_us;
    }
    void TestBody() override {}
    // How long after the first the second CPU is through.
    Ps apart() {
      Master& m = master(1);
      std::array<SimTime, 2> through{};
      for (std::uint32_t cpu = 0; cpu < 2; ++cpu) {
        thread(std::to_string(cpu), cpu, [&, cpu](lnx::Thread& t) -> Task<void> {
          co_await until(t, Ps{1'000} * cpu);
          co_await driver().flush_iotlb_all(t, *m.domain);
          co_await t.run();
          through[cpu] = engine.now();
        });
      }
      engine.run();
      EXPECT_EQ(sent(), "TLBI_NH_ASID 2, SYNC 2");
      return through[1] - through[0];
    }
  };
  EXPECT_GT(TwoFlush(QueueKind::kSingle).apart(), 10_us);
  EXPECT_LT(TwoFlush(QueueKind::kEcmdq).apart(), 1_us);
}

// As QEMU's SMMU (preset qemu-tcg): the store to PROD is over when its commands are.
TEST(TimedQueues, HardwareThatTakesNoTimeIsThroughWhenTheStoreIs) {
  class Listener final : public QueueListener {
   public:
    void consumed(std::uint64_t slot) override { slots.push_back(slot); }
    std::vector<std::uint64_t> slots;
  };
  TimedHardwareParams params;
  params.smmu.memory = {0_ps, 0_ps};
  params.smmu.tcu.command_decode = params.smmu.tcu.invalidate = params.smmu.tbu.invalidate = 0_ps;
  params.smmu.link.dti = params.smmu.link.doorbell = params.smmu.link.completion = 0_ps;
  Engine engine;
  TimedHardware hardware(engine, params, "smmu0");
  Listener listener;
  const timed::QueueNumber queue = hardware.add_queue(listener);
  hw::Command all;
  all.opcode = hw::Opcode::kTlbiNsnhAll;
  hardware.store_command(queue, 0, hw::encode(all));
  hardware.store_sync(queue, 1, SyncMode::kPoll);
  hardware.ring(queue, 2);
  EXPECT_EQ(listener.slots, (std::vector<std::uint64_t>{0, 1}));
}

TEST(TimedSettings, RangeInvalidationFollowsThePart) {
  DriverParams driver;
  HardwareParams hardware;
  hw::SmmuParams smmu;
  EXPECT_TRUE(as_probed(driver, hardware, smmu).range_inv);
  smmu.part = hw::Part::kMmu600;
  EXPECT_FALSE(as_probed(driver, hardware, smmu).range_inv);
  hardware.kind = HardwareKind::kCounted;  // which has no part
  EXPECT_TRUE(as_probed(driver, hardware, smmu).range_inv);
  hardware.kind = HardwareKind::kTimed;
  smmu.part = hw::Part::kMmu700;
  EXPECT_TRUE(as_probed(driver, hardware, smmu).range_inv);
  driver.range_inv = false;
  EXPECT_FALSE(as_probed(driver, hardware, smmu).range_inv);
}

TEST(TimedSettings, WhetherGlobalEntriesServeAllAsidsReachesTheTlbs) {
  hw::SmmuParams caches;
  EXPECT_TRUE(with_caches({}, caches).tbu.honour_global);
  caches.global_entries = false;
  EXPECT_FALSE(with_caches({}, caches).tbu.honour_global);
}

}  // namespace
}  // namespace smmulab::smmu

// SPDX-License-Identifier: Apache-2.0
// The map+unmap loop: what it counts, and relations that any model must show.
#include "models/dma_iommu/map_bench.hpp"

#include <gtest/gtest.h>

#include "models/smmuv3/driver/testing.hpp"
#include "sim/error.hpp"

namespace smmulab::dma_iommu {
namespace {

class MapBenchTest : public ::testing::Test {
 protected:
  MapBenchTest() {
    dma.map_base = dma.unmap_base = dma.iova_fast = dma.iova_magazine = dma.iova_tree = Ps{0};
    dma.fq_add = dma.fq_free = Ps{0};
    options.rounds = 1000;
  }
  MapBenchResult run(std::uint32_t cpus) {
    options.cpus = cpus;
    return run_map_bench(linux_params, driver, dma, lnx::uniform_topology(8), options,
                         hardware ? &*hardware : nullptr);
  }
  Ps round_time() {
    const MapBenchResult r = run(1);
    return r.elapsed / static_cast<std::int64_t>(r.rounds);
  }

  lnx::LinuxParams linux_params = lnx::params_without_costs();
  smmu::DriverParams driver = smmu::params_without_costs();
  DmaParams dma;
  MapBenchOptions options;
  std::optional<MapBenchHardware> hardware;
};

TEST_F(MapBenchTest, ALoneCpuTakesTheSumOfItsParts) {
  driver.map_call = 100_ns;
  driver.unmap_call = 200_ns;
  driver.hw_tlbi = 30_ns;
  driver.hw_sync = 400_ns;
  dma.map_base = 10_ns;
  const MapBenchResult r = run(1);
  EXPECT_EQ(r.elapsed, 740_ns * 1000);
  EXPECT_EQ(r.tlbi, 1000U);
  EXPECT_EQ(r.queue.syncs, 1000U);
  EXPECT_NEAR(r.rounds_per_cpu_second(1), 1e9 / 740, 1.0);
}

TEST_F(MapBenchTest, ManyCpusAreHeldByTheQueueToOneSyncAtATime) {
  // 8 CPUs with 1 us of their own and a SYNC of 500 ns: the queue is the bottleneck.
  driver.map_call = 1_us;
  driver.hw_sync = 500_ns;
  EXPECT_NEAR(static_cast<double>(run(8).elapsed.count()) / 1e3 / 1000, 500.0, 5.0);
}

TEST_F(MapBenchTest, WithAQueueForEachCpuTheyAreNot) {
  driver.map_call = 1_us;
  driver.hw_sync = 500_ns;
  driver.cmdq_kind = smmu::QueueKind::kEcmdq;
  EXPECT_NEAR(static_cast<double>(run(8).elapsed.count()) / 1e3 / 1000, 1500.0 / 8, 5.0);
}

TEST_F(MapBenchTest, SameSeedSameResult) {
  linux_params.line.model = lnx::LineModel::kCoherent;
  linux_params.line.same_node = 70_ns;
  driver.hw_sync = 300_ns;
  dma.gap = 400_ns;
  const Ps first = run(8).elapsed;
  EXPECT_EQ(first, run(8).elapsed);
  options.seed = 2;
  EXPECT_NE(first, run(8).elapsed);
}

// A relation that any model must show: range TLBI against one TLBI per page.
TEST_F(MapBenchTest, LargeUnmapsAreCheaperWithRangeInvalidationByOrdersOfMagnitude) {
  // 1 MiB of 4 KiB pages: 256 TLBI of 90 ns and a SYNC of 250 ns, or one and the SYNC.
  driver.hw_tlbi = 90_ns;
  driver.hw_sync = 250_ns;
  options.size = Bytes{1U << 20U};
  options.rounds = 50;
  driver.range_inv = false;
  EXPECT_EQ(round_time(), 256 * 90_ns + 250_ns);
  driver.range_inv = true;
  EXPECT_EQ(round_time(), 340_ns);
}

// Another: batched invalidation. Lazy mode is one for 255 unmaps.
TEST_F(MapBenchTest, LazyModeSpreadsOneFlushOverARing) {
  driver.map_call = 1_us;
  driver.hw_sync = 1_us;
  options.rounds = 255 * 4;
  EXPECT_EQ(round_time(), 2_us);
  dma.mode = DmaMode::kLazy;
  const MapBenchResult r = run(1);
  EXPECT_EQ(r.queue.syncs, 4U);
  EXPECT_EQ(r.iova.from_tree, 256U);  // a ring's and one, all of them before the measurement
  EXPECT_EQ(r.elapsed, 1_us * (255 * 4 + 4));
}

TEST_F(MapBenchTest, EveryDriverVersionInvalidatesWhatIsUnmapped) {
  driver.hw_sync = 100_ns;
  for (const auto version :
       {smmu::DriverVersion::k6_2, smmu::DriverVersion::k6_12, smmu::DriverVersion::kNewest}) {
    driver.version = version;
    const MapBenchResult r = run(1);
    EXPECT_EQ(r.tlbi, 1000U);
    EXPECT_EQ(r.queue.syncs, 1000U);
  }
}

TEST_F(MapBenchTest, EveryMeasuredRoundUnmapsHoweverManyBuffersAreInFlight) {
  driver.hw_sync = 100_ns;
  driver.map_call = 10_ns;  // rounds that only map take time, too
  for (const std::uint32_t in_flight : {1U, 17U, 400U}) {
    options.in_flight = in_flight;
    EXPECT_EQ(run(1).tlbi, 1000U) << in_flight;
  }
}

TEST_F(MapBenchTest, LargeBuffersGetTheSameIovasAgain) {
  // 1 MiB each: below 4 GiB are 4096 of them.
  driver.hw_sync = 100_ns;
  options.size = Bytes{1U << 20U};
  options.rounds = 5000;
  EXPECT_EQ(run(2).rounds, 5000U);
}

// Strict: a TLBI (30 ns) and a SYNC (400 ns). Lazy: an unmap that finds the ring full flushes what
// 254 before it queued, one every us, and what it cleared itself: 254, 253 ... 0 us and the flush.
TEST_F(MapBenchTest, TheWindowOfUseAfterUnmapIsARingInLazyMode) {
  driver.map_call = 1_us;
  driver.hw_tlbi = 30_ns;
  driver.hw_sync = 400_ns;
  options.rounds = 255 * 4;
  const MapBenchResult strict = run(1);
  EXPECT_EQ(strict.stale.windows, 255U * 4);
  EXPECT_EQ(strict.stale.total, 430_ns * 255 * 4);
  EXPECT_EQ(strict.stale.max, 430_ns);
  dma.mode = DmaMode::kLazy;
  const MapBenchResult lazy = run(1);
  EXPECT_EQ(lazy.stale.windows, 255U * 4);
  EXPECT_EQ(lazy.stale.max, 254_us + 430_ns);
  EXPECT_EQ(lazy.stale.total / (255 * 4), 127_us + 430_ns);
}

// On the timed SMMU, with a device that reads anything that was ever mapped: what it reaches after
// an unmap, it reaches within the window that the CPU waits for or leaves open.
TEST_F(MapBenchTest, ADeviceReachesWhatIsUnmappedUntilTheInvalidation) {
  dma.gap = 2_us;  // mapped that long
  driver.unmap_call = 2_us;
  options.rounds = 2000;
  hardware.emplace();
  hardware->stream.pattern = smmu::StreamPattern::kRandom;
  const MapBenchResult strict = run(4);
  ASSERT_TRUE(strict.dma);
  EXPECT_GT(strict.dma->stream.passed, 1000U);
  EXPECT_GT(strict.dma->stream.faulted, 0U);
  EXPECT_GT(strict.dma->unmaps.unmaps, 100U);
  EXPECT_GT(strict.dma->unmaps.last_max, hardware->smmu.smmu.link.doorbell);
  EXPECT_LE(strict.dma->unmaps.last_max, strict.stale.max);
  dma.mode = DmaMode::kLazy;
  dma.fq_entries = 64;
  const MapBenchResult lazy = run(4);
  ASSERT_TRUE(lazy.dma);
  EXPECT_GT(lazy.dma->unmaps.unmaps, 100U);
  EXPECT_GT(lazy.dma->unmaps.last_max, 10 * strict.dma->unmaps.last_max);
  EXPECT_LE(lazy.dma->unmaps.last_max, lazy.stale.max);
  EXPECT_LE(lazy.dma->unmaps.unmaps, lazy.stale.windows);
  EXPECT_LT(lazy.elapsed, strict.elapsed);
}

TEST_F(MapBenchTest, WithoutDmaTheTimedSmmuInvalidatesAllTheSame) {
  hardware.emplace();
  const MapBenchResult r = run(2);
  EXPECT_FALSE(r.dma);
  EXPECT_EQ(r.tlbi, 1000U);
  EXPECT_EQ(r.queue.syncs, 1000U);
  EXPECT_GT(r.elapsed, 1000 * hardware->smmu.smmu.link.doorbell / 2);
}

TEST_F(MapBenchTest, RunAheadChangesNothing) {
  driver.map_call = 1_us;
  dma.mode = DmaMode::kLazy;
  dma.fq_entries = 16;
  hardware.emplace();
  hardware->stream.pattern = smmu::StreamPattern::kSequential;
  const MapBenchResult ahead = run(2);
  hardware->smmu.run_ahead = false;
  const MapBenchResult stepwise = run(2);
  EXPECT_EQ(ahead.elapsed, stepwise.elapsed);
  EXPECT_EQ(ahead.dma->stream, stepwise.dma->stream);
  EXPECT_EQ(ahead.dma->unmaps.old_uses, stepwise.dma->unmaps.old_uses);
  EXPECT_EQ(ahead.dma->unmaps.last_total, stepwise.dma->unmaps.last_total);
}

TEST_F(MapBenchTest, AnUnmapOfADeviceWithAtsEmptiesItsAtcToo) {
  options.ats = true;
  driver.hw_sync = 1_us;
  EXPECT_EQ(run(1).queue.syncs, 2000U);
  hardware.emplace();
  hardware->stream.pattern = smmu::StreamPattern::kRandom;
  dma.gap = 2_us;
  const MapBenchResult untranslated = run(1);
  EXPECT_EQ(untranslated.queue.syncs, 2000U);
  hardware->stream.ats = true;
  const MapBenchResult translated = run(1);
  EXPECT_EQ(translated.queue.syncs, 2000U);
  EXPECT_GT(translated.dma->stream.passed, 0U);
  // Each page is asked for over PCIe first, and what is not mapped is never sent.
  EXPECT_NE(translated.dma->stream.issued, untranslated.dma->stream.issued);
}

TEST_F(MapBenchTest, LockClassesCanBeChanged) {
  driver.map_call = 100_ns;
  dma.iova_tree = 1_us;
  options.size = Bytes{1U << 20U};  // from the tree, under its lock
  const Ps held = run(8).elapsed;
  options.locks = [](lnx::LockRegistry& locks) { locks.make_free("iova_rbtree_lock"); };
  EXPECT_LT(2 * run(8).elapsed, held);
}

TEST_F(MapBenchTest, TooManyCpusOrNothingToDoIsAnError) {
  EXPECT_THROW(run(9), ConfigError);
  EXPECT_THROW(run(0), ConfigError);
  options.rounds = 0;
  EXPECT_THROW(run(1), ConfigError);
}

}  // namespace
}  // namespace smmulab::dma_iommu

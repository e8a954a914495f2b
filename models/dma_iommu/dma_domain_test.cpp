// SPDX-License-Identifier: Apache-2.0
// What reaches the command queue in strict and in lazy mode. A SYNC takes 1 us, all else no time.
#include "models/dma_iommu/dma_domain.hpp"

#include "models/smmuv3/driver/testing.hpp"

namespace smmulab::dma_iommu {
namespace {

class DmaDomainTest : public smmu::DriverTest {
 protected:
  DmaDomainTest() : DriverTest(smmu::DriverVersion::k6_12) {
    dma.map_base = dma.unmap_base = dma.iova_fast = dma.iova_magazine = dma.iova_tree = Ps{0};
    dma.fq_add = dma.fq_free = Ps{0};
    dma.fq_entries = 4;  // of which three can be used
  }
  DmaDomain& domain() {
    if (!domain_) {
      domain_.emplace(machine(), dma, driver(), driver().boot_domain(smmu()));
    }
    return *domain_;
  }
  // Maps and unmaps n times; how long that took.
  Ps rounds(int n, Bytes size = Bytes{4096}) {
    domain();
    return timed([&, n, size](lnx::Thread& t) -> Task<void> {
      for (int i = 0; i < n; ++i) {
        const Iova iova = co_await domain().map(t, size);
        co_await domain().unmap(t, iova, size);
      }
    });
  }

  DmaParams dma;

 private:
  std::optional<DmaDomain> domain_;
};

TEST_F(DmaDomainTest, StrictWaitsForAnInvalidationPerUnmap) {
  EXPECT_EQ(rounds(5), 5_us);
  EXPECT_EQ(sent(), "TLBI_NH_VA 5, SYNC 5");
}

TEST_F(DmaDomainTest, LazyFlushesWhenTheRingIsFull) {
  // Three wait; the fourth unmap flushes them all, the seventh again: 2 flushes of 1 us.
  dma.mode = DmaMode::kLazy;
  EXPECT_EQ(rounds(8), 2_us);
  EXPECT_EQ(sent(), "TLBI_NH_ASID 2, SYNC 2");
  EXPECT_EQ(domain().flush_queue().stat().full_flushes, 2U);
  EXPECT_EQ(domain().flush_queue().waiting(), 2U);
}

TEST_F(DmaDomainTest, LazyIovasComeBackOnlyAfterAFlush) {
  // The first three rounds need an IOVA each, which then wait; the fourth needs another, and its
  // flush frees three: of four IOVAs none is new from then on.
  dma.mode = DmaMode::kLazy;
  rounds(4);
  EXPECT_EQ(domain().iovas().stat().from_tree, 4U);
  rounds(20);
  EXPECT_EQ(domain().iovas().stat().from_tree, 4U);
}

TEST_F(DmaDomainTest, LazyFlushesAfterTheTimeout) {
  dma.mode = DmaMode::kLazy;
  dma.fq_timeout = 50_us;
  domain();
  timed([&](lnx::Thread& t) -> Task<void> {
    for (const Ps at : {0_us, 49_us, 2_us}) {  // due in the third
      co_await t.run(at);
      const Iova iova = co_await domain().map(t, Bytes{4096});
      co_await domain().unmap(t, iova, Bytes{4096});
    }
  });
  EXPECT_EQ(sent(), "TLBI_NH_ASID 1, SYNC 1");
  EXPECT_EQ(domain().flush_queue().stat().timeout_flushes, 1U);
  EXPECT_EQ(domain().flush_queue().waiting(), 1U);
}

TEST_F(DmaDomainTest, NeighboursShareTheLinesOfTheirEntries) {
  // CPUs 0 and 1 map: two IOVAs beside each other, whose entries lie in one line. CPU 1 fetches
  // three lines from CPU 0, 100 ns each: that of the depot's lock, of the rbtree's lock and of the
  // entries.
  params.line.model = lnx::LineModel::kCoherent;
  params.line.same_node = 100_ns;
  domain();
  for (const std::uint32_t cpu : {0U, 1U}) {
    thread(std::to_string(cpu), cpu, [&, cpu](lnx::Thread& t) -> Task<void> {
      co_await until(t, 10_us * cpu);
      co_await domain().map(t, Bytes{4096});
      co_await t.run();
      say(t, "mapped");
    });
  }
  engine.run();
  EXPECT_EQ(log, (Lines{"0ps 0 mapped", "10.3us 1 mapped"}));
}

}  // namespace
}  // namespace smmulab::dma_iommu

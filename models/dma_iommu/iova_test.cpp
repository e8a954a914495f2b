// SPDX-License-Identifier: Apache-2.0
// Where IOVAs come from and go to. Magazines hold two; only the rbtree costs time (1 us).
#include "models/dma_iommu/iova.hpp"

#include "models/linux/testing.hpp"

namespace smmulab::dma_iommu {
namespace {

constexpr Bytes kOne{IovaDomain::kPage};

class IovaTest : public lnx::LinuxTest {
 protected:
  IovaTest() {
    dma.magazine_entries = 2;
    dma.iova_fast = dma.iova_magazine = Ps{0};
    dma.iova_tree = 1_us;
  }
  IovaDomain& iovas() {
    if (!iovas_) {
      iovas_.emplace(machine(), dma);
    }
    return *iovas_;
  }
  Task<std::vector<Iova>> take(lnx::Thread& t, int n) {
    std::vector<Iova> taken;
    for (int i = 0; i < n; ++i) {
      taken.push_back(co_await iovas().alloc(t, kOne));
    }
    co_return taken;
  }
  Task<void> give(lnx::Thread& t, const std::vector<Iova>& taken) {
    for (const Iova iova : taken) {
      co_await iovas().free(t, iova, kOne);
    }
  }

  DmaParams dma;

 private:
  std::optional<IovaDomain> iovas_;
};

TEST_F(IovaTest, TheTreeHandsOutFromTheTop) {
  thread("A", 0, [&](lnx::Thread& t) -> Task<void> {
    const Iova first = co_await iovas().alloc(t, kOne);
    const Iova second = co_await iovas().alloc(t, kOne);
    const Iova large = co_await iovas().alloc(t, Bytes{3 * IovaDomain::kPage});  // 4 pages
    EXPECT_EQ(first.value(), 0xfffff000U);
    EXPECT_EQ(second.value(), 0xffffe000U);
    EXPECT_EQ(large.value(), 0xffff8000U);  // aligned to its 16 KiB
  });
  engine.run();
  EXPECT_EQ(iovas().stat().from_tree, 3U);
}

TEST_F(IovaTest, ACpuGetsBackWhatItFreedLast) {
  Iova first;
  Iova again;
  thread("A", 0, [&](lnx::Thread& t) -> Task<void> {
    first = co_await iovas().alloc(t, kOne);
    co_await iovas().free(t, first, kOne);
    again = co_await iovas().alloc(t, kOne);
  });
  engine.run();
  EXPECT_EQ(first, again);
  EXPECT_EQ(iovas().stat().from_tree, 1U);
  EXPECT_EQ(iovas().stat().from_magazine, 1U);
}

TEST_F(IovaTest, FullMagazinesTravelThroughTheDepot) {
  // A takes five from the tree and frees them: two fill the first magazine, two the other; the
  // fifth sends one to the depot. B, on another CPU, gets two from there and its third from the
  // tree.
  thread("A", 0, [&](lnx::Thread& t) -> Task<void> {
    co_await until(t, 0_ns);
    co_await give(t, co_await take(t, 5));
  });
  thread("B", 1, [&](lnx::Thread& t) -> Task<void> {
    co_await until(t, 100_us);
    co_await take(t, 3);
  });
  engine.run();
  EXPECT_EQ(iovas().stat().to_depot, 1U);
  EXPECT_EQ(iovas().stat().from_depot, 1U);
  EXPECT_EQ(iovas().stat().from_magazine, 2U);
  EXPECT_EQ(iovas().stat().from_tree, 6U);
}

TEST_F(IovaTest, TreeAllocationsOfSeveralCpusQueueForItsLock) {
  for (const std::uint32_t cpu : {0U, 1U, 2U}) {
    thread(std::to_string(cpu), cpu, [&](lnx::Thread& t) -> Task<void> {
      co_await until(t, 0_ns);
      co_await iovas().alloc(t, kOne);
      co_await t.run();
      say(t, "has");
    });
  }
  engine.run();
  EXPECT_EQ(log, (Lines{"1us 0 has", "2us 1 has", "3us 2 has"}));
}

TEST_F(IovaTest, LargeRangesGoToTheTreeBothWays) {
  thread("A", 0, [&](lnx::Thread& t) -> Task<void> {
    const Bytes large{64 * IovaDomain::kPage};
    const Iova first = co_await iovas().alloc(t, large);
    co_await iovas().free(t, first, large);
    EXPECT_EQ(co_await iovas().alloc(t, large), first);
  });
  engine.run();
  EXPECT_EQ(iovas().stat().from_tree, 2U);
  EXPECT_EQ(iovas().stat().to_tree, 1U);
  EXPECT_EQ(iovas().stat().to_magazine, 0U);
}

}  // namespace
}  // namespace smmulab::dma_iommu

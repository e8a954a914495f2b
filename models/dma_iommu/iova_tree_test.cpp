// SPDX-License-Identifier: Apache-2.0
// Which range the rbtree hands out. Pages are 4 KiB, 0x1000.
#include "models/dma_iommu/iova_tree.hpp"

#include <gtest/gtest.h>

#include "sim/error.hpp"

namespace smmulab::dma_iommu {
namespace {

constexpr Bytes kPage{0x1000};
constexpr Bytes kMiB{0x100000};

std::uint64_t take(IovaTree& tree, Bytes size) {
  const std::optional<Iova> iova = tree.alloc(size);
  return iova ? iova->value() : 0;
}

TEST(IovaTree, GoesDownFromFourGiB) {
  IovaTree tree;
  EXPECT_EQ(take(tree, kPage), 0xfffff000U);
  EXPECT_EQ(take(tree, kPage), 0xffffe000U);
  EXPECT_EQ(take(tree, kMiB), 0xffe00000U);  // aligned to its size
  EXPECT_EQ(take(tree, kPage), 0xffdff000U);
}

TEST(IovaTree, AlignsToTheNextPowerOfTwoButTakesNoMore) {
  IovaTree tree;
  EXPECT_EQ(take(tree, Bytes{0x41000}), 0xfff80000U);  // 65 pages, aligned to 128
  EXPECT_EQ(take(tree, kPage), 0xfff7f000U);
  tree.free(Iova{0xfff80000U});
  EXPECT_EQ(take(tree, Bytes{0x41000}), 0xfff80000U);
}

TEST(IovaTree, WhatWasFreedAboveTheLastIsFoundAgain) {
  IovaTree tree;
  const std::uint64_t first = take(tree, kMiB);
  const std::uint64_t second = take(tree, kMiB);
  const std::uint64_t third = take(tree, kMiB);
  tree.free(Iova{second});
  EXPECT_EQ(take(tree, kMiB), second);
  tree.free(Iova{first});
  tree.free(Iova{third});
  EXPECT_EQ(take(tree, kMiB), first);
  EXPECT_EQ(take(tree, kMiB), third);
  EXPECT_EQ(tree.size(), 3U);
}

TEST(IovaTree, AGapThatIsTooSmallIsPassed) {
  IovaTree tree;
  const std::uint64_t page = take(tree, kPage);
  take(tree, kPage);
  tree.free(Iova{page});
  EXPECT_EQ(take(tree, Bytes{0x2000}), 0xffffc000U);
  EXPECT_EQ(take(tree, kPage), 0xffffb000U);  // below the last, as the kernel's hint has it
}

TEST(IovaTree, StartsAgainAtTheTopWhenTheBottomIsReached) {
  // Room for four pages (page 0 is not given). The hint is at the last: below it is nothing, so the
  // search starts again and finds the gap.
  IovaTree tree(0x5000, 0x5000);
  const std::uint64_t top = take(tree, kPage);
  for (int i = 0; i < 3; ++i) {
    take(tree, kPage);
  }
  EXPECT_EQ(take(tree, kPage), 0U);
  tree.free(Iova{top});
  EXPECT_EQ(take(tree, kPage), top);
  EXPECT_EQ(take(tree, kPage), 0U);
}

TEST(IovaTree, AboveFourGiBOnceThatWasFull) {
  IovaTree tree(1ULL << 40U);
  const Bytes gib{1U << 30U};
  for (int i = 0; i < 3; ++i) {
    EXPECT_LT(take(tree, gib), 1ULL << 32U);
  }
  const std::uint64_t high = take(tree, gib);  // the lowest GiB lacks page 0
  EXPECT_EQ(high, (1ULL << 40U) - gib.value());
  tree.free(Iova{3ULL << 30U});
  EXPECT_EQ(take(tree, gib), high - gib.value());  // pci_32bit_workaround is off for good
}

TEST(IovaTree, NoRangesOverlapWhateverIsFreed) {
  IovaTree tree(1ULL << 28U, 1ULL << 24U);  // 16 MiB are soon full
  std::map<std::uint64_t, std::uint64_t> model;
  std::uint64_t random = 1;
  for (int i = 0; i < 20'000; ++i) {
    random = random * 6364136223846793005U + 1442695040888963407U;
    const std::uint64_t draw = random >> 33U;
    if (draw % 3 == 0 && !model.empty()) {
      auto chosen = model.lower_bound((draw << 8U) % (1ULL << 28U));
      chosen = chosen == model.end() ? model.begin() : chosen;
      tree.free(Iova{chosen->first});
      model.erase(chosen);
      continue;
    }
    const std::uint64_t size = (1 + draw % 100) * kPage.value();
    const std::optional<Iova> iova = tree.alloc(Bytes{size});
    if (!iova) {
      tree.free(Iova{model.begin()->first});
      model.erase(model.begin());
      continue;
    }
    const auto above = model.lower_bound(iova->value());
    ASSERT_TRUE(above == model.end() || iova->value() + size <= above->first);
    ASSERT_TRUE(above == model.begin() || std::prev(above)->second <= iova->value());
    model.emplace(iova->value(), iova->value() + size);
  }
  EXPECT_EQ(tree.size(), model.size());
}

TEST(IovaTree, FreeingTwiceIsABug) {
  IovaTree tree;
  const Iova iova{take(tree, kPage)};
  tree.free(iova);
  EXPECT_THROW(tree.free(iova), ModelError);
}

}  // namespace
}  // namespace smmulab::dma_iommu

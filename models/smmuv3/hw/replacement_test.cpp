// SPDX-License-Identifier: Apache-2.0
// Victims worked out by hand, and the laws of hit ratios: uniform references to W pages hit a cache
// of N entries with N/W whatever the policy; a cycle longer than the cache never hits with LRU and
// round-robin.
#include "models/smmuv3/hw/replacement.hpp"

#include <cmath>

#include <gtest/gtest.h>

#include "models/smmuv3/hw/set_assoc.hpp"

namespace smmulab::smmu::hw {
namespace {

constexpr std::uint32_t kEntries = 64;

class Pages {
 public:
  explicit Pages(Policy policy, std::uint32_t ways = 0) : cache_({kEntries, ways, policy, 7}) {}
  bool touch(std::uint64_t page) {
    const auto is_it = [page](std::uint64_t entry) { return entry == page; };
    const std::uint32_t set = cache_.set_of(page);
    if (cache_.find(set, is_it) != nullptr) {
      return true;
    }
    cache_.fill(set, page, is_it, [](std::uint64_t) {});
    return false;
  }
  double uniform(std::uint64_t pages) {
    RandomStream random(3, "references");
    int hits = 0;
    for (int i = 0; i < 400'000; ++i) {
      const bool hit = touch(random.uniform_int(pages));
      hits += i >= 100'000 && hit ? 1 : 0;
    }
    return hits / 300'000.0;
  }
  double cycle(std::uint64_t pages) {
    int hits = 0;
    for (std::uint64_t i = 0; i < 200 * pages; ++i) {
      const bool hit = touch(i % pages);
      hits += i >= 100 * pages && hit ? 1 : 0;
    }
    return hits / (100.0 * static_cast<double>(pages));
  }

 private:
  SetAssoc<std::uint64_t> cache_;
};

constexpr Policy kDemand[] = {Policy::kRandom, Policy::kRoundRobin, Policy::kPlru, Policy::kRrip,
                              Policy::kLru};

TEST(ReplacementTest, UniformReferencesHitWithEntriesOverPages) {
  for (const Policy policy : kDemand) {
    for (const std::uint32_t ways : {0U, 4U}) {
      EXPECT_NEAR(Pages(policy, ways).uniform(2ULL * kEntries), 0.5, 0.01)
          << static_cast<int>(policy) << " " << ways;
    }
  }
}

// Of the states with k pages of W cached, each lasts W/(W-k) references and ends in a miss.
TEST(ReplacementTest, FlushAllFollowsItsLaw) {
  const double w = 2.0 * kEntries;
  double references = 0;
  for (std::uint32_t k = 1; k <= kEntries; ++k) {
    references += w / (w - k);
  }
  EXPECT_NEAR(Pages(Policy::kFlushAll).uniform(2ULL * kEntries), 1 - kEntries / references, 0.01);
}

TEST(ReplacementTest, ACycleFitsOrDoesNot) {
  for (const Policy policy : kDemand) {
    EXPECT_EQ(Pages(policy).cycle(kEntries), 1.0) << static_cast<int>(policy);
  }
  EXPECT_EQ(Pages(Policy::kLru).cycle(kEntries + 1), 0.0);
  EXPECT_EQ(Pages(Policy::kRoundRobin).cycle(kEntries + 1), 0.0);
  // Random: a page survives m misses with (1-1/N)^m, and between its uses there are (1-h)W.
  const double w = 1.5 * kEntries;
  double h = 0.5;
  for (int i = 0; i < 100; ++i) {
    h = std::pow(1 - 1.0 / kEntries, (1 - h) * w);
  }
  EXPECT_NEAR(Pages(Policy::kRandom).cycle(3 * kEntries / 2), h, 0.03);
}

// Pages used twice outlive a scan with RRIP, but not with LRU.
TEST(ReplacementTest, RripResistsScans) {
  const auto kept = [](Policy policy) {
    Pages pages(policy);
    for (int round = 0; round < 2; ++round) {
      for (std::uint64_t page = 0; page < kEntries / 2; ++page) {
        pages.touch(page);
      }
    }
    for (std::uint64_t page = 1000; page < 1000 + kEntries; ++page) {
      pages.touch(page);
    }
    int hits = 0;
    for (std::uint64_t page = 0; page < kEntries / 2; ++page) {
      hits += pages.touch(page) ? 1 : 0;
    }
    return hits;
  };
  EXPECT_EQ(kept(Policy::kRrip), static_cast<int>(kEntries / 2));
  EXPECT_EQ(kept(Policy::kLru), 0);
}

TEST(ReplacementTest, VictimsByHand) {
  Replacement plru(Policy::kPlru, 1, 4, 1);
  for (std::uint32_t way = 0; way < 4; ++way) {
    plru.filled(0, way);
  }
  EXPECT_EQ(plru.victim(0), 0U);  // last used was on the right, and in it 3
  plru.hit(0, 0);
  EXPECT_EQ(plru.victim(0), 2U);
  plru.hit(0, 2);
  EXPECT_EQ(plru.victim(0), 1U);

  Replacement rrip(Policy::kRrip, 1, 2, 1);
  rrip.filled(0, 0);
  rrip.filled(0, 1);
  rrip.hit(0, 0);
  EXPECT_EQ(rrip.victim(0), 1U);

  Replacement rr(Policy::kRoundRobin, 1, 3, 1);
  rr.filled(0, 2);
  EXPECT_EQ(rr.victim(0), 0U);
  rr.filled(0, 0);
  rr.hit(0, 1);
  EXPECT_EQ(rr.victim(0), 1U);  // uses do not matter
}

}  // namespace
}  // namespace smmulab::smmu::hw

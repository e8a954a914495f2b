// SPDX-License-Identifier: Apache-2.0
// Reach: the hit ratio against the working set breaks at entries x what an entry covers, for pages
// of 4K, contiguous groups of 64K, blocks of 2M and contiguous blocks of 32M, under every policy.
#include <gtest/gtest.h>

#include "models/smmuv3/hw/smmu_caches.hpp"
#include "models/smmuv3/hw/world_testing.hpp"

namespace smmulab::smmu::hw {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): sizes

constexpr std::uint32_t kEntries = 64, kWays = 4;

struct Size {
  std::uint64_t reach;
  bool contiguous;
  unsigned leaf_log2;
};
constexpr Size kSizes[] = {{k4K, false, 12}, {k64K, true, 12}, {k2M, false, 21}, {k32M, true, 21}};

class Reach {
 public:
  Reach(const Size& size, Policy policy, std::uint64_t pages)
      : size_(size), pages_(pages), caches_(shape(policy), world_.features, world_.streams.base()) {
    EXPECT_EQ(table_.map_pages(0, 64 * k1G, size.leaf_log2, (pages * size.reach) >> size.leaf_log2,
                               Protection{}, size.contiguous),
              MapError::kNone);
    world_.attach_s1(1, table_);
  }
  // Hit ratio of a round over the working set, a few addresses within each reach, once warm.
  double ratio() {
    round();
    const TlbStats before = caches_.main().stats();
    round();
    round();
    const TlbStats after = caches_.main().stats();
    return 1.0 - static_cast<double>(after.misses - before.misses) /
                     static_cast<double>(after.lookups - before.lookups);
  }

 private:
  static CachesShape shape(Policy policy) {
    CachesShape s;
    s.config = {4, 4, Policy::kRoundRobin, 1};
    s.micro = {0, 0, Policy::kRoundRobin, 1};
    s.main = {kEntries, kWays, policy, 1};
    s.walk = WalkCaches::Shape::all_alike({0, 4, Policy::kRoundRobin, 1}, false);
    return s;
  }
  void round() {
    for (std::uint64_t page = 0; page < pages_; ++page) {
      for (const std::uint64_t part : {std::uint64_t{0}, size_.reach / 2, size_.reach - 8}) {
        Request request;
        request.stream = StreamId{1};
        request.address = page * size_.reach + part;
        const auto result = caches_.translate(world_.memory, request);
        ASSERT_EQ(result.outcome.pa, 64 * k1G + request.address);
      }
    }
  }
  Size size_;
  std::uint64_t pages_;
  World world_{StreamTable::Shape{8, false, 8}};
  PageTable table_{world_.frames, {}};
  SmmuCaches caches_;
};

TEST(ReachTest, WorkingSetsUpToEntriesTimesReachAlwaysHit) {
  for (const Size& size : kSizes) {
    for (const Policy policy :
         {Policy::kRandom, Policy::kRoundRobin, Policy::kPlru, Policy::kRrip, Policy::kLru}) {
      EXPECT_EQ(Reach(size, policy, kEntries).ratio(), 1.0) << size.reach;
    }
  }
}

// Beyond it a cyclic sweep loses every page by LRU and round-robin: of the three accesses to each
// reach only the first misses. Random replacement keeps some.
TEST(ReachTest, BeyondItTheRatioBreaks) {
  for (const Size& size : kSizes) {
    const std::uint64_t pages = 2ULL * kEntries;
    EXPECT_DOUBLE_EQ(Reach(size, Policy::kLru, pages).ratio(), 2.0 / 3) << size.reach;
    EXPECT_DOUBLE_EQ(Reach(size, Policy::kRoundRobin, pages).ratio(), 2.0 / 3) << size.reach;
    const double random = Reach(size, Policy::kRandom, pages).ratio();
    EXPECT_GT(random, 2.0 / 3);
    EXPECT_LT(random, 0.9);
  }
}

// Several sizes in use cost several look-ups of the main TLB (event "read" above "lookup").
TEST(ReachTest, EachSizeInUseCostsALookup) {
  Tlb tlb({64, 4, Policy::kLru, 1});
  const auto add = [&](std::uint64_t input, std::uint8_t log2) {
    Translation t;
    t.output = input;
    t.reach_log2 = log2;
    t.perms = Permissions{Permissions::kAll};
    tlb.fill(Tag{}, true, input, t);
  };
  add(0, 12);
  EXPECT_EQ(tlb.lookup(Tag{}, true, k1G, {}).probes, 1U);
  add(k1G, 21);
  EXPECT_EQ(tlb.lookup(Tag{}, true, k1G, {}).probes, 2U);
  EXPECT_EQ(tlb.lookup(Tag{}, true, 0, {}).probes, 1U);
  Tlb full({64, 0, Policy::kPlru, 1});
  EXPECT_EQ(full.lookup(Tag{}, true, k1G, {}).probes, 0U);
}

}  // namespace
}  // namespace smmulab::smmu::hw

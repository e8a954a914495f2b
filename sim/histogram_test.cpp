// SPDX-License-Identifier: Apache-2.0
#include "sim/histogram.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "sim/error.hpp"
#include "sim/random.hpp"

namespace smmulab {
namespace {

constexpr std::uint64_t kLargest = std::numeric_limits<std::uint64_t>::max();

Histogram of(const std::vector<std::uint64_t>& values) {
  Histogram h;
  for (const std::uint64_t v : values) {
    h.record(v);
  }
  return h;
}

// Values spread over all 64 binary orders of magnitude.
std::vector<std::uint64_t> spread_values(std::size_t n, const char* name) {
  RandomStream rng(1, name);
  std::vector<std::uint64_t> values(n);
  for (auto& v : values) {
    v = rng.next_u64() >> rng.uniform_int(64);
  }
  return values;
}

TEST(Histogram, EmptyOne) {
  const Histogram h;
  EXPECT_TRUE(h.empty());
  EXPECT_EQ(h.value_at_quantile(0.5), 0U);
  EXPECT_EQ(h.min(), 0U);
  EXPECT_EQ(h.max(), 0U);
  EXPECT_EQ(h.mean(), 0.0);
  EXPECT_EQ(h.begin(), h.end());
}

TEST(Histogram, SmallValuesAreExact) {
  Histogram h;
  for (std::uint64_t v = 0; v < 2048; ++v) {
    h.record(v);
  }
  for (std::uint64_t v = 0; v < 2048; ++v) {
    EXPECT_EQ(h.value_at_quantile(static_cast<double>(v + 1) / 2048), v);
  }
}

// The definition, worked out on the sorted values: the ceil(q n)-th, and at most 0.1 % above it.
TEST(Histogram, QuantilesWithinATenthOfAPercent) {
  std::vector<std::uint64_t> values = spread_values(2000, "quantiles");
  const Histogram h = of(values);
  std::sort(values.begin(), values.end());
  for (std::size_t rank = 1; rank <= values.size(); ++rank) {
    const std::uint64_t exact = values[rank - 1];
    const std::uint64_t got = h.value_at_quantile(static_cast<double>(rank) / 2000);
    ASSERT_GE(got, exact);
    ASSERT_LE(got - exact, exact / 1000) << rank;
  }
}

TEST(Histogram, QuantileEnds) {
  const Histogram h = of({5000, 7000, 1'000'001});
  EXPECT_EQ(h.value_at_quantile(1.0), 1'000'001U);  // the exact maximum, not the bucket's edge
  EXPECT_EQ(h.value_at_quantile(0.0), 5003U);       // width 4 from 4096 on
  EXPECT_THROW((void)h.value_at_quantile(1.1), ModelError);
  EXPECT_THROW((void)h.value_at_quantile(std::nan("")), ModelError);
}

// 0.07 * 100 is 7.000000000000001 in binary: still the 7th value.
TEST(Histogram, RankIsNotLiftedByRounding) {
  Histogram h;
  for (std::uint64_t v = 1; v <= 100; ++v) {
    h.record(v);
  }
  EXPECT_EQ(h.value_at_quantile(0.07), 7U);
  EXPECT_EQ(h.value_at_quantile(0.99), 99U);
}

TEST(Histogram, ExactCountSumMinMax) {
  Histogram h;
  h.record(kLargest, 3);
  h.record(10);
  EXPECT_EQ(h.count(), 4U);
  EXPECT_TRUE(h.sum() == UInt128{kLargest} * 3 + 10);
  EXPECT_EQ(h.min(), 10U);
  EXPECT_EQ(h.max(), kLargest);
  EXPECT_EQ(h.value_at_quantile(0.5), kLargest);
}

TEST(Histogram, RecordingNothingChangesNothing) {
  Histogram h;
  h.record(99, 0);
  EXPECT_EQ(h, Histogram{});
}

TEST(Histogram, Durations) {
  Histogram h;
  h.record(2_ns);
  EXPECT_EQ(h.max(), 2000U);
  EXPECT_THROW(h.record(Ps{-1}), ModelError);
}

// Buckets tile the numbers without gap, and each is at most 1/1024 of its values wide.
TEST(Histogram, BucketsTile) {
  Histogram h;
  for (unsigned shift = 10; shift < 64; ++shift) {
    for (std::uint64_t i = 0; i < 1024; ++i) {
      h.record((1024 + i) << (shift - 10));
    }
  }
  std::uint64_t next = 1024;
  for (const Histogram::Bucket& b : h) {
    ASSERT_EQ(b.lower, next);
    ASSERT_EQ(b.count, 1U);
    ASSERT_LE(b.upper - b.lower, b.lower / 1024);
    next = b.upper + 1;
  }
  EXPECT_EQ(next, 0U);  // wrapped: the last bucket ends at 2^64 - 1
}

TEST(Histogram, IterationSkipsEmptyBuckets) {
  const Histogram h = of({3, 3, 5000, 1});
  const std::vector<Histogram::Bucket> buckets(h.begin(), h.end());
  EXPECT_EQ(buckets, (std::vector<Histogram::Bucket>{{1, 1, 1}, {3, 3, 2}, {5000, 5003, 1}}));
}

TEST(Histogram, CountAtOrBelow) {
  const Histogram h = of({3, 3, 5000, 9000});
  EXPECT_EQ(h.count_at_or_below(2), 0U);
  EXPECT_EQ(h.count_at_or_below(3), 2U);
  EXPECT_EQ(h.count_at_or_below(5000), 3U);
  EXPECT_EQ(h.count_at_or_below(kLargest), 4U);
}

TEST(Histogram, MergeEqualsRecordingAll) {
  const auto a = spread_values(1000, "a");
  const auto b = spread_values(1000, "b");
  std::vector<std::uint64_t> both = a;
  both.insert(both.end(), b.begin(), b.end());
  EXPECT_EQ(of(a) + of(b), of(both));
  EXPECT_EQ(of(b) + of(a), of(both));  // slots in another order
  EXPECT_EQ(of(a) + Histogram{}, of(a));
  EXPECT_EQ(Histogram{} + of(a), of(a));
}

TEST(Histogram, DifferenceIsTheWindow) {
  Histogram h = of({100, 100'000, 4'000'000});
  const Histogram warm_up = h;
  h.record(200);
  h.record(300'000);
  const Histogram roi = h - warm_up;
  EXPECT_EQ(roi.count(), 2U);
  EXPECT_TRUE(roi.sum() == 300'200);
  EXPECT_EQ(roi.min(), 200U);  // buckets below 2048 tell exactly
  EXPECT_GE(roi.max(), 300'000U);
  EXPECT_LE(roi.max(), 300'300U);  // within 0.1 %, though the warm-up held more
  EXPECT_EQ(h - Histogram{}, h);
  EXPECT_EQ(h - h, Histogram{});
}

TEST(Histogram, RefusesALaterSnapshot) {
  Histogram h = of({5});
  EXPECT_THROW(h -= of({5, 6}), ModelError);
  EXPECT_THROW(h -= of({4}), ModelError);  // fewer or equal in number, but not the same
  EXPECT_EQ(h, of({5}));                   // untouched
}

TEST(Histogram, MemoryGrowsWithTheOctavesUsed) {
  Histogram h;
  EXPECT_LT(h.memory_bytes(), 256U);
  h.record(1'000'000);
  EXPECT_LT(h.memory_bytes(), 256U + 8192U);
  for (std::uint64_t v = 600'000; v < 1'048'576; v += 7) {
    h.record(v);
  }
  EXPECT_LT(h.memory_bytes(), 256U + 8192U);
}

}  // namespace
}  // namespace smmulab

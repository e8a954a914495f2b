// SPDX-License-Identifier: Apache-2.0
#include "sim/distributions.hpp"

#include <array>
#include <cmath>
#include <limits>
#include <string>

#include <gtest/gtest.h>

#include "sim/error.hpp"

namespace smmulab {
namespace {

constexpr int kDraws = 100'000;

struct Moments {
  double mean;
  double sd;
};

template <class Draw>
Moments moments(Draw draw) {
  double sum = 0;
  double squares = 0;
  for (int i = 0; i < kDraws; ++i) {
    const auto x = static_cast<double>(draw());
    sum += x;
    squares += x * x;
  }
  const double mean = sum / kDraws;
  return {mean, std::sqrt(squares / kDraws - mean * mean)};
}

double ln(std::uint64_t v) {
  return -std::log(static_cast<double>(v) * 0x1p-64);
}

TEST(PortableLog, AgreesWithTheMathLibrary) {
  RandomStream rng(1, "log");
  for (int i = 0; i < kDraws; ++i) {
    const std::uint64_t v = (rng.next_u64() >> (i % 64)) | 1;
    const double got = static_cast<double>(portable::neg_ln_q58(v)) * 0x1p-58;
    ASSERT_NEAR(got, ln(v), 0x1p-46 + 0x1p-47) << v;  // the last term is the library's own error
  }
}

TEST(PortableLog, ExactPowersOfTwo) {
  const auto ln2 = portable::neg_ln_q58(std::uint64_t{1} << 63);
  EXPECT_EQ(ln2, 0x2c5c85fdf473de7ULL);  // 0.693147180559945309 * 2^58
  for (unsigned k = 0; k < 64; ++k) {
    EXPECT_EQ(portable::neg_ln_q58(std::uint64_t{1} << (63 - k)), ln2 * (k + 1));
  }
  EXPECT_EQ(portable::neg_ln_q58(std::numeric_limits<std::uint64_t>::max()), 0U);
}

TEST(PortableExp, AgreesWithTheMathLibrary) {
  for (int i = -7000; i <= 7000; ++i) {
    const double x = 0.1 * i;
    ASSERT_NEAR(portable::exp(x) / std::exp(x), 1.0, 0x1p-50) << x;
  }
  EXPECT_EQ(portable::exp(0.0), 1.0);
  EXPECT_EQ(portable::exp(-1e9), portable::exp(-700.0));
}

// Quantiles from tables of the normal distribution.
TEST(PortableNormal, KnownQuantiles) {
  const auto z = [](double p) {
    return portable::normal_from_bits(static_cast<std::uint64_t>(p * 0x1p64));
  };
  EXPECT_NEAR(z(0.5), 0.0, 1e-15);
  EXPECT_NEAR(z(0.841344746068542949), 1.0, 1e-14);
  EXPECT_NEAR(z(0.975), 1.959963984540054, 1e-14);
  EXPECT_NEAR(z(0.001), -3.090232306167813, 1e-13);
  EXPECT_NEAR(z(1e-9), -5.997807015007686, 1e-7);  // p is rounded to a multiple of 2^-53
  EXPECT_NEAR(portable::normal_from_bits(0), -8.209536151601386, 1e-13);
}

TEST(PortableNormal, SymmetricToTheBit) {
  RandomStream rng(1, "sym");
  for (int i = 0; i < 1000; ++i) {
    const std::uint64_t bits = rng.next_u64();
    ASSERT_EQ(portable::normal_from_bits(bits), -portable::normal_from_bits(~bits));
  }
}

// Pinned on one machine; equal bits on every other one is what the header promises.
TEST(Distributions, PinnedDraws) {
  RandomStream rng(1, "pinned");
  EXPECT_EQ(exponential(rng, 1_ms), Ps{793'185'262});
  EXPECT_EQ(normal(rng, 1_ms, 100_us), Ps{978'056'030});
  EXPECT_EQ(lognormal(rng, 1_ms, 0.5), Ps{1'031'236'167});
  EXPECT_EQ(uniform(rng, 1_ns, 2_ns), Ps{1244});
  EXPECT_EQ(standard_normal(rng), -0x1.6a719cc2dc976p+1);
  EXPECT_EQ(zipf(1000, 0.99)(rng), 245U);
}

TEST(Exponential, MeanAndStandardDeviationAreEqual) {
  RandomStream rng(2, "exp");
  const auto m = moments([&] { return exponential(rng, 1_us).count(); });
  EXPECT_NEAR(m.mean, 1e6, 4 * 1e6 / 316.2);
  EXPECT_NEAR(m.sd, 1e6, 4 * 1.42e6 / 316.2);
}

// Chi-square over 32 cells of equal probability; 99.9 % of all seeds stay below 61.1.
TEST(Exponential, FollowsItsDistributionFunction) {
  RandomStream rng(2, "chi");
  constexpr int kCells = 32;
  std::array<int, kCells> count{};
  for (int i = 0; i < kDraws; ++i) {
    const auto x = static_cast<double>(exponential(rng, 1_ms).count());
    ++count.at(static_cast<std::size_t>(kCells * std::exp(-x * 1e-9)));
  }
  double chi2 = 0;
  constexpr double kExpected = double{kDraws} / kCells;
  for (const int n : count) {
    chi2 += (n - kExpected) * (n - kExpected) / kExpected;
  }
  EXPECT_LT(chi2, 61.1);
}

TEST(Exponential, Range) {
  RandomStream rng(2, "range");
  EXPECT_EQ(exponential(rng, Ps{0}), Ps{0});
  EXPECT_GE(exponential(rng, Ps{std::int64_t{1} << 57}), Ps{0});
  EXPECT_THROW((void)exponential(rng, Ps{-1}), ModelError);
  EXPECT_THROW((void)exponential(rng, Ps::max()), ModelError);
}

// Common random numbers: the same draws with another mean are the same times, scaled.
TEST(Exponential, StaysInStepWhenTheMeanMoves) {
  RandomStream a(2, "crn");
  RandomStream b(2, "crn");
  for (int i = 0; i < 1000; ++i) {
    const std::int64_t one = exponential(a, 1_us).count();
    const std::int64_t two = exponential(b, 2_us).count();
    ASSERT_NEAR(static_cast<double>(two), 2.0 * static_cast<double>(one), 1.0);
  }
}

TEST(Uniform, CoversBothEndsAndNothingElse) {
  RandomStream rng(2, "uniform");
  std::array<int, 5> count{};
  for (int i = 0; i < 5000; ++i) {
    ++count.at(static_cast<std::size_t>(uniform(rng, Ps{-2}, Ps{2}).count() + 2));
  }
  for (const int n : count) {
    EXPECT_NEAR(n, 1000, 4 * 28.3);
  }
  EXPECT_EQ(uniform(rng, Ps{7}, Ps{7}), Ps{7});
  (void)uniform(rng, Ps::min(), Ps::max());
  EXPECT_THROW((void)uniform(rng, Ps{1}, Ps{0}), ModelError);
}

TEST(Normal, MeanAndStandardDeviation) {
  RandomStream rng(2, "normal");
  const auto m = moments([&] { return normal(rng, 1_us, 100_ns).count(); });
  EXPECT_NEAR(m.mean, 1e6, 4 * 1e5 / 316.2);
  EXPECT_NEAR(m.sd, 1e5, 4 * 1e5 / 447.2);
}

TEST(Normal, NeverNegative) {
  RandomStream rng(2, "clamp");
  int zeros = 0;
  for (int i = 0; i < 1000; ++i) {
    const Ps x = normal(rng, Ps{0}, 1_ns);
    ASSERT_GE(x, Ps{0});
    zeros += x == Ps{0} ? 1 : 0;
  }
  EXPECT_NEAR(zeros, 500, 4 * 15.8);
  EXPECT_THROW((void)normal(rng, 1_ns, Ps{-1}), ModelError);
}

TEST(Lognormal, MeanIsAboveTheMedian) {
  RandomStream rng(2, "lognormal");
  int below = 0;
  const auto m = moments([&] {
    const Ps x = lognormal(rng, 1_us, 0.5);
    below += x < 1_us ? 1 : 0;
    return x.count();
  });
  EXPECT_NEAR(m.mean, 1e6 * std::exp(0.125), 4 * 6.04e5 / 316.2);
  EXPECT_NEAR(below, kDraws / 2, 4 * 158);
  EXPECT_EQ(lognormal(rng, 1_us, 0.0), 1_us);
  EXPECT_THROW((void)lognormal(rng, Ps::max(), 0.0), ModelError);  // 2^63 after rounding
}

TEST(Discrete, FollowsItsWeightsAndSkipsZeros) {
  RandomStream rng(2, "discrete");
  const Discrete d({0.0, 1.0, 0.0, 3.0, 0.0});
  std::array<int, 5> count{};
  for (int i = 0; i < kDraws; ++i) {
    ++count.at(d(rng));
  }
  EXPECT_EQ(count[0] + count[2] + count[4], 0);
  EXPECT_NEAR(count[1], kDraws / 4, 4 * 137);
}

TEST(Discrete, RefusesBadWeights) {
  EXPECT_THROW(Discrete({}), ConfigError);
  EXPECT_THROW(Discrete({0.0, 0.0}), ConfigError);
  EXPECT_THROW(Discrete({1.0, -1.0}), ConfigError);
  EXPECT_THROW(Discrete({std::numeric_limits<double>::quiet_NaN()}), ConfigError);
  EXPECT_THROW((void)zipf(0, 1.0), ConfigError);
}

// Weights 1, 1/2, 1/3, 1/4: of 25 parts 12, 6, 4 and 3.
TEST(Zipf, HarmonicWeights) {
  RandomStream rng(2, "zipf");
  const Discrete d = zipf(4, 1.0);
  std::array<int, 4> count{};
  for (int i = 0; i < kDraws; ++i) {
    ++count.at(d(rng));
  }
  EXPECT_NEAR(count[0], kDraws * 12 / 25, 4 * 158);
  EXPECT_NEAR(count[1], kDraws * 6 / 25, 4 * 135);
  EXPECT_NEAR(count[2], kDraws * 4 / 25, 4 * 116);
  EXPECT_NEAR(count[3], kDraws * 3 / 25, 4 * 103);
}

}  // namespace
}  // namespace smmulab

// SPDX-License-Identifier: Apache-2.0
#include "sim/distributions.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cfloat>
#include <cmath>
#include <limits>
#include <numbers>
#include <string>

#include "sim/check.hpp"

static_assert(std::numeric_limits<double>::is_iec559 && FLT_EVAL_METHOD == 0,
              "doubles must be IEEE 754 binary64, evaluated without extra precision");

namespace smmulab {
namespace {

using U128 = unsigned __int128;

constexpr Ps kLongestParameter{std::int64_t{1} << 57};

// The logarithm. v is normalized to m in [1, 2). With b = 1 + i/256 the table point at or below m,
//   ln m = ln b + ln(1 + t),  t = (m - b) / b < 2^-8,
// and ln(1 + t) is its series up to t^5 (the next term is below 2^-50), evaluated in 32-bit
// fractions because what multiplies them is small. A name ending in _qN has N fraction bits.

constexpr int kIndexBits = 8;
constexpr std::size_t kTableSize = 1U << kIndexBits;

// 2 atanh(num / den) = ln((den + num) / (den - num)) with 64 fraction bits.
// REQUIRES: num / den <= 1/3, den < 1024.
constexpr std::uint64_t two_atanh_q64(std::uint64_t num, std::uint64_t den) {
  constexpr int kFraction = 106;  // leaves 20 bits above for the product with num * num
  U128 power = (U128{num} << kFraction) / den;
  U128 sum = 0;
  for (unsigned n = 1; power != 0; n += 2) {
    sum += power / n;
    power = power * (num * num) / (den * den);
  }
  return static_cast<std::uint64_t>((2 * sum) >> (kFraction - 64));
}

struct LogPoint {
  std::uint64_t ln_q64;       // ln b
  std::uint64_t inverse_q63;  // 1 / b
};

constexpr std::array<LogPoint, kTableSize> make_log_table() {
  std::array<LogPoint, kTableSize> table{};
  for (std::uint64_t i = 0; i < kTableSize; ++i) {
    table[i].ln_q64 = two_atanh_q64(i, 2 * kTableSize + i);
    table[i].inverse_q63 =
        static_cast<std::uint64_t>((U128{1} << (63 + kIndexBits)) / (kTableSize + i));
  }
  return table;
}

constexpr auto kLogTable = make_log_table();
constexpr std::uint64_t kLn2Q64 = two_atanh_q64(1, 3);
constexpr std::uint64_t kLn2Q58 = (kLn2Q64 + 32) >> 6;
static_assert(kLn2Q64 >> 4 == 0xb17217f7d1cf79a);  // ln 2 = 0.b17217f7d1cf79ab... in base 16

// ln(1 + t) = t - t^2 ((1/2 - t/3) + t^2 (1/4 - t/5)) for t < 2^-8.
constexpr std::uint64_t ln1p_q64(std::uint64_t t_q64) {
  constexpr std::uint64_t kOneQ32 = std::uint64_t{1} << 32;
  const std::uint64_t t_q40 = t_q64 >> 24;             // below 2^32, so its square fits
  const std::uint64_t t2_q48 = (t_q40 * t_q40) >> 32;  // likewise
  const std::uint64_t low_q32 = kOneQ32 / 2 - ((t_q40 * (kOneQ32 / 3)) >> 40);
  const std::uint64_t high_q32 = kOneQ32 / 4 - ((t_q40 * (kOneQ32 / 5)) >> 40);
  const std::uint64_t sum_q32 = low_q32 + ((t2_q48 * high_q32) >> 48);
  return t_q64 - ((t2_q48 * sum_q32) >> 16);
}

// c[0] + c[1] x + ... by Horner's rule, each step one rounding.
template <std::size_t N>
double polynomial(const std::array<double, N>& c, double x) {
  double sum = c[N - 1];
  for (std::size_t i = N - 1; i-- > 0;) {
    sum = std::fma(sum, x, c[i]);
  }
  return sum;
}

constexpr std::array<double, 14> make_inverse_factorials() {
  std::array<double, 14> c{};
  double factorial = 1;
  for (std::size_t n = 0; n < c.size(); ++n) {
    factorial *= n == 0 ? 1.0 : static_cast<double>(n);  // 13! is below 2^53: exact
    c[n] = 1.0 / factorial;
  }
  return c;
}

constexpr auto kInverseFactorial = make_inverse_factorials();

// Coefficients of AS 241 (M. J. Wichura, Applied Statistics 37, 1988): numerator and denominator
// for |p - 1/2| <= 0.425, for r = sqrt(-ln p) <= 5, and beyond.
constexpr std::array<double, 8> kCentreNum = {3.3871328727963666080e0, 1.3314166789178437745e2,
                                              1.9715909503065514427e3, 1.3731693765509461125e4,
                                              4.5921953931549871457e4, 6.7265770927008700853e4,
                                              3.3430575583588128105e4, 2.5090809287301226727e3};
constexpr std::array<double, 8> kCentreDen = {1.0,
                                              4.2313330701600911252e1,
                                              6.8718700749205790830e2,
                                              5.3941960214247511077e3,
                                              2.1213794301586595867e4,
                                              3.9307895800092710610e4,
                                              2.8729085735721942674e4,
                                              5.2264952788528545610e3};
constexpr std::array<double, 8> kTailNum = {1.42343711074968357734e0,  4.63033784615654529590e0,
                                            5.76949722146069140550e0,  3.64784832476320460504e0,
                                            1.27045825245236838258e0,  2.41780725177450611770e-1,
                                            2.27238449892691845833e-2, 7.74545014278341407640e-4};
constexpr std::array<double, 8> kTailDen = {1.0,
                                            2.05319162663775882187e0,
                                            1.67638483018380384940e0,
                                            6.89767334985100004550e-1,
                                            1.48103976427480074590e-1,
                                            1.51986665636164571966e-2,
                                            5.47593808499534494600e-4,
                                            1.05075007164441684324e-9};
constexpr std::array<double, 8> kFarNum = {6.65790464350110377720e0,  5.46378491116411436990e0,
                                           1.78482653991729133580e0,  2.96560571828504891230e-1,
                                           2.65321895265761230930e-2, 1.24266094738807843860e-3,
                                           2.71155556874348757815e-5, 2.01033439929228813265e-7};
constexpr std::array<double, 8> kFarDen = {1.0,
                                           5.99832206555887937690e-1,
                                           1.36929880922735805310e-1,
                                           1.48753612908506148525e-2,
                                           7.86869131145613259100e-4,
                                           1.84631831751005468180e-5,
                                           1.42151175831644588870e-7,
                                           2.04426310338993978564e-15};

// Rounds to the nearest ps, ties away from zero.
Ps to_whole_ps(double ps, const char* what) {
  SMMULAB_CHECK(std::fabs(ps) < 0x1p63, std::string(what) + ": the draw does not fit a time");
  return Ps{static_cast<std::int64_t>(std::llround(ps))};
}

}  // namespace

namespace portable {

std::uint64_t neg_ln_q58(std::uint64_t v) {
  constexpr int kRest = 63 - kIndexBits;
  const int zeros = std::countl_zero(v);
  const std::uint64_t m_q63 = v << zeros;
  const LogPoint& point = kLogTable[(m_q63 >> kRest) & (kTableSize - 1)];
  const std::uint64_t above_q63 = m_q63 & ((std::uint64_t{1} << kRest) - 1);
  const auto t_q64 = static_cast<std::uint64_t>((U128{above_q63} * point.inverse_q63) >> 62);
  const std::uint64_t whole = kLn2Q58 * (static_cast<std::uint64_t>(zeros) + 1);
  const std::uint64_t part = (point.ln_q64 + ln1p_q64(t_q64)) >> 6;
  // Next to v = 2^64 the two are equal but for rounding.
  return part >= whole ? 0 : whole - part;
}

double exp(double x) {
  constexpr double kLimit = 700.0;
  constexpr double kLn2Low = 0x1.abc9e3b39803fp-56;  // ln 2 less the double nearest to it
  x = std::clamp(x, -kLimit, kLimit);
  const double k = std::nearbyint(x * std::numbers::log2e);
  const double rest = std::fma(-k, kLn2Low, std::fma(-k, std::numbers::ln2, x));
  return std::ldexp(polynomial(kInverseFactorial, rest), static_cast<int>(k));
}

double normal_from_bits(std::uint64_t bits) {
  // p = n / 2^53 with n odd: p, p - 1/2 and 1 - p are all exact.
  constexpr std::int64_t kHalf = std::int64_t{1} << 52;
  const auto n = static_cast<std::int64_t>(bits >> 12 << 1 | 1);
  const double q = static_cast<double>(n - kHalf) * 0x1p-53;
  if (std::fabs(q) <= 0.425) {
    const double r = std::fma(-q, q, 0.180625);
    return q * (polynomial(kCentreNum, r) / polynomial(kCentreDen, r));
  }
  const auto tail = static_cast<std::uint64_t>(n < kHalf ? n : 2 * kHalf - n);
  const double r = std::sqrt(static_cast<double>(neg_ln_q58(tail << 11)) * 0x1p-58);
  const double z = r <= 5 ? polynomial(kTailNum, r - 1.6) / polynomial(kTailDen, r - 1.6)
                          : polynomial(kFarNum, r - 5.0) / polynomial(kFarDen, r - 5.0);
  return n < kHalf ? -z : z;
}

}  // namespace portable

Ps exponential(RandomStream& rng, Ps mean) {
  // 45 means, the longest draw, still fit.
  SMMULAB_CHECK(mean >= Ps{0} && mean <= kLongestParameter, "exponential: mean out of range");
  // An odd number over 2^64 lies strictly between 0 and 1.
  const std::uint64_t x = portable::neg_ln_q58(rng.next_u64() | 1);
  const U128 product = U128{static_cast<std::uint64_t>(mean.count())} * x;
  return Ps{static_cast<std::int64_t>((product + (U128{1} << 57)) >> 58)};
}

Ps uniform(RandomStream& rng, Ps first, Ps last) {
  SMMULAB_CHECK(first <= last, "uniform: the range is empty");
  const auto low = static_cast<std::uint64_t>(first.count());
  const std::uint64_t span = static_cast<std::uint64_t>(last.count()) - low;
  const bool whole = span == std::numeric_limits<std::uint64_t>::max();
  const std::uint64_t offset = whole ? rng.next_u64() : rng.uniform_int(span + 1);
  return Ps{static_cast<std::int64_t>(low + offset)};
}

double standard_normal(RandomStream& rng) {
  return portable::normal_from_bits(rng.next_u64());
}

Ps normal(RandomStream& rng, Ps mean, Ps sd) {
  SMMULAB_CHECK(sd >= Ps{0} && sd <= kLongestParameter, "normal: standard deviation out of range");
  SMMULAB_CHECK(mean >= Ps{0} && mean <= kLongestParameter, "normal: mean out of range");
  const double z = standard_normal(rng);
  const Ps offset = to_whole_ps(static_cast<double>(sd.count()) * z, "normal");
  return std::max(Ps{0}, mean + offset);
}

Ps lognormal(RandomStream& rng, Ps median, double sigma) {
  const bool in_range = median >= Ps{0} && sigma >= 0;  // a NaN is not
  SMMULAB_CHECK(in_range, "lognormal: negative parameter");
  const double factor = portable::exp(sigma * standard_normal(rng));
  return to_whole_ps(static_cast<double>(median.count()) * factor, "lognormal");
}

Discrete::Discrete(const std::vector<double>& weights) {
  cumulative_.reserve(weights.size());
  double sum = 0;
  for (const double w : weights) {
    if (!(w >= 0) || !std::isfinite(w)) {
      throw ConfigError("a weight must be a finite number, zero or above");
    }
    sum += w;
    cumulative_.push_back(sum);
  }
  if (!(sum > 0) || !std::isfinite(sum)) {
    throw ConfigError("the weights must have a finite sum above zero");
  }
}

std::size_t Discrete::operator()(RandomStream& rng) const {
  // uniform01 is at most 1 - 2^-53, so the product rounds below the sum, and the first entry above
  // it is one whose weight is not zero.
  const double x = rng.uniform01() * cumulative_.back();
  const auto it = std::ranges::upper_bound(cumulative_, x);
  return static_cast<std::size_t>(it - cumulative_.begin());
}

Discrete zipf(std::size_t n, double exponent) {
  if (n == 0 || !(exponent >= 0)) {
    throw ConfigError("zipf needs at least one rank and an exponent of zero or above");
  }
  const std::uint64_t ln_2_64 = portable::neg_ln_q58(1);
  std::vector<double> weights(n);
  for (std::size_t i = 0; i < n; ++i) {
    const std::uint64_t ln_rank = ln_2_64 - portable::neg_ln_q58(i + 1);
    weights[i] = portable::exp(-exponent * (static_cast<double>(ln_rank) * 0x1p-58));
  }
  return Discrete(weights);
}

}  // namespace smmulab

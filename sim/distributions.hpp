// SPDX-License-Identifier: Apache-2.0
// Distributions over RandomStream that give the same bits on every machine.
//
// What they rely on, and nothing else:
// - logarithm: 64-bit fixed point (neg_ln_q58), integers only. libm's log is not used, because it
//   is not correctly rounded and differs between libraries;
// - exp, normal quantile: IEEE 754 double with +, /, sqrt and std::fma, each correctly rounded by
//   the standard. No product is ever added to anything except through std::fma, so that a compiler
//   which contracts a * b + c (g++ does on arm64) has nothing to contract. -ffast-math breaks this.
// Exponential, normal, lognormal, discrete and Zipf use inversion: exactly one draw for each
// number, monotone in that draw but for rounding, so streams stay in step when a parameter moves.
//
// Not offered: correlated or empirical (histogram-fitted) distributions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "sim/random.hpp"
#include "sim/time.hpp"

namespace smmulab {

namespace portable {

// -ln(v / 2^64) as a fixed-point number with 58 fraction bits; absolute error below 2^-46.
// REQUIRES: v > 0.
[[nodiscard]] std::uint64_t neg_ln_q58(std::uint64_t v);

// e^x for |x| <= 700, relative error below 2^-51; outside, the value at the nearer end.
[[nodiscard]] double exp(double x);

// The standard normal quantile of (2 k + 1) / 2^53 where k = bits >> 12 (Wichura, AS 241, PPND16);
// relative error below 1e-14. Symmetric: the complement of bits gives the negated result exactly.
[[nodiscard]] double normal_from_bits(std::uint64_t bits);

}  // namespace portable

// Exponential, rounded to the nearest ps. REQUIRES: 0 <= mean <= 2^57 ps (40 hours).
[[nodiscard]] Ps exponential(RandomStream& rng, Ps mean);

// Uniform on the picoseconds first, ..., last. REQUIRES: first <= last.
[[nodiscard]] Ps uniform(RandomStream& rng, Ps first, Ps last);

// Mean 0, standard deviation 1.
[[nodiscard]] double standard_normal(RandomStream& rng);

// Normal, rounded to the nearest ps. A draw below zero becomes zero, since durations are what this
// is for: with sd <= mean / 4 that touches fewer than 1 in 31 000. REQUIRES: mean and sd between
// 0 and 2^57 ps.
[[nodiscard]] Ps normal(RandomStream& rng, Ps mean, Ps sd);

// median * e^(sigma z), rounded to the nearest ps; its mean is median * e^(sigma^2 / 2).
// REQUIRES: median >= 0, sigma >= 0. Throws if the draw does not fit a Ps.
[[nodiscard]] Ps lognormal(RandomStream& rng, Ps median, double sigma);

// Index i with probability weight[i] / (sum of the weights).
class Discrete {
 public:
  // REQUIRES: finite weights >= 0, at least one above zero; throws ConfigError otherwise.
  explicit Discrete(const std::vector<double>& weights);
  [[nodiscard]] std::size_t operator()(RandomStream& rng) const;
  [[nodiscard]] std::size_t size() const { return cumulative_.size(); }

 private:
  std::vector<double> cumulative_;
};

// Ranks 0 .. n-1 with weights 1 / (rank + 1)^exponent; exponent 0 is uniform. Holds 8 n bytes.
// REQUIRES: n > 0, exponent >= 0; throws ConfigError otherwise.
[[nodiscard]] Discrete zipf(std::size_t n, double exponent);

}  // namespace smmulab

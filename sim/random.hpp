// SPDX-License-Identifier: Apache-2.0
// Named random streams: one run has one seed, and every component draws from a stream of its own,
// RandomStream(seed, "core3/arrivals"). Adding a component does not move another's numbers, and two
// protocols replayed with one seed see the same draws (common random numbers).
//
// Generator: Philox4x32-10 (Salmon, Moraes, Dror, Shaw, SC11), from Random123. It is a keyed
// function of a counter, so a stream is 128 bits of name and a 64-bit block number:
//   h = XXH3 128 bits of the name's bytes with the run's seed (XXH3 is frozen since xxHash 0.8.0)
//   key words 0..1      = low 64 bits of h
//   counter words 2..3  = high 64 bits of h
//   counter words 0..1  = block number, from 0; a block yields two 64-bit numbers
// Two streams of a run collide only if the whole 128-bit hash collides.
//
// Everything here is integer arithmetic (uniform01 scales an integer exactly): equal bits on every
// machine and compiler. Not offered: std:: distributions and the standard generator interface,
// whose results differ between libraries; see sim/distributions.hpp.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace smmulab {

// One block of the generator; a pure function.
[[nodiscard]] std::array<std::uint32_t, 4> philox4x32_10(
    const std::array<std::uint32_t, 4>& counter, const std::array<std::uint32_t, 2>& key);

class RandomStream {
 public:
  RandomStream(std::uint64_t seed, std::string_view name);

  // A copy would repeat the same numbers unnoticed.
  RandomStream(const RandomStream&) = delete;
  RandomStream& operator=(const RandomStream&) = delete;
  RandomStream(RandomStream&&) = default;
  RandomStream& operator=(RandomStream&&) = default;
  ~RandomStream() = default;

  // 64 independent uniform bits.
  std::uint64_t next_u64() {
    if (used_ == numbers_.size()) {
      refill();
    }
    return numbers_[used_++];
  }

  // Uniform on the multiples of 2^-53 in [0, 1).
  double uniform01() { return static_cast<double>(next_u64() >> 11) * 0x1p-53; }

  // Uniform on [0, bound), without bias. REQUIRES: bound > 0. One draw, except that a value in the
  // biased remainder (probability below bound / 2^64) is drawn again.
  std::uint64_t uniform_int(std::uint64_t bound);

  // True with probability p (rounded to a multiple of 2^-53); always one draw.
  bool bernoulli(double p) { return uniform01() < p; }

 private:
  static constexpr std::size_t kBlocks = 4;  // made at once: they overlap in the CPU
  void refill();

  std::uint64_t key_;
  std::uint64_t stream_;
  std::uint64_t next_block_ = 0;
  std::array<std::uint64_t, 2 * kBlocks> numbers_{};
  std::size_t used_ = 2 * kBlocks;
};

}  // namespace smmulab

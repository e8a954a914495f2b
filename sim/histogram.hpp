// SPDX-License-Identifier: Apache-2.0
// Histogram of 64-bit values (durations in ps, sizes) with three significant digits: log-linear
// buckets in the manner of HdrHistogram. Values below 2048 have a bucket each; above, every power
// of two is cut into 1024 buckets of equal width, so that a bucket is narrower than 1/1024 of its
// values. A quantile is reported as the upper edge of its bucket (HdrHistogram's "highest
// equivalent value"), which is at most 0.1 % above the recorded value. Count, sum, minimum and
// maximum are exact.
//
// Counters are kept per power of two (8 KiB each), from the first value that falls into it on: 1 us
// to 1 s, spread evenly, is 20 of them. record() is O(1) and allocates only then.
//
// The rules of sim/stats.hpp hold for +=, -= and ==. A difference tightens min and max to the edges
// of the buckets that are left, so they are within 0.1 % even when not exact.
//
// Not modelled: correction for coordinated omission (simulated arrivals are not held up by the
// measurement); negative values.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <vector>

#include "sim/stats.hpp"
#include "sim/time.hpp"

namespace smmulab {

class Histogram {
 public:
  Histogram() { slot_.fill(kNoSlot); }

  void record(std::uint64_t value, std::uint64_t times = 1) {
    const std::size_t octave = octave_of(value);
    if (slot_[octave] == kNoSlot) [[unlikely]] {
      grow(octave);
    }
    counts_[slot_[octave] * kPerOctave + offset_in(octave, value)] += times;
    count_ += times;
    sum_ += UInt128{value} * times;
    if (times != 0) {
      min_ = value < min_ ? value : min_;
      max_ = value > max_ ? value : max_;
    }
  }
  // REQUIRES: duration >= 0.
  void record(Ps duration) {
    SMMULAB_CHECK(duration >= Ps{0}, "histogram: negative duration");
    record(static_cast<std::uint64_t>(duration.count()));
  }

  [[nodiscard]] bool empty() const { return count_ == 0; }
  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] UInt128 sum() const { return sum_; }
  [[nodiscard]] std::uint64_t min() const { return empty() ? 0 : min_; }
  [[nodiscard]] std::uint64_t max() const { return max_; }
  [[nodiscard]] double mean() const;  // 0 when empty

  // The smallest reported value v such that at least a share q of all values is <= v; q = 0 gives
  // the bucket of the minimum, q = 1 the maximum. 0 when empty. REQUIRES: 0 <= q <= 1.
  [[nodiscard]] std::uint64_t value_at_quantile(double q) const;
  // How many values are in buckets up to and including value's.
  [[nodiscard]] std::uint64_t count_at_or_below(std::uint64_t value) const;

  Histogram& operator+=(const Histogram& other);
  // REQUIRES: every bucket of begin holds at most what this one's does (ModelError otherwise).
  Histogram& operator-=(const Histogram& begin);
  friend bool operator==(const Histogram& a, const Histogram& b);

  struct Bucket {
    std::uint64_t lower;  // both inclusive
    std::uint64_t upper;
    std::uint64_t count;
    friend bool operator==(const Bucket&, const Bucket&) = default;
  };

  // Visits the buckets that hold something, upwards.
  class Iterator {
   public:
    using value_type = Bucket;
    using difference_type = std::ptrdiff_t;
    using iterator_category = std::input_iterator_tag;
    Iterator() = default;
    Iterator(const Histogram* histogram, std::size_t index);
    Bucket operator*() const;
    Iterator& operator++();
    Iterator operator++(int);
    friend bool operator==(const Iterator&, const Iterator&) = default;

   private:
    void skip_empty();
    const Histogram* histogram_ = nullptr;
    std::size_t index_ = 0;
  };
  [[nodiscard]] Iterator begin() const { return {this, 0}; }
  [[nodiscard]] Iterator end() const { return {this, kBuckets}; }

  [[nodiscard]] std::size_t memory_bytes() const {
    return sizeof(*this) + counts_.capacity() * sizeof(std::uint64_t);
  }

 private:
  // Octave 0 holds the values 0 .. 1023, octave k > 0 those from 2^(k+9) to 2^(k+10) - 1.
  static constexpr int kPrecisionBits = 10;
  static constexpr std::size_t kPerOctave = std::size_t{1} << kPrecisionBits;
  static constexpr std::size_t kOctaves = 64 - kPrecisionBits + 1;
  static constexpr std::size_t kBuckets = kOctaves * kPerOctave;
  static constexpr std::uint8_t kNoSlot = 0xff;

  static std::size_t octave_of(std::uint64_t value) {
    const int above = static_cast<int>(std::bit_width(value)) - kPrecisionBits;
    return above > 0 ? static_cast<std::size_t>(above) : 0;
  }
  static std::size_t offset_in(std::size_t octave, std::uint64_t value) {
    return (value >> (octave > 0 ? octave - 1 : 0)) & (kPerOctave - 1);
  }
  static std::uint64_t lower_edge(std::size_t bucket);
  static std::uint64_t upper_edge(std::size_t bucket);

  [[nodiscard]] std::uint64_t count_at(std::size_t bucket) const;
  void grow(std::size_t octave);
  void tighten_extremes();

  std::array<std::uint8_t, kOctaves> slot_{};  // where an octave's counters are in counts_
  std::vector<std::uint64_t> counts_;
  std::uint64_t count_ = 0;
  UInt128 sum_ = 0;
  std::uint64_t min_ = ~std::uint64_t{0};
  std::uint64_t max_ = 0;
};

template <>
inline constexpr bool kIsStatistic<Histogram> = true;

}  // namespace smmulab

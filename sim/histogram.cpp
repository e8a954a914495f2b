// SPDX-License-Identifier: Apache-2.0
#include "sim/histogram.hpp"

#include <algorithm>
#include <cmath>

namespace smmulab {

double Histogram::mean() const {
  return empty() ? 0.0 : static_cast<double>(sum_) / static_cast<double>(count_);
}

std::uint64_t Histogram::value_at_quantile(double q) const {
  const bool in_range = q >= 0.0 && q <= 1.0;  // a NaN is not
  SMMULAB_CHECK(in_range, "histogram: a quantile lies between 0 and 1");
  // Rounding may lift q * count just above a whole number (0.07 * 100): do not count that as one
  // more value.
  constexpr double kSlack = 1.0 - 0x1p-50;
  const double wanted = std::ceil(q * static_cast<double>(count_) * kSlack);
  std::uint64_t below = 0;
  for (const Bucket& bucket : *this) {
    below += bucket.count;
    if (static_cast<double>(below) >= wanted) {
      return std::min(bucket.upper, max_);
    }
  }
  return max_;
}

std::uint64_t Histogram::count_at_or_below(std::uint64_t value) const {
  std::uint64_t below = 0;
  for (const Bucket& bucket : *this) {
    if (bucket.lower > value) {
      break;
    }
    below += bucket.count;
  }
  return below;
}

Histogram& Histogram::operator+=(const Histogram& other) {
  for (std::size_t octave = 0; octave < kOctaves; ++octave) {
    if (other.slot_[octave] == kNoSlot) {
      continue;
    }
    if (slot_[octave] == kNoSlot) {
      grow(octave);
    }
    for (std::size_t i = 0; i < kPerOctave; ++i) {
      counts_[slot_[octave] * kPerOctave + i] +=
          other.counts_[other.slot_[octave] * kPerOctave + i];
    }
  }
  count_ += other.count_;
  sum_ += other.sum_;
  min_ = std::min(min_, other.min_);
  max_ = std::max(max_, other.max_);
  return *this;
}

Histogram& Histogram::operator-=(const Histogram& begin) {
  bool earlier = begin.count_ <= count_ && begin.sum_ <= sum_;
  for (std::size_t i = 0; earlier && i < kBuckets; ++i) {
    earlier = begin.count_at(i) <= count_at(i);
  }
  SMMULAB_CHECK(earlier, "histogram: the subtracted snapshot is not an earlier one");
  for (std::size_t octave = 0; octave < kOctaves; ++octave) {
    // An octave without counters here has, as just checked, nothing but zeros there.
    if (slot_[octave] == kNoSlot || begin.slot_[octave] == kNoSlot) {
      continue;
    }
    for (std::size_t i = 0; i < kPerOctave; ++i) {
      counts_[slot_[octave] * kPerOctave + i] -=
          begin.counts_[begin.slot_[octave] * kPerOctave + i];
    }
  }
  count_ -= begin.count_;
  sum_ -= begin.sum_;
  tighten_extremes();
  return *this;
}

void Histogram::tighten_extremes() {
  std::uint64_t lowest = ~std::uint64_t{0};
  std::uint64_t highest = 0;
  for (const Bucket& bucket : *this) {
    lowest = std::min(lowest, bucket.lower);
    highest = bucket.upper;
  }
  min_ = std::max(min_, lowest);
  max_ = std::min(max_, highest);
}

bool operator==(const Histogram& a, const Histogram& b) {
  return a.count() == b.count() && a.sum() == b.sum() && a.min() == b.min() && a.max() == b.max() &&
         std::ranges::equal(a, b);
}

std::uint64_t Histogram::lower_edge(std::size_t bucket) {
  const std::size_t octave = bucket / kPerOctave;
  const std::uint64_t offset = bucket % kPerOctave;
  return octave == 0 ? offset : (kPerOctave + offset) << (octave - 1);
}

std::uint64_t Histogram::upper_edge(std::size_t bucket) {
  return bucket + 1 == kBuckets ? ~std::uint64_t{0} : lower_edge(bucket + 1) - 1;
}

std::uint64_t Histogram::count_at(std::size_t bucket) const {
  const std::uint8_t slot = slot_[bucket / kPerOctave];
  return slot == kNoSlot ? 0 : counts_[slot * kPerOctave + bucket % kPerOctave];
}

void Histogram::grow(std::size_t octave) {
  const std::size_t used = counts_.size();
  counts_.reserve(used + kPerOctave);  // exactly: there are at most 55 growths
  counts_.resize(used + kPerOctave);
  slot_[octave] = static_cast<std::uint8_t>(used / kPerOctave);
}

Histogram::Iterator::Iterator(const Histogram* histogram, std::size_t index)
    : histogram_(histogram), index_(index) {
  skip_empty();
}

Histogram::Bucket Histogram::Iterator::operator*() const {
  return {lower_edge(index_), upper_edge(index_), histogram_->count_at(index_)};
}

Histogram::Iterator& Histogram::Iterator::operator++() {
  ++index_;
  skip_empty();
  return *this;
}

Histogram::Iterator Histogram::Iterator::operator++(int) {
  Iterator before = *this;
  ++*this;
  return before;
}

void Histogram::Iterator::skip_empty() {
  while (index_ < kBuckets && histogram_->count_at(index_) == 0) {
    const bool whole_octave = histogram_->slot_[index_ / kPerOctave] == kNoSlot;
    index_ = whole_octave ? (index_ / kPerOctave + 1) * kPerOctave : index_ + 1;
  }
}

}  // namespace smmulab

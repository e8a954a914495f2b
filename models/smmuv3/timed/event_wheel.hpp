// SPDX-License-Identifier: Apache-2.0
// EventWheel: events in the total order (time, sequence). What is due within half a microsecond is
// in a wheel of buckets of 2 ns, each a sorted list; what is due later in a heap, from which it is
// taken when its time has come. Adding and taking are of constant cost while buckets hold few.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <vector>

#include "sim/time.hpp"

namespace smmulab::smmu::timed {

class Timed;

class EventWheel {
 public:
  struct Event {
    SimTime time{};
    std::uint64_t sequence = 0;
    Timed* who = nullptr;
    std::uint32_t what = 0;
    std::uint32_t index = 0;
  };

  [[nodiscard]] bool empty() const { return in_wheel_ == 0 && heap_.empty(); }
  // REQUIRES: now <= event.time; `now` is at least that of the calls before, and at most the time
  // of every event that is in.
  void push(SimTime now, const Event& event) {
    if (bucket_of(event.time) - bucket_of(now) >= kBuckets) {
      push_far(event);
    } else {
      push_near(event);
    }
  }
  // The least event. REQUIRES: not empty; `now` as for push().
  Event pop(SimTime now) {
    if (in_wheel_ == 0) {
      return pop_far();
    }
    const std::uint64_t at = first_bucket(bucket_of(now) % kBuckets);
    Bucket& bucket = buckets_[at];
    Node& node = nodes_[bucket.first];
    if (!heap_.empty() && later(node.event, heap_.front())) {
      return pop_far();
    }
    const std::uint32_t next = node.next;
    node.next = free_;
    free_ = bucket.first;
    bucket.first = next;
    if (next == kNone) {
      used_[at / 64] &= ~(std::uint64_t{1} << at % 64);
    }
    --in_wheel_;
    return node.event;
  }

 private:
  static constexpr unsigned kBucketLog2 = 11;  // of its ps
  static constexpr std::uint64_t kBuckets = 256;
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};
  struct Node {
    Event event;
    std::uint32_t next = kNone;
  };
  struct Bucket {
    std::uint32_t first = kNone;
    std::uint32_t last = kNone;  // of a bucket that is not empty
  };

  static bool later(const Event& a, const Event& b) {
    return a.time != b.time ? a.time > b.time : a.sequence > b.sequence;
  }
  [[nodiscard]] static std::uint64_t bucket_of(SimTime t) {
    return static_cast<std::uint64_t>(to_ps(t)) >> kBucketLog2;
  }

  void push_near(const Event& event) {
    const std::uint64_t at = bucket_of(event.time) % kBuckets;
    const std::uint32_t node = new_node();
    Bucket& bucket = buckets_[at];
    std::uint32_t* link = &bucket.first;
    if (*link == kNone) {
      used_[at / 64] |= std::uint64_t{1} << at % 64;
      bucket.last = node;
    } else if (later(event, nodes_[bucket.last].event)) {
      link = &nodes_[bucket.last].next;
      bucket.last = node;
    } else {
      while (later(event, nodes_[*link].event)) {
        link = &nodes_[*link].next;
      }
    }
    nodes_[node] = {event, *link};
    *link = node;
    ++in_wheel_;
  }
  std::uint32_t new_node() {
    if (free_ == kNone) {
      return add_node();
    }
    const std::uint32_t node = free_;
    free_ = nodes_[node].next;
    return node;
  }
  // What is seldom needed stays out of line: it would slow down what is.
  [[gnu::noinline]] std::uint32_t add_node() {
    nodes_.emplace_back();
    return static_cast<std::uint32_t>(nodes_.size() - 1);
  }
  // The first used bucket at or after `from`, around the wheel. REQUIRES: there is one.
  [[nodiscard]] std::uint64_t first_bucket(std::uint64_t from) const {
    std::uint64_t word = from / 64;
    std::uint64_t bits = used_[word] & (~std::uint64_t{0} << from % 64);
    while (bits == 0) {
      word = (word + 1) % used_.size();
      bits = used_[word];
    }
    return word * 64 + static_cast<std::uint64_t>(std::countr_zero(bits));
  }
  [[gnu::noinline]] void push_far(Event event) {
    heap_.push_back(event);
    std::push_heap(heap_.begin(), heap_.end(), later);
  }
  [[gnu::noinline]] Event pop_far() {
    std::pop_heap(heap_.begin(), heap_.end(), later);
    const Event event = heap_.back();
    heap_.pop_back();
    return event;
  }

  std::array<std::uint64_t, kBuckets / 64> used_{};
  std::array<Bucket, kBuckets> buckets_{};
  std::vector<Node> nodes_;
  std::uint32_t free_ = kNone;
  std::uint32_t in_wheel_ = 0;
  std::vector<Event> heap_;
};

}  // namespace smmulab::smmu::timed

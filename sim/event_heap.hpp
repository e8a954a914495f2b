// SPDX-License-Identifier: Apache-2.0
// A 4-ary min-heap of wake-ups in the total order (time, priority, sequence).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "sim/time.hpp"

namespace smmulab {

class Process;

// Priority in the top 8 bits, sequence below: one comparison decides both.
using EventOrder = std::uint64_t;

struct Event {
  SimTime time;
  EventOrder order;
  Process* process;
  [[nodiscard]] bool before(const Event& other) const {
    return time != other.time ? time < other.time : order < other.order;
  }
};

// Whoever takes an event most often puts in another next. So pop() leaves a gap at the root, which
// the next push() fills on one way down; only a second pop() closes it.
class EventHeap {
 public:
  [[nodiscard]] bool empty() const { return size() == 0; }
  [[nodiscard]] std::size_t size() const { return items_.size() - (gap_ ? 1 : 0); }
  // REQUIRES: !empty()
  [[nodiscard]] const Event& top() const { return items_[least_]; }
  void clear() {
    items_.clear();
    gap_ = false;
    least_ = 0;
  }

  void push(const Event& event) {
    if (gap_) {
      fill_gap(event);
      return;
    }
    std::size_t i = items_.size();
    items_.push_back(event);
    while (i > 0) {
      const std::size_t parent = (i - 1) / kArity;
      if (!event.before(items_[parent])) {
        break;
      }
      items_[i] = items_[parent];
      i = parent;
    }
    items_[i] = event;
  }

  // REQUIRES: !empty()
  void pop() {
    if (gap_) {
      const Event last = items_.back();
      items_.pop_back();
      fill_gap(last);  // not the last one itself: there is one to pop beside the gap
    }
    gap_ = true;
    least_ = least_child(0);
  }

 private:
  static constexpr std::size_t kArity = 4;

  // Of items_[i]; 0: it has none.
  [[nodiscard]] std::size_t least_child(std::size_t i) const {
    const std::size_t n = items_.size();
    const std::size_t first = i * kArity + 1;
    if (first >= n) {
      return 0;
    }
    std::size_t least = first;
    const std::size_t end = first + kArity < n ? first + kArity : n;
    for (std::size_t child = first + 1; child < end; ++child) {
      if (items_[child].before(items_[least])) {
        least = child;
      }
    }
    return least;
  }

  // The root's least child may have been counted among the items when least_ was found, and be
  // gone now: then it is `event` itself.
  void fill_gap(const Event& event) {
    std::size_t i = 0;
    std::size_t child = least_ < items_.size() ? least_ : least_child(0);
    while (child != 0 && items_[child].before(event)) {
      items_[i] = items_[child];
      i = child;
      child = least_child(i);
    }
    items_[i] = event;
    gap_ = false;
    least_ = 0;
  }

  std::vector<Event> items_;
  std::size_t least_ = 0;  // where top() is
  bool gap_ = false;       // items_[0] is none
};

}  // namespace smmulab

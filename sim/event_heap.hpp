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

class EventHeap {
 public:
  [[nodiscard]] bool empty() const { return items_.empty(); }
  [[nodiscard]] std::size_t size() const { return items_.size(); }
  [[nodiscard]] const Event& top() const { return items_.front(); }
  void clear() { items_.clear(); }

  void push(const Event& event) {
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

  void pop() {
    const Event last = items_.back();
    items_.pop_back();
    const std::size_t n = items_.size();
    if (n == 0) {
      return;
    }
    std::size_t i = 0;
    for (;;) {
      const std::size_t first = i * kArity + 1;
      if (first >= n) {
        break;
      }
      std::size_t least = first;
      const std::size_t end = first + kArity < n ? first + kArity : n;
      for (std::size_t child = first + 1; child < end; ++child) {
        if (items_[child].before(items_[least])) {
          least = child;
        }
      }
      if (!items_[least].before(last)) {
        break;
      }
      items_[i] = items_[least];
      i = least;
    }
    items_[i] = last;
  }

 private:
  static constexpr std::size_t kArity = 4;
  std::vector<Event> items_;
};

}  // namespace smmulab

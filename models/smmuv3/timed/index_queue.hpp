// SPDX-License-Identifier: Apache-2.0
// IndexQueue: a first-in first-out queue of slot numbers with room for all of them from the start.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/check.hpp"

namespace smmulab::smmu::timed {

class IndexQueue {
 public:
  explicit IndexQueue(std::size_t capacity) : items_(capacity) {}
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] std::size_t size() const { return size_; }
  void push(std::uint32_t item) {
    SMMULAB_CHECK(size_ < items_.size(), "index queue is full");
    std::size_t at = head_ + size_++;
    at -= at >= items_.size() ? items_.size() : 0;
    items_[at] = item;
  }
  // REQUIRES: not empty.
  std::uint32_t pop() {
    const std::uint32_t item = items_[head_];
    head_ = head_ + 1 == items_.size() ? 0 : head_ + 1;
    --size_;
    return item;
  }

 private:
  std::vector<std::uint32_t> items_;
  std::size_t head_ = 0;
  std::size_t size_ = 0;
};

}  // namespace smmulab::smmu::timed

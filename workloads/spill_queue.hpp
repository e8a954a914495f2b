// SPDX-License-Identifier: Apache-2.0
// SpillQueue<T>: a first-in-first-out queue of trivially copyable (and default-constructible)
// values. Whole chunks in its middle go to the pool's file when the pool's memory budget is used
// up, so that a queue of any length holds at most two chunks of its own (its head and its tail)
// beyond the budget that all queues share.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "sim/check.hpp"
#include "workloads/spill_pool.hpp"

namespace smmulab::workloads {

template <class T>
  requires std::is_trivially_copyable_v<T>
class SpillQueue {
 public:
  explicit SpillQueue(SpillPool& pool)
      : pool_(&pool), per_chunk_(std::max<std::size_t>(1, pool.chunk_bytes() / sizeof(T))) {
    SMMULAB_CHECK(sizeof(T) <= pool.chunk_bytes(), "SpillQueue: a value is larger than a chunk");
  }
  SpillQueue(const SpillQueue&) = delete;
  SpillQueue& operator=(const SpillQueue&) = delete;
  SpillQueue(SpillQueue&& other) noexcept
      : pool_(other.pool_),
        per_chunk_(other.per_chunk_),
        head_(std::move(other.head_)),
        head_at_(std::exchange(other.head_at_, 0)),
        middle_(std::move(other.middle_)),
        tail_(std::move(other.tail_)),
        size_(std::exchange(other.size_, 0)) {
    other.head_.clear();
    other.middle_.clear();
    other.tail_.clear();
  }
  SpillQueue& operator=(SpillQueue&&) = delete;
  ~SpillQueue() {
    for (const Chunk& chunk : middle_) {
      if (chunk.spilled) {
        pool_->discard(chunk.slot);
      } else {
        pool_->release();
      }
    }
  }

  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] std::uint64_t size() const { return size_; }

  void push(const T& value) {
    tail_.push_back(value);
    ++size_;
    if (tail_.size() == per_chunk_) {
      close_tail();
    }
  }
  // REQUIRES: not empty. Valid until the next pop().
  [[nodiscard]] const T& front() {
    SMMULAB_ASSERT(size_ > 0, "SpillQueue::front: empty");
    refill();
    return head_[head_at_];
  }
  // REQUIRES: not empty.
  void pop() {
    SMMULAB_ASSERT(size_ > 0, "SpillQueue::pop: empty");
    refill();
    ++head_at_;
    --size_;
  }

 private:
  struct Chunk {
    std::vector<T> values;  // if not spilled
    std::uint32_t slot = 0;
    bool spilled = false;
  };

  void close_tail() {
    Chunk chunk;
    if (pool_->reserve()) {
      chunk.values = std::exchange(tail_, {});
    } else {
      chunk.slot = pool_->store(std::as_bytes(std::span(tail_)));
      chunk.spilled = true;
      tail_.clear();
    }
    middle_.push_back(std::move(chunk));
  }

  void refill() {
    if (head_at_ < head_.size()) {
      return;
    }
    head_at_ = 0;
    if (middle_.empty()) {
      head_.clear();
      std::swap(head_, tail_);
      return;
    }
    Chunk& chunk = middle_.front();
    if (chunk.spilled) {
      head_.resize(per_chunk_);
      pool_->load(chunk.slot, std::as_writable_bytes(std::span(head_)));
    } else {
      head_ = std::move(chunk.values);
      pool_->release();
    }
    middle_.pop_front();
  }

  SpillPool* pool_;
  std::size_t per_chunk_;  // values
  std::vector<T> head_;    // [head_at_, end) come first
  std::size_t head_at_ = 0;
  std::deque<Chunk> middle_;  // full chunks
  std::vector<T> tail_;
  std::uint64_t size_ = 0;
};

}  // namespace smmulab::workloads

// SPDX-License-Identifier: Apache-2.0
#include "sim/event_heap.hpp"

#include <cstdint>
#include <map>
#include <utility>

#include <gtest/gtest.h>

#include "sim/time.hpp"

namespace smmulab {
namespace {

Event event_at(std::int64_t ps, EventOrder order) {
  return {SimTime{Ps{ps}}, order, nullptr};
}

TEST(EventHeap, GivesTimeFirstThenOrder) {
  EventHeap heap;
  EXPECT_TRUE(heap.empty());
  heap.push(event_at(2, 1));
  heap.push(event_at(1, 9));
  heap.push(event_at(1, 3));
  EXPECT_EQ(heap.size(), 3U);
  EXPECT_EQ(heap.top().order, 3U);
  heap.pop();
  EXPECT_EQ(heap.top().order, 9U);
  heap.pop();
  EXPECT_EQ(heap.top().order, 1U);
  heap.pop();
  EXPECT_TRUE(heap.empty());
}

TEST(EventHeap, ThePriorityByteBeatsTheSequence) {
  EventHeap heap;
  heap.push(event_at(5, (EventOrder{2} << 56U) | 1U));
  heap.push(event_at(5, (EventOrder{1} << 56U) | 900U));
  EXPECT_EQ(heap.top().order & 0xffffU, 900U);
}

TEST(EventHeap, ClearsEverything) {
  EventHeap heap;
  heap.push(event_at(5, 1));
  heap.push(event_at(4, 2));
  heap.clear();
  EXPECT_TRUE(heap.empty());
}

// Pushes and pops at random, with many equal times, against a sorted map.
TEST(EventHeap, AgreesWithASortedMap) {
  EventHeap heap;
  std::map<std::pair<std::int64_t, EventOrder>, bool> reference;
  std::uint64_t state = 7;
  for (EventOrder sequence = 1; sequence <= 20'000; ++sequence) {
    state = state * 6'364'136'223'846'793'005U + 1'442'695'040'888'963'407U;
    const std::uint64_t draw = state >> 33U;
    // Grows for 5000 steps, shrinks for 5000, and so on.
    const bool shrink = (sequence / 5'000) % 2 == 1;
    if (!reference.empty() && draw % 4 < (shrink ? 3U : 1U)) {
      ASSERT_EQ(to_ps(heap.top().time), reference.begin()->first.first);
      ASSERT_EQ(heap.top().order, reference.begin()->first.second);
      heap.pop();
      reference.erase(reference.begin());
    } else {
      const auto time = static_cast<std::int64_t>(draw / 4 % 50);
      const EventOrder order = ((draw / 200 % 3 + 1) << 56U) | sequence;
      heap.push(event_at(time, order));
      reference.emplace(std::pair(time, order), true);
    }
    ASSERT_EQ(heap.size(), reference.size());
  }
  for (; !reference.empty(); reference.erase(reference.begin()), heap.pop()) {
    ASSERT_EQ(heap.top().order, reference.begin()->first.second);
  }
  EXPECT_TRUE(heap.empty());
}

}  // namespace
}  // namespace smmulab

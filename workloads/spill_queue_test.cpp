// SPDX-License-Identifier: Apache-2.0
#include "workloads/spill_queue.hpp"

#include <cstdint>
#include <cstdlib>
#include <deque>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace smmulab::workloads {
namespace {

struct Item {
  std::uint64_t number;
  std::uint64_t square;
};

TEST(SpillQueueTest, KeepsOrderInMemory) {
  SpillPool pool(1 << 20);
  SpillQueue<Item> queue(pool);
  EXPECT_TRUE(queue.empty());
  for (std::uint64_t i = 0; i < 100; ++i) {
    queue.push({i, i * i});
  }
  for (std::uint64_t i = 0; i < 100; ++i) {
    ASSERT_EQ(queue.size(), 100 - i);
    ASSERT_EQ(queue.front().number, i);
    ASSERT_EQ(queue.front().square, i * i);
    queue.pop();
  }
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(pool.file_bytes(), 0U);
}

TEST(SpillQueueTest, SpillsBeyondTheBudgetAndReusesSlots) {
  SpillPool pool(8 * 1024, 1024);
  SpillQueue<Item> queue(pool);
  constexpr std::uint64_t kItems = 64 * 100;  // 100 chunks of 64
  for (int round = 0; round < 3; ++round) {
    for (std::uint64_t i = 0; i < kItems; ++i) {
      queue.push({i, i * i});
      ASSERT_LE(pool.bytes_in_memory(), 8U * 1024);
    }
    EXPECT_EQ(pool.file_bytes(), 92U * 1024);
    for (std::uint64_t i = 0; i < kItems; ++i) {
      ASSERT_EQ(queue.front().number, i);
      ASSERT_EQ(queue.front().square, i * i);
      queue.pop();
    }
    EXPECT_EQ(pool.bytes_in_memory(), 0U);
  }
}

TEST(SpillQueueTest, QueuesShareOnePool) {
  SpillPool pool(0, 256);
  std::vector<SpillQueue<std::uint32_t>> queues;
  for (int q = 0; q < 5; ++q) {
    queues.emplace_back(pool);
  }
  std::vector<std::deque<std::uint32_t>> expected(5);
  std::uint32_t state = 1;
  for (std::uint32_t i = 0; i < 20'000; ++i) {
    state = state * 1'664'525U + 1'013'904'223U;
    const std::size_t q = (state >> 8U) % 5;
    if ((state >> 16U) % 3 != 0 || expected[q].empty()) {
      queues[q].push(i);
      expected[q].push_back(i);
    } else {
      ASSERT_EQ(queues[q].front(), expected[q].front());
      queues[q].pop();
      expected[q].pop_front();
    }
    ASSERT_EQ(queues[q].size(), expected[q].size());
  }
  EXPECT_GT(pool.file_bytes(), 0U);
}

TEST(SpillQueueTest, DestroyedQueueGivesItsChunksBack) {
  SpillPool pool(512, 256);
  for (int round = 0; round < 4; ++round) {
    SpillQueue<std::uint64_t> queue(pool);
    for (std::uint64_t i = 0; i < 1000; ++i) {
      queue.push(i);
    }
  }
  EXPECT_EQ(pool.bytes_in_memory(), 0U);
  EXPECT_LE(pool.file_bytes(), 32U * 256);
}

TEST(SpillQueueTest, UnwritableFolderIsAConfigError) {
  const char* before = std::getenv("TMPDIR");
  const std::string saved = before == nullptr ? "" : before;
  ::setenv("TMPDIR", "/nonexistent-folder", 1);
  SpillPool pool(0, 64);
  SpillQueue<std::uint64_t> queue(pool);
  const auto fill = [&] {
    for (std::uint64_t i = 0; i < 100; ++i) {
      queue.push(i);
    }
  };
  EXPECT_THROW(fill(), ConfigError);
  before == nullptr ? ::unsetenv("TMPDIR") : ::setenv("TMPDIR", saved.c_str(), 1);
}

}  // namespace
}  // namespace smmulab::workloads

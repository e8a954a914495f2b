// SPDX-License-Identifier: Apache-2.0
#include "sim/task.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "sim/engine.hpp"
#include "sim/frame_pool.hpp"
#include "sim/sanitized_testing.hpp"

namespace smmulab {
namespace {

using Log = std::vector<std::string>;

// Counts the living ones; copies are not wanted.
class Guard {
 public:
  explicit Guard(int* living) : living_(living) { ++*living_; }
  Guard(Guard&& other) noexcept : living_(std::exchange(other.living_, nullptr)) {}
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;
  Guard& operator=(Guard&&) = delete;
  ~Guard() {
    if (living_ != nullptr) {
      --*living_;
    }
  }

 private:
  int* living_;
};

void run_alone(Task<> task) {
  Engine engine;
  engine.spawn(std::move(task), {"main", "test"});
  engine.run();
}

Task<int> square(int x) {
  co_return x* x;
}
Task<std::unique_ptr<int>> boxed(int x) {
  co_return std::make_unique<int>(x);
}
Task<std::string> named(const char* name) {
  co_return name;
}

Task<> take_values(Log* log) {
  log->push_back(std::to_string(co_await square(7)));
  log->push_back(std::to_string(*co_await boxed(8)));
  log->push_back(co_await named("nine"));
  Task<int> later = square(3);
  log->push_back("made");
  log->push_back(std::to_string(co_await std::move(later)));
}

TEST(Task, GivesValues) {
  Log log;
  run_alone(take_values(&log));
  EXPECT_EQ(log, (Log{"49", "8", "nine", "made", "9"}));
}

Task<> note(Log* log, const char* text) {
  log->push_back(text);
  co_return;
}

Task<> await_late(Log* log) {
  Task<> task = note(log, "inner");
  log->push_back("outer");
  co_await task;
  EXPECT_TRUE(task.done());
  log->push_back("end");
}

TEST(Task, IsLazy) {
  Log log;
  {
    const Task<> never = note(&log, "never");
  }
  EXPECT_TRUE(log.empty());
  run_alone(await_late(&log));
  EXPECT_EQ(log, (Log{"outer", "inner", "end"}));
}

TEST(Task, MovesItsFrame) {
  Log log;
  Task<> a = note(&log, "a");
  Task<> b = std::move(a);
  EXPECT_FALSE(a.valid());  // NOLINT(bugprone-use-after-move): empty after the move, by contract
  EXPECT_TRUE(b.valid());
  b = note(&log, "b");  // the first frame is freed
  run_alone(std::move(b));
  EXPECT_EQ(log, (Log{"b"}));
  EXPECT_FALSE(Task<int>().valid());
}

Task<int> fail(std::string text) {
  co_await square(1);
  throw std::out_of_range(text);
}

Task<int> pass_on(Guard /*guard*/, std::string text) {
  co_return co_await fail(std::move(text)) + 1;
}

Task<> catch_it(Log* log, int* living) {
  for (int i = 0; i < 3; ++i) {
    try {
      co_await pass_on(Guard(living), "no " + std::to_string(i));
      log->push_back("not reached");
    } catch (const std::out_of_range& e) {
      log->push_back(e.what());
      EXPECT_EQ(*living, 0);
    }
  }
}

TEST(Task, ExceptionsLeaveThroughAwaitAndFreeTheFrames) {
  Log log;
  int living = 0;
  run_alone(catch_it(&log, &living));
  EXPECT_EQ(log, (Log{"no 0", "no 1", "no 2"}));
}

Task<> hold(Guard /*guard*/, Task<> inner) {
  co_await inner;
}
Task<> nothing() {
  co_return;
}

TEST(Task, OwnsItsArgumentsBeforeItStarts) {
  int living = 0;
  {
    const Task<> outer = hold(Guard(&living), hold(Guard(&living), nothing()));
    EXPECT_EQ(living, 2);
  }
  EXPECT_EQ(living, 0);
}

// How far the host stack reaches, seen from a task's body.
[[gnu::noinline]] std::uintptr_t stack_here() {
  return reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
}

struct StackSpan {
  std::uintptr_t low = UINTPTR_MAX;
  std::uintptr_t high = 0;
  void see() {
    low = std::min(low, stack_here());
    high = std::max(high, stack_here());
  }
  [[nodiscard]] std::size_t bytes() const { return high - low; }
};

Task<std::string> leaf(StackSpan* span, int i) {
  span->see();
  co_return std::string(static_cast<std::size_t>(i % 40), 'x');
}

// Temporaries, an exception and a guard per turn: all that may keep a compiler from a tail call.
Task<int> middle(StackSpan* span, int* living, int i) {
  const Guard guard(living);
  const std::string twice = co_await leaf(span, i) + co_await leaf(span, i);
  int sum = twice.size() == static_cast<std::size_t>(i % 40 * 2) ? 1 : 0;
  if (i % 50 == 0) {
    try {
      co_await fail("x" + std::to_string(i));
    } catch (const std::out_of_range& e) {
      sum += e.what()[0] == 'x' ? 1 : 0;
    }
  }
  std::array<char, 64> block{};
  block.at(static_cast<std::size_t>(i % 64)) = static_cast<char>(co_await square(1));
  co_return sum + block.at(static_cast<std::size_t>(i % 64));
}

Task<> await_often(StackSpan* span, int* living, int times, std::int64_t* sum) {
  for (int i = 1; i <= times; ++i) {
    *sum += co_await middle(span, living, i);
  }
}

Task<int> recurse(StackSpan* span, int depth) {
  span->see();
  if (depth == 0) {
    co_return 0;
  }
  const int below = co_await recurse(span, depth - 1);
  co_return below + 1;
}

Task<> recurse_once(StackSpan* span, int depth, int* result) {
  *result = co_await recurse(span, depth);
}

constexpr std::size_t kStackLimit = 4096;
constexpr const char* kFlags =
    "symmetric transfer needs tail calls: -foptimize-sibling-calls, and under AddressSanitizer "
    "with "
    "g++ also --param asan-stack=0";

// AddressSanitizer's frames on the stack keep g++ from making tail calls.
constexpr bool kTailCalls = !kSanitized;

TEST(Task, AwaitingInALoopTakesNoStack) {
  if (!kTailCalls) {
    GTEST_SKIP() << kFlags;
  }
  StackSpan span;
  int living = 0;
  std::int64_t sum = 0;
  run_alone(await_often(&span, &living, 100, &sum));
  ASSERT_LT(span.bytes(), kStackLimit) << kFlags;
  sum = 0;
  run_alone(await_often(&span, &living, 100'000, &sum));
  EXPECT_LT(span.bytes(), kStackLimit);
  EXPECT_EQ(sum, 100'000 * 2 + 2'000);
  EXPECT_EQ(living, 0);
}

TEST(Task, AwaitingInDepthTakesNoStack) {
  if (!kTailCalls) {
    GTEST_SKIP() << kFlags;
  }
  StackSpan span;
  int result = 0;
  run_alone(recurse_once(&span, 100, &result));
  ASSERT_LT(span.bytes(), kStackLimit) << kFlags;
  run_alone(recurse_once(&span, 100'000, &result));
  EXPECT_LT(span.bytes(), kStackLimit);
  EXPECT_EQ(result, 100'000);
}

TEST(FramePool, BlocksAreApartAndAligned) {
  std::vector<std::pair<unsigned char*, std::size_t>> blocks;
  for (std::size_t i = 0; i < 400; ++i) {
    const std::size_t size = i * 53 % 3000 + 1;  // all classes, and above the largest
    auto* block = static_cast<unsigned char*>(detail::allocate_frame(size));
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block) % __STDCPP_DEFAULT_NEW_ALIGNMENT__, 0U);
    std::memset(block, static_cast<int>(i % 251), size);
    blocks.emplace_back(block, size);
  }
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const auto [block, size] = blocks[i];
    EXPECT_TRUE(std::all_of(block, block + size, [&](unsigned char c) { return c == i % 251; }));
    detail::release_frame(block, size);
  }
}

#if !defined(__SANITIZE_ADDRESS__)
TEST(FramePool, ReusesTheLastFrameOfAClass) {
  void* const a = detail::allocate_frame(100);
  detail::release_frame(a, 100);
  void* const b = detail::allocate_frame(128);  // the same class of 64 bytes
  EXPECT_EQ(a, b);
  void* const c = detail::allocate_frame(129);
  EXPECT_NE(b, c);
  detail::release_frame(c, 129);
  detail::release_frame(b, 128);
}
#endif

TEST(FramePool, EveryHostThreadHasItsOwn) {
  std::array<Log, 2> logs;
  std::thread other([&] { run_alone(take_values(&logs[0])); });
  run_alone(take_values(&logs[1]));
  other.join();
  EXPECT_EQ(logs[0], logs[1]);
}

}  // namespace
}  // namespace smmulab

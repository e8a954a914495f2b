// SPDX-License-Identifier: Apache-2.0
#include "bench/bare_loop.hpp"

#include <coroutine>
#include <exception>
#include <vector>

#include "bench/delays.hpp"

namespace smmulab::bench {
namespace {

struct Entry {
  std::int64_t time;
  std::uint64_t sequence;
  std::coroutine_handle<> process;
  [[nodiscard]] bool before(const Entry& other) const {
    return time != other.time ? time < other.time : sequence < other.sequence;
  }
};

class Heap {
 public:
  [[nodiscard]] bool empty() const { return entries_.empty(); }

  void push(const Entry& entry) {
    std::size_t i = entries_.size();
    entries_.push_back(entry);
    for (; i > 0; i = (i - 1) / 4) {
      const Entry& parent = entries_[(i - 1) / 4];
      if (!entry.before(parent)) {
        break;
      }
      entries_[i] = parent;
    }
    entries_[i] = entry;
  }

  Entry pop() {
    const Entry top = entries_.front();
    const Entry last = entries_.back();
    entries_.pop_back();
    if (!entries_.empty()) {
      sink(last);
    }
    return top;
  }

 private:
  void sink(const Entry& entry) {
    const std::size_t n = entries_.size();
    std::size_t i = 0;
    for (std::size_t first = 1; first < n; first = 4 * i + 1) {
      const std::size_t end = first + 4 < n ? first + 4 : n;
      std::size_t least = first;
      for (std::size_t child = first + 1; child < end; ++child) {
        if (entries_[child].before(entries_[least])) {
          least = child;
        }
      }
      if (!entries_[least].before(entry)) {
        break;
      }
      entries_[i] = entries_[least];
      i = least;
    }
    entries_[i] = entry;
  }

  std::vector<Entry> entries_;
};

// A coroutine that frees itself at its end.
struct Detached {
  struct promise_type {
    Detached get_return_object() {
      return {std::coroutine_handle<promise_type>::from_promise(*this)};
    }
    [[nodiscard]] std::suspend_always initial_suspend() const noexcept { return {}; }
    [[nodiscard]] std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }
  };
  std::coroutine_handle<> handle;
};

class Loop {
 public:
  struct Delay {
    Loop& loop;
    Ps duration;
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> h) const {
      loop.schedule(loop.now_ + duration.count(), h);
    }
    void await_resume() const noexcept {}
  };

  void schedule(std::int64_t at, std::coroutine_handle<> h) { heap_.push({at, ++sequence_, h}); }
  [[nodiscard]] Delay delay(Ps d) { return {*this, d}; }
  void run() {
    while (!heap_.empty()) {
      const Entry next = heap_.pop();
      now_ = next.time;
      next.process.resume();
    }
  }

 private:
  Heap heap_;
  std::int64_t now_ = 0;
  std::uint64_t sequence_ = 0;
};

Detached process(Loop& loop, std::uint32_t index, std::uint64_t steps) {
  Delays delays(index);
  for (std::uint64_t i = 0; i < steps; ++i) {
    co_await loop.delay(delays.next());
  }
}

}  // namespace

Sample run_bare_loop(std::uint32_t processes, std::uint64_t events) {
  const std::uint64_t steps = events / processes;
  Loop loop;
  for (std::uint32_t i = 0; i < processes; ++i) {
    loop.schedule(0, process(loop, i, steps).handle);
  }
  const Meter meter;
  loop.run();
  return meter.stop(steps * processes);
}

}  // namespace smmulab::bench

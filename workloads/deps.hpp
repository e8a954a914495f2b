// SPDX-License-Identifier: Apache-2.0
// What an operation of a replay waits for, in constant space.
//
// Progress is told by counters that only grow:
//  - counter t < number of threads is thread t's clock: how many of its operations have ended. A
//    thread runs its operations one after another in file order, so "operation k of thread t has
//    ended" reads "clock t >= k + 1";
//  - every other counter belongs to one object (from one making to its end: a generation) and
//    counts the ended operations that named it. Only what destroys the object waits for it.
// A wait is met once its counter has reached `needed`. Each wait is for operations that stand
// earlier in the file, so a replay in which each thread keeps file order cannot deadlock by waits.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <type_traits>
#include <unordered_map>
#include <vector>

#include "sim/check.hpp"
#include "workloads/op.hpp"

namespace smmulab::workloads {

using CounterId = std::uint64_t;
inline constexpr CounterId kNoCounter = ~CounterId{0};

// One generation of an object; unlike its id never used again. 0 = none.
using Generation = std::uint64_t;

struct Wait {
  CounterId counter = 0;
  std::uint64_t needed = 0;
  friend bool operator==(const Wait&, const Wait&) = default;
};

// Trivially copyable: queued (and spilled) beside its Op.
struct Deps {
  static constexpr std::size_t kMaxWaits = 4;
  static constexpr std::size_t kMaxSignals = 4;

  std::array<Wait, kMaxWaits> wait_list{};
  std::array<CounterId, kMaxSignals> signal_list{};
  // No operation will wait for or signal these counters any more.
  std::array<CounterId, 2> closes{kNoCounter, kNoCounter};
  Generation object = 0;  // what op.object, op.pt, op.old stand for; 0 if not alive (or absent)
  Generation pt = 0;
  Generation old = 0;  // for detach and replace without old=: what the trace last attached
  std::uint8_t waits_used = 0;
  std::uint8_t signals_used = 0;

  [[nodiscard]] std::span<const Wait> waits() const { return {wait_list.data(), waits_used}; }
  // Object counters that grow by one when the operation ends; its thread's clock does anyway.
  [[nodiscard]] std::span<const CounterId> signals() const {
    return {signal_list.data(), signals_used};
  }
};
static_assert(std::is_trivially_copyable_v<Deps>);

// The counters of a running replay. Memory: threads, and objects alive between reading and running.
class Progress {
 public:
  explicit Progress(std::size_t threads) : clocks_(threads) {}

  [[nodiscard]] std::uint64_t value(CounterId counter) const {
    if (counter < clocks_.size()) {
      return clocks_[counter];
    }
    const auto it = counts_.find(counter);
    return it == counts_.end() ? 0 : it->second;
  }
  [[nodiscard]] bool met(const Wait& wait) const { return value(wait.counter) >= wait.needed; }
  // The first wait that is not met, or nullptr: the operation may begin.
  [[nodiscard]] const Wait* unmet(const Deps& deps) const {
    for (const Wait& wait : deps.waits()) {
      if (!met(wait)) {
        return &wait;
      }
    }
    return nullptr;
  }
  // The operation has ended. `changed(counter, value)` is called for each counter that grew, so
  // that the caller can wake who waits for it.
  template <class F>
  void ended(const Op& op, const Deps& deps, F&& changed) {
    SMMULAB_ASSERT(op.thread.value() < clocks_.size(), "Progress::ended: unknown thread");
    changed(CounterId{op.thread.value()}, ++clocks_[op.thread.value()]);
    for (const CounterId counter : deps.signals()) {
      changed(counter, ++counts_[counter]);
    }
    for (const CounterId counter : deps.closes) {
      if (counter != kNoCounter) {
        counts_.erase(counter);
      }
    }
  }
  [[nodiscard]] std::size_t open_counters() const { return counts_.size(); }

 private:
  std::vector<std::uint64_t> clocks_;
  std::unordered_map<CounterId, std::uint64_t> counts_;  // looked up only
};

}  // namespace smmulab::workloads

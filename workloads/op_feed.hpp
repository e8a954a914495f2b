// SPDX-License-Identifier: Apache-2.0
// OpFeed: hands a trace's operations to its threads, each in file order, reading no further than a
// thread needs; says what an operation must wait for (dependencies, phases) and is told when one
// has ended. Memory: a budget for queued operations, the rest spills.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "workloads/dependency_tracker.hpp"
#include "workloads/spill_queue.hpp"
#include "workloads/trace_reader.hpp"

namespace smmulab::workloads {

class OpFeed {
 public:
  struct Item {
    Op op;
    Deps deps;
    std::uint64_t barrier = 0;  // operations before the last phase line; all must have ended
    std::uint32_t phase = 0;    // index into phases()
  };

  OpFeed(const std::string& path, std::size_t memory_bytes);

  [[nodiscard]] const TraceHeader& header() const { return reader_.header(); }
  // The thread's next operation, valid until the next call for that thread; null: it has no more.
  [[nodiscard]] const Item* next(ThreadIndex thread);
  // May the operation begin?
  [[nodiscard]] bool ready(const Item& item) const {
    return ended_ >= item.barrier && progress_.unmet(item.deps) == nullptr;
  }
  void ended(const Item& item) {
    ++ended_;
    progress_.ended(item.op, item.deps, [](CounterId, std::uint64_t) {});
  }
  [[nodiscard]] std::uint64_t operations_ended() const { return ended_; }
  // What keeps it from beginning, in words.
  [[nodiscard]] std::string why_not(const Item& item) const;
  [[nodiscard]] const std::vector<std::string>& phases() const { return phases_; }

 private:
  struct ThreadOps {
    explicit ThreadOps(SpillPool& pool) : queue(pool) {}
    SpillQueue<Item> queue;
    bool taken = false;  // its first was given to the thread
  };
  void read_for(const ThreadOps& thread);

  TraceReader reader_;
  DependencyTracker tracker_;
  Progress progress_;
  SpillPool pool_;
  std::vector<ThreadOps> threads_;
  std::vector<std::string> phases_{"start"};
  std::uint64_t barrier_ = 0;
  std::uint64_t ended_ = 0;
  bool at_end_ = false;
};

}  // namespace smmulab::workloads

// SPDX-License-Identifier: Apache-2.0
#include "workloads/op_feed.hpp"

#include <fmt/format.h>

namespace smmulab::workloads {

OpFeed::OpFeed(const std::string& path, std::size_t memory_bytes)
    : reader_(path),
      tracker_(reader_.header().threads.size()),
      progress_(reader_.header().threads.size()),
      pool_(memory_bytes) {
  threads_.reserve(reader_.header().threads.size());
  for (std::size_t i = 0; i < reader_.header().threads.size(); ++i) {
    threads_.emplace_back(pool_);
  }
}

const OpFeed::Item* OpFeed::next(ThreadIndex thread) {
  ThreadOps& mine = threads_[thread.value()];
  if (mine.taken) {
    mine.queue.pop();
  }
  if (mine.queue.empty() && !at_end_) {
    read_for(mine);
  }
  mine.taken = !mine.queue.empty();
  return mine.taken ? &mine.queue.front() : nullptr;
}

// Until the thread has an operation, or the trace ends.
void OpFeed::read_for(const ThreadOps& thread) {
  Item read;
  while (thread.queue.empty()) {
    if (!reader_.next(read.op)) {
      at_end_ = true;
      return;
    }
    if (read.op.kind == OpKind::kPhase) {
      phases_.push_back(reader_.phase_name(read.op));
      barrier_ = read.op.seq;
      continue;
    }
    read.deps = tracker_.next(read.op);
    read.barrier = barrier_;
    read.phase = static_cast<std::uint32_t>(phases_.size() - 1);
    threads_[read.op.thread.value()].queue.push(read);
  }
}

std::string OpFeed::why_not(const Item& item) const {
  if (ended_ < item.barrier) {
    return fmt::format("phase {} ({} of {} operations before it have ended)", phases_[item.phase],
                       ended_, item.barrier);
  }
  const Wait* wait = progress_.unmet(item.deps);
  if (wait == nullptr) {
    return "nothing";
  }
  if (wait->counter < threads_.size()) {
    return fmt::format("operation {} of thread {}", wait->needed - 1,
                       reader_.header().threads[wait->counter].name);
  }
  return fmt::format("{} operations on its object", wait->needed);
}

}  // namespace smmulab::workloads

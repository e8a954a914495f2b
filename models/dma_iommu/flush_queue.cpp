// SPDX-License-Identifier: Apache-2.0
#include "models/dma_iommu/flush_queue.hpp"

#include <fmt/format.h>

namespace smmulab::dma_iommu {

FlushQueue::FlushQueue(lnx::Machine& machine, const DmaParams& params, smmu::Driver& driver,
                       smmu::Domain& domain, IovaDomain& iovas, StaleTime& stale)
    : machine_(machine),
      params_(params),
      driver_(driver),
      domain_(domain),
      iovas_(iovas),
      stale_(stale),
      rings_(machine.cpu_count()),
      counters_line_(machine, fmt::format("fq counters {}", domain.id)) {}

std::size_t FlushQueue::waiting() const {
  std::size_t sum = 0;
  for (const Ring& ring : rings_) {
    sum += ring.size();
  }
  return sum;
}

Task<void> FlushQueue::flush(lnx::Thread& t) {
  co_await counters_line_.write(t);
  ++started_;
  co_await t.run();
  const SimTime start = machine_.now();
  co_await driver_.flush_iotlb_all(t, domain_);
  co_await t.run();
  end_windows(start);
  co_await counters_line_.write(t);
  ++finished_;
}

// A flush that started at `start` has ended: it covers what was cleared before.
void FlushQueue::end_windows(SimTime start) {
  const SimTime end = machine_.now();
  if (start >= last_start_) {
    last_start_ = start;
    last_end_ = end;
  }
  for (Ring& ring : rings_) {
    // From the back: what an earlier flush covered is in front.
    for (auto entry = ring.rbegin(); entry != ring.rend() && !entry->flushed; ++entry) {
      if (entry->cleared.until <= start) {
        entry->flushed = true;
        stale_.add(end - entry->cleared.from);
      }
    }
  }
}

Task<void> FlushQueue::free_flushed(lnx::Thread& t, Ring& ring) {
  co_await counters_line_.read(t);
  while (!ring.empty() && ring.front().counter < finished_) {
    const Entry entry = ring.front();
    ring.pop_front();
    t.charge(params_.fq_free);
    co_await iovas_.free(t, entry.iova, entry.size);
  }
}

Task<void> FlushQueue::timer_work(lnx::Thread& t) {
  timer_due_ = kTimeMax;
  ++stat_.timeout_flushes;
  co_await flush(t);
  for (Ring& ring : rings_) {
    co_await free_flushed(t, ring);
  }
}

Task<void> FlushQueue::add(lnx::Thread& t, Iova iova, Bytes size, Cleared cleared) {
  ++stat_.queued;
  t.charge(params_.fq_add);
  co_await t.run();
  if (machine_.now() >= timer_due_) {
    co_await timer_work(t);
  }
  Ring& ring = rings_[t.cpu_index()];
  co_await free_flushed(t, ring);
  // One slot of the kernel's ring stays empty, to tell full from empty.
  if (ring.size() == params_.fq_entries - 1) {
    ++stat_.full_flushes;
    co_await flush(t);
    co_await free_flushed(t, ring);
  }
  const bool flushed = last_end_ != SimTime{} && cleared.until <= last_start_;
  if (flushed) {  // since it was cleared, by this very call or meanwhile by another CPU
    stale_.add(last_end_ - cleared.from);
  }
  ring.push_back({iova, size, started_, cleared, flushed});
  if (timer_due_ == kTimeMax) {
    co_await counters_line_.write(t);
    timer_due_ = machine_.now() + params_.fq_timeout;
  }
}

}  // namespace smmulab::dma_iommu

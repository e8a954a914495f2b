// SPDX-License-Identifier: Apache-2.0
// Flush queues of lazy mode: an unmapped IOVA waits in its CPU's ring until the TLB was flushed as
// a whole: when the ring is full, or some time after the first. Flushes are counted at start and
// end; an entry may go once a flush that started after it has ended, whoever did it. Rule:
// Linux 6.12 drivers/iommu/dma-iommu.c queue_iova(), fq_flush_iotlb(), fq_flush_timeout().
// Approximated: the timer's work is done by the next CPU that queues an IOVA after it is due, on
// that CPU's time, and so not at all if none does; it is due to the picosecond, not in whole
// jiffies. Each entry's window of use after unmap is measured (stale_time.hpp); it ends with the
// first flush that started after the unmap, which may be before the counters let the IOVA go. Not
// modelled: the single queue of virtual
// machines, page-table pages that wait with an IOVA, waiting for a ring's lock (others take it only
// in the timer's work).
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "models/dma_iommu/iova.hpp"
#include "models/dma_iommu/stale_time.hpp"
#include "models/linux/shared_line.hpp"
#include "models/smmuv3/driver/driver.hpp"

namespace smmulab::dma_iommu {

struct FlushQueueStat {
  std::uint64_t queued = 0;
  std::uint64_t full_flushes = 0;     // a ring was full
  std::uint64_t timeout_flushes = 0;  // the timer was due
};

class FlushQueue {
 public:
  FlushQueue(lnx::Machine& machine, const DmaParams& params, smmu::Driver& driver,
             smmu::Domain& domain, IovaDomain& iovas, StaleTime& stale);

  // When an unmap's first and last entry went out of the page table, at the soonest and at the
  // latest: a flush that starts in between may not cover it.
  struct Cleared {
    SimTime from, until;
  };
  // queue_iova() of what was unmapped then.
  Task<void> add(lnx::Thread& t, Iova iova, Bytes size, Cleared cleared);
  [[nodiscard]] const FlushQueueStat& stat() const { return stat_; }
  [[nodiscard]] std::size_t waiting() const;  // entries of all rings

 private:
  struct Entry {
    Iova iova;
    Bytes size;
    std::uint64_t counter;
    Cleared cleared;
    bool flushed;  // its window of use after unmap is over
  };
  using Ring = std::deque<Entry>;

  Task<void> flush(lnx::Thread& t);
  void end_windows(SimTime start);
  Task<void> free_flushed(lnx::Thread& t, Ring& ring);
  Task<void> timer_work(lnx::Thread& t);

  lnx::Machine& machine_;
  const DmaParams& params_;
  smmu::Driver& driver_;
  smmu::Domain& domain_;
  IovaDomain& iovas_;
  StaleTime& stale_;
  std::vector<Ring> rings_;  // by CPU
  std::uint64_t started_ = 0;
  std::uint64_t finished_ = 0;
  SimTime last_start_{};  // of the flush that started last among those that have ended
  SimTime last_end_{};
  lnx::SharedLine counters_line_;  // fq_flush_start_cnt, fq_flush_finish_cnt and fq_timer_on
  SimTime timer_due_ = kTimeMax;   // kTimeMax: off
  FlushQueueStat stat_;
};

}  // namespace smmulab::dma_iommu

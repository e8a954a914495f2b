// SPDX-License-Identifier: Apache-2.0
// What the tracepoints lock:contention_begin and lock:contention_end, and so `perf lock
// contention`, would have shown of the contention in a record. Linux 6.12 kernel/locking:
//   mutex     from the slow path on, optimistic spinning included: all of it
//   rwsem     once it queues to sleep: not a wait that ended while spinning, and of others not the
//             time spent spinning
//   spinlock  once it queues (qspinlock.c): not the first waiter, which spins on the pending bit
// Waits count from the request to the acquisition, so that the failed fast path is in them, as in
// blame.hpp. A spinlock's waiter counts as the first if no other request for that lock is open when
// it asks. Not here: fast paths that nothing delays (no contention in the model either), a kernel
// with lockdep, where every mutex_lock() is seen.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "analysis/lock_sequences.hpp"
#include "sim/record.hpp"

namespace smmulab::analysis {

struct TracepointRow {
  std::string lock_class;
  bool read = false;
  std::uint64_t contentions = 0;  // requests that found the lock taken and were granted
  Ps wait{0};
  std::uint64_t seen = 0;  // those that the tracepoints show
  Ps seen_wait{0};
};

// Most unseen time first, then by name. Only classes with contention.
[[nodiscard]] std::vector<TracepointRow> tracepoints(const Record& record,
                                                     const LockLetter& letter);
[[nodiscard]] std::string to_json(const std::vector<TracepointRow>& rows);

}  // namespace smmulab::analysis

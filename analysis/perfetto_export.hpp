// SPDX-License-Identifier: Apache-2.0
// A record as a trace for Perfetto (ui.perfetto.dev), streamed. Tracks:
//   threads         operations; in them waits for locks and objects; asleep, preempted
//   CPUs            which thread is on it
//   locks           who holds it, or how many readers; of locks that somebody waited for
//   command queues  commands issued and not yet known to be consumed: a counter, and "busy"
//   DMA             dark times of a device
// Flows: from a release to each acquisition that it let in, from a wake-up to when the woken runs.
// A wait that never ends (a deadlock) is open to the end of the trace.
// Not here: single commands (the record has their issue, but not when each was consumed), locks
// that nobody waited for, time below a nanosecond.
#pragma once

#include <iosfwd>

#include "analysis/timelines.hpp"

namespace smmulab::analysis {

void write_perfetto(const Timelines& timelines, std::ostream& out);

}  // namespace smmulab::analysis

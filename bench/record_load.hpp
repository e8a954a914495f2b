// SPDX-License-Identifier: Apache-2.0
// What a record costs: reading one with all analyses.
#pragma once

#include <cstdint>

#include "bench/temp_trace.hpp"

namespace smmulab::bench {

struct AnalysisSample {
  double events = 0;
  double wall_s = 0;
  double cpu_s = 0;
  double perfetto_s = 0;      // the part that is writing for Perfetto, by CPU time
  double peak_bytes = 0;      // largest resident size of the process, record included
  double timeline_bytes = 0;  // written for Perfetto, and not kept
};

// Replays with a record of at most `events` events, then measures time lines, blame, critical path,
// lock graph with lockdep's report, lock sequences, tracepoints, and writing for Perfetto. Meant
// for a fresh process.
[[nodiscard]] AnalysisSample run_analysis(const TempTrace& trace, std::uint64_t events);

}  // namespace smmulab::bench

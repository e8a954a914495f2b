// SPDX-License-Identifier: Apache-2.0
// The covering set: small workloads that together run the paths of attach, replace, detach, map,
// unmap, copy, pin, alloc, destroy and reset: by hwpt and by IOAS, within one IOAS and across two,
// in both directions, devices alone, in a group of two, with ATS and behind another SMMU, accesses
// that let go of what is unmapped and one that does not, failures and their unwinding. For lockdep:
// each operation begins only when the one before has ended (a phase of its own), in another thread,
// so that every order of locks is seen and no protocol deadlocks with another operation. Not
// covered: paths that only two operations at once can take.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "sim/record.hpp"
#include "workloads/op.hpp"
#include "workloads/settings.hpp"
#include "workloads/trace_header.hpp"

namespace smmulab::workloads {

struct CoveringWorkload {
  std::string name;
  TraceHeader header;
  std::vector<Op> ops;
};

[[nodiscard]] std::vector<CoveringWorkload> covering_set();
// As a trace. Throws what TraceWriter throws.
void write_workload(const CoveringWorkload& workload, const std::string& path);

// What lockdep reads: the record of one run, however it ended.
struct RecordedRun {
  std::string name;
  std::string status;   // "ok", "deadlock", "wrong state", "model error"
  std::string message;  // what went wrong
  std::uint64_t operations = 0;
  Record record;
};

// Replays a trace with a record; deadlocks and model errors end up in the result. Throws
// ConfigError, TraceError, Interrupted.
[[nodiscard]] RecordedRun record_trace(const std::string& path, const std::string& name,
                                       const Settings& settings, const std::string& protocol,
                                       const std::function<bool(std::uint64_t)>& progress = {});
// The same for each workload of the covering set, through files in a temporary folder.
void record_covering_set(const Settings& settings, const std::string& protocol,
                         const std::function<void(const RecordedRun&)>& sink,
                         const std::function<bool(std::uint64_t)>& progress = {});

}  // namespace smmulab::workloads

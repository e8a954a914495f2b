// SPDX-License-Identifier: Apache-2.0
// Replay: runs a trace's operations through a System and measures them. Closed: each thread issues
// its next operation after the last; timed: at the recorded time. Cross-thread dependencies are
// kept (dependency_tracker.hpp), phases too. Streaming: operations are read when a thread needs its
// next one; what other threads have not taken yet is queued and spills to a file beyond a budget.
// A dma operation occupies its thread in user mode for the recorded duration (the recording program
// polled for completion). Devices' DMA is simulated apart from that: settings stream.*, or what was
// recorded.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "models/smmuv3/driver/command_queue.hpp"
#include "models/smmuv3/driver/dma_watch.hpp"
#include "models/smmuv3/driver/timed_hardware.hpp"
#include "sim/engine_factory.hpp"
#include "sim/histogram.hpp"
#include "sim/lock_stat.hpp"
#include "sim/record.hpp"
#include "workloads/op.hpp"
#include "workloads/recorded_dma.hpp"
#include "workloads/settings.hpp"

namespace smmulab::workloads {

// One operation as it went in the simulation.
struct OpOutcome {
  std::uint64_t seq;  // number in the trace, from 0
  ThreadIndex thread;
  OpKind kind;
  SimTime start;
  SimTime end;
  int rc;            // 0 or -errno
  bool as_recorded;  // rc equals the recorded result (or none was recorded)
};
using OpSink = std::function<void(const OpOutcome&)>;

struct ReplayOptions {
  std::string protocol = "igroup";
  EngineKind engine = EngineKind::kNative;
  OpSink sink;                       // optional
  const RecordedDma* dma = nullptr;  // optional; not with counted hardware
  Record* record = nullptr;          // optional
  bool record_objects = false;       // the record's operations by op_label(), not by kind alone
  std::function<bool(std::uint64_t ended)> progress;  // optional; false ends the run (Interrupted)
};

struct KindResult {
  std::uint64_t count = 0;
  std::uint64_t errors = 0;     // rc != 0
  std::uint64_t different = 0;  // rc is not the recorded one
  Histogram latency;            // ps, entry to exit of the operation
};

struct LockResult {
  std::string name;
  std::string kind;  // "mutex", "rwsem", "spinlock"
  std::uint32_t instances = 0;
  LockStat stat;
};

// A device's DMA (settings stream.*, or recorded), from its first transaction to the end of the
// run.
struct DmaResult {
  smmu::timed::StreamStats stream;
  smmu::UnmapDmaStat unmaps;
  GaugeWindow reach;                         // of the TLB, in bytes
  std::optional<smmu::EventCounts> events;   // with driver.events
  std::optional<smmu::timed::AtsStats> ats;  // with stream.ats, of devices that have ATS
};

struct DeviceResult {
  std::string name;
  std::uint64_t dark_windows = 0;
  Ps dark_total{0};
  Ps dark_max{0};
  // The part within operations that were to keep the device attached (attach_pt of an attached
  // one).
  std::uint64_t replaces = 0;
  Ps replace_dark{0};
  Ps replace_dark_max{0};
  std::optional<DmaResult> dma;
};

struct ThreadResult {
  std::string name;
  Ps run{0};  // on a CPU, spinning included
  Ps spin{0};
  Ps ready{0};  // runnable without a CPU
};

struct BrokenInvariant {
  std::string invariant;
  std::string detail;
  SimTime when;
};

struct ReplayResult {
  std::string protocol;
  std::string status = "ok";  // or "deadlock", or "wrong state"
  std::string message;        // the deadlock's text, or the invariants that broke
  std::vector<std::string> deadlock_cycle;
  std::vector<BrokenInvariant> broken_invariants;  // in order of time, the first of each kind
  SimTime end{};
  std::uint64_t operations = 0;
  // The phase with most operations (the whole trace if it has none): what throughput is taken from.
  std::string main_phase;
  std::uint64_t main_operations = 0;
  std::uint64_t main_errors = 0;  // those of them with rc != 0
  Ps main_span{0};                // from the first start to the last end of its operations
  std::uint64_t events = 0;
  std::array<KindResult, kOpKinds> kinds;
  std::vector<LockResult> locks;
  std::vector<DeviceResult> devices;
  std::vector<ThreadResult> threads;
  std::vector<smmu::CommandQueueStat> queues;
  std::array<std::uint64_t, smmu::kCommandKinds> commands{};
  std::vector<std::vector<smmu::timed::PmuRow>> pmu;  // of each SMMU; none with counted hardware
  std::vector<std::string> final_state;
  std::vector<std::string> warnings;  // about threads, CPUs and DMA that may not be meant
};

// Throws ConfigError, TraceError, ModelError, Interrupted. A deadlock is a result, so is a wrong
// state: operations after it are simulated too, but what they tell is worth little.
[[nodiscard]] ReplayResult replay(const std::string& trace_path, const Settings& settings,
                                  const ReplayOptions& options);

}  // namespace smmulab::workloads

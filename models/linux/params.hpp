// SPDX-License-Identifier: Apache-2.0
// Costs and settings of the modelled Linux kernel core: CPUs, scheduler, lock primitives. Times are
// CPU time unless the text says otherwise. Defaults are for a large arm64 server; each carries its
// provenance in params.cpp. Presets live in workloads/presets.cpp.
#pragma once

#include <cstdint>

#include "sim/params.hpp"
#include "sim/time.hpp"

namespace smmulab::lnx {

enum class Preempt : std::uint8_t { kNone, kVoluntary, kFull };

// What contended lines do (shared_line.hpp): first come first served and always exclusive, or with
// shared copies and an interconnect that keeps no order.
enum class LineModel : std::uint8_t { kSimple, kCoherent };

struct SchedParams {
  Preempt preempt = Preempt::kVoluntary;
  Ps tick{4'000'000'000};        // CONFIG_HZ=250
  Ps slice{3'000'000'000};       // EEVDF base_slice_ns after scaling by CPU count
  Ps context_switch{1'200'000};  // __schedule() to the next task's first instruction
  Ps wake_up{700'000};           // try_to_wake_up(), paid by the waker
  Ps wake_awake{50'000};         // the same of a task that is awake: its state is all it looks at
  Ps wake_latency{2'500'000};    // from the wake-up to an idle CPU running the task
  Ps timed_sleep{0};             // CPU time of usleep(), without the switch back
  Ps timer_slack{50'000'000};    // usleep() may take so much longer
  bool multiplexed = false;      // all CPUs share one host thread, round robin
  Ps relax_switch{0};            // multiplexed: cost of giving the host thread to another CPU
  Ps spin_turn{0};               // multiplexed: what a spinning CPU burns per turn
};

struct LineParams {
  Ps same_cpu{1'000};        // the line is in this CPU's cache
  Ps same_node{45'000};      // transfer from another core of the node
  Ps cross_node{95'000};     // from another node of the same socket
  Ps cross_socket{180'000};  // from the other socket
  Ps same_cluster{45'000};   // from another core of the cluster, where there are clusters
  LineModel model = LineModel::kSimple;
};

struct LockParams {
  Ps mutex_lock{12'000};      // uncontended mutex_lock(): call, cmpxchg
  Ps mutex_unlock{10'000};    // mutex_unlock() fast path
  Ps mutex_slow{60'000};      // entering and leaving the slow path, without waiting
  Ps mutex_queue{90'000};     // joining and leaving wait_list under wait_lock
  Ps rwsem_read{14'000};      // down_read() or up_read() fast path
  Ps rwsem_write{14'000};     // down_write() or up_write() fast path
  Ps rwsem_slow{70'000};      // entering and leaving a slow path
  Ps spin_lock{8'000};        // queued spinlock lock
  Ps spin_unlock{5'000};      // its unlock
  Ps osq{20'000};             // joining or leaving the spinner queue
  Ps atomic{6'000};           // refcount or xarray entry, line present
  bool spin_on_owner = true;  // CONFIG_MUTEX_SPIN_ON_OWNER, CONFIG_RWSEM_SPIN_ON_OWNER
};

struct LinuxParams {
  SchedParams sched;
  LineParams line;
  LockParams lock;
};

// Binds every field to keys "sched.*", "line.*", "lock.*".
void describe(ParamTable& table, LinuxParams& params);

}  // namespace smmulab::lnx

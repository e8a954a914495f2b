// SPDX-License-Identifier: Apache-2.0
// Blame: who waited for whom, for how long, through which lock. Each moment of a wait for a lock is
// charged to the thread that holds the lock in that moment (of several readers: to the one that has
// held it longest), or to nobody while the lock is free and on its way to the waiter: woken up, or
// beaten to it. Waits for objects (a CMD_SYNC, references) and for a CPU within an operation have
// no holder. The times of a wait's shares add up to the wait. Chains: what the holder itself waited
// for in that moment, and so on: one folded stack each, as flame graphs read them,
// "thread;op;lock;holder;op;lock;holder;op;CMD_SYNC#0 WEIGHT" in ns. Not here: waits that never
// end, the order among waiters, who issued the commands in front of a CMD_SYNC.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "analysis/timelines.hpp"

namespace smmulab::analysis {

// What a wait is for.
enum class WaitKind : std::uint8_t { kLock, kObject, kCpu };

struct BlameRow {
  std::string waiter;
  std::string waiter_op;  // "": outside operations
  std::string holder;     // "": nobody
  std::string holder_op;
  std::string awaited;     // "CLASS#INSTANCE"; "cpu"
  std::string lock_class;  // "" unless a lock
  WaitKind kind;
  Ps total{0};
  Ps longest{0};            // the largest share of one wait
  std::uint64_t count = 0;  // waits with such a share
};

struct Blame {
  std::vector<BlameRow> rows;       // most time first, then by name
  std::vector<std::string> stacks;  // sorted
  std::uint64_t unfinished = 0;     // requests for locks that never were granted
};

[[nodiscard]] Blame blame(const Timelines& timelines);
[[nodiscard]] std::string to_json(const Blame& blame);

}  // namespace smmulab::analysis

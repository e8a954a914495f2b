// SPDX-License-Identifier: Apache-2.0
// Timelines: a record turned into what each thread waited for and who held each lock meanwhile, for
// blame.hpp and critical_path.hpp. Waits of a thread are apart from each other; off the CPU it may
// be within a wait or outside. A wait for a lock lasts from its request to its acquisition and is
// kept if the lock was found taken.
// Memory: a context for each change of operation or lock; the rest grows with contention only.
// Not here: waits that never end (unfinished() counts those for locks), spinning within the command
// queue (to the record the thread runs).
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "sim/record.hpp"

namespace smmulab::analysis {

inline constexpr std::uint64_t kNoEvent = std::numeric_limits<std::uint64_t>::max();

// For a lock, or (lock = false) for an awaited object. `enabler`: the release that let it in, if
// one came after the request: for a reader the last writer's, for a writer anybody's.
struct Wait {
  std::uint64_t begin;  // events
  std::uint64_t end;
  SimTime from;
  SimTime to;
  std::uint32_t object;
  std::uint32_t op;
  std::uint64_t enabler;
  bool lock;
};

// Off the CPU. `wake`: the wake-up that ended its sleep; `freed`: when the thread before it on the
// CPU it came back to left that CPU. A thread's first time has no `off` and begins at time 0.
struct Away {
  std::uint64_t off;
  std::uint64_t on;
  SimTime from;
  SimTime to;
  std::uint64_t wake;
  std::uint64_t freed;
  std::uint32_t op;
  bool runnable;  // preempted, or not begun
};

// From the event on: the operation (kNoRecordId: none) and the lock taken last of those held.
struct Context {
  std::uint64_t event;
  std::uint32_t op;
  std::uint32_t lock;
};

// From `since` on the lock is held by `thread` (kNoRecordId: nobody). Of several readers it is the
// one that has held it longest.
struct Holding {
  SimTime since;
  std::uint32_t thread;
  std::uint32_t op;
};

class Timelines {
 public:
  struct Thread {
    std::vector<Wait> waits;
    std::vector<Away> away;
    std::vector<Context> contexts;
  };

  // The record must outlive it.
  explicit Timelines(const Record& record);

  [[nodiscard]] const Record& record() const { return *record_; }
  [[nodiscard]] const std::vector<Thread>& threads() const { return threads_; }
  // Whole wherever somebody waited; elsewhere a stretch may be missing.
  [[nodiscard]] const std::vector<Holding>& holdings(std::uint32_t lock) const {
    return locks_[lock].holdings;
  }
  [[nodiscard]] std::uint64_t unfinished() const;

 private:
  struct Request {
    std::uint64_t event = kNoEvent;
    std::uint32_t lock = kNoRecordId;
  };
  struct Running {  // where a thread is while the record is read
    std::uint32_t op = kNoRecordId;
    std::vector<std::uint32_t> held;
    Request request;
    std::uint64_t wait_begin = kNoEvent;
    std::uint64_t off = kNoEvent;
    std::uint64_t wake = kNoEvent;
    bool begun = false;  // has been on a CPU
    bool preempted = false;
  };
  struct Lock {
    std::vector<Holding> holdings;
    std::vector<std::uint32_t> holders;  // threads, in the order in which they came
    std::uint32_t requests = 0;
    SimTime contended_until{};  // somebody waited up to here
    std::uint64_t released = kNoEvent;
    std::uint64_t write_released = kNoEvent;
  };

  void read(std::uint64_t event, const RecordEvent& e);
  void acquire(std::uint64_t event, const RecordEvent& e);
  void release(std::uint64_t event, const RecordEvent& e);
  void end_wait(std::uint64_t event, const RecordEvent& e);
  void cpu_on(std::uint64_t event, const RecordEvent& e);
  void note_context(std::uint64_t event, std::uint32_t thread);
  void note_holder(SimTime now, Lock& lock);

  const Record* record_;
  std::vector<Thread> threads_;
  std::vector<Lock> locks_;
  std::vector<Running> running_;
  std::vector<std::uint64_t> left_;  // by CPU: the last event in which somebody left it
};

}  // namespace smmulab::analysis

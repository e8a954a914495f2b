// SPDX-License-Identifier: Apache-2.0
// RunQueue: which of a CPU's threads runs, and when it is to give way. The fair class of Linux 6.12
// (kernel/sched/fair.c, EEVDF) for threads of equal weight, with the features it sets by default:
//   - V, the average vruntime of all that are on the queue, the running one included; a thread is
//     eligible if its vruntime is at most V. Of the eligible the earliest deadline runs
//     [pick_eevdf()].
//   - The running one stays (RUN_TO_PARITY) until its deadline, but only while it is eligible: a
//     wake-up takes the CPU from one that is ahead of V [check_preempt_wakeup_fair()].
//   - A thread that wakes up has the lag (V - vruntime) with which it went to sleep [PLACE_LAG].
//     One that is ahead of V when it goes to sleep stays on the queue, and counts for V, until it
//     would be picked [DELAY_DEQUEUE]; lag that it gains by that is void [DELAY_ZERO].
// Not modelled: weights, cgroups, buddies, slices of different length, the bandwidth server.
#pragma once

#include <cstddef>
#include <vector>

#include "sim/time.hpp"

namespace smmulab::lnx {

class Thread;

// A thread as its run queue sees it. Times are virtual: CPU time from the queue's own origin.
struct SchedEntity {
  Thread* thread = nullptr;
  Ps vruntime{0};
  Ps deadline{0};
  Ps lag{0};                       // off the queue: V - vruntime when it left
  bool on_queue = false;           // running ones included
  bool delayed = false;            // asleep, not yet taken off
  bool fresh = true;               // was on no queue yet
  bool keeps_slice = false;        // running: not yet at the deadline it was picked with
  bool relative_deadline = false;  // moves to another queue: deadline counts from vruntime
};

class RunQueue {
 public:
  RunQueue(Ps slice, Ps tick) : slice_(slice), tick_(tick) {}

  [[nodiscard]] const std::vector<SchedEntity*>& waiting() const { return waiting_; }
  [[nodiscard]] bool idle() const { return current_ == nullptr; }

  // A thread that becomes runnable. REQUIRES: not on a queue.
  void add(SchedEntity& e, SimTime now);
  // A delayed one that wakes up. REQUIRES: e.delayed, and on this queue.
  void add_delayed(SchedEntity& e, SimTime now);
  // Would `e`, which just woke up, be picked instead of the running one? REQUIRES: !idle().
  [[nodiscard]] bool preempts(const SchedEntity& e) const { return best() == &e; }
  // Reschedules; true: the running one runs on. REQUIRES: !idle().
  bool keeps(SimTime now);
  // Takes the next to run off those that wait; nullptr: nothing runnable. REQUIRES: idle().
  SchedEntity* pick(SimTime start);
  // The running one gives up the CPU: it stays runnable, goes to sleep, or has ended (is not
  // delayed then: DEQUEUE_SPECIAL). REQUIRES: !idle().
  void put_back(SimTime now);
  void sleep(SimTime now);
  void exit(SimTime now);
  // Takes one that waits away, to another queue. REQUIRES: it waits here and is not delayed.
  void take(SchedEntity& e, SimTime now);
  // When the running one is to be asked for the CPU by a tick; kTimeMax: never as things stand.
  [[nodiscard]] SimTime next_tick_request(SimTime now) const;
  // Did an accounting since the last pick ask for rescheduling?
  [[nodiscard]] bool requested() const { return requested_; }

 private:
  [[nodiscard]] std::size_t count() const { return waiting_.size() + (idle() ? 0U : 1U); }
  [[nodiscard]] Ps average() const;
  [[nodiscard]] bool eligible(const SchedEntity& e) const;
  [[nodiscard]] SchedEntity* best() const;
  [[nodiscard]] Ps lag_of(const SchedEntity& e) const;
  [[nodiscard]] SimTime tick_at_or_after(SimTime t) const;
  void account(SimTime now);
  void place(SchedEntity& e);
  void leave(SchedEntity& e);

  Ps slice_;
  Ps tick_;
  std::vector<SchedEntity*> waiting_;  // in order of arrival
  SchedEntity* current_ = nullptr;
  SimTime accounted_{};  // of current_
  Ps last_average_{0};   // where the queue stands when it is empty
  bool requested_ = false;
};

}  // namespace smmulab::lnx

// SPDX-License-Identifier: Apache-2.0
// EventQueue: delivery of event records (IHI 0070 7.2, 7.4). The queue is writable while it is
// enabled, not full and without an unacknowledged EVENTQ_ABT_ERR. An event that finds it not
// writable is discarded, and that is an overflow if it was full; the record of a stall is held
// instead: its transaction is retried when the queue is writable again (3.12.2), and it causes no
// overflow. An unacknowledged overflow does not stop delivery. A write that aborts loses its
// record, a stall's too, and raises EVENTQ_ABT_ERR.
//
// Records are never merged, whatever STE.MEV says (merging is optional; MMU-600 and MMU-700 do
// not).
#pragma once

#include <cstdint>

#include "models/smmuv3/hw/event_record.hpp"
#include "models/smmuv3/hw/global_errors.hpp"
#include "models/smmuv3/hw/output_queue.hpp"

namespace smmulab::smmu::hw {

class EventQueue {
 public:
  static constexpr unsigned kEntryLog2 = 5;
  enum class Outcome : std::uint8_t { kRecorded, kDiscarded, kHeld, kLost };

  EventQueue(Memory& memory, const QueuePlace& place, GlobalErrors& errors)
      : queue_(memory, place, kEntryLog2), errors_(errors) {}

  void set_enabled(bool on) { enabled_ = on; }  // CR0.EVENTQEN
  [[nodiscard]] bool enabled() const { return enabled_; }
  [[nodiscard]] bool writable() const {
    return enabled_ && !queue_.full() && !errors_.active(GlobalError::kEventqAbort);
  }
  Outcome record(const EventRecord& record) {
    if (!writable()) {
      if (record.stall) {
        return Outcome::kHeld;
      }
      ++discarded_;
      if (enabled_ && queue_.full()) {
        queue_.note_overflow();
      }
      return Outcome::kDiscarded;
    }
    if (!queue_.push(encode(record))) {
      errors_.raise(GlobalError::kEventqAbort);
      return Outcome::kLost;
    }
    ++recorded_;
    return Outcome::kRecorded;
  }

  [[nodiscard]] OutputQueue& queue() { return queue_; }
  [[nodiscard]] const OutputQueue& queue() const { return queue_; }
  [[nodiscard]] std::uint64_t recorded() const { return recorded_; }
  [[nodiscard]] std::uint64_t discarded() const { return discarded_; }

 private:
  OutputQueue queue_;
  GlobalErrors& errors_;
  bool enabled_ = false;
  std::uint64_t recorded_ = 0;
  std::uint64_t discarded_ = 0;
};

}  // namespace smmulab::smmu::hw

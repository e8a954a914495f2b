// SPDX-License-Identifier: Apache-2.0
// FaultUnit: the event and the PRI queue of the timed SMMU. A record is one burst to memory, one at
// a time (MMU-600 has one write outstanding), and PROD moves when it is there; a
// queue that was empty then raises its interrupt, an MSI write like that of a CMD_SYNC
// (smmuv3.link.completion). smmuv3.tcu.event_buffer records at most are on their way: a transaction
// that faults beyond that waits in its TCU slot for room, without a response, for the architecture
// lets a record be discarded only if the queue is not writable (IHI 0070 7.2), and merged only with
// STE.MEV (7.3.1), which Linux 6.12 does not set. What is recorded, held or discarded then:
// hw/event_queue.hpp, hw/pri_queue.hpp. Page requests and their responses take half of
// smmuv3.link.atc_response, one way over PCIe.
//
// Without a FaultUnit (TimedSmmu::enable_faults() was not called) faults end their transactions and
// nobody is told. Not modelled: interrupts at Last of a group, wired interrupts, GERROR interrupts.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "models/smmuv3/hw/config_fetch.hpp"
#include "models/smmuv3/hw/event_queue.hpp"
#include "models/smmuv3/hw/fault_policy.hpp"
#include "models/smmuv3/hw/pri_queue.hpp"
#include "models/smmuv3/timed/memory_port.hpp"
#include "models/smmuv3/timed/params.hpp"
#include "models/smmuv3/timed/translation.hpp"

namespace smmulab::smmu::timed {

struct FaultSetup {
  hw::QueuePlace events, page_requests;
  hw::RecordControls record;
};

// Software that takes the interrupts of the two queues.
class FaultListener {
 public:
  virtual void event_interrupt() = 0;
  virtual void page_request_interrupt() = 0;
  // What became of a record, for counts: software learns of recorded ones only.
  virtual void event_settled(const hw::EventRecord& /*record*/,
                             hw::EventQueue::Outcome /*outcome*/) {}

 protected:
  FaultListener() = default;
  FaultListener(const FaultListener&) = default;
  FaultListener& operator=(const FaultListener&) = default;
  ~FaultListener() = default;
};

// The device's end of PRI.
class PriDevice {
 public:
  virtual void page_response(const hw::PageResponse& response) = 0;

 protected:
  PriDevice() = default;
  PriDevice(const PriDevice&) = default;
  PriDevice& operator=(const PriDevice&) = default;
  ~PriDevice() = default;
};

class FaultUnit final : public Timed {
 public:
  FaultUnit(Timers& timers, const TimedParams& params, hw::Memory& memory, MemoryPort& port,
            const hw::Features& features, const hw::StreamTableBase& streams,
            const FaultSetup& setup, Timed& tcu);

  void set_listener(FaultListener* listener) { listener_ = listener; }
  void add_device(StreamId stream, PriDevice& device) { devices_.push_back({stream, &device}); }

  // What becomes of a faulting transaction; its record, if there is to be one, is on its way. A
  // stall has the STAG `stag`; if the queue has no room for its record, the TCU gets kRetryStalled
  // once there is. Nothing: the buffer has no room; the TCU gets kRecordTaken or kStallTaken, with
  // `stag`, once it has.
  std::optional<hw::Response> fault(const hw::Request& request, const hw::Fault& fault,
                                    const hw::StreamConfig& config, std::uint16_t stag);
  // The stalled transaction has been resumed or terminated: no record of it is begun any more.
  void forget(std::uint16_t stag);

  // A device's message leaves the device now.
  void page_request(const hw::PageRequest& request);
  // CMD_PRI_RESP.
  void respond(const hw::PageResponse& response);

  // Records that came so far, and those that are written or gone. `waiter` is fired with `what`
  // when settled() reaches `target`; one at a time.
  [[nodiscard]] std::uint64_t submitted() const { return submitted_; }
  [[nodiscard]] std::uint64_t settled() const { return settled_; }
  void notify_settled(std::uint64_t target, Timed& waiter, std::uint32_t what);
  // When the next event interrupt that is on its way reaches software; kTimeMax: none is. Others
  // come smmuv3.link.completion after a timer that is still to fire, at the earliest.
  [[nodiscard]] SimTime interrupt_at() const {
    return interrupts_.empty() ? kTimeMax : interrupts_.front();
  }

  // Software's stores.
  void write_event_cons(std::uint32_t value);
  void write_page_request_cons(std::uint32_t value) { requests_.queue().write_cons(value); }
  void write_gerrorn(std::uint32_t value);

  [[nodiscard]] hw::GlobalErrors& errors() { return errors_; }
  [[nodiscard]] const hw::EventQueue& events() const { return events_; }
  [[nodiscard]] const hw::PriQueue& page_requests() const { return requests_; }
  [[nodiscard]] std::size_t held() const { return held_.size(); }
  [[nodiscard]] std::size_t buffered() const { return records_.size(); }

  void fire(std::uint32_t what, std::uint32_t index) override;

 private:
  enum Code : std::uint32_t {
    kWritten = kFirstOwnCode,
    kInterrupt,
    kRequestArrived,
    kRequestWritten,
    kRequestInterrupt,
    kResponseArrived
  };
  struct Device {
    StreamId stream;
    PriDevice* device;
  };
  void submit(const hw::EventRecord& record);
  hw::EventQueue::Outcome deliver(const hw::EventRecord& record);
  void write_next();
  void fill_buffer();
  void settle();
  void release_held();
  void request_written();
  [[nodiscard]] std::optional<bool> ppar(StreamId stream);

  Timers& timers_;
  LinkParams link_;
  std::uint32_t buffer_;
  hw::Memory& memory_;
  MemoryPort& port_;
  hw::Features features_;
  hw::StreamTableBase streams_;
  hw::RecordControls record_;
  Timed& tcu_;
  hw::GlobalErrors errors_;
  hw::EventQueue events_;
  hw::PriQueue requests_;
  FaultListener* listener_ = nullptr;
  std::vector<Device> devices_;
  struct Submitted {
    hw::EventRecord record;
    bool gone = false;  // settles when it is its turn, as a SYNC waits for those before it
  };
  std::deque<Submitted> records_;  // the first is being written while `writing_`
  struct Waiting {
    hw::EventRecord record;
    std::uint32_t slot;
  };
  std::deque<Waiting> waiting_;  // for room in `records_`; not submitted
  bool writing_ = false;
  std::deque<SimTime> interrupts_;  // of events, on their way
  std::deque<std::uint16_t> held_;  // stalls without a record
  std::deque<hw::PageRequest> arriving_, storing_;
  std::deque<hw::PageResponse> answering_;
  std::uint64_t submitted_ = 0, settled_ = 0;
  std::uint64_t target_ = 0;
  Timed* waiter_ = nullptr;
  std::uint32_t waiter_what_ = 0;
};

}  // namespace smmulab::smmu::timed

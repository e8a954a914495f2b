// SPDX-License-Identifier: Apache-2.0
// CommandProcessor: consumes command queues in memory: the SMMU's own and any number of others
// (ECMDQs, Tegra241 VCMDQs). Commands are fetched one at a time (16 bytes each), of the queues that
// have any in turn. An invalidation empties the TCU's caches, then travels to every TBU over that
// link's single invalidation token: the next one, of whatever queue, waits for all
// acknowledgements. CMD_SYNC completes when
// - all earlier invalidations of its queue are acknowledged, also ATC_INVs by their devices;
// - no request that they may concern is in work in the TCU;
// - every TBU says that the transactions translated before them are complete;
// - the event records that came before are in the queue, or gone.
// Nothing after a SYNC in its queue begins before it completes; other queues go on meanwhile. A
// SYNC without an invalidation before it completes at once. Rule: IHI 0070 3.5.6 (ECMDQ: a queue's
// commands and SYNCs are its own), 4.7, 3.21.1, 7.1; MMU-600 manual. Assumed,
// as no manual says it: round-robin, one command of a queue at a time; TCU and TBUs are asked for
// one SYNC at a time, and all that wait by then are answered by it.
//
// Errors: CERROR_ILL, CERROR_ABT (fetch) and CERROR_ATC_INV_SYNC stop the queue at the command
// until GERRORN acknowledges; then it is fetched again. Other queues go on. An ECMDQ has the error
// in its own CONS, and GERROR.CMDQP_ERR says that some ECMDQ has one (3.5.6.3).
// What may go on a queue: any command on the SMMU's own, an ECMDQ (3.5.6.1) and a host's VCMDQ; on
// a guest's VCMDQ those of hw::is_for_guests(), with the VMID of its VINTF whatever they say;
// others are CERROR_ILL. RESUME, STALL_TERM and PRI_RESP have done their work when they are
// consumed; a SYNC does not wait for what comes of them. Not modelled: StreamIDs of a guest (VINTF
// SID_MATCH and SID_REPLACE: an ATC_INV there names the host's), the error flags and interrupts of
// a VINTF.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "models/smmuv3/hw/command_queue.hpp"
#include "models/smmuv3/timed/tcu.hpp"

namespace smmulab::smmu::timed {

using hw::CommandError;

// Which command queue: 0 is the SMMU's own, others in the order of add_queue().
using QueueNumber = std::uint32_t;

// Whoever waits for the command queues.
class CommandListener {
 public:
  // CONS has passed the entry `index` (counted without wrap). For a SYNC: at its completion signal.
  virtual void consumed(QueueNumber queue, std::uint64_t index, const hw::Command& command) = 0;
  virtual void command_error(QueueNumber queue, std::uint64_t index, CommandError error) = 0;

 protected:
  CommandListener() = default;
  CommandListener(const CommandListener&) = default;
  CommandListener& operator=(const CommandListener&) = default;
  ~CommandListener() = default;
};

// One ATC_INV on its way.
using AtcTicket = std::uint64_t;

// Takes the answers of devices that could not tell at once.
class AtcReplies {
 public:
  // The device is through with it at `through`, now or later. Too late an answer is not heard.
  virtual void atc_answered(AtcTicket ticket, SimTime through) = 0;

 protected:
  AtcReplies() = default;
  AtcReplies(const AtcReplies&) = default;
  AtcReplies& operator=(const AtcReplies&) = default;
  ~AtcReplies() = default;
};

// The device side of ATC_INV.
class AtcTarget {
 public:
  // The invalidation is at the device. Gives when it is through with everything that used what it
  // removed; nothing: atc_answered() will be called with the ticket, or never.
  virtual std::optional<SimTime> atc_invalidate(const hw::Command& command, AtcTicket ticket) = 0;

 protected:
  AtcTarget() = default;
  AtcTarget(const AtcTarget&) = default;
  AtcTarget& operator=(const AtcTarget&) = default;
  ~AtcTarget() = default;
};

class CommandProcessor final : public Timed, public AtcReplies {
 public:
  enum class Interface : std::uint8_t { kSmmu, kHostVcmdq, kGuestVcmdq };  // kSmmu: CMDQ or ECMDQ
  struct Queue {
    std::uint64_t base = 0;
    std::uint8_t log2_entries = 8;
    Interface interface = Interface::kSmmu;
    Vmid vmid{};  // kGuestVcmdq: of the VINTF
  };
  CommandProcessor(Timers& timers, const TimedParams& params, hw::Memory& memory, MemoryPort& port,
                   Tcu& tcu);
  void connect(Tbu& tbu) { tbus_.push_back(&tbu); }
  void set_queue(const Queue& queue) { queues_.front().place = queue; }
  QueueNumber add_queue(const Queue& queue);
  void set_listener(CommandListener* listener) { listener_ = listener; }
  void set_range_invalidation(bool on) { range_inv_ = on; }
  void set_faults(FaultUnit& faults) { faults_ = &faults; }
  void add_atc(StreamId stream, AtcTarget& device) { devices_.push_back({stream, &device}); }

  // Where an entry is in memory. Indices count up without wrap.
  [[nodiscard]] std::uint64_t address_of(std::uint64_t index, QueueNumber queue = 0) const {
    const Queue& q = queues_[queue].place;
    return q.base + ((index & ((1ULL << q.log2_entries) - 1)) << kEntryLog2);
  }
  // A store to CMDQ_PROD: entries up to and without `prod` are there. REQUIRES: at most the size of
  // the queue beyond cons().
  void write_prod(std::uint64_t prod, QueueNumber queue = 0);
  [[nodiscard]] std::uint64_t cons(QueueNumber queue = 0) const { return queues_[queue].cons; }
  [[nodiscard]] CommandError error(QueueNumber queue = 0) const { return queues_[queue].error; }
  // GERRORN.CMDQ_ERR: go on at cons().
  void acknowledge_error(QueueNumber queue = 0);
  [[nodiscard]] bool idle() const;
  void atc_answered(AtcTicket ticket, SimTime through) override;

  void fire(std::uint32_t what, std::uint32_t index) override;

 private:
  static constexpr unsigned kEntryLog2 = 4;
  enum Code : std::uint32_t {
    kStart = kFirstOwnCode,
    kFetched,
    kExecute,
    kTcuDone,
    kNoStale,
    kRecordsWritten,
    kSynced,
    kAtcArrived,
    kAtcAnswer,
    kAtcTimeout
  };
  struct Device {
    StreamId stream;
    AtcTarget* target;
  };
  // Of a queue's SYNC in work: waits for its queue's invalidations, for the TCU and TBUs together
  // with others, for event records to be written, for its signal.
  enum class Sync : std::uint8_t { kNone, kWaits, kDrains, kRecords, kSignalled };
  struct QueueState {
    Queue place;
    std::uint64_t prod = 0, cons = 0;
    bool awake = false;  // from a doorbell on, until it is found empty or in error
    bool ready = false;  // its next command may be fetched
    Sync sync = Sync::kNone;
    std::uint64_t records = 0;  // kRecords: so many are to be written
    bool dirty = false;         // an invalidation since the last SYNC
    std::uint32_t atc_missing = 0;
    bool atc_failed = false;
    CommandError error = CommandError::kNone;
  };
  enum class Drain : std::uint8_t { kNone, kTcu, kTbus };
  struct AtcFlight {
    bool used = false;
    bool answered = false;
    QueueNumber queue = 0;
    SimTime deadline{};
    hw::Command command;
    AtcTarget* target = nullptr;
    AtcTicket ticket = 0;
  };
  void ring(QueueNumber queue);
  void take_turn();
  void fetch();
  void execute();
  void end_turn();
  void consume(QueueNumber queue, const hw::Command& command);
  void fail(QueueNumber queue, CommandError error);
  [[nodiscard]] bool accepts(const hw::Command& command) const;
  void try_invalidate();
  void try_sync();
  bool begins_to_drain(QueueNumber queue);
  void ask_tbus();
  void signal_drained();
  void synced(QueueNumber queue);
  void signal(QueueNumber queue);
  void wait_for_records();
  void records_written();
  void other_command();
  void send_atc();
  void atc_arrived(std::uint32_t flight);
  void answer_atc(std::uint32_t flight, SimTime through);
  void atc_timeout(std::uint32_t flight);
  void atc_ended(std::uint32_t flight, bool timed_out);

  Timers& timers_;
  TimedParams params_;
  hw::Memory& memory_;
  MemoryPort& port_;
  Tcu& tcu_;
  std::vector<Tbu*> tbus_;
  std::vector<Device> devices_;
  std::vector<AtcFlight> flights_;
  AtcTicket tickets_ = 0;
  CommandListener* listener_ = nullptr;
  FaultUnit* faults_ = nullptr;
  std::vector<QueueState> queues_;
  bool range_inv_;
  // The one command that is being fetched, decoded and sent:
  bool busy_ = false;
  QueueNumber turn_ = 0;  // whose it is, or the last was
  hw::CommandWords words_{};
  bool fetch_aborted_ = false;
  hw::Command command_;
  bool waits_for_token_ = false;
  hw::Command invalidation_;  // on its way to the TBUs
  QueueNumber invalidating_ = 0;
  std::uint32_t acks_missing_ = 0;
  Drain drain_ = Drain::kNone;  // of the SYNCs that are at kDrains
  std::uint32_t syncs_missing_ = 0;
};

}  // namespace smmulab::smmu::timed

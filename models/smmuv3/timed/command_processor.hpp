// SPDX-License-Identifier: Apache-2.0
// CommandProcessor: consumes the command queue in memory. Commands are fetched one at a time (16
// bytes each). An invalidation empties the TCU's caches, then travels to every TBU over that link's
// single invalidation token: the next one waits for all acknowledgements. CMD_SYNC completes when
// - all earlier invalidations are acknowledged, also ATC_INVs by their devices;
// - no request that they may concern is in work in the TCU;
// - every TBU says that the transactions translated before them are complete.
// Nothing after a SYNC begins before it completes. A SYNC without an invalidation before it
// completes at once. Rule: IHI 0070 4.7, 3.21.1, 7.1; MMU-600 manual (smmuv3.md 2.4, 3.1).
//
// Errors: CERROR_ILL, CERROR_ABT (fetch) and CERROR_ATC_INV_SYNC stop the queue at the command
// until GERRORN acknowledges; then it is fetched again.
// Not modelled: several queues (ECMDQ, CMDQV), RESUME, STALL_TERM and PRI_RESP beyond being
// consumed (there are no stalls and no PRI here), PREFETCH (MMU-600 and MMU-700 ignore it).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "models/smmuv3/hw/command.hpp"
#include "models/smmuv3/timed/tcu.hpp"

namespace smmulab::smmu::timed {

enum class CommandError : std::uint8_t { kNone = 0, kIll = 1, kAbt = 2, kAtcInvSync = 3 };

// Whoever waits for the command queue.
class CommandListener {
 public:
  // CONS has passed the entry `index` (counted without wrap). For a SYNC: at its completion signal.
  virtual void consumed(std::uint64_t index, const hw::Command& command) = 0;
  virtual void command_error(std::uint64_t index, CommandError error) = 0;

 protected:
  CommandListener() = default;
  CommandListener(const CommandListener&) = default;
  CommandListener& operator=(const CommandListener&) = default;
  ~CommandListener() = default;
};

// The device side of ATC_INV.
class AtcTarget {
 public:
  // The invalidation is at the device. Gives when it is through with everything that used what it
  // removed; nothing: it never answers.
  virtual std::optional<SimTime> atc_invalidate(const hw::Command& command) = 0;

 protected:
  AtcTarget() = default;
  AtcTarget(const AtcTarget&) = default;
  AtcTarget& operator=(const AtcTarget&) = default;
  ~AtcTarget() = default;
};

class CommandProcessor final : public Timed {
 public:
  struct Queue {
    std::uint64_t base = 0;
    std::uint8_t log2_entries = 8;
  };
  CommandProcessor(Timers& timers, const TimedParams& params, hw::Memory& memory, MemoryPort& port,
                   Tcu& tcu);
  void connect(Tbu& tbu) { tbus_.push_back(&tbu); }
  void set_queue(const Queue& queue) { queue_ = queue; }
  void set_listener(CommandListener* listener) { listener_ = listener; }
  void set_range_invalidation(bool on) { range_inv_ = on; }
  void add_atc(StreamId stream, AtcTarget& device) { devices_.push_back({stream, &device}); }

  // Where an entry is in memory. Indices count up without wrap.
  [[nodiscard]] std::uint64_t address_of(std::uint64_t index) const {
    return queue_.base + ((index & ((1ULL << queue_.log2_entries) - 1)) << kEntryLog2);
  }
  // A store to CMDQ_PROD: entries up to and without `prod` are there. REQUIRES: at most the size of
  // the queue beyond cons().
  void write_prod(std::uint64_t prod);
  [[nodiscard]] std::uint64_t cons() const { return cons_; }
  [[nodiscard]] CommandError error() const { return error_; }
  // GERRORN.CMDQ_ERR: go on at cons().
  void acknowledge_error();
  [[nodiscard]] bool idle() const { return !busy_ && cons_ == prod_; }

  void fire(std::uint32_t what, std::uint32_t index) override;

 private:
  static constexpr unsigned kEntryLog2 = 4;
  enum Code : std::uint32_t {
    kStart = kFirstOwnCode,
    kFetched,
    kExecute,
    kTcuDone,
    kNoStale,
    kSynced,
    kAtcArrived,
    kAtcAnswer,
    kAtcTimeout
  };
  struct Device {
    StreamId stream;
    AtcTarget* target;
  };
  struct AtcFlight {
    bool used = false;
    SimTime deadline{};
    hw::Command command;
    AtcTarget* target = nullptr;
  };
  void fetch();
  void execute();
  void consume();
  void fail(CommandError error);
  void try_invalidate();
  void try_sync();
  void send_atc();
  void atc_arrived(std::uint32_t flight);
  void atc_ended(std::uint32_t flight, bool timed_out);

  Timers& timers_;
  TimedParams params_;
  hw::Memory& memory_;
  MemoryPort& port_;
  Tcu& tcu_;
  std::vector<Tbu*> tbus_;
  std::vector<Device> devices_;
  std::vector<AtcFlight> flights_;
  CommandListener* listener_ = nullptr;
  Queue queue_;
  bool range_inv_ = true;
  std::uint64_t prod_ = 0, cons_ = 0;
  bool busy_ = false;
  hw::CommandWords words_{};
  bool fetch_aborted_ = false;
  hw::Command command_;       // in work
  hw::Command invalidation_;  // on its way to the TBUs
  std::uint32_t acks_missing_ = 0;
  std::uint32_t syncs_missing_ = 0;
  std::uint32_t atc_missing_ = 0;
  bool atc_failed_ = false;
  bool sync_asked_ = false;  // the TBUs have been asked for the SYNC in work
  bool dirty_ = false;       // an invalidation since the last SYNC
  bool waits_for_token_ = false;
  bool waits_for_sync_ = false;
  CommandError error_ = CommandError::kNone;
};

}  // namespace smmulab::smmu::timed

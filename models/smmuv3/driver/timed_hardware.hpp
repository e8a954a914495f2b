// SPDX-License-Identifier: Apache-2.0
// TimedHardware: the timed SMMU (models/smmuv3/timed) as the driver's hardware: its structures in
// simulated memory, which the driver's stores change, its command queue, which it reads, and the
// DMA streams of its devices, on the engine's clock. What a command costs comes out of the model:
// fetches, one invalidation at a time to every TBU and back, a SYNC that waits for the walks and
// transactions that used what was invalidated. Rule: Arm IHI 0070 3.21.1, 4.7; MMU-600 and MMU-700
// manuals.
//
// Time: hardware has an event queue of its own. It is let run up to the engine's time before each
// access of a CPU (a store to an entry or descriptor, PROD, CONS) and, while a SYNC is in the
// queue, by a process of its own at each of its events, so that a waiting CPU is told at the time.
// At one time the hardware's events come first. Memory that a table gave up is not used again
// before the driver says that its TLBI is complete. With an event queue (enable_events()) the
// process also comes often enough to be there at each interrupt's time. Not modelled: MSI writes as
// memory traffic, the PRI queue, ATCs of devices without a stream that has one (an ATC_INV takes
// its round trip), payload.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "models/smmuv3/driver/command.hpp"
#include "models/smmuv3/driver/dma_watch.hpp"
#include "models/smmuv3/driver/entry_writer.hpp"
#include "models/smmuv3/driver/page_table.hpp"
#include "models/smmuv3/driver/params.hpp"
#include "models/smmuv3/driver/queue_listener.hpp"
#include "models/smmuv3/driver/ssids.hpp"
#include "models/smmuv3/hw/config_tables.hpp"
#include "models/smmuv3/hw/page_table.hpp"
#include "models/smmuv3/hw/translator.hpp"
#include "models/smmuv3/timed/timed_smmu.hpp"
#include "sim/engine.hpp"

namespace smmulab::smmu {

struct TimedHardwareParams {
  timed::TimedParams smmu;
  hw::Features features;
  std::uint8_t queue_log2 = 16;   // command queue entries
  std::uint8_t stream_bits = 16;  // of StreamIDs; at least 8
  bool range_inv = true;          // IDR3.RIL
  bool run_ahead = true;          // off: the same results, slower
};

// Whoever takes the event queue's interrupt, at its time.
class EventInterrupt {
 public:
  virtual void event_interrupt() = 0;
  // False: what is left of the run waits for one another, or is over. Interrupts are not waited for
  // then, or a device that faults for ever would hide a deadlock.
  [[nodiscard]] virtual bool anyone_awake() const = 0;

 protected:
  EventInterrupt() = default;
  EventInterrupt(const EventInterrupt&) = default;
  EventInterrupt& operator=(const EventInterrupt&) = default;
  ~EventInterrupt() = default;
};

// Event records of one StreamID.
struct EventCounts {
  std::uint64_t recorded = 0;  // in the queue
  std::uint64_t lost = 0;      // the queue was full
  EventCounts& operator+=(const EventCounts& other) {
    recorded += other.recorded;
    lost += other.lost;
    return *this;
  }
};

class TimedHardware final : private timed::CommandListener,
                            private timed::AtcTarget,
                            private timed::FaultListener {
 public:
  // Throws ConfigError for parameters that do not fit together.
  TimedHardware(Engine& engine, const TimedHardwareParams& params, std::string name);
  TimedHardware(const TimedHardware&) = delete;
  TimedHardware& operator=(const TimedHardware&) = delete;

  // A command queue in memory; the first is the SMMU's own. `listener` is told of its commands and
  // must live as long as the engine runs.
  timed::QueueNumber add_queue(QueueListener& listener);
  // The hardware's time: that of the event under way, or the last that advance() came to.
  [[nodiscard]] SimTime time() const { return smmu_.now(); }
  // Lets the hardware run up to the engine's time.
  void advance();

  // A CPU's stores. A stream's entry says "invalid" before its first. `ats`: the device has ATS,
  // and it is enabled.
  void add_stream(StreamId stream, bool ats);
  void store_ste(StreamId stream, const Entry& ste);
  void store_cd(std::uint64_t address, const Entry& cd);
  // A CD table's address: linear of one CD, or of two levels, without leaves.
  [[nodiscard]] std::uint64_t new_cd_table(Ssids ssids);
  // Of a table with two levels: a leaf and its L1CD, unless that table has it.
  void store_cd_leaf(std::uint64_t table, std::uint32_t ssid);
  // REQUIRES: its leaf is there.
  [[nodiscard]] std::uint64_t cd_address(std::uint64_t table, std::uint32_t ssid) const;
  [[nodiscard]] std::unique_ptr<hw::PageTable> new_page_table(std::uint8_t stage);
  // A store to the ATS capability in the configuration space of the stream's device.
  void set_ats(StreamId stream, bool enabled);
  // Some device has a stream with an ATC: it matters when set_ats() comes.
  [[nodiscard]] bool has_atcs() const { return atcs_ != 0; }
  // Leaves as iommu_map() and iommu_unmap() choose them; output addresses are domain_pa()'s. A map
  // drops tables that have become empty where it writes a block. Both give the memory of dropped
  // tables, for release() after the flushes, which are the driver's PageTable's.
  [[nodiscard]] hw::FrameAllocator::Held map(hw::PageTable& table, std::uint32_t domain, Iova iova,
                                             Bytes size, Bytes run);
  [[nodiscard]] hw::FrameAllocator::Held unmap(hw::PageTable& table, Iova iova, Bytes size);
  void release(const hw::FrameAllocator::Held& held) { frames_.release(held); }
  // Where a domain's IOVAs lead, as aligned as they are up to 1 TiB: neighbours in number lead
  // apart.
  [[nodiscard]] std::uint64_t domain_pa(std::uint32_t domain, std::uint64_t iova) const {
    return (iova & (kDomainSpan - 1)) + (domain % domains_ + 1) * kDomainSpan;
  }

  // What a read or write by the device comes to when nothing is cached: the tables as they are.
  [[nodiscard]] hw::Outcome look_up(StreamId stream, Iova iova, bool write = false,
                                    std::optional<hw::Ssid> pasid = std::nullopt);

  void store_command(timed::QueueNumber queue, std::uint64_t slot, const CommandWords& words);
  // What lies there.
  [[nodiscard]] CommandWords command(timed::QueueNumber queue, std::uint64_t slot);
  void store_sync(timed::QueueNumber queue, std::uint64_t slot, SyncMode mode);
  // A store to the queue's PROD: entries below `prod` are there.
  void ring(timed::QueueNumber queue, std::uint64_t prod);

  // From now on faults are recorded in an event queue of 2^`log2_entries`. Once, before any DMA.
  // `interrupt` must live as long as the engine runs.
  void enable_events(std::uint8_t log2_entries, EventInterrupt& interrupt);
  [[nodiscard]] bool has_events() const { return faults_ != nullptr; }
  // A CPU's accesses to the event queue: PROD and CONS with their overflow flags, the record that
  // an index stands for. REQUIRES: enable_events().
  [[nodiscard]] std::uint32_t read_event_prod();
  [[nodiscard]] std::optional<hw::EventRecord> read_event(std::uint32_t index) const;
  void write_event_cons(std::uint32_t cons);
  // Up to now.
  [[nodiscard]] EventCounts events(StreamId stream) const;

  // DMA of a device from now on. Gives its number.
  std::size_t add_dma(const timed::StreamParams& params);
  // The same as soon as a range of two pages or more is mapped in any domain: in that range, in
  // place of the parameters' base and span. The number is its place among these and the others.
  std::size_t add_dma_at_first_map(const timed::StreamParams& params);
  // An unmap has cleared its entries, and its last TLBI is complete.
  [[nodiscard]] std::uint64_t unmap_begins(std::uint32_t domain, Iova iova, Bytes size);
  void unmap_ended(std::uint64_t number);
  // An unmap has cleared its entries and leaves the TLBI to a flush queue; a flush of all of that
  // domain's translations is complete that began when unmaps() was `before`.
  void unmap_queued(std::uint32_t domain, Iova iova, Bytes size);
  [[nodiscard]] std::uint64_t unmaps() const { return unmaps_; }
  void flush_ended(std::uint32_t domain, std::uint64_t before);
  // nullptr: it has not begun.
  [[nodiscard]] DmaWatch* dma(std::size_t number) const { return dmas_[number].get(); }
  [[nodiscard]] const timed::TimedSmmu& smmu() const { return smmu_; }

 private:
  void consumed(timed::QueueNumber queue, std::uint64_t index, const hw::Command& command) override;
  void command_error(timed::QueueNumber queue, std::uint64_t index,
                     timed::CommandError error) override;
  std::optional<SimTime> atc_invalidate(const hw::Command& command,
                                        timed::AtcTicket ticket) override;
  void event_interrupt() override { interrupt_->event_interrupt(); }
  void page_request_interrupt() override {}
  void event_settled(const hw::EventRecord& record, hw::EventQueue::Outcome outcome) override;
  [[nodiscard]] SimTime next_stop();
  void write_entry(std::uint64_t address, const Entry& entry);
  void begin_dma(std::size_t number, timed::StreamParams params);
  void connect_atc(StreamId stream, timed::AtsPort& port);
  Task<void> run();
  void rearm();

  static constexpr std::uint64_t kDomainSpan = 1ULL << 40U;

  Engine& engine_;
  std::string name_;
  hw::Features features_;
  std::uint32_t tbus_;     // streams are shared out among them
  std::uint64_t domains_;  // that lead apart
  hw::Memory memory_;
  hw::FrameAllocator frames_;
  hw::StreamTable streams_;
  timed::TimedSmmu smmu_;
  Ps completion_;  // of a SYNC or an interrupt: the CPU learns of it that much later
  timed::FaultUnit* faults_ = nullptr;
  EventInterrupt* interrupt_ = nullptr;
  std::unordered_map<std::uint32_t, EventCounts> events_;  // by StreamID
  struct Ats {
    bool enabled = false;
    timed::AtsPort* port = nullptr;  // of its DMA, if that has an ATC
  };
  std::unordered_map<std::uint32_t, Ats> ats_;  // by StreamID
  std::size_t atcs_ = 0;
  struct CommandMemory {
    QueueListener* listener;
    std::vector<std::uint64_t> unpublished_syncs;  // slots
  };
  std::uint8_t queue_log2_;
  std::vector<CommandMemory> queues_;
  std::uint64_t syncs_ = 0;  // published and not complete
  Process* process_ = nullptr;
  SimTime armed_ = kTimeMax;  // when the process goes on
  std::vector<std::unique_ptr<DmaWatch>> dmas_;
  std::vector<std::pair<std::size_t, timed::StreamParams>> waiting_dmas_;
  std::uint64_t unmaps_ = 0;
  struct QueuedUnmap {
    std::uint64_t number;
    std::uint32_t domain;
  };
  std::vector<QueuedUnmap> queued_unmaps_;  // that no flush has covered, if there is DMA
};

}  // namespace smmulab::smmu

// SPDX-License-Identifier: Apache-2.0
// Smmu: a whole SMMU without time: caches, command, event and PRI queue in simulated memory,
// stalled transactions, and the devices' ends of ATS and PRI. Everything is done at once; commands
// are consumed when run_commands() is called, waiting transactions are tried again when something
// that they wait for has changed. The functional truth of faults; the timed SMMU uses the same
// parts.
//
// Stalls (IHI 0070 3.12.2): a fault that finds the event queue not writable or no STAG free leaves
// its transaction waiting without a record; it is tried again, in order of arrival, as though it
// had just come. A SYNC waits for neither kind: a waiting transaction has used nothing that it
// could still use after an invalidation, since it starts anew. Clearing CR0.SMMUEN aborts all of
// them. Not modelled: prefetch commands (consumed; MMU-600 and MMU-700 ignore them), GBPA
// attributes, CR0.ATSCHK = 0, responses of ATS with several entries.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "models/smmuv3/hw/command_queue.hpp"
#include "models/smmuv3/hw/event_queue.hpp"
#include "models/smmuv3/hw/fault_policy.hpp"
#include "models/smmuv3/hw/pri_queue.hpp"
#include "models/smmuv3/hw/smmu_caches.hpp"
#include "models/smmuv3/hw/stall_buffer.hpp"

namespace smmulab::smmu::hw {

enum class Fate : std::uint8_t { kTranslated, kBypass, kAborted, kRazWi, kStalled };

struct TransactionAnswer {
  Fate fate = Fate::kAborted;
  std::uint64_t pa = 0;
  std::optional<AtsStatus> ats;  // of an ATS translation request that got no translation
};

// Told of the end of a transaction that was stalled: once for each.
class TransactionClient {
 public:
  virtual void ended(std::uint64_t cookie, const TransactionAnswer& answer) = 0;

 protected:
  TransactionClient() = default;
  TransactionClient(const TransactionClient&) = default;
  TransactionClient& operator=(const TransactionClient&) = default;
  ~TransactionClient() = default;
};

// A device behind ATS and PRI.
class AtsDevice {
 public:
  virtual bool atc_invalidate(const Command& command) = 0;  // false: no answer, a time-out
  virtual void page_response(const PageResponse& response) = 0;

 protected:
  AtsDevice() = default;
  AtsDevice(const AtsDevice&) = default;
  AtsDevice& operator=(const AtsDevice&) = default;
  ~AtsDevice() = default;
};

struct SmmuSetup {
  CachesShape caches;
  Features features;
  StreamTableBase streams;
  QueuePlace commands, events, page_requests;
  std::uint32_t stall_max = 64;  // IDR5.STALL_MAX
  RecordControls record;
};

struct SmmuEnables {  // CR0; GBPA.ABORT
  bool smmu = true, commands = true, events = true, page_requests = true;
  bool abort_when_off = false;
};

class Smmu {
 public:
  Smmu(Memory& memory, const SmmuSetup& setup);
  Smmu(const Smmu&) = delete;
  Smmu& operator=(const Smmu&) = delete;

  void set_client(TransactionClient* client) { client_ = client; }
  void add_device(StreamId stream, AtsDevice& device) { devices_.push_back({stream, &device}); }
  // A store to CR0. Nothing is on at first.
  void enable(const SmmuEnables& enables);

  // kStalled: the client is told of the end. `cookie` must not be in use.
  TransactionAnswer transaction(const Request& request, std::uint64_t cookie);
  // A message of a device. What is answered automatically is answered before this returns.
  void page_request(const PageRequest& request);

  // Software's stores.
  void write_command_prod(std::uint32_t value);
  void write_event_cons(std::uint32_t value);
  void write_page_request_cons(std::uint32_t value) { requests_.queue().write_cons(value); }
  void write_gerrorn(std::uint32_t value);

  [[nodiscard]] const GlobalErrors& errors() const { return errors_; }
  [[nodiscard]] const CommandQueue& commands() const { return commands_; }
  [[nodiscard]] const EventQueue& events() const { return events_; }
  [[nodiscard]] const PriQueue& page_requests() const { return requests_; }
  [[nodiscard]] std::size_t stalled() const { return stalls_.size(); }   // with a record
  [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }  // for a record

 private:
  struct Device {
    StreamId stream;
    AtsDevice* device;
  };
  struct Waiting {
    std::uint64_t cookie;
    Request request;
  };
  TransactionAnswer when_off(const Request& request);
  TransactionAnswer fault(const Request& request, std::uint64_t cookie, const Fault& fault);
  TransactionAnswer stall(const Request& request, std::uint64_t cookie, EventRecord record);
  [[nodiscard]] StreamConfig config_of(const Request& request, const Fault& fault);
  [[nodiscard]] std::optional<bool> ppar(StreamId stream);
  void retry(std::uint64_t cookie, const Request& request);
  void retry_waiting();
  void end(std::uint64_t cookie, Fate fate);
  void terminate(std::optional<StreamId> stream);
  void run_commands();
  CommandError execute(const Command& command);
  void resume(const Command& command);
  void respond(const PageResponse& response);

  Memory& memory_;
  Features features_;
  StreamTableBase streams_;
  RecordControls record_;
  SmmuEnables on_{false, false, false, false, false};
  SmmuCaches caches_;
  GlobalErrors errors_;
  CommandQueue commands_;
  EventQueue events_;
  PriQueue requests_;
  StallBuffer stalls_;
  std::map<std::uint64_t, Request> held_;  // with a STAG, by cookie
  std::deque<Waiting> waiting_;
  std::vector<Device> devices_;
  TransactionClient* client_ = nullptr;
  bool atc_failed_ = false;
};

}  // namespace smmulab::smmu::hw

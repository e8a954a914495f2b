// SPDX-License-Identifier: Apache-2.0
// AtsPort: the address translation cache and the page requests of a device (PCIe ATS and PRI),
// between its DMA and the TBU. A transaction looks into the ATC; without a translation there the
// port sends an ATS translation request, whose answer fills the ATC; then it sends a translated
// transaction. With page requests, an answer without permissions becomes one: success makes the
// port ask for the translation once more, any other response ends the transaction. Page requests of
// one page that wait for a response are sent once: those that come after wait with them.
//
// An ATC_INV is answered when the translated transactions that were sent before it are complete,
// whether they are in the TBU, in the TCU or on their way to memory (all of them, not only those of
// the range). A translation request that it overtook is answered for nothing: the port asks again.
// With ATS disabled in the device's configuration space transactions are untranslated, and the ATC
// is empty.
//
// Time: ATS requests and translated transactions go through the TBU like any other, page requests
// and responses as in fault_unit.hpp. The ATC itself answers in no time; its entries are of 4 KiB.
// Not modelled: the PCIe time of ATS requests, requests of several pages, page requests with PASIDs
// or of several StreamIDs, prefetching devices.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "models/smmuv3/hw/atc.hpp"
#include "models/smmuv3/hw/page_requester.hpp"
#include "models/smmuv3/timed/command_processor.hpp"
#include "models/smmuv3/timed/fault_unit.hpp"
#include "models/smmuv3/timed/tbu.hpp"

namespace smmulab::smmu::timed {

struct AtsParams {
  StreamId stream;                  // of its page requests
  std::uint32_t outstanding = 8;    // transactions under way: cookies are less
  std::uint32_t entries = 32;       // of the ATC; of each StreamID
  std::uint32_t page_requests = 0;  // outstanding ones; 0: none are made
};

struct AtsStats {
  std::uint64_t atc_hits = 0;  // of transactions as they came
  std::uint64_t translation_requests = 0;
  std::uint64_t page_requests = 0;         // groups of one
  std::uint64_t success = 0, refused = 0;  // responses
  Ps paging_total{0};                      // from page request to response
  Ps paging_max{0};
  friend bool operator==(const AtsStats&, const AtsStats&) = default;
};

class AtsPort final : public Timed, public Client, public PriDevice, public AtcTarget {
 public:
  // `pages`: where page requests go; it is needed if there are to be any.
  AtsPort(Timers& timers, const AtsParams& params, Tbu& tbu, AtcReplies& replies,
          FaultUnit* pages = nullptr);
  AtsPort(const AtsPort&) = delete;
  AtsPort& operator=(const AtsPort&) = delete;

  // As of a TBU, for untranslated requests of one client, each with a cookie of its own while it is
  // pending.
  Tbu::Accepted translate(const hw::Request& request, Client& client, std::uint32_t cookie,
                          Passage& passage);
  // REQUIRES: the last translate() was kReady.
  void finished_at(SimTime done);

  // ATS in the device's configuration space.
  void set_enabled(bool on);
  [[nodiscard]] const AtsStats& stats() const { return stats_; }
  [[nodiscard]] std::size_t open_groups() const { return requester_.open(); }

  void fire(std::uint32_t what, std::uint32_t index) override;
  SimTime translated(std::uint32_t cookie, const Passage& passage) override;
  void slot_free() override;
  void page_response(const hw::PageResponse& response) override;
  std::optional<SimTime> atc_invalidate(const hw::Command& command, AtcTicket ticket) override;

 private:
  enum Code : std::uint32_t { kStep = kFirstOwnCode };
  struct Slot {
    hw::Request request;              // as the client made it
    hw::RequestKind sent{};           // what the TBU has of it
    std::uint64_t since = 0;          // invalidations before that, or before `pa`
    std::optional<std::uint64_t> pa;  // the answer to its translation request
  };
  struct Paging {
    std::uint64_t page = 0;
    SimTime since{};
    std::vector<std::uint32_t> cookies;
  };
  struct Invalidation {  // not answered yet
    AtcTicket ticket = 0;
    std::uint64_t number = 0;
    std::uint32_t missing = 0;  // translated transactions
    SimTime last{};
  };
  // `first`: as it came, not for an answer or after a refusal.
  Tbu::Accepted send(std::uint32_t cookie, Passage& passage, bool first);
  void step(std::uint32_t cookie);
  void answered(std::uint32_t cookie, const Passage& passage);
  void landed(const Slot& slot, SimTime done);
  void ask(std::uint32_t cookie);
  [[nodiscard]] hw::Atc& atc(StreamId stream);

  Timers& timers_;
  AtsParams params_;
  Tbu& tbu_;
  AtcReplies& replies_;
  FaultUnit* pages_;
  Client* client_ = nullptr;
  bool client_refused_ = false;
  bool enabled_ = true;
  std::vector<std::pair<StreamId, hw::Atc>> atcs_;
  hw::PageRequester requester_;
  std::vector<Slot> slots_;                 // by cookie
  std::uint32_t last_ = 0;                  // the last that translate() was asked for
  std::map<std::uint16_t, Paging> paging_;  // by PRG index
  std::vector<std::uint32_t> refused_;      // no slot in the TBU, after their first request
  std::vector<std::uint32_t> unasked_;      // no allocation for a page request
  std::uint64_t invalidations_ = 0;
  std::uint32_t translated_ = 0;  // transactions in TBU and TCU
  SimTime last_done_{};           // of translated transactions
  std::vector<Invalidation> waiting_;
  AtsStats stats_;
};

}  // namespace smmulab::smmu::timed

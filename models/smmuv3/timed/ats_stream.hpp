// SPDX-License-Identifier: Apache-2.0
// AtsStream: DMA of a device with an address translation cache and page requests (PCIe ATS and
// PRI). A transaction looks into the ATC; without a translation there the device sends an ATS
// translation request, whose answer fills the ATC; then it sends a translated transaction. A
// request that is answered without permissions becomes a page request; success makes the device ask
// for the translation once more, any other response ends the transaction. Page requests of one page
// that wait for a response are sent once: those that come after wait with them.
//
// Time: ATS requests and translated transactions go through the TBU like any other, page requests
// and responses as in fault_unit.hpp. An ATC_INV is answered when the translated transactions that
// have passed the TBU are complete. The ATC itself answers in no time. Not modelled: that a device
// holds the answer back for translated transactions that the TBU or TCU has not let pass yet; the
// PCIe time of ATS requests, requests of several pages, PASIDs, prefetching devices.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "models/smmuv3/hw/atc.hpp"
#include "models/smmuv3/hw/page_requester.hpp"
#include "models/smmuv3/timed/command_processor.hpp"
#include "models/smmuv3/timed/fault_unit.hpp"
#include "models/smmuv3/timed/tbu.hpp"
#include "sim/random.hpp"

namespace smmulab::smmu::timed {

struct AtsStreamParams {
  StreamId stream;
  std::uint64_t base = 0;
  std::uint64_t pages = 16;  // of 4 KiB, chosen at random
  std::uint32_t payload = 256;
  bool write = false;
  std::uint32_t outstanding = 8;
  std::uint64_t count = 1000;  // transactions
  std::uint32_t atc_entries = 32;
  std::uint32_t allocation = 32;  // outstanding page requests
  std::uint64_t seed = 1;
};

struct AtsStreamStats {
  std::uint64_t issued = 0, passed = 0, failed = 0;
  std::uint64_t atc_hits = 0;
  std::uint64_t translation_requests = 0;
  std::uint64_t page_requests = 0;         // groups of one
  std::uint64_t success = 0, refused = 0;  // responses
  Ps paging_total{0};                      // from page request to response
  Ps paging_max{0};
  SimTime last{};
  friend bool operator==(const AtsStreamStats&, const AtsStreamStats&) = default;
};

class AtsStream final : public Timed, public Client, public PriDevice, public AtcTarget {
 public:
  AtsStream(Timers& timers, const AtsStreamParams& params, Tbu& tbu, MemoryPort& port,
            FaultUnit& faults);
  AtsStream(const AtsStream&) = delete;
  AtsStream& operator=(const AtsStream&) = delete;

  [[nodiscard]] const AtsStreamStats& stats() const { return stats_; }
  [[nodiscard]] std::size_t open_groups() const { return requester_.open(); }

  void fire(std::uint32_t what, std::uint32_t index) override;
  SimTime translated(std::uint32_t cookie, const Passage& passage) override;
  void slot_free() override;
  void page_response(const hw::PageResponse& response) override;
  std::optional<SimTime> atc_invalidate(const hw::Command& command) override;

 private:
  enum Code : std::uint32_t { kGo = kFirstOwnCode, kStep };
  struct Transaction {
    std::uint64_t address = 0;
    std::optional<std::uint64_t> pa;  // from the ATC
  };
  struct Paging {
    std::uint64_t page = 0;
    SimTime since{};
    std::vector<std::uint32_t> cookies;
  };
  void begin(std::uint32_t cookie);
  void step(std::uint32_t cookie);
  void send(std::uint32_t cookie);
  SimTime take(std::uint32_t cookie, const Passage& passage);
  void ask(std::uint32_t cookie);
  void end(std::uint32_t cookie, bool passed, SimTime at);

  Timers& timers_;
  AtsStreamParams params_;
  Tbu& tbu_;
  MemoryPort& port_;
  FaultUnit& faults_;
  RandomStream random_;
  hw::Atc atc_;
  hw::PageRequester requester_;
  std::vector<Transaction> transactions_;   // by cookie
  std::map<std::uint16_t, Paging> paging_;  // by PRG index
  std::vector<std::uint32_t> refused_;      // no slot in the TBU
  std::vector<std::uint32_t> unasked_;      // no allocation for a page request
  SimTime last_done_{};                     // of translated transactions
  AtsStreamStats stats_;
};

}  // namespace smmulab::smmu::timed

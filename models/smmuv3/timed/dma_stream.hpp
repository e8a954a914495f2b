// SPDX-License-Identifier: Apache-2.0
// DmaStream: one device's DMA: addresses in a pattern, payload over its own link and the shared
// memory channel, a limit of transactions under way. Closed loop (interval 0): the next transaction
// goes as soon as link and limit allow; open loop: one is due every interval, and its latency
// counts from then.
//
// Dark time: from the first transaction that is refused (abort or fault) to the next that passes,
// by the times at which the device could learn of it; counted once the stream has had a success.
// Run-ahead: while nothing else is due, transactions that hit follow one another without events,
// and once they repeat themselves (steady_state.hpp) many pass at once.
// With an ATC (ats_port.hpp) transactions are translated, and may wait for pages, before they go.
// Not modelled: PCIe (credits, ordering, latency), retries of what failed, transactions that cross
// a page.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "models/smmuv3/timed/ats_port.hpp"
#include "models/smmuv3/timed/memory_port.hpp"
#include "models/smmuv3/timed/pace.hpp"
#include "models/smmuv3/timed/steady_state.hpp"
#include "models/smmuv3/timed/tbu.hpp"
#include "sim/histogram.hpp"
#include "sim/random.hpp"
#include "sim/stats.hpp"

namespace smmulab::smmu::timed {

// Patterns: a ring that is gone through in order (a NIC's buffers), uniformly random blocks (NVMe
// 4K), every stride-th block; or transactions that were recorded, in their order, over and over.
enum class Pattern : std::uint8_t { kSequential, kRandom, kStrided, kRecorded };

struct RecordedAccess {
  std::uint64_t address = 0;  // of any alignment: it is translated once, by this
  StreamId stream;            // a device may have several
  bool write = false;
};

struct StreamParams {
  StreamId stream;
  std::optional<hw::Ssid> substream;
  Pattern pattern = Pattern::kSequential;
  std::uint64_t base = 0;
  std::uint64_t span = 1ULL << 20U;  // bytes; a multiple of the payload
  std::uint32_t payload = 256;       // bytes of a transaction; at most 4096, a power of 2
  std::uint64_t stride = 4096;       // kStrided
  bool write = false;
  // kRecorded: in place of stream, base, span and write. It must outlive the stream.
  std::span<const RecordedAccess> recorded;
  std::uint32_t outstanding = 64;
  Ps link_burst{2'000};     // time of 64 bytes on the device's link (2ns: 32 GB/s)
  Ps interval{0};           // open loop
  std::uint64_t count = 0;  // transactions; 0: no end
  SimTime start{};
  SimTime stop = kTimeMax;
  std::uint64_t seed = 1;
  std::uint32_t atc_entries = 0;    // of 4 KiB; 0: no ATC
  std::uint32_t page_requests = 0;  // with an ATC: outstanding ones; 0: none are made
};

// Many values in a row are equal: they go into the histogram together.
class RunLength {
 public:
  void record(Ps value, std::uint64_t times = 1) {
    if (value != value_) {
      flush();
      value_ = value;
    }
    times_ += times;
  }
  void flush() {
    if (times_ != 0) {
      histogram_->record(static_cast<std::uint64_t>(value_.count()), std::exchange(times_, 0));
    }
  }
  explicit RunLength(Histogram& histogram) : histogram_(&histogram) {}

 private:
  Histogram* histogram_;
  Ps value_{-1};
  std::uint64_t times_ = 0;
};

struct StreamStats {
  std::uint64_t issued = 0;
  std::uint64_t passed = 0;  // reached memory
  std::uint64_t aborted = 0;
  std::uint64_t faulted = 0;
  std::uint64_t bytes = 0;
  SimTime first{};        // issue of the first
  SimTime last{};         // completion of the last
  Histogram translation;  // ps, from issue to its way to memory
  Histogram latency;      // ps, from due to complete
  std::uint64_t dark_windows = 0;
  Ps dark_total{0};
  Ps dark_max{0};
  [[nodiscard]] double bytes_per_second() const;
  friend bool operator==(const StreamStats&, const StreamStats&) = default;
};

// Told of each transaction, if there is one; for tests and logs.
class StreamObserver {
 public:
  virtual void transaction(const hw::Request& request, const Passage& passage, SimTime issued,
                           SimTime done) = 0;

 protected:
  StreamObserver() = default;
  StreamObserver(const StreamObserver&) = default;
  StreamObserver& operator=(const StreamObserver&) = default;
  ~StreamObserver() = default;
};

class DmaStream final : public Timed, public Client {
 public:
  // Throws ConfigError for parameters that make no sense. `ats`: its ATC, if it has one.
  DmaStream(Timers& timers, const StreamParams& params, Tbu& tbu, MemoryPort& port,
            AtsPort* ats = nullptr);
  DmaStream(const DmaStream&) = delete;
  DmaStream& operator=(const DmaStream&) = delete;

  void set_observer(StreamObserver* observer) { observer_ = observer; }
  [[nodiscard]] const StreamStats& stats() const {
    translation_.flush();
    latency_.flush();
    return stats_;
  }
  // TLB reach in bytes, from its making to now.
  [[nodiscard]] GaugeWindow reach() const { return tbu_.reach().at(client_); }
  [[nodiscard]] std::uint32_t under_way() const { return pending_ + pace_.under_way(); }
  [[nodiscard]] AtsPort* ats() const { return ats_; }  // nullptr: none

  void fire(std::uint32_t what, std::uint32_t index) override;
  SimTime translated(std::uint32_t cookie, const Passage& passage) override;
  void slot_free() override;

 private:
  struct Issue {
    SimTime issued{};
    SimTime due{};
    hw::Request request;
  };
  void run();
  void wake(SimTime at);
  [[nodiscard]] bool ended(SimTime now) const;
  [[nodiscard]] bool may_repeat() const;
  SimTime repeat(SimTime now);
  bool hits(Tbu::Repeats& repeats);
  std::uint64_t hits_ahead(std::uint64_t most, Tbu::Repeats& repeats);
  [[nodiscard]] std::uint64_t next_address();
  [[nodiscard]] std::uint64_t next_scattered();  // kRandom, kStrided
  void prepare();
  bool issue(SimTime now);
  SimTime complete(const Issue& issue, const Passage& passage, SimTime now);
  void note_verdict(bool passes, SimTime at);

  Timers& timers_;
  StreamParams params_;
  Tbu& tbu_;
  std::uint32_t client_;  // of the TBU's ReachMeter
  MemoryPort& port_;
  AtsPort* ats_;
  StreamObserver* observer_ = nullptr;
  RandomStream random_;
  std::uint32_t bursts_;
  std::uint64_t blocks_;
  std::uint64_t limit_;         // transactions
  std::uint64_t position_ = 0;  // bytes; kRecorded: transactions
  bool prepared_ = false;
  Issue next_;
  Pace pace_;
  SimTime wake_at_ = kTimeMax;
  bool refused_ = false;
  std::uint32_t pending_ = 0;  // translations
  std::vector<Issue> issues_;  // of those, by cookie
  std::vector<std::uint32_t> free_cookies_;
  bool lit_ = false;  // has had a success
  std::optional<SimTime> dark_since_;
  mutable StreamStats stats_;  // but for what the next two hold back
  mutable RunLength translation_{stats_.translation};
  mutable RunLength latency_{stats_.latency};
};

}  // namespace smmulab::smmu::timed

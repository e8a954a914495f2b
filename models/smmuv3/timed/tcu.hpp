// SPDX-License-Identifier: Apache-2.0
// Tcu: the translation control unit. A TBU's request takes a slot (or waits in the request buffer),
// is looked up in the config cache, reads STE and CD in a CTW slot if it must, is looked up in the
// walk caches, and reads descriptors in a PTW slot, one after another; the answer goes back as a
// DTI message. Walks of one page of one ASID and VMID are done once. Rule: MMU-600 and MMU-700
// TRMs.
//
// An invalidation empties the caches at once and marks the requests in work that it may concern:
// they go on with what they have read, but what they bring is not cached, and a SYNC waits for
// them. Data are what memory holds when a read is issued.
// A transaction that stalls (fault_unit.hpp) keeps its slot until RESUME or STALL_TERM; a SYNC does
// not wait for it, since it starts anew.
// Prefetch (STE.PF; MMU-600 and MMU-700 manuals): once an ordinary transaction is translated, its
// slot walks for the next or previous range of the translation's reach, into the walk caches only,
// and tells nobody of faults. CMD_PREFETCH_* do the same in a free slot, where they are not
// ignored: for the configuration, or for at most kMaxPrefetches addresses. Requests do not join
// such walks. Not modelled: DVM, MPAM, ECC, WC_LKP_SLOTS.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "models/smmuv3/hw/config_cache.hpp"
#include "models/smmuv3/hw/config_fetch.hpp"
#include "models/smmuv3/timed/fault_unit.hpp"
#include "models/smmuv3/timed/gated_memo.hpp"
#include "models/smmuv3/timed/index_queue.hpp"
#include "models/smmuv3/timed/memory_port.hpp"
#include "models/smmuv3/timed/page_index.hpp"
#include "models/smmuv3/timed/params.hpp"
#include "models/smmuv3/timed/pmu.hpp"
#include "models/smmuv3/timed/tbu.hpp"

namespace smmulab::smmu::timed {

class Tcu final : public Timed {
 public:
  Tcu(Timers& timers, const TimedParams& params, const hw::Features& features,
      const hw::StreamTableBase& streams, hw::Memory& memory, MemoryPort& port);

  void connect(Tbu& tbu) { tbus_.push_back(&tbu); }  // in the order of their numbers

  // Empties the caches and marks what is in work.
  void invalidate(const hw::Command& command);
  [[nodiscard]] std::uint32_t stale() const { return stale_[0] + stale_[1]; }  // marked, in work
  // Requests in work that were marked up to now; later marks count for the next call. REQUIRES:
  // none of an earlier call is in work.
  [[nodiscard]] std::uint32_t stale_so_far() {
    SMMULAB_ASSERT(stale_[1 - marks_] == 0, "two SYNCs wait for the TCU");
    marks_ = 1 - marks_;
    return stale_[1 - marks_];
  }
  // `waiter` is fired with `what` when the last of those is answered.
  void notify_no_stale(Timed& waiter, std::uint32_t what) {
    stale_waiter_ = &waiter;
    stale_what_ = what;
  }
  // Faults go there from now on; without it they end their transactions.
  void set_faults(FaultUnit& faults) { faults_ = &faults; }
  [[nodiscard]] const hw::Features& features() const { return features_; }
  // RESUME and STALL_TERM. A STAG is the number of the transaction's slot.
  void resume(const hw::Command& command);
  void terminate_stalled(StreamId stream);
  [[nodiscard]] std::uint32_t stalled() const { return stalled_; }
  // CMD_PREFETCH_CONFIG and _ADDR. A hint: without a free slot nothing happens.
  static constexpr std::uint32_t kMaxPrefetches = 32;
  void prefetch(const hw::Command& command);
  // A read by another part of the TCU (command fetch), for the count of reads under way.
  void read_began();
  void read_ended() { --counters_.all.reads_now; }

  void fire(std::uint32_t what, std::uint32_t index) override;
  [[nodiscard]] const TcuCounters& counters() const { return counters_.all; }
  // Before the first request.
  void set_pmu_filter(const PmuFilter& filter) { counters_.set(filter); }
  [[nodiscard]] const TcuCounters* filtered() const { return counters_.chosen(); }
  [[nodiscard]] const hw::WalkCaches& walk_caches() const { return walk_; }
  [[nodiscard]] const hw::ConfigCache& config_cache() const { return config_; }

 private:
  enum Code : std::uint32_t { kConfigLookup = kFirstOwnCode, kIssue, kReadDone };
  enum class At : std::uint8_t { kFree, kLookup, kConfig, kWalk, kMerged, kStalled };
  static constexpr std::uint32_t kNone = PageIndex::kNone;
  struct alignas(64) Xlate {  // in lines of the host's cache
    At at = At::kFree;
    std::uint32_t tbu = 0, slot = 0;
    std::uint32_t next = kNone;  // merged with this one
    bool has_slot = false;       // PTW or CTW, as `at` says
    bool read_tables = false;
    bool read_config = false;
    bool stale = false;
    std::uint8_t marked_in = 0;  // stale: which count it is in
    bool stale_config = false;
    bool aborted = false;
    bool prefetching = false;  // nobody waits for it
    std::uint32_t more = 0;    // addresses to prefetch, this one included
    std::uint64_t stride = 0;  // to the next of them
    hw::Step step;
    hw::Request request;
    hw::Tag tag;
    Ban ban;
    GatedMemo memo;
    hw::TableWalk walk;
    hw::StreamConfig config;
    Verdict verdict = Verdict::kAbort;
    hw::Event fault = hw::Event::kNone;
    hw::Translation translation;
    std::array<std::uint64_t, 8> words{};
  };

  void start(std::uint32_t i, std::uint32_t message);
  void config_lookup(std::uint32_t i);
  void advance(std::uint32_t i);
  void issue(std::uint32_t i);
  void read_done(std::uint32_t i);
  void on_config_end(std::uint32_t i, bool fault);
  void with_config(std::uint32_t i);
  void begin_walk(std::uint32_t i, const hw::StreamConfig& config);
  void take_turn(std::uint32_t i);
  void give_turn(Xlate& x);
  bool config_is_there(std::uint32_t i);
  void finish(std::uint32_t i);
  void answer(std::uint32_t i);
  void release(std::uint32_t i);
  void set_verdict(Xlate& x, Verdict verdict, hw::Event event = hw::Event::kNone);
  [[nodiscard]] std::uint32_t equal_walk(const Xlate& x) const;
  void mark(Xlate& x);
  void unmark(Xlate& x);
  bool tell(std::uint32_t i, const hw::Fault& fault, const hw::StreamConfig& config);
  void stall(std::uint32_t i);
  void retry(std::uint32_t i);
  bool prepare_prefetch(Xlate& x) const;
  void walk_ahead(std::uint32_t i);
  void terminate(std::uint32_t i);
  [[nodiscard]] hw::WalkMemo* memo_of(Xlate& x);

  Timers& timers_;
  TimedParams params_;
  hw::Features features_;
  hw::StreamTableBase streams_;
  hw::Memory& memory_;
  MemoryPort& port_;
  std::vector<Tbu*> tbus_;
  hw::ConfigCache config_;
  hw::WalkCaches walk_;
  std::vector<Xlate> xlates_;
  std::vector<hw::ConfigFetch> fetches_;  // of those whose `at` is kConfig
  std::vector<std::uint32_t> free_;
  PageIndex walks_;    // that others may join
  IndexQueue buffer_;  // requests without a slot
  IndexQueue for_ptw_, for_ctw_;
  std::uint32_t ptw_free_, ctw_free_;
  bool has_walk_cache_;
  std::array<std::uint32_t, 2> stale_{};
  std::uint8_t marks_ = 0;  // which of the two counts new marks
  Timed* stale_waiter_ = nullptr;
  std::uint32_t stale_what_ = 0;
  FaultUnit* faults_ = nullptr;
  std::uint32_t stalled_ = 0;
  FilteredCounters<TcuCounters> counters_;
};

}  // namespace smmulab::smmu::timed

// SPDX-License-Identifier: Apache-2.0
// Counters of the timed SMMU under the event ids of its PMCGs and the names of `perf` (IHI 0070
// chapter 10; MMU-600 and MMU-700 manuals). They count always, the events 0x01 to 0x07 of some
// StreamIDs once more while there is a filter; TimedSmmu::pmu() lists them as `perf stat -e
// smmuv3_pmcg_...` would. A transaction that stalls and is resumed counts anew in the TCU, but for
// 0x01.
//
// Not modelled: the PMCGs' registers (a number of counters, overflow, capture), several filters at
// once, filters of the events of 0x80 and above.
// Not counted, since nothing here could be: 0xA0 (speculative translations), 0x87, 0x89 and 0x8A
// (write data buffer), 0x8B to 0x8D (downgrades, stashes, fixed bursts), 0xC0 to 0xC8 (RAS), 0xD0
// to 0xE7 (each LTI port; 0x85 and 0x86 are those of the one pipeline).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "models/smmuv3/hw/walk_cache.hpp"
#include "sim/ids.hpp"
#include "sim/time.hpp"

namespace smmulab::smmu::timed {

struct TbuCounters {
  std::uint64_t transaction = 0;            // 0x01
  std::uint64_t tlb_miss = 0;               // 0x02: requests sent to the TCU
  std::uint64_t config_cache_miss = 0;      // 0x03: of those, without a configuration in the TBU
  std::uint64_t pcie_ats_trans_passed = 0;  // 0x07: translated transactions that passed
  std::uint64_t main_lookup = 0;            // 0x80
  std::uint64_t main_miss = 0;              // 0x81
  std::uint64_t main_read = 0;              // 0x82: look-ups of one size
  std::uint64_t micro_lookup = 0;           // 0x83
  std::uint64_t micro_miss = 0;             // 0x84
  Ps slots_full{0};                         // 0x85, there in cycles
  Ps out_of_tokens{0};                      // 0x86, there in cycles
  std::uint64_t translation_request = 0;    // 0x88
  std::uint64_t merged = 0;  // misses that joined an equal one: no event of the manual
};

struct TcuCounters {
  std::uint64_t transaction = 0;              // 0x01: requests of TBUs
  std::uint64_t tlb_miss = 0;                 // 0x02: that read table entries
  std::uint64_t config_cache_miss = 0;        // 0x03: that read configuration, each once
  std::uint64_t trans_table_walk_access = 0;  // 0x04
  std::uint64_t config_struct_access = 0;     // 0x05
  std::uint64_t pcie_ats_trans_rq = 0;        // 0x06
  std::uint64_t walk_cache_read = 0;          // 0x90: look-ups in walk caches
  std::uint64_t buffered_translation = 0;     // 0x91
  std::uint64_t config_lookup = 0;            // 0x92: at a request's start
  std::uint64_t config_read = 0;              // 0x93: those, and who gets a CTW slot late
  std::uint64_t config_miss = 0;              // 0x94: of 0x92, even if another fetches it
  std::uint64_t merged = 0;                   // walks that joined an equal one
  std::uint64_t prefetch = 0;                 // walks and fetches ahead: no event of the manual
  std::uint32_t reads_now = 0;                // reads under way
  std::uint32_t reads_max = 0;                // never above PTW_SLOTS + CTW_SLOTS + 2
};

// filter_stream_id and filter_span of `perf` (SMMU_PMCG_SMR, FILTER_SID_SPAN): the StreamID, or
// with `span` all that differ from it at most in the bits up to its lowest 0. 0x42 is 0x42 and
// 0x43, all ones are all StreamIDs.
struct PmuFilter {
  StreamId stream;
  bool span = false;
  [[nodiscard]] constexpr bool matches(StreamId other) const {
    const std::uint32_t any = span ? stream.value() ^ (stream.value() + 1) : 0;
    return ((stream.value() ^ other.value()) & ~any) == 0;
  }
};

// Counters of a unit: of all streams, and of those that a filter lets through.
template <class Counters>
class FilteredCounters {
 public:
  using Event = std::uint64_t Counters::*;
  void set(const PmuFilter& filter) { filter_ = filter; }
  void add(Event event, StreamId stream, std::uint64_t times = 1) {
    all.*event += times;
    if (filter_ && filter_->matches(stream)) [[unlikely]] {
      chosen_.*event += times;
    }
  }
  [[nodiscard]] const Counters* chosen() const { return filter_ ? &chosen_ : nullptr; }

  Counters all;

 private:
  std::optional<PmuFilter> filter_;
  Counters chosen_;
};

struct PmuRow {
  std::string unit;  // "tcu", "tbu0", ...
  std::uint32_t id = 0;
  std::string name;  // up to 0x07 the kernel's (drivers/perf/arm_smmuv3_pmu.c)
  std::uint64_t value = 0;
  bool filtered = false;  // of the filter's streams alone
};
// `chosen`: what the filter lets through; nullptr: there is none.
void add_pmu_rows(std::vector<PmuRow>& rows, const std::string& unit, const TbuCounters& counters,
                  const TbuCounters* chosen, Ps cycle, SimTime now);
void add_pmu_rows(std::vector<PmuRow>& rows, const std::string& unit, const TcuCounters& counters,
                  const TcuCounters* chosen, const hw::WalkCaches& walk, Ps cycle, SimTime now);

}  // namespace smmulab::smmu::timed

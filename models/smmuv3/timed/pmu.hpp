// SPDX-License-Identifier: Apache-2.0
// Counters of the timed SMMU under the event ids of its PMCGs and the names of `perf` (IHI 0070
// chapter 10; MMU-600 and MMU-700 manuals). They count always; pmu_rows() lists them
// as `perf stat -e smmuv3_pmcg_...` would. Filters by StreamID are not modelled.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/smmuv3/hw/walk_cache.hpp"
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

struct PmuRow {
  std::string unit;  // "tcu", "tbu0", ...
  std::uint32_t id = 0;
  std::string name;
  std::uint64_t value = 0;
};
void add_pmu_rows(std::vector<PmuRow>& rows, const std::string& unit, const TbuCounters& counters,
                  Ps cycle, SimTime now);
void add_pmu_rows(std::vector<PmuRow>& rows, const std::string& unit, const TcuCounters& counters,
                  const hw::WalkCaches& walk, Ps cycle, SimTime now);

}  // namespace smmulab::smmu::timed

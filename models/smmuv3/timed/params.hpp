// SPDX-License-Identifier: Apache-2.0
// Sizes, latencies and limits of the timed SMMU. Ranges and provenance of each: params.cpp. Names
// are those of the MMU-600 and MMU-700 manuals.
#pragma once

#include <cstdint>
#include <optional>

#include "models/smmuv3/hw/smmu_caches.hpp"
#include "sim/params.hpp"
#include "sim/time.hpp"

namespace smmulab::smmu::timed {

struct MemoryParams {
  Ps latency{120'000};  // from the end of the burst's turn to the answer
  Ps burst{2'500};      // turn of one burst of 64 bytes: 25.6 GB/s
};

struct TbuParams {
  hw::CacheShape micro{16, 0, hw::Policy::kRoundRobin, 1};  // fully associative
  hw::CacheShape main{1024, 4, hw::Policy::kRandom, 2};     // 0 entries: none
  Ps cycle{1'000};                                          // one look-up starts per cycle
  Ps micro_lookup{1'000};
  Ps main_lookup{3'000};           // of one page size; each further size one cycle
  std::uint32_t xlate_slots = 64;  // transactions that miss
  std::uint32_t tokens = 256;      // DTI translation tokens: requests under way to the TCU
  Ps invalidate{6'000};            // one invalidation in the TLBs
  bool honour_global = true;       // translations that are not nG are found from any ASID
};

struct TcuParams {
  hw::CacheShape config{256, 4, hw::Policy::kRoundRobin, 3};
  bool walk_unified = false;
  hw::CacheShape walk{256, 4, hw::Policy::kRoundRobin, 4};  // of each walk cache, or of the one
  std::optional<hw::WalkCaches::Shape> walk_caches;         // instead, each by itself
  Ps config_lookup{3'000};
  Ps walk_lookup{4'000};           // one look-up, all levels of a stage at once
  std::uint32_t xlate_slots = 64;  // beyond: the translation request buffer
  std::uint32_t ptw_slots = 16;    // table walks, one read under way each
  std::uint32_t ctw_slots = 1;     // configuration walks
  Ps invalidate{8'000};            // one invalidation in walk and config caches
  Ps command_decode{2'000};
  std::uint32_t event_buffer = 8;  // event records on their way to memory
  // Not among the keys of describe(): no driver here sets STE.PF or sends prefetch commands.
  bool prefetch = true;            // PREFETCH_SUPPORTED of MMU-700: STE.PF is heeded
  bool prefetch_commands = false;  // MMU-600 and MMU-700 ignore CMD_PREFETCH_*
};

struct LinkParams {
  Ps dti{10'000};                  // one DTI message between TBU and TCU
  Ps doorbell{150'000};            // from the store to PROD to the first command fetch
  Ps completion{60'000};           // MSI write or event of a CMD_SYNC
  Ps atc_response{700'000};        // ATC_INV: there, invalidate, back
  Ps atc_timeout{50'000'000'000};  // 50 ms
};

// The filter by StreamID, under the names of `perf`; what it means: PmuFilter.
struct PmuParams {
  bool filter_enable = false;
  bool filter_span = false;
  std::uint32_t filter_stream_id = 0;
};

struct TimedParams {
  MemoryParams memory;
  TbuParams tbu;
  TcuParams tcu;
  LinkParams link;
  PmuParams pmu;
  std::uint32_t tbus = 1;
};

// Times, slots and tokens. Sizes of caches are the keys of hw::SmmuParams.
void describe(ParamTable& table, TimedParams& params);
// Throws ConfigError naming the keys: what no single range says (PTW_SLOTS <= XLATE_SLOTS, ...).
void check(const TimedParams& params);

}  // namespace smmulab::smmu::timed

// SPDX-License-Identifier: Apache-2.0
#include "models/smmuv3/timed/params.hpp"

#include <bit>
#include <string>

#include <fmt/format.h>

#include "models/smmuv3/hw/replacement.hpp"
#include "sim/error.hpp"

namespace smmulab::smmu::timed {
namespace {

constexpr Provenance kAssumed{"assumed; no public figure"};
constexpr Provenance kAgilex{"Intel Agilex 5 HPS TRM 4.3.4.4 (MMU-600)"};

void describe_tbu(ParamTable& t, TbuParams& p) {
  const std::string k = "smmuv3.tbu.";
  t.add(k + "cycle", &p.cycle, 1_ps, 1_us, "one TLB look-up starts per cycle", kAssumed);
  t.add(k + "micro_lookup", &p.micro_lookup, 0_ps, 10_us, "micro TLB look-up", kAssumed);
  t.add(k + "main_lookup", &p.main_lookup, 0_ps, 10_us,
        "main TLB look-up of one page size; each further size takes a cycle more",
        {"gem5 SMMUv3.py tlb_lat: 3 cycles; the clock is assumed"});
  t.add(k + "xlate_slots", &p.xlate_slots, 2, 512, "transactions of a TBU that wait for a walk",
        {"MMU-700 TRM XLATE_SLOTS 2..512; 64 on Agilex 5"});
  t.add(k + "tokens", &p.tokens, 2, 4096, "DTI translation tokens of a TBU", kAgilex);
  t.add(k + "invalidate", &p.invalidate, 0_ps, 1_ms, "one invalidation in a TBU's TLBs", kAssumed);
}

void describe_tcu(ParamTable& t, TcuParams& p) {
  const std::string k = "smmuv3.tcu.";
  t.add(k + "config_lookup", &p.config_lookup, 0_ps, 10_us, "config cache look-up", kAssumed);
  t.add(k + "walk_lookup", &p.walk_lookup, 0_ps, 10_us,
        "walk cache look-up, all levels of a stage at once", kAssumed);
  t.add(k + "xlate_slots", &p.xlate_slots, 4, 4096,
        "requests in work; others wait in the request buffer",
        {"MMU-700 TRM XLATE_SLOTS 4..4096; 64 on Agilex 5 and in gem5"});
  t.add(k + "ptw_slots", &p.ptw_slots, 2, 512, "table walks at once, one read under way each",
        {"MMU-700 TRM PTW_SLOTS 2..512; gem5 SMMUv3.py: 16"});
  t.add(k + "ctw_slots", &p.ctw_slots, 1, 4, "configuration walks at once: 1, 2 or 4",
        {"MMU-700 TRM CTW_SLOTS 1, 2, 4; the value is assumed"});
  t.add(k + "invalidate", &p.invalidate, 0_ps, 1_ms, "one invalidation in the TCU's caches",
        kAssumed);
  t.add(k + "command_decode", &p.command_decode, 0_ps, 1_ms, "decoding one command", kAssumed);
  t.add(k + "event_buffer", &p.event_buffer, 1, 4096,
        "event records on their way to memory; what faults beyond keeps its slot", kAssumed);
}

void describe_pmu(ParamTable& t, PmuParams& p) {
  constexpr Provenance kChoice{"user's choice"};
  const std::string k = "smmuv3.pmu.";
  t.add(k + "filter_enable", &p.filter_enable,
        "the PMU's events 0x01 to 0x07 count the filter's streams alone", kChoice);
  t.add(k + "filter_span", &p.filter_span,
        "the filter lets StreamIDs through that differ from its own in the bits up to its lowest 0",
        kChoice);
  t.add(k + "filter_stream_id", &p.filter_stream_id, 0, ~0U, "the filter's StreamID", kChoice);
}

void check_cache(const std::string& key, const hw::CacheShape& shape) {
  const std::uint32_t ways = shape.ways == 0 ? shape.entries : shape.ways;
  if (shape.entries == 0) {
    return;
  }
  if (shape.entries % ways != 0 || !std::has_single_bit(shape.entries / ways)) {
    throw ConfigError(
        fmt::format("{0}_entries = {1} over {0}_ways = {2}: the number of sets must "
                    "be a power of 2",
                    key, shape.entries, ways));
  }
  if (shape.policy == hw::Policy::kPlru &&
      (!std::has_single_bit(ways) || ways > hw::Replacement::kMaxPlruWays)) {
    throw ConfigError(fmt::format("{}_policy = plru needs a power of 2 of at most {} ways, not {}",
                                  key, hw::Replacement::kMaxPlruWays, ways));
  }
}

}  // namespace

void describe(ParamTable& t, TimedParams& p) {
  t.add("smmuv3.memory.latency", &p.memory.latency, 0_ps, 1_ms,
        "memory latency as the SMMU and its clients see it", kAssumed);
  t.add("smmuv3.memory.burst", &p.memory.burst, 0_ps, 1_us,
        "time of 64 bytes on the memory channel (2.5ns: 25.6 GB/s)", kAssumed);
  describe_tbu(t, p.tbu);
  describe_tcu(t, p.tcu);
  t.add("smmuv3.link.dti", &p.link.dti, 0_ps, 1_ms, "one message between TBU and TCU", kAssumed);
  t.add("smmuv3.link.doorbell", &p.link.doorbell, 0_ps, 1_ms,
        "from the store to PROD to the first command fetch", kAssumed);
  t.add("smmuv3.link.completion", &p.link.completion, 0_ps, 1_ms,
        "from the end of a CMD_SYNC to its MSI or event at the CPU", kAssumed);
  t.add("smmuv3.link.atc_response", &p.link.atc_response, 0_ps, Ps{1'000'000'000'000},
        "ATC_INV: to the device, there, and back", kAssumed);
  t.add("smmuv3.link.atc_timeout", &p.link.atc_timeout, 1_us, Ps{100'000'000'000'000},
        "an ATC_INV without answer is an error after this time",
        {"PCIe ATS: 1 min (+50 %) at most; the value is assumed"});
  describe_pmu(t, p.pmu);
  t.add("smmuv3.tbus", &p.tbus, 1, 62, "TBUs on the DTI",
        {"MMU-600 and MMU-700 TRM: up to 14 or 62 DTI masters"});
}

void check(const TimedParams& p) {
  check_cache("smmuv3.utlb", p.tbu.micro);
  check_cache("smmuv3.mtlb", p.tbu.main);
  check_cache("smmuv3.cc", p.tcu.config);
  check_cache("smmuv3.wc", p.tcu.walk);
  if (p.tcu.ptw_slots > p.tcu.xlate_slots) {
    throw ConfigError(
        fmt::format("smmuv3.tcu.ptw_slots = {} must be at most "
                    "smmuv3.tcu.xlate_slots = {} (MMU-700 TRM)",
                    p.tcu.ptw_slots, p.tcu.xlate_slots));
  }
  if (p.tcu.ctw_slots > p.tcu.ptw_slots) {
    throw ConfigError(
        fmt::format("smmuv3.tcu.ctw_slots = {} must be at most "
                    "smmuv3.tcu.ptw_slots = {} (MMU-700 TRM)",
                    p.tcu.ctw_slots, p.tcu.ptw_slots));
  }
  if (!std::has_single_bit(p.tcu.ctw_slots)) {
    throw ConfigError(fmt::format("smmuv3.tcu.ctw_slots = {}: expected 1, 2 or 4 (MMU-700 TRM)",
                                  p.tcu.ctw_slots));
  }
  // No answer would ever be in time, and no driver here goes on after CERROR_ATC_INV_SYNC.
  if (p.link.atc_timeout < p.link.atc_response) {
    throw ConfigError(
        fmt::format("smmuv3.link.atc_timeout = {} must be at least smmuv3.link.atc_response = {}",
                    format_duration(p.link.atc_timeout), format_duration(p.link.atc_response)));
  }
  if (p.tcu.config.entries == 0 || p.tbu.micro.entries == 0) {
    throw ConfigError("smmuv3.cc_entries and smmuv3.utlb_entries must not be 0");
  }
}

}  // namespace smmulab::smmu::timed

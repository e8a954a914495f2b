// SPDX-License-Identifier: Apache-2.0
#include "models/smmuv3/timed/pmu.hpp"

#include <fmt/format.h>

namespace smmulab::smmu::timed {
namespace {

std::uint64_t cycles_in(Ps time, Ps cycle) {
  return static_cast<std::uint64_t>(time / cycle);
}

}  // namespace

void add_pmu_rows(std::vector<PmuRow>& rows, const std::string& unit, const TbuCounters& c,
                  const TbuCounters* chosen, Ps cycle, SimTime now) {
  const auto add = [&](std::uint32_t id, const char* name, std::uint64_t value) {
    rows.push_back({unit, id, name, value});
  };
  const auto add_filtered = [&](std::uint32_t id, const char* name,
                                std::uint64_t TbuCounters::* event) {
    rows.push_back({unit, id, name, (chosen != nullptr ? *chosen : c).*event, chosen != nullptr});
  };
  add(0x00, "cycles", cycles_in(now - kTimeZero, cycle));
  add_filtered(0x01, "transaction", &TbuCounters::transaction);
  add_filtered(0x02, "tlb_miss", &TbuCounters::tlb_miss);
  add_filtered(0x03, "config_cache_miss", &TbuCounters::config_cache_miss);
  add_filtered(0x07, "pcie_ats_trans_passed", &TbuCounters::pcie_ats_trans_passed);
  add(0x80, "main_tlb_lookup", c.main_lookup);
  add(0x81, "main_tlb_miss", c.main_miss);
  add(0x82, "main_tlb_read", c.main_read);
  add(0x83, "micro_tlb_lookup", c.micro_lookup);
  add(0x84, "micro_tlb_miss", c.micro_miss);
  add(0x85, "slots_full", cycles_in(c.slots_full, cycle));
  add(0x86, "out_of_trans_tokens", cycles_in(c.out_of_tokens, cycle));
  add(0x88, "translation_request", c.translation_request);
}

void add_pmu_rows(std::vector<PmuRow>& rows, const std::string& unit, const TcuCounters& c,
                  const TcuCounters* chosen, const hw::WalkCaches& walk, Ps cycle, SimTime now) {
  const auto add = [&](std::uint32_t id, std::string name, std::uint64_t value) {
    rows.push_back({unit, id, std::move(name), value});
  };
  const auto add_filtered = [&](std::uint32_t id, const char* name,
                                std::uint64_t TcuCounters::* event) {
    rows.push_back({unit, id, name, (chosen != nullptr ? *chosen : c).*event, chosen != nullptr});
  };
  add(0x00, "cycles", cycles_in(now - kTimeZero, cycle));
  add_filtered(0x01, "transaction", &TcuCounters::transaction);
  add_filtered(0x02, "tlb_miss", &TcuCounters::tlb_miss);
  add_filtered(0x03, "config_cache_miss", &TcuCounters::config_cache_miss);
  add_filtered(0x04, "trans_table_walk_access", &TcuCounters::trans_table_walk_access);
  add_filtered(0x05, "config_struct_access", &TcuCounters::config_struct_access);
  add_filtered(0x06, "pcie_ats_trans_rq", &TcuCounters::pcie_ats_trans_rq);
  std::uint32_t id = 0x80;
  for (unsigned stage = 1; stage <= 2; ++stage) {
    for (unsigned level = 0; level <= hw::kLastLevel; ++level) {
      const auto& stats = walk.stats(stage, level);
      add(id++, fmt::format("s{}l{}wc_lookup", stage, level), stats.lookups);
      add(id++, fmt::format("s{}l{}wc_miss", stage, level), stats.misses);
    }
  }
  add(0x90, "wc_read", c.walk_cache_read);
  add(0x91, "buffered_translation", c.buffered_translation);
  add(0x92, "cc_lookup", c.config_lookup);
  add(0x93, "cc_read", c.config_read);
  add(0x94, "cc_miss", c.config_miss);
}

}  // namespace smmulab::smmu::timed

// SPDX-License-Identifier: Apache-2.0
#include "workloads/unread_settings.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace smmulab::workloads {
namespace {

struct Rule {
  std::string_view prefix;     // "smmuv3.": of these keys
  std::string_view exception;  // the one of them that is read
  bool unread;
  std::string_view why;
};

// Each parameter once, however often it was set.
std::vector<std::string> keys_of(const Rule& rule, const Settings& settings) {
  std::vector<std::string> keys;
  for (const std::string& key : settings.assigned) {
    if (key.starts_with(rule.prefix) && key != rule.exception &&
        std::ranges::find(keys, key) == keys.end()) {
      keys.push_back(key);
    }
  }
  return keys;
}

}  // namespace

// inert_costs() of python/smmulab/config.py leaves the same out of sensitivity studies.
std::vector<std::string> unread_settings(const Settings& settings, bool recorded_dma) {
  const bool counted = settings.hardware.kind == smmu::HardwareKind::kCounted;
  const bool no_dma =
      settings.hardware.stream.pattern == smmu::StreamPattern::kNone && !recorded_dma;
  const bool no_range_inv =
      settings.driver.range_inv &&
      !smmu::as_probed(settings.driver, settings.hardware, settings.smmuv3).range_inv;
  const std::array<Rule, 5> rules{{
      {"smmuv3.", "smmuv3.hardware", counted, "smmuv3.hardware is counted, whose times are hw.*"},
      {"stream.", "stream.pattern", no_dma, "there is no stream.pattern and no DMA trace"},
      {"driver.range_inv", "", no_range_inv, "this smmuv3.part has no range invalidation"},
      {"driver.evtq_", "", !settings.driver.events, "driver.events is false"},
      {"dma.", "", true, "a replay has no map+unmap loop (smmulab dma-bench has)"},
  }};
  std::vector<std::string> warnings;
  for (const Rule& rule : rules) {
    if (!rule.unread) {
      continue;
    }
    if (const std::vector<std::string> keys = keys_of(rule, settings); !keys.empty()) {
      warnings.push_back(fmt::format("{} {} set, but not read: {}", fmt::join(keys, ", "),
                                     keys.size() == 1 ? "is" : "are", rule.why));
    }
  }
  return warnings;
}

}  // namespace smmulab::workloads

// SPDX-License-Identifier: Apache-2.0
// Atc: the address translation cache of one device (PCIe ATS), filled from translation completions
// and emptied by ATC_INV (IHI 0070 4.5). An entry has the reach of its translation.
// Not modelled: time-outs (they belong to the link), page requests.
#pragma once

#include <cstdint>
#include <optional>

#include "models/smmuv3/hw/command.hpp"
#include "models/smmuv3/hw/set_assoc.hpp"
#include "models/smmuv3/hw/table_walk.hpp"

namespace smmulab::smmu::hw {

struct AtcEntry {
  std::optional<Ssid> substream;
  std::uint64_t input = 0, output = 0;
  std::uint8_t reach_log2 = 12;
  Permissions perms;
};

class Atc {
 public:
  static constexpr unsigned kWholeSpace = 52;  // ATC_INV Size: everything
  explicit Atc(std::uint32_t entries, Policy policy = Policy::kLru, std::uint64_t seed = 1)
      : cache_({entries, 0, policy, seed}) {}

  // The address to send with (physical; with split-stage ATS an IPA), if a translation that allows
  // the access is there.
  [[nodiscard]] std::optional<std::uint64_t> lookup(std::optional<Ssid> substream,
                                                    std::uint64_t input, const Access& access) {
    const AtcEntry* const entry = cache_.find(0, [&](const AtcEntry& e) {
      return e.substream == substream && (e.input ^ input) >> e.reach_log2 == 0 &&
             e.perms.allow(access);
    });
    return entry == nullptr ? std::nullopt : std::optional{entry->output + (input - entry->input)};
  }
  void fill(std::optional<Ssid> substream, std::uint64_t input, const Translation& t) {
    const std::uint64_t base = input & ~low_mask(t.reach_log2);
    cache_.fill(
        0, AtcEntry{substream, base, t.output - (input - base), t.reach_log2, t.perms},
        [&](const AtcEntry& e) {
          return e.substream == substream && e.input == base && e.reach_log2 == t.reach_log2;
        },
        [](const AtcEntry&) {});
  }
  // REQUIRES: an ATC_INV.
  std::uint32_t invalidate(const Command& command) {
    return cache_.erase_if([&command](const AtcEntry& e) { return covers(command, e); },
                           [](const AtcEntry&) {});
  }
  // Without SSV the invalidate request has no PASID, and takes what any PASID asked for (PCIe ATS,
  // as arm_smmu_atc_inv_to_cmd() of Linux 6.12 says); Global matters with SSV only.
  [[nodiscard]] static bool covers(const Command& c, const AtcEntry& e) {
    if (c.substream_valid && !c.global && e.substream != c.substream) {
      return false;
    }
    if (c.size >= kWholeSpace) {
      return true;
    }
    const unsigned log2 = 12U + c.size;
    const std::uint64_t first = c.address & ~low_mask(log2);
    return (e.input | low_mask(e.reach_log2)) >= first && e.input <= (first | low_mask(log2));
  }
  [[nodiscard]] std::uint32_t size() const { return cache_.size(); }
  template <class Visit>
  void for_each(const Visit& visit) const {
    cache_.for_each(visit);
  }

 private:
  SetAssoc<AtcEntry> cache_;
};

}  // namespace smmulab::smmu::hw

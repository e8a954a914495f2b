// SPDX-License-Identifier: Apache-2.0
// How Linux changes a 64-byte STE or CD under a running SMMU: the writer compares the bits the
// hardware uses now with those it will use, and either changes one critical quadword (hitless) or
// goes through V=0 (breaking). Each step that changes something is followed by a sync.
// Rule: Linux 6.12 drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c arm_smmu_write_entry(),
// arm_smmu_get_ste_used(), arm_smmu_get_cd_used(); field layout Arm IHI 0070 sections 5.2 and 5.4.
// Not modelled: memory attributes, MPAM, secure fields; the 6.2 writer (driver_6_2.cpp has it).
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <vector>

namespace smmulab::smmu {

inline constexpr std::size_t kEntryQwords = 8;
using Entry = std::array<std::uint64_t, kEntryQwords>;
// Gives the mask of bits the hardware uses while the entry has this value.
using UsedBits = Entry (*)(const Entry&);

[[nodiscard]] Entry ste_used_bits(const Entry& ste);
[[nodiscard]] Entry cd_used_bits(const Entry& cd);

struct EntryUpdate {
  std::array<Entry, 3> steps{};  // each is followed by a sync
  std::uint32_t step_count = 0;
  bool hitless = true;  // no sync sees the entry invalid
};

// The steps from `current` to `target`.
[[nodiscard]] EntryUpdate plan_entry_update(const Entry& current, const Entry& target,
                                            UsedBits used);

// --- Values: the fields Linux sets for 48-bit tables of 4 KiB pages -----------------------------

enum class S1Dss : std::uint8_t { kTerminate = 0, kBypass = 1, kSsid0 = 2 };

[[nodiscard]] Entry make_abort_ste();
[[nodiscard]] Entry make_bypass_ste();
[[nodiscard]] Entry make_cdtable_ste(std::uint64_t cd_table, bool ats, S1Dss s1dss = S1Dss::kSsid0);
// The same with a table of two levels: S1Fmt (leaves of 64 KiB), S1CDMax.
[[nodiscard]] Entry with_two_levels(const Entry& cdtable_ste, std::uint32_t ssid_bits);
[[nodiscard]] Entry make_s2_ste(std::uint16_t vmid, std::uint64_t s2ttb, bool ats);
// Both stages: a guest's CD table below a nest parent.
[[nodiscard]] Entry make_nested_ste(std::uint64_t guest_cd_table, std::uint16_t vmid,
                                    std::uint64_t s2ttb, bool ats);
[[nodiscard]] Entry make_s1_cd(std::uint16_t asid, std::uint64_t ttb0);
// The CD of a shared-mm (SVA) context whose table was released: EPD0 set.
[[nodiscard]] Entry make_released_sva_cd(std::uint16_t asid);

// Would a transaction of this entry reach a translation (or bypass) at all?
[[nodiscard]] bool ste_passes(const Entry& ste);
[[nodiscard]] bool ste_uses_cd(const Entry& ste);
[[nodiscard]] bool cd_valid(const Entry& cd);

}  // namespace smmulab::smmu

// SPDX-License-Identifier: Apache-2.0
#include "models/smmuv3/driver/entry_writer.hpp"

#include <bit>

namespace smmulab::smmu {
namespace {

constexpr std::uint64_t bits(unsigned high, unsigned low) {
  return (~0ULL >> (63U - high)) & (~0ULL << low);
}

// STE (IHI 0070 section 5.2)
constexpr std::uint64_t kSteValid = 1;
constexpr std::uint64_t kSteConfig = bits(3, 1);
constexpr std::uint64_t kSteS1Fmt = bits(5, 4);
constexpr std::uint64_t kSteS1ContextPtr = bits(51, 6);
constexpr std::uint64_t kSteS1CdMax = bits(63, 59);
constexpr std::uint64_t kSteS1Dss = bits(1, 0);
constexpr std::uint64_t kSteS1Cacheability = bits(7, 2);
constexpr std::uint64_t kSteS1StallD = 1ULL << 27U;
constexpr std::uint64_t kSteEats = bits(29, 28);
constexpr std::uint64_t kSteStrw = bits(31, 30);
constexpr std::uint64_t kSteShcfg = bits(45, 44);
constexpr std::uint64_t kSteS2Vmid = bits(15, 0);
constexpr std::uint64_t kSteVtcr = bits(50, 32);
constexpr std::uint64_t kSteS2Flags = bits(58, 57) | (1ULL << 54U) | (1ULL << 52U) | (1ULL << 51U);
constexpr std::uint64_t kSteS2Ttb = bits(51, 4);

constexpr std::uint64_t kConfigAbort = 0;
constexpr std::uint64_t kConfigBypass = 4;
constexpr std::uint64_t kConfigS1 = 5;
constexpr std::uint64_t kConfigS2 = 6;
constexpr std::uint64_t kS1Fmt64KLeaves = 2;

// CD (IHI 0070 section 5.4)
constexpr std::uint64_t kCdValid = 1ULL << 31U;
constexpr std::uint64_t kCdIps48 = 5ULL << 32U;
constexpr std::uint64_t kCdEpd0 = 1ULL << 14U;
constexpr std::uint64_t kCdTtb0Config = bits(13, 0);  // T0SZ, TG0, IR0, OR0, SH0
constexpr std::uint64_t kCdTtb0 = bits(51, 4);

std::uint64_t config_of(const Entry& ste) {
  return (ste[0] & kSteConfig) >> 1U;
}

}  // namespace

Entry ste_used_bits(const Entry& ste) {
  Entry used{};
  used[0] = kSteValid;
  if ((ste[0] & kSteValid) == 0) {
    return used;
  }
  const std::uint64_t config = config_of(ste);
  used[0] |= kSteConfig;
  if ((config & 1U) != 0) {  // stage 1 translates
    used[0] |= kSteS1Fmt | kSteS1ContextPtr | kSteS1CdMax;
    used[1] |= kSteS1Dss | kSteS1Cacheability | kSteS1StallD | kSteStrw | kSteEats;
    used[2] |= kSteS2Vmid;
    if ((ste[1] & kSteS1Dss) == static_cast<std::uint64_t>(S1Dss::kBypass)) {
      used[1] |= kSteShcfg;
    }
  }
  if ((config & 2U) != 0) {  // stage 2 translates
    used[1] |= kSteEats | kSteShcfg;
    used[2] |= kSteS2Vmid | kSteVtcr | kSteS2Flags;
    used[3] |= kSteS2Ttb;
  }
  if (config == kConfigBypass) {
    used[1] |= kSteShcfg;
  }
  return used;
}

Entry cd_used_bits(const Entry& cd) {
  Entry used{};
  used[0] = kCdValid;
  if ((cd[0] & kCdValid) == 0) {
    return used;
  }
  used.fill(~0ULL);
  if ((cd[0] & kCdEpd0) != 0) {
    used[0] &= ~kCdTtb0Config;
    used[1] &= ~kCdTtb0;
  }
  return used;
}

EntryUpdate plan_entry_update(const Entry& current, const Entry& target, UsedBits used) {
  const Entry used_now = used(current);
  const Entry used_then = used(target);
  Entry unused_update{};
  unsigned differing = 0;
  for (std::size_t i = 0; i < kEntryQwords; ++i) {
    unused_update[i] = (current[i] & used_now[i]) | (target[i] & ~used_now[i]);
    if ((unused_update[i] & used_then[i]) != target[i]) {
      differing |= 1U << i;
    }
  }
  EntryUpdate update;
  Entry value = current;
  const auto step = [&update, &value](const Entry& next) {
    if (next != value) {
      update.steps[update.step_count++] = next;
      update.hitless = update.hitless && next[0] != 0;
      value = next;
    }
  };
  if (std::popcount(differing) == 1) {
    const auto critical = static_cast<std::size_t>(std::countr_zero(differing));
    unused_update[critical] = current[critical];
    step(unused_update);
    Entry switched = value;
    switched[critical] = target[critical];
    step(switched);
    step(target);
  } else if (differing != 0) {
    Entry broken = value;
    broken[0] = 0;
    step(broken);
    Entry filled = target;
    filled[0] = 0;
    step(filled);
    step(target);
  } else {
    step(target);
  }
  return update;
}

Entry make_abort_ste() {
  Entry ste{};
  ste[0] = kSteValid | (kConfigAbort << 1U);
  return ste;
}

Entry make_bypass_ste() {
  Entry ste{};
  ste[0] = kSteValid | (kConfigBypass << 1U);
  ste[1] = 1ULL << 44U;  // SHCFG: use incoming
  return ste;
}

Entry make_cdtable_ste(std::uint64_t cd_table, bool ats, S1Dss s1dss) {
  Entry ste{};
  ste[0] = kSteValid | (kConfigS1 << 1U) | (cd_table & kSteS1ContextPtr);
  ste[1] = static_cast<std::uint64_t>(s1dss) | (0b010101ULL << 2U) | kSteS1StallD |
           (ats ? 1ULL << 28U : 0);
  if (s1dss == S1Dss::kBypass) {
    ste[1] |= 1ULL << 44U;
  }
  return ste;
}

Entry with_two_levels(const Entry& cdtable_ste, std::uint32_t ssid_bits) {
  Entry ste = cdtable_ste;
  ste[0] |= (kS1Fmt64KLeaves << 4U) | (std::uint64_t{ssid_bits} << 59U);
  return ste;
}

Entry make_s2_ste(std::uint16_t vmid, std::uint64_t s2ttb, bool ats) {
  Entry ste{};
  ste[0] = kSteValid | (kConfigS2 << 1U);
  ste[1] = (1ULL << 44U) | (ats ? 1ULL << 28U : 0);
  ste[2] = vmid | (0x50590ULL << 32U & kSteVtcr) | (1ULL << 51U) | (1ULL << 54U) | (1ULL << 58U);
  ste[3] = s2ttb & kSteS2Ttb;
  return ste;
}

// arm_smmu_make_nested_domain_ste(): the parent's words, and the guest's on top of them.
Entry make_nested_ste(std::uint64_t guest_cd_table, std::uint16_t vmid, std::uint64_t s2ttb,
                      bool ats) {
  Entry ste = make_s2_ste(vmid, s2ttb, ats);
  ste[0] |= (kConfigS1 << 1U) | (guest_cd_table & kSteS1ContextPtr);
  ste[1] |= static_cast<std::uint64_t>(S1Dss::kSsid0) | (0b010101ULL << 2U);
  return ste;
}

Entry make_s1_cd(std::uint16_t asid, std::uint64_t ttb0) {
  Entry cd{};
  cd[0] = 16U | kCdValid | kCdIps48 | (1ULL << 30U) | (1ULL << 41U) | (1ULL << 45U) |
          (1ULL << 46U) | (1ULL << 47U) | (static_cast<std::uint64_t>(asid) << 48U);
  cd[1] = ttb0 & kCdTtb0;
  cd[3] = 0xffffff04;  // MAIR
  return cd;
}

Entry make_released_sva_cd(std::uint16_t asid) {
  Entry cd = make_s1_cd(asid, 0);
  cd[0] = (cd[0] & ~kCdTtb0Config) | kCdEpd0;
  return cd;
}

bool ste_passes(const Entry& ste) {
  return (ste[0] & kSteValid) != 0 && config_of(ste) != kConfigAbort;
}

bool ste_uses_cd(const Entry& ste) {
  return (ste[0] & kSteValid) != 0 && (config_of(ste) & 1U) != 0;
}

bool cd_valid(const Entry& cd) {
  return (cd[0] & kCdValid) != 0;
}

}  // namespace smmulab::smmu

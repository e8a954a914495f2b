// SPDX-License-Identifier: Apache-2.0
#include "workloads/qemu_smmu/synthetic_log_testing.hpp"

#include <utility>

#include <fmt/format.h>

namespace smmulab::workloads::qemu::testing {
namespace {

unsigned level_of(unsigned log2) {
  return log2 == 21 ? 2 : 3;
}
std::uint64_t index_at(std::uint64_t va, unsigned level) {
  return va >> shift_of(level) & 511U;
}

}  // namespace

SyntheticLog::SyntheticLog(std::uint64_t seed, Spelling spelling, Sink sink,
                           std::size_t iotlb_entries)
    : random_(seed, "synthetic log"),
      spelling_(spelling),
      sink_(std::move(sink)),
      iotlb_entries_(iotlb_entries) {
  constexpr std::uint64_t kSids[] = {0x8, 0x10, 0x30, 0x31, 0x130, 0x131, 0x208, 0x310};
  for (std::size_t i = 0; i < devices_.size(); ++i) {
    devices_[i].sid = kSids[i];
    devices_[i].space = i % spaces_.size();
  }
  for (std::size_t i = 0; i < spaces_.size(); ++i) {
    spaces_[i].asid = i + 1;
    spaces_[i].root = next_frame_;
    spaces_[i].cd = next_frame_ + kPage;
    next_frame_ += 2 * kPage;
  }
}

void SyntheticLog::line(const std::string& text) {
  sink_(fmt::format("{}@1795342578.{:06}:{}", thread_, lines_++ % 1'000'000, text));
}

SyntheticLog::Leaf* SyntheticLog::leaf_at(Space& space, std::uint64_t va) {
  auto it = space.leaves.upper_bound(va);
  if (it == space.leaves.begin()) {
    return nullptr;
  }
  --it;
  return va < it->first + (std::uint64_t{1} << it->second.log2) ? &it->second : nullptr;
}

std::size_t SyntheticLog::configure(Device& d) {
  if (d.cached) {
    line(fmt::format(
        "smmuv3_config_cache_hit Config cache HIT for sid={:#x} (hits=9, misses=1, hit rate=90)",
        d.sid));
    return *d.cached;
  }
  const Space& space = spaces_[d.space];
  const std::uint64_t l2 = 0x7ac6'0000 + (d.sid >> 8U) * 0x1'0000;
  line(fmt::format(
      "smmuv3_config_cache_miss Config cache MISS for sid={:#x} (hits=0, misses=1, hit rate=0)",
      d.sid));
  line(fmt::format("smmuv3_find_ste sid={:#x} features:0x1, sid_split:0x8", d.sid));
  line(
      fmt::format("smmuv3_find_ste_2lvl strtab_base:0x4000000043a37000 l1ptr:0x43a37000 "
                  "l1_off:{:#x}, l2ptr:{:#x} l2_off:{:#x} max_l2_ste:511",
                  d.sid >> 8U, l2, d.sid & 0xFFU));
  line(fmt::format("smmuv3_get_ste STE addr: {:#x}", l2 + (d.sid & 0xFFU) * 64));
  line(fmt::format("smmuv3_get_cd CD addr: {:#x}", space.cd));
  line("smmuv3_decode_cd oas=44");
  line(fmt::format("smmuv3_decode_cd_tt TT[0]:tsz:16 ttb:{:#x} granule_sz:12 had:0", space.root));
  d.cached = d.space;
  return d.space;
}

const SyntheticLog::Leaf* SyntheticLog::lookup(const Space& space, std::uint64_t va) const {
  for (const unsigned level : {2U, 3U}) {
    const std::uint64_t base = va >> shift_of(level) << shift_of(level);
    if (const auto it = iotlb_.find({space.asid, base, level}); it != iotlb_.end()) {
      return &it->second;
    }
  }
  return nullptr;
}

// The descriptors on the way to the leaf, or to the first that is invalid (then false).
bool SyntheticLog::walk(Space& space, std::uint64_t va, const Leaf* leaf) {
  const std::string stage = spelling_ == Spelling::kNew ? "stage=1 " : "";
  std::uint64_t base = space.root;
  for (unsigned level = 0;; ++level) {
    const std::uint64_t index = index_at(va, level), at = base + 8 * index;
    const bool is_leaf = leaf != nullptr && level == level_of(leaf->log2);
    const auto next = space.tables.find({level + 1, va >> shift_of(level)});
    std::uint64_t word = 0;
    if (is_leaf) {
      word = leaf->pa | 0x745U | (level == 3 ? 2U : 0U) | (leaf->writable ? 0U : 0x80U) |
             (leaf->global ? 0U : 0x800U);
    } else if (next != space.tables.end()) {
      word = next->second | 3U;
    }
    line(fmt::format("smmu_get_pte baseaddr={:#x} index={:#x}, pteaddr={:#x}, pte={:#x}", base,
                     index, at, word));
    line(
        fmt::format("smmu_ptw_level {}level={} iova={:#x} subpage_sz={:#x} baseaddr={:#x} "
                    "offset={} => pte={:#x}",
                    stage, level, va, std::uint64_t{1} << shift_of(level), base, index, word));
    if (word == 0) {
      line(
          fmt::format("smmu_ptw_invalid_pte stage=1 level={} base@={:#x} pte@={:#x} offset={} "
                      "pte=0x0",
                      level, base, at, index));
      return false;
    }
    if (is_leaf && level == 3) {
      line(
          fmt::format("smmu_ptw_page_pte stage=1 level=3 iova={:#x} base@={:#x} pte@={:#x} "
                      "pte={:#x} page address = {:#x}",
                      va, base, at, word, leaf->pa));
    } else if (is_leaf) {
      line(
          fmt::format("smmu_ptw_block_pte stage=1 level={} base@={:#x} pte@={:#x} pte={:#x} "
                      "iova={:#x} block address = {:#x} block size = 2 MiB",
                      level, base, at, word, va, leaf->pa));
    }
    if (is_leaf) {
      return true;
    }
    base = next->second;
  }
}

void SyntheticLog::insert(const Space& space, std::uint64_t va, const Leaf& leaf) {
  if (iotlb_.size() >= iotlb_entries_) {
    iotlb_.clear();
    ++counts.flushes;
    line("smmu_iotlb_inv_all IOTLB invalidate all");
  }
  const std::uint64_t base = va >> leaf.log2 << leaf.log2;
  iotlb_[{space.asid, base, level_of(leaf.log2)}] = leaf;
  line(fmt::format("smmu_iotlb_insert IOTLB ++ asid={}{} addr={:#x} tg=1 level={}", space.asid,
                   vmid(), base, level_of(leaf.log2)));
}

void SyntheticLog::success(const Device& d, std::uint64_t va, const Leaf& leaf) {
  const std::uint64_t pa = leaf.pa + (va & ((std::uint64_t{1} << leaf.log2) - 1));
  line(fmt::format(
      "smmuv3_translate_success smmuv3-iommu-memory-region-{}-1 sid={:#x} "
      "iova={:#x} translated={:#x} perm={:#x}{}",
      d.sid, d.sid, va, pa, leaf.writable ? 3 : 1, spelling_ == Spelling::kNew ? " stage=1" : ""));
  ++counts.translations;
  counts.blocks += leaf.log2 == 21 ? 1U : 0U;
}

void SyntheticLog::fault(const Device& d, const char* event) {
  line(fmt::format("smmuv3_record_event SMMU_EVT_{} sid={:#x}", event, d.sid));
  ++counts.faults;
}

void SyntheticLog::access() {
  Device& d = devices_[pick(devices_.size())];
  thread_ = 100 + static_cast<unsigned>(d.sid % 3);
  // Half of the areas are in use most of the time.
  const std::uint64_t area = pick(8) != 0 ? pick(kAreas / 4) : pick(kAreas);
  const std::uint64_t va = area * kBlock + pick(kUsed) * kPage + pick(64) * 64;
  const bool write = pick(2) == 0;
  Space& space = spaces_[configure(d)];
  const std::uint64_t page = va & ~(kPage - 1);
  const Leaf* const found = lookup(space, page);
  line(
      fmt::format("smmu_iotlb_lookup_{} IOTLB cache {} asid={}{} addr={:#x} hit=1 miss=1 hit "
                  "rate=50",
                  found != nullptr ? "hit" : "miss", found != nullptr ? "HIT" : "MISS", space.asid,
                  vmid(), page));
  const Leaf* const leaf = found != nullptr ? found : leaf_at(space, va);
  if (found == nullptr && !walk(space, page, leaf)) {
    fault(d, "F_TRANSLATION");
    return;
  }
  if (write && !leaf->writable) {
    fault(d, "F_PERMISSION");
    return;
  }
  const Leaf used = *leaf;
  if (found == nullptr) {
    insert(space, page, used);
  } else {
    ++counts.hits;
  }
  success(d, va, used);
}

void SyntheticLog::run(std::uint64_t count) {
  boot();
  for (int i = 0; i < 80; ++i) {
    map();
  }
  while (counts.translations < count) {
    const std::uint64_t what = pick(256);
    if (what < 244) {
      access();
    } else if (what < 250) {
      map();
    } else if (what < 253) {
      unmap();
    } else if (what == 253) {
      move();
    } else {
      for (const auto& command : std::exchange(later_, {})) {
        command();
      }
    }
  }
}

}  // namespace smmulab::workloads::qemu::testing

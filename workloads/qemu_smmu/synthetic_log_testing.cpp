// SPDX-License-Identifier: Apache-2.0
#include "workloads/qemu_smmu/synthetic_log_testing.hpp"

#include <algorithm>
#include <bit>

#include <fmt/format.h>

namespace smmulab::workloads::qemu::testing {
namespace {

constexpr std::uint64_t kPage = 4096, kBlock = 2ULL << 20U;
constexpr std::uint64_t kAreas = 16;      // of 2 MiB, in each space: each is one block, or pages
constexpr std::uint64_t kUsed = 24;       // pages of an area of pages
constexpr unsigned kCommandThread = 100;  // translates, too

unsigned level_of(unsigned log2) {
  return log2 == 21 ? 2 : 3;
}
unsigned shift_of(unsigned level) {
  return 12 + 9 * (3 - level);
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

void SyntheticLog::opcode(const std::string& name) {
  thread_ = kCommandThread;
  ++counts.commands[name];
  line("smmuv3_cmdq_opcode <--- SMMU_CMD_" + name);
}
void SyntheticLog::sync() {
  opcode("SYNC");
}

void SyntheticLog::boot() {
  opcode("CFGI_STE_RANGE");
  line("smmuv3_cmdq_cfgi_ste_range start=0x0 - end=0xffffffff");
  sync();
  opcode("TLBI_NSNH_ALL");
  line(spelling_ == Spelling::kNew ? "smmuv3_cmdq_tlbi_nsnh " : "smmuv3_cmdq_tlbi_nh ");
  line("smmu_iotlb_inv_all IOTLB invalidate all");
  sync();
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

void SyntheticLog::map() {
  Space& space = spaces_[pick(spaces_.size())];
  const std::uint64_t base = pick(kAreas) * kBlock;
  const auto first = space.leaves.lower_bound(base);
  const bool empty = first == space.leaves.end() || first->first >= base + kBlock;
  Leaf leaf;
  leaf.writable = pick(5) != 0;
  leaf.global = pick(4) == 0;
  const auto table = [&](unsigned level) {
    std::uint64_t& frame = space.tables[{level, base >> shift_of(level - 1)}];
    if (frame == 0) {
      frame = next_frame_;
      next_frame_ += kPage;
    }
  };
  table(1);
  table(2);
  if (empty && later_.empty() && pick(2) == 0) {
    leaf.log2 = 21;
    leaf.pa = next_pa_ = (next_pa_ + kBlock - 1) & ~(kBlock - 1);
    space.leaves[base] = leaf;
    next_pa_ += kBlock;
    return;
  }
  if (!later_.empty() || (!empty && first->second.log2 == 21)) {
    return;  // what was unmapped is not yet invalidated everywhere
  }
  table(3);
  for (std::uint64_t page = 0; page < kUsed; ++page) {
    if (!space.leaves.contains(base + page * kPage)) {
      leaf.pa = next_pa_;
      space.leaves[base + page * kPage] = leaf;
      next_pa_ += kPage;
    }
  }
}

// A part of an area of pages, or a block.
void SyntheticLog::unmap() {
  Space& space = spaces_[pick(spaces_.size())];
  const std::uint64_t base = pick(kAreas) * kBlock;
  const auto first = space.leaves.lower_bound(base);
  if (first == space.leaves.end() || first->first >= base + kBlock) {
    return;
  }
  std::uint64_t va = base, bytes = kBlock;
  if (first->second.log2 == 12) {
    const std::uint64_t from = pick(kUsed);
    va = base + from * kPage;
    bytes = (1 + pick(kUsed - from)) * kPage;
  }
  space.leaves.erase(space.leaves.lower_bound(va), space.leaves.lower_bound(va + bytes));
  const auto done = [this, &space, va, bytes] { invalidate(space, va, bytes); };
  if (pick(3) == 0) {
    later_.emplace_back(done);
  } else {
    done();
  }
}

void SyntheticLog::invalidate(const Space& space, std::uint64_t va, std::uint64_t bytes) {
  switch (pick(16)) {
    case 0:
      opcode("TLBI_NH_ASID");
      line(fmt::format("smmuv3_cmdq_tlbi_nh_asid asid={}", space.asid));
      line(spelling_ == Spelling::kNew
               ? fmt::format("smmu_iotlb_inv_asid_vmid IOTLB invalidate asid={} vmid=0", space.asid)
               : fmt::format("smmu_iotlb_inv_asid IOTLB invalidate asid={}", space.asid));
      std::erase_if(iotlb_, [&](const auto& e) { return std::get<0>(e.first) == space.asid; });
      break;
    case 1:
      opcode("TLBI_NH_ALL");
      if (spelling_ == Spelling::kNew) {
        line("smmuv3_cmdq_tlbi_nh vmid=0");
        line("smmu_iotlb_inv_vmid_s1 IOTLB invalidate vmid=0");
      } else {
        line("smmuv3_cmdq_tlbi_nh ");
        line("smmu_iotlb_inv_all IOTLB invalidate all");
      }
      iotlb_.clear();
      break;
    case 2:
    case 3:
      opcode("TLBI_NH_VAA");
      invalidate_range(space, va, bytes, true);
      break;
    default:
      opcode("TLBI_NH_VA");
      invalidate_range(space, va, bytes, false);
      break;
  }
  sync();
}

void SyntheticLog::invalidate_range(const Space& space, std::uint64_t va, std::uint64_t bytes,
                                    bool any_asid) {
  const auto asid = any_asid ? std::nullopt : std::optional{space.asid};
  const unsigned ttl = pick(2) == 0 ? 0 : bytes == kBlock ? 2 : 3;
  if (bytes == kPage && pick(2) == 0) {
    invalidate_span(asid, va, 0, 1, ttl);  // TG 0: one page
    return;
  }
  // (NUM + 1) << SCALE pages in one command; QEMU takes powers of 2, as aligned as they come.
  const std::uint64_t end = va + bytes - 1;
  while (va != end + 1) {
    const std::uint64_t aligned = va == 0 ? ~std::uint64_t{0} : va & (~va + 1);
    const std::uint64_t step = std::min(aligned, std::bit_floor(end - va + 1));
    invalidate_span(asid, va, 1, step / kPage, ttl);
    va += step;
  }
}

void SyntheticLog::invalidate_span(std::optional<std::uint64_t> asid, std::uint64_t va, unsigned tg,
                                   std::uint64_t pages, unsigned ttl) {
  const bool is_new = spelling_ == Spelling::kNew;
  line(fmt::format("{} vmid=0 asid={} addr={:#x} tg={} num_pages={:#x} ttl={} leaf=1{}",
                   is_new ? "smmuv3_range_inval" : "smmuv3_s1_range_inval",
                   asid ? fmt::format("{}", *asid) : "-1", va, tg, pages, ttl,
                   is_new ? " stage=1" : ""));
  if (ttl != 0 && pages == 1 && asid && tg == 1 && iotlb_.erase({*asid, va, ttl}) != 0) {
    return;
  }
  const std::uint64_t mask = pages * kPage - 1;
  std::erase_if(iotlb_, [&](const auto& entry) {
    const auto& [key_asid, iova, level] = entry.first;
    const std::uint64_t own = (std::uint64_t{1} << shift_of(level)) - 1;
    return (!asid || *asid == key_asid) && ((va & ~own) == iova || (iova & ~mask) == va);
  });
}

void SyntheticLog::move() {
  Device& d = devices_[pick(devices_.size())];
  d.space = pick(spaces_.size());
  if (pick(3) == 0) {
    later_.emplace_back([this, &d] { config_invalidate(d); });
  } else {
    config_invalidate(d);
  }
}

void SyntheticLog::config_invalidate(Device& d) {
  const auto drop = [this](std::uint64_t first, std::uint64_t last) {
    for (Device& other : devices_) {
      if (other.sid >= first && other.sid <= last && other.cached) {
        other.cached.reset();
        line(fmt::format("{}_config_cache_inv Config cache INV for sid={:#x}",
                         spelling_ == Spelling::kNew ? "smmu" : "smmuv3", other.sid));
      }
    }
  };
  const std::uint64_t how = pick(5);
  if (how == 0) {
    opcode("CFGI_STE");
    line(fmt::format("smmuv3_cmdq_cfgi_ste streamid= {:#x}", d.sid));
    drop(d.sid, d.sid);
  } else if (how <= 2) {
    opcode(how == 1 ? "CFGI_CD" : "CFGI_CD_ALL");
    line(fmt::format("smmuv3_cmdq_cfgi_cd sid={:#x}", d.sid));
    drop(d.sid, d.sid);
  } else {
    // 2^(Range+1) streams; Range 31 is CFGI_ALL.
    const std::uint64_t mask = (std::uint64_t{2} << (pick(4) == 0 ? 31U : pick(10))) - 1;
    opcode("CFGI_STE_RANGE");
    line(fmt::format("smmuv3_cmdq_cfgi_ste_range start={:#x} - end={:#x}", d.sid & ~mask,
                     d.sid | mask));
    drop(d.sid & ~mask, d.sid | mask);
  }
  sync();
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

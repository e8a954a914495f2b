// SPDX-License-Identifier: Apache-2.0
// The synthetic log's software: what it maps, unmaps and moves, and the commands for that.
#include <algorithm>
#include <bit>
#include <utility>

#include <fmt/format.h>

#include "workloads/qemu_smmu/synthetic_log_testing.hpp"

namespace smmulab::workloads::qemu::testing {
namespace {

constexpr unsigned kCommandThread = 100;  // translates, too

}  // namespace

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

}  // namespace smmulab::workloads::qemu::testing

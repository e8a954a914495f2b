// SPDX-License-Identifier: Apache-2.0
// GatedMemo: a walk's view of the walk caches. It counts look-ups (they take time), and it keeps
// what an invalidation that came after the walk's start might cover out of the caches: a walk that
// read old descriptors must not bring them back.
#pragma once

#include <cstdint>

#include "models/smmuv3/hw/walk_cache.hpp"

namespace smmulab::smmu::timed {

// What invalidations have named since a walk began, as one span; wider than they were is harmless.
struct Ban {
  bool all = false;      // of this ASID (or of every one), or of stage 2
  bool globals = false;  // of another ASID: global leaves go with it
  std::uint64_t first = ~std::uint64_t{0}, last = 0;  // of this ASID, bytes, inclusive
  [[nodiscard]] bool covers(std::uint64_t input, unsigned log2, bool global) const {
    const std::uint64_t begin = input & ~hw::low_mask(log2);
    return all || (globals && global) || ((begin | hw::low_mask(log2)) >= first && begin <= last);
  }
  // False: it has nothing to do with this VMID and regime, or with this ASID.
  bool add(const hw::TlbInvalidation& what, const hw::Tag& tag) {
    const bool world = tag.world == hw::StreamWorld::kNsEl1 ? what.el1
                       : tag.world == hw::StreamWorld::kEl3 ? what.el3
                                                            : what.el2;
    if (!world || (what.vmid && *what.vmid != tag.vmid)) {
      return false;
    }
    const bool other = what.asid && tag.has_asid && *what.asid != tag.asid;
    if (other && !what.globals) {
      return false;
    }
    if (what.stage2 || !what.by_address) {
      all = true;
    } else if (other) {
      globals = true;
    } else {
      first = what.first < first ? what.first : first;
      last = what.last > last ? what.last : last;
    }
    return true;
  }
};

class GatedMemo final : public hw::WalkMemo {
 public:
  void begin(hw::WalkCaches& caches, const Ban& ban) {
    caches_ = &caches;
    ban_ = &ban;
    finds_ = 0;
  }
  bool find(const hw::Stage& stage, const hw::Tag& tag, std::uint64_t input,
            hw::WalkPoint& point) override {
    ++finds_;
    return caches_->find(stage, tag, input, point);
  }
  void keep(const hw::Stage& stage, const hw::Tag& tag, std::uint64_t input,
            const hw::WalkPoint& point) override {
    const unsigned log2 =
        point.is_leaf ? point.leaf.reach_log2 : hw::level_log2(stage.granule, point.level - 1U);
    const bool global = point.is_leaf && point.leaf.global;
    if (stage.number == 2 ? ban_->all : ban_->covers(input, log2, global)) {
      return;
    }
    caches_->keep(stage, tag, input, point);
  }
  // Look-ups since the last call.
  std::uint32_t take_finds() {
    const std::uint32_t n = finds_;
    finds_ = 0;
    return n;
  }

 private:
  hw::WalkCaches* caches_ = nullptr;
  const Ban* ban_ = nullptr;
  std::uint32_t finds_ = 0;
};

}  // namespace smmulab::smmu::timed

// SPDX-License-Identifier: Apache-2.0
// Numbers for ASIDs and VMIDs: each is the lowest that is free, from 1 on, and those given back
// come again. Rule: xa_alloc() with XA_LIMIT(1, (1 << asid_bits) - 1), ida_alloc_range(1, (1 <<
// vmid_bits) - 1) [Linux 6.12 arm_smmu_domain_finalise_s1(), _s2()]; 6.2 takes VMIDs from a bitmap,
// the same ones.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

namespace smmulab::smmu {

class LowestIds {
 public:
  // Nothing: all up to 2^bits - 1 are taken.
  [[nodiscard]] std::optional<std::uint32_t> take(std::uint32_t bits) {
    if (!returned_.empty()) {
      std::pop_heap(returned_.begin(), returned_.end(), std::greater{});
      const std::uint32_t id = returned_.back();
      returned_.pop_back();
      return id;
    }
    return next_ >> bits == 0 ? std::optional{next_++} : std::nullopt;
  }
  // REQUIRES: it is taken.
  void give_back(std::uint32_t id) {
    returned_.push_back(id);
    std::push_heap(returned_.begin(), returned_.end(), std::greater{});
  }

 private:
  std::uint32_t next_ = 1;               // none above was ever taken
  std::vector<std::uint32_t> returned_;  // a heap, the lowest on top
};

}  // namespace smmulab::smmu

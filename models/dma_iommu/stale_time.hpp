// SPDX-License-Identifier: Apache-2.0
// StaleTime: how long a device may still use what was unmapped: from the store that clears its
// entries to the completion of the invalidation that covers it, as the CPU that waits for it learns
// of that. It is an upper bound: a TLB may have dropped the entry before, or never had it. In
// strict mode dma_unmap_page() returns at its end, in lazy mode long before.
#pragma once

#include <algorithm>
#include <cstdint>

#include "sim/time.hpp"

namespace smmulab::dma_iommu {

struct StaleTime {
  std::uint64_t windows = 0;  // that are over
  Ps total{0};
  Ps max{0};

  void add(Ps window) {
    ++windows;
    total += window;
    max = std::max(max, window);
  }
};

}  // namespace smmulab::dma_iommu

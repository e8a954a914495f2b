// SPDX-License-Identifier: Apache-2.0
// IovaDomain: the IOVA allocator of a domain. Ranges of up to 32 pages come from magazines: each
// CPU has two for each size (powers of two), full ones go to a depot under a lock, and only an
// empty depot leads to the rbtree, under the domain's lock. Rule: Linux 6.12 drivers/iommu/iova.c.
// Larger ranges come from the rbtree and go back there. Which IOVA a CPU gets is modelled, as IOVAs
// that are near share lines of page table entries. Approximated: the rbtree takes the same time
// however far it is to a gap. Not modelled: the depot's shrinking, a CPU's own magazine lock being
// contended (by hotplug only), magazines emptied when no IOVAs are left.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "models/dma_iommu/iova_tree.hpp"
#include "models/dma_iommu/params.hpp"
#include "models/linux/machine.hpp"
#include "models/linux/spinlock.hpp"
#include "sim/ids.hpp"

namespace smmulab::dma_iommu {

struct IovaStat {
  std::uint64_t from_magazine = 0;
  std::uint64_t from_depot = 0;  // of these, after fetching a magazine
  std::uint64_t from_tree = 0;
  std::uint64_t to_magazine = 0;
  std::uint64_t to_depot = 0;  // of these, after giving a full magazine away
  std::uint64_t to_tree = 0;
};

class IovaDomain {
 public:
  IovaDomain(lnx::Machine& machine, const DmaParams& params);

  // `size`: whole pages. Throws ConfigError: none are left.
  Task<Iova> alloc(lnx::Thread& t, Bytes size);
  Task<void> free(lnx::Thread& t, Iova iova, Bytes size);

  [[nodiscard]] const IovaStat& stat() const { return stat_; }

  static constexpr std::uint64_t kPage = 4096;

 private:
  static constexpr std::size_t kOrders = 6;  // IOVA_RANGE_CACHE_MAX_SIZE
  using Magazine = std::vector<Iova>;
  struct CpuCache {
    Magazine loaded;
    Magazine previous;
  };
  struct RangeCache {  // of one size
    RangeCache(lnx::Machine& machine, lnx::LockClass& lock_class);
    lnx::Spinlock lock;  // of the depot
    std::vector<CpuCache> cpus;
    std::vector<Magazine> depot;
  };

  Task<bool> refill(lnx::Thread& t, RangeCache& cache, CpuCache& mine);
  Task<Iova> alloc_from_tree(lnx::Thread& t, Bytes size);

  const DmaParams& params_;
  lnx::Spinlock tree_lock_;
  IovaTree tree_;
  std::deque<RangeCache> caches_;  // by order
  IovaStat stat_;
};

}  // namespace smmulab::dma_iommu

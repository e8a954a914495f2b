// SPDX-License-Identifier: Apache-2.0
// DmaDomain: what dma_map_page() and dma_unmap_page() of a device driver do behind an IOMMU: an
// IOVA from the caches, entries into the page table; then entries out, and either an invalidation
// that is waited for before the IOVA goes back (strict) or a flush queue (lazy). Rule: Linux 6.12
// drivers/iommu/dma-iommu.c iommu_dma_map_page(), __iommu_dma_unmap(). With line.model = coherent
// the lines that hold the entries (eight each) are lines like any other: CPUs whose IOVAs are
// neighbours write the same ones. Not modelled: bounce buffers, cache maintenance of devices that
// are not coherent, scatter lists, concatenation, the device's own accesses.
#pragma once

#include <cstdint>
#include <optional>

#include <tsl/robin_map.h>

#include "models/dma_iommu/flush_queue.hpp"
#include "models/dma_iommu/iova.hpp"
#include "models/dma_iommu/stale_time.hpp"
#include "models/linux/shared_line.hpp"
#include "models/smmuv3/driver/driver.hpp"

namespace smmulab::dma_iommu {

[[nodiscard]] constexpr Bytes whole_pages(Bytes size) {
  return Bytes{(size.value() + IovaDomain::kPage - 1) / IovaDomain::kPage * IovaDomain::kPage};
}

class DmaDomain {
 public:
  // `domain` must be finalised; all must outlive this.
  DmaDomain(lnx::Machine& machine, const DmaParams& params, smmu::Driver& driver,
            smmu::Domain& domain);

  Task<Iova> map(lnx::Thread& t, Bytes size);
  Task<void> unmap(lnx::Thread& t, Iova iova, Bytes size);

  [[nodiscard]] const IovaDomain& iovas() const { return iovas_; }
  [[nodiscard]] const FlushQueue& flush_queue() const { return flush_queue_; }
  // Windows that ended since forget_stale_time(). Strict: from the last store to the entries to the
  // end of iommu_unmap(), its own CPU time included.
  [[nodiscard]] const StaleTime& stale_time() const { return stale_; }
  void forget_stale_time() { stale_ = {}; }

 private:
  Task<void> write_entries(lnx::Thread& t, Iova iova, Bytes size);

  lnx::Machine& machine_;
  const DmaParams& params_;
  smmu::Driver& driver_;
  smmu::Domain& domain_;
  IovaDomain iovas_;
  StaleTime stale_;
  FlushQueue flush_queue_;
  bool coherent_;
  tsl::robin_map<std::uint64_t, std::unique_ptr<lnx::SharedLine>> entry_lines_;
};

}  // namespace smmulab::dma_iommu

// SPDX-License-Identifier: Apache-2.0
// What io-pgtable-arm does, counted: which table pages exist, how many leaf entries a run of
// contiguous pages needs (4 KiB granule, blocks of 2 MiB and 1 GiB where alignment allows).
// Rule: Linux 6.12 drivers/iommu/io-pgtable-arm.c and iommu_pgsize() in iommu.c. Table pages that
// become empty stay until the domain is freed, as there.
// Not modelled: cmpxchg races between two installers of one table, other granules, bits of entries.
#pragma once

#include <cstdint>

#include <tsl/robin_set.h>

#include "sim/ids.hpp"

namespace smmulab::smmu {

class PageTable {
 public:
  struct Work {
    std::uint64_t ptes = 0;     // leaf entries written or cleared
    std::uint64_t tables = 0;   // table pages allocated
    std::uint64_t granule = 0;  // smallest leaf size touched, bytes
  };

  // Maps [iova, iova + size), physically contiguous and aligned as the IOVA is up to `contiguous`.
  Work map(Iova iova, Bytes size, Bytes contiguous);
  // Clears [iova, iova + size), which was mapped with that contiguity.
  [[nodiscard]] static Work unmap(Iova iova, Bytes size, Bytes contiguous);
  [[nodiscard]] std::uint64_t table_pages() const { return tables_.size() + 1; }  // with the PGD

 private:
  tsl::robin_set<std::uint64_t> tables_;  // level and address of each table below the PGD
};

}  // namespace smmulab::smmu

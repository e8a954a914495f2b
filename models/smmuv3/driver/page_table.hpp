// SPDX-License-Identifier: Apache-2.0
// What io-pgtable-arm does, counted: which table pages exist, how many leaf entries a run of
// contiguous pages needs (4 KiB granule, blocks of 2 MiB and 1 GiB where alignment allows).
// Rule: Linux 6.12 drivers/iommu/io-pgtable-arm.c, iommu_pgsize() in iommu.c and
// iommu_iotlb_gather_add_page(). Unmapping goes by the largest size that fits, however the range
// was mapped: a table below such an entry is dropped, which flushes walks at once; tables that
// become empty otherwise stay until the domain is freed or a block is mapped in their place, which
// drops and flushes them the same way. Not modelled: cmpxchg races between two installers of one
// table, splitting a block, other granules, bits of entries.
#pragma once

#include <cstdint>
#include <vector>

#include <tsl/robin_map.h>

#include "sim/ids.hpp"

namespace smmulab::smmu {

class PageTable {
 public:
  struct Flush {
    std::uint64_t size;     // bytes
    std::uint64_t granule;  // bytes
    bool leaf;              // false: a dropped table
    std::uint64_t iova = 0;
    friend bool operator==(const Flush&, const Flush&) = default;
  };
  struct Work {
    std::uint64_t ptes = 0;      // leaf entries written
    std::uint64_t tables = 0;    // table pages allocated
    std::vector<Flush> flushes;  // of dropped tables, in order; each is waited for
  };
  struct UnmapWork {
    std::uint64_t ptes = 0;      // entries cleared
    std::uint64_t tables = 0;    // table pages dropped
    std::vector<Flush> flushes;  // in order; each is waited for
  };

  // Maps [iova, iova + size), physically contiguous and aligned as the IOVA is up to `contiguous`.
  Work map(Iova iova, Bytes size, Bytes contiguous);
  // Clears [iova, iova + size).
  UnmapWork unmap(Iova iova, Bytes size);
  // Leaf entries that such a mapping has.
  [[nodiscard]] static std::uint64_t leaves(Iova iova, Bytes size, Bytes contiguous);
  [[nodiscard]] std::uint64_t table_pages() const { return table_count_ + 1; }  // with the PGD

 private:
  std::uint64_t drop_tables(std::uint64_t at, std::uint64_t span);

  // False: it was there already, or was not.
  bool add_table(std::uint64_t at, std::size_t level);
  bool remove_table(std::uint64_t at, std::size_t level);

  // The tables below the PGD: a bit for each, in words of 64 neighbours of one level.
  tsl::robin_map<std::uint64_t, std::uint64_t> tables_;
  std::uint64_t table_count_ = 0;
};

}  // namespace smmulab::smmu

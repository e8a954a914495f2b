// SPDX-License-Identifier: Apache-2.0
// io_pagetable: an IOAS's IOVA space. Areas (mappings) in an ordered tree, reserved regions, the
// domains linked to it; map, unmap, adding and removing a domain, with the locks in the kernel's
// order domains_rwsem -> iova_rwsem -> pages->mutex.
// Rule: Linux 6.12 drivers/iommu/iommufd/io_pagetable.c and pages.c, reference locking.md section 2
// (batch sizes, read-back per 4 KiB page, one invalidation per contiguous span).
// Not modelled: accesses (mdev), IOVA allocation (the caller names the IOVA), area splitting,
// memory of another process, failure to pin. Contiguity is a parameter (iommufd.run_pages).
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "models/iommufd/params.hpp"
#include "models/linux/mutex.hpp"
#include "models/linux/rwsem.hpp"
#include "models/smmuv3/driver/driver.hpp"
#include "sim/ids.hpp"

namespace smmulab::iommufd {

// Pinned user memory behind an area.
struct IoptPages {
  IoptPages(lnx::Machine& machine, lnx::LockClass& cls) : mutex(machine, cls) {}
  lnx::Mutex mutex;
};

struct Area {
  Area(lnx::Machine& machine, lnx::LockClass& pages_class, std::uint64_t last_byte)
      : last(last_byte), memory(machine, pages_class) {}

  std::uint64_t last;  // last byte of the IOVA range
  IoptPages memory;
  smmu::Domain* storage_domain = nullptr;  // the domain PFNs can be read back from
  bool published = false;  // area->pages is set: neither half-mapped nor half-unmapped
};

class IoPagetable {
 public:
  IoPagetable(lnx::Machine& machine, smmu::Driver& driver, const IommufdParams& params);

  // MAP of a fixed IOVA: 0, -EINVAL (alignment, reserved), -EOVERFLOW, -EEXIST.
  Task<int> map(lnx::Thread& t, Iova iova, Bytes length);
  // UNMAP of all areas within the range: 0, -EINVAL, -EOVERFLOW, -ENOENT (none, or an area only
  // partly in it), -EBUSY (an area someone else is mapping or unmapping).
  Task<int> unmap(lnx::Thread& t, Iova iova, Bytes length);
  Task<int> unmap_all(lnx::Thread& t);

  Task<int> add_domain(lnx::Thread& t, smmu::Domain& domain);
  Task<void> remove_domain(lnx::Thread& t, smmu::Domain& domain);

  // The device's reserved regions: 0, or -EADDRINUSE if an area is in the way.
  Task<int> enforce_reserved(lnx::Thread& t, const smmu::Master& device);
  Task<void> remove_reserved(lnx::Thread& t, const smmu::Master& device);
  // The 6.2 form queries the whole group under group->mutex, with iova_rwsem held.
  Task<int> enforce_reserved_of_group(lnx::Thread& t, const smmu::Master& device,
                                      lnx::Mutex& group_mutex, std::size_t group_devices);

  [[nodiscard]] const std::map<std::uint64_t, Area>& areas() const { return areas_; }
  [[nodiscard]] const std::vector<smmu::Domain*>& domains() const { return domains_; }
  [[nodiscard]] bool has_reserved(const smmu::Master& device) const;
  [[nodiscard]] bool has_domain(const smmu::Domain& domain) const;

 private:
  struct Reserved {
    std::uint64_t start;
    std::uint64_t last;
    const smmu::Master* owner;
  };
  using AreaTree = std::map<std::uint64_t, Area>;

  [[nodiscard]] int check_range(std::uint64_t start, std::uint64_t length) const;
  [[nodiscard]] AreaTree::iterator first_area_in(std::uint64_t start, std::uint64_t last);
  void forget_area(std::uint64_t start);
  int insert_reserved(lnx::Thread& t, const smmu::Master& device);
  Task<int> unmap_range(lnx::Thread& t, std::uint64_t start, std::uint64_t last, bool* unmapped);
  Task<int> fill_domains(lnx::Thread& t, std::uint64_t start);
  Task<int> fill_domain(lnx::Thread& t, std::uint64_t start, smmu::Domain& domain);
  Task<void> unfill_domains(lnx::Thread& t, std::uint64_t start);
  Task<void> unfill_storage(lnx::Thread& t, std::uint64_t start, std::uint64_t last,
                            smmu::Domain& domain);
  void charge_pin(lnx::Thread& t, std::uint64_t pages) const;
  void charge_read_back(lnx::Thread& t, std::uint64_t pages);

  lnx::Machine& machine_;
  smmu::Driver& driver_;
  const IommufdParams& params_;
  lnx::LockClass& pages_class_;
  lnx::Rwsem domains_rwsem_;
  lnx::Rwsem iova_rwsem_;
  AreaTree areas_;
  std::vector<AreaTree::node_type> graveyard_;  // a lock is free: somebody may still look at them
  std::vector<Reserved> reserved_;
  std::vector<smmu::Domain*> domains_;
};

}  // namespace smmulab::iommufd

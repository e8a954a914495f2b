// SPDX-License-Identifier: Apache-2.0
// io_pagetable: an IOAS's IOVA space. Areas (mappings) in an ordered tree, reserved regions, what
// user space wants allowed, the domains linked to it; map, unmap, adding and removing a domain,
// with the locks in the kernel's order domains_rwsem -> iova_rwsem -> pages->mutex. Rule:
// Linux 6.12 drivers/iommu/iommufd/io_pagetable.c and pages.c (batch sizes, read-back per 4 KiB
// page, one invalidation per contiguous span). Accesses pin areas; an unmap asks them to let go
// (iommufd_access_notify_unmap()). Areas may share memory (pages.hpp). Not modelled: IOVA
// allocation (the caller names the IOVA), area splitting, which pages DMA has dirtied. Contiguity
// is a parameter (iommufd.run_pages).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "models/iommufd/pages.hpp"
#include "models/iommufd/params.hpp"
#include "models/linux/mutex.hpp"
#include "models/linux/rwsem.hpp"
#include "models/smmuv3/driver/driver.hpp"
#include "sim/ids.hpp"

namespace smmulab::iommufd {

struct Access;

struct Area {
  Area(std::uint64_t last_byte, boost::intrusive_ptr<IoptPages> area_pages, std::uint64_t page)
      : last(last_byte), pages(std::move(area_pages)), first_page(page) {}

  std::uint64_t last;  // last byte of the IOVA range
  boost::intrusive_ptr<IoptPages> pages;
  std::uint64_t first_page;                // of `pages`
  smmu::Domain* storage_domain = nullptr;  // the domain PFNs can be read back from
  std::uint32_t num_accesses = 0;
  bool published = false;       // area->pages is set: neither half-mapped nor half-unmapped
  bool prevent_access = false;  // an unmap has begun
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
  // COPY: the stretches of memory behind a range (-EINVAL, -EOVERFLOW, -ENOENT: not all of it is
  // mapped), and a map of such: as map().
  Task<int> get_pages(lnx::Thread& t, Iova iova, Bytes length, std::vector<PagesRange>* list);
  Task<int> map_pages(lnx::Thread& t, Iova iova, std::span<const PagesRange> list);

  // The access is told of unmaps from now on; -EADDRINUSE if an area is not of whole pages.
  Task<int> add_access(lnx::Thread& t, Access& access);
  Task<void> remove_access(lnx::Thread& t, Access& access);
  // All or nothing: 0, -EINVAL (an unmap has begun), -ENOENT (not all of the range is mapped).
  Task<int> pin(lnx::Thread& t, Iova iova, Bytes length);
  // REQUIRES: exactly that range is pinned.
  Task<void> unpin(lnx::Thread& t, Iova iova, Bytes length);

  // iova_rwsem is held for the whole scan. Whether the domain tracks at all the caller has asked.
  Task<int> set_dirty_tracking(lnx::Thread& t, smmu::Domain& domain, bool enable);
  // -EINVAL, -EOVERFLOW; a range that is not mapped reads as clean. !clear: only reads.
  Task<int> read_and_clear_dirty(lnx::Thread& t, smmu::Domain& domain, Iova iova, Bytes length,
                                 bool clear);

  Task<int> add_domain(lnx::Thread& t, smmu::Domain& domain);
  Task<void> remove_domain(lnx::Thread& t, smmu::Domain& domain);

  // ALLOW_IOVAS: these ranges, in place of those so far, are not to be reserved from now on; where
  // nobody names an IOVA they alone would be used. 0, -EINVAL (one has a single byte or less, two
  // overlap), -EADDRINUSE (something in them is reserved already).
  struct IovaRange {
    std::uint64_t start, last;
    [[nodiscard]] bool overlaps(std::uint64_t first, std::uint64_t end) const {
      return start <= end && first <= last;
    }
  };
  Task<int> set_allowed(lnx::Thread& t, std::span<const IovaRange> ranges);

  // The device's reserved regions: 0, or -EADDRINUSE if an area or an allowed range is in the way.
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
  // An area on its way out of its storage domain, in pages of its memory.
  struct Unfill {
    smmu::Domain& domain;
    std::uint64_t iova;
    std::uint64_t first;
    std::uint64_t last;
    std::uint64_t unmapped;  // so far, exclusive
  };
  struct ListedAccess {
    std::uint32_t id;
    Access* access;
  };

  [[nodiscard]] int check_range(std::uint64_t start, std::uint64_t length) const;
  [[nodiscard]] AreaTree::iterator first_area_in(std::uint64_t start, std::uint64_t last);
  // The published area that covers the byte.
  [[nodiscard]] AreaTree::iterator area_at(std::uint64_t at);
  void forget_area(std::uint64_t start);
  Task<int> insert_areas(lnx::Thread& t, std::uint64_t start, std::span<const PagesRange> list);
  Task<void> publish_areas(lnx::Thread& t, std::uint64_t start, std::span<const PagesRange> list);
  Task<void> abort_areas(lnx::Thread& t, std::uint64_t start, std::span<const PagesRange> list);
  Task<void> notify_unmap(lnx::Thread& t, std::uint64_t start, std::uint64_t last);
  Task<int> pin_area(lnx::Thread& t, std::uint64_t start, std::uint64_t first, std::uint64_t last);
  Task<void> unpin_area(lnx::Thread& t, std::uint64_t start, std::uint64_t first,
                        std::uint64_t last);
  int insert_reserved(lnx::Thread& t, const smmu::Master& device);
  Task<int> unmap_range(lnx::Thread& t, std::uint64_t start, std::uint64_t last, bool* unmapped);
  Task<int> fill_domains(lnx::Thread& t, std::uint64_t start);
  Task<int> fill_domain(lnx::Thread& t, std::uint64_t start, smmu::Domain& domain);
  Task<void> unfill_domains(lnx::Thread& t, std::uint64_t start);
  // REQUIRES: `domain` is the area's storage domain, or the last one.
  Task<void> unfill_storage(lnx::Thread& t, std::uint64_t start, Area& area, smmu::Domain& domain);
  Task<void> unpin_hole(lnx::Thread& t, Unfill& unfill, std::uint64_t page,
                        std::uint64_t hole_last);
  Task<void> unmap_up_to(lnx::Thread& t, Unfill& unfill, std::uint64_t last);
  // Brings the PFNs of [first, last] of the memory together; gives how many had to be pinned.
  std::uint64_t charge_gather(lnx::Thread& t, const IoptPages& pages, std::uint64_t first,
                              std::uint64_t last);
  void charge_pin(lnx::Thread& t, std::uint64_t pages) const;
  void charge_read_back(lnx::Thread& t, std::uint64_t pages);
  // area->storage_domain, with what the memory knows of it.
  static void store_in(Area& area, std::uint64_t start, smmu::Domain* domain);

  lnx::Machine& machine_;
  smmu::Driver& driver_;
  const IommufdParams& params_;
  lnx::LockClass& pages_class_;
  lnx::Rwsem domains_rwsem_;
  lnx::Rwsem iova_rwsem_;
  AreaTree areas_;
  std::vector<AreaTree::node_type> graveyard_;  // a lock is free: somebody may still look at them
  std::vector<Reserved> reserved_;
  std::vector<IovaRange> allowed_;
  std::vector<smmu::Domain*> domains_;
  std::vector<ListedAccess> access_list_;  // by id
};

}  // namespace smmulab::iommufd

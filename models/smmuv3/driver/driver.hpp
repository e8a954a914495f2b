// SPDX-License-Identifier: Apache-2.0
// Driver: what the iommu core and iommufd ask of the SMMUv3 driver. Costs and hardware are behind
// it; the locks it takes are part of what is compared. Results are 0 or a negative errno.
// REQUIRES throughout: attach functions are called with the group's mutex held.
#pragma once

#include <cstdint>

#include "models/linux/thread.hpp"
#include "models/smmuv3/driver/smmu.hpp"

namespace smmulab::smmu {

// What IOMMU_HWPT_ALLOC asks of a paging domain beyond the usual.
struct DomainRequest {
  bool nest_parent = false;
  bool dirty_tracking = false;
};

class Driver {
 public:
  virtual ~Driver() = default;

  // A paging domain for this master. 6.12 finalises it at once, 6.2 at its first attach. Where no
  // ASID or VMID is left, it stays without its SMMU, and an attach tries once more.
  Task<Domain*> domain_alloc(lnx::Thread& t, const Master& master) {
    return domain_alloc(t, master, DomainRequest{});
  }
  // REQUIRES: check_request() gave 0.
  virtual Task<Domain*> domain_alloc(lnx::Thread& t, const Master& master,
                                     DomainRequest request) = 0;
  // 0, or -EOPNOTSUPP.
  [[nodiscard]] virtual int check_request(DomainRequest request) const = 0;
  // A guest's stage 1 on top of a nest parent. REQUIRES: nests().
  virtual Task<Domain*> nested_alloc(lnx::Thread& t, Domain& parent) = 0;
  [[nodiscard]] virtual bool nests() const = 0;
  // A guest's invalidations for that domain: `count` of them, in batches with a SYNC each.
  virtual Task<void> invalidate_user(lnx::Thread& t, Domain& nested, std::uint64_t count) = 0;
  // REQUIRES: no master is attached.
  virtual Task<void> domain_free(lnx::Thread& t, Domain& domain) = 0;
  // -EINVAL if the domain belongs to another SMMU; -EBUSY, stage 2 -ENOSPC, if no ASID or VMID is
  // left for it.
  virtual Task<int> attach_dev(lnx::Thread& t, Master& master, Domain& domain) = 0;
  // Attaches the blocked domain. REQUIRES: has_blocked_domain().
  virtual Task<void> attach_blocked(lnx::Thread& t, Master& master) = 0;
  // 6.2 has none: the core uses an empty paging domain instead.
  [[nodiscard]] virtual bool has_blocked_domain() const = 0;
  // True: a domain can be filled before its first attach.
  [[nodiscard]] virtual bool finalises_at_alloc() const = 0;

  // iommu_map() of `size` bytes in physically contiguous runs of `run` bytes: one call per run.
  virtual Task<int> map(lnx::Thread& t, Domain& domain, Iova iova, Bytes size, Bytes run) = 0;
  // One iommu_unmap(): clears and gathers; ends with an iotlb_sync, has more of them where the
  // size of entries changes, and one for each table it drops.
  virtual Task<void> unmap(lnx::Thread& t, Domain& domain, Iova iova, Bytes size) = 0;
  // iommu_unmap_fast() for a flush queue: clears; only tables that it drops are flushed at once.
  virtual Task<void> unmap_queued(lnx::Thread& t, Domain& domain, Iova iova, Bytes size) = 0;
  // All of the domain's TLB entries, with a SYNC.
  virtual Task<void> flush_iotlb_all(lnx::Thread& t, Domain& domain) = 0;
  // Reading PFNs back by iova_to_phys, one call per 4 KiB page: charged, not waited for.
  virtual void read_back(lnx::Thread& t, Pages pages) = 0;

  // Looks at every leaf entry of the range, mapped in runs of `run` bytes; clears its dirty bit
  // unless !clear (IOMMU_DIRTY_NO_CLEAR).
  virtual void read_and_clear_dirty(lnx::Thread& t, const Domain& domain, Iova iova, Bytes size,
                                    Bytes run, bool clear) = 0;

  // set_dev_pasid and remove_dev_pasid: -EOPNOTSUPP, -EINVAL (another SMMU, not stage 1).
  virtual Task<int> attach_pasid(lnx::Thread& t, Master& master, std::uint32_t pasid,
                                 Domain& domain) = 0;
  virtual Task<void> detach_pasid(lnx::Thread& t, Master& master, std::uint32_t pasid) = 0;

  // Without cost: the state before the run (a default DMA domain per group, as after boot).
  virtual Domain& boot_domain(Smmu& smmu) = 0;
  virtual void boot_attach(Master& master, Domain& domain) = 0;

 protected:
  Driver() = default;
  Driver(const Driver&) = default;
  Driver& operator=(const Driver&) = default;
};

}  // namespace smmulab::smmu

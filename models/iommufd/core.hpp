// SPDX-License-Identifier: Apache-2.0
// The iommu core: groups, and the loops that attach a domain to every device of one under
// group->mutex. Rule: Linux 6.12 drivers/iommu/iommu.c __iommu_group_set_domain_internal(),
// iommu_device_claim_dma_owner(), iommu_attach_group_handle(), iommu_replace_group_handle(),
// iommu_detach_group_handle(); with driver 6.2 the blocking domain is an empty paging domain. What
// a failed attach reverts: also Linux 6.2 iommu.c __iommu_attach_group(). Counts of attached
// devices: the drafts of Feb 2023 (docs/protocols.md, core-group). PCI reset: "[PATCH v7 4/5]
// iommu: Introduce pci_dev_reset_iommu_prepare/done()", of 7.0, and what 7.0.10 and 7.1 mended of
// it. Not modelled: hot plug of devices into groups, widths of PASIDs that differ within a group,
// deferred attach, resets of two devices of a group at a time (refused before 7.0.10).
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "models/iommufd/params.hpp"
#include "models/linux/mutex.hpp"
#include "models/smmuv3/driver/driver.hpp"
#include "sim/ids.hpp"

namespace smmulab::iommufd {

struct IommuGroup {
  IommuGroup(lnx::Machine& machine, lnx::LockClass& cls, GroupId group_id)
      : mutex(machine, cls), id(group_id) {}

  lnx::Mutex mutex;
  GroupId id;
  std::vector<smmu::Master*> devices;
  smmu::Domain* domain = nullptr;           // null: blocked
  smmu::Domain* default_domain = nullptr;   // what the host's drivers use
  smmu::Domain* blocking_domain = nullptr;  // driver 6.2: made at the first claim
  const smmu::Master* resetting = nullptr;  // a PCI reset is under way (7.0): it is blocked
  bool fenced_detach = false;               // a reset of before 7.0.10: keeps a detach out, too
  std::vector<smmu::Master::PasidUse> reset_pasids;  // what it has again after it
  const void* owner = nullptr;
  std::uint32_t owner_count = 0;
  std::vector<const smmu::Master*> attached;  // drafts that count devices in the core
};

class IommuCore {
 public:
  IommuCore(lnx::Machine& machine, smmu::Driver& driver, const IommufdParams& params)
      : machine_(machine), driver_(driver), params_(params) {
    if (machine.control() != nullptr) {
      (void)msi_prepare_lock();  // it must not be another in another order
    }
  }

  // As 6.2: a failed attach brings every device of the group back to the old domain, those that it
  // never came to, too. Else: those it tried.
  void set_reverts_whole_group(bool whole) { reverts_whole_group_ = whole; }
  [[nodiscard]] bool reverts_whole_group() const { return reverts_whole_group_; }

  // iommu_group_has_isolated_msi(): looks at every device of the group, under its mutex.
  Task<void> check_isolated_msi(lnx::Thread& t, IommuGroup& group);
  // Results: 0 or a negative errno.
  Task<int> claim_dma_owner(lnx::Thread& t, IommuGroup& group, const void* owner);
  Task<void> release_dma_owner(lnx::Thread& t, IommuGroup& group);
  // -EBUSY unless the group is on its default or blocking domain.
  Task<int> attach_group(lnx::Thread& t, IommuGroup& group, smmu::Domain& domain);
  Task<int> replace_group(lnx::Thread& t, IommuGroup& group, smmu::Domain& domain);
  Task<void> detach_group(lnx::Thread& t, IommuGroup& group);
  // The first device attaches the group, others are only noted: -EBUSY for another domain than the
  // group's if `same_domain` is asked for, which the draft forgot (hazard H5).
  Task<int> attach_device(lnx::Thread& t, IommuGroup& group, const smmu::Master& device,
                          smmu::Domain& domain, bool same_domain);
  // The last one detaches the group.
  Task<void> detach_device(lnx::Thread& t, IommuGroup& group, const smmu::Master& device);

  // iommu_attach_device_pasid() or _replace_: every device of the group gets that domain for the
  // PASID. `old`: what a failure goes back to, or null.
  Task<int> attach_pasid(lnx::Thread& t, IommuGroup& group, std::uint32_t pasid,
                         smmu::Domain& domain, smmu::Domain* old);
  Task<void> detach_pasid(lnx::Thread& t, IommuGroup& group, std::uint32_t pasid);

  // pci_dev_reset_iommu_prepare() and _done() (7.0), of a device that supports ATS; nothing happens
  // to others. Between them the device is blocked in hardware, RID and PASIDs, and no device of
  // its group changes its domain: -EBUSY. `fence_detach`: nor does a detach, which can not fail, so
  // that its caller frees a domain the group is still on (mended in 7.0.10). Prepare gives -EBUSY
  // if a device of the group is being reset; done without a reset does nothing. The PASIDs come
  // back to that device alone, as of 7.0.10 (7.0 set them anew for each device of the group).
  Task<int> reset_prepare(lnx::Thread& t, IommuGroup& group, smmu::Master& device,
                          bool fence_detach);
  Task<void> reset_done(lnx::Thread& t, IommuGroup& group, smmu::Master& device);

  // One for the system, up to 6.14.
  [[nodiscard]] lnx::Mutex& msi_prepare_lock();

  // What a group without attached devices is on: blocking once owned (null: the blocked domain).
  [[nodiscard]] smmu::Domain* idle_domain(const IommuGroup& group) const {
    return group.owner_count != 0 ? blocking(group) : group.default_domain;
  }

  [[nodiscard]] smmu::Driver& driver() const { return driver_; }

 private:
  [[nodiscard]] smmu::Domain* blocking(const IommuGroup& group) const {
    return driver_.has_blocked_domain() ? nullptr : group.blocking_domain;
  }
  // Driver 6.2: makes the group's blocking domain if it has none yet.
  Task<void> alloc_blocking(lnx::Thread& t, IommuGroup& group);
  Task<int> attach_idle(lnx::Thread& t, IommuGroup& group, smmu::Domain& domain);
  Task<int> attach_one(lnx::Thread& t, smmu::Master& master, smmu::Domain* domain);
  // Attaches `domain` (null: the blocked one) to every device; on failure the devices tried so far,
  // the failing one included, go back, or all. Whoever must succeed goes on over all devices.
  Task<int> set_domain(lnx::Thread& t, IommuGroup& group, smmu::Domain* domain, bool must_succeed);

  lnx::Machine& machine_;
  smmu::Driver& driver_;
  const IommufdParams& params_;
  bool reverts_whole_group_ = false;
  std::unique_ptr<lnx::Mutex> msi_prepare_lock_;  // made at its first use
};

}  // namespace smmulab::iommufd

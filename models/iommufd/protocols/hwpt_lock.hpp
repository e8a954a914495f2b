// SPDX-License-Identifier: Apache-2.0
// The design with a devices_lock in each hwpt: what v6.2, v6.4 and the drafts before the group lock
// share. Rule: Linux 6.2 drivers/iommu/iommufd/device.c,
// hw_pagetable.c. 6.2 had no IOMMU_HWPT_ALLOC; here it makes an hwpt as the automatic path does,
// and it is filled at its first attach, as there. Not modelled: enforce_cc (SMMUv3 has none to
// set).
#pragma once

#include "models/iommufd/protocol.hpp"

namespace smmulab::iommufd {

class HwptLockProtocol : public Protocol {
 public:
  [[nodiscard]] ObjectRefs object_refs() const override { return ObjectRefs::kDestroyRwsem; }
  [[nodiscard]] KernelVersion kernel() const override { return linux_version(6, 2); }

  Task<int> hwpt_alloc(lnx::Thread& t, Device& device, Ioas& ioas, ObjectId id,
                       const HwptRequest& request) override;
  Task<void> hwpt_destroy(lnx::Thread& t, Hwpt& hwpt) override;
  Task<int> attach(lnx::Thread& t, Device& device, Hwpt& hwpt) override;
  Task<int> attach_ioas(lnx::Thread& t, Device& device, Ioas& ioas) override;
  Task<void> detach(lnx::Thread& t, Device& device) override;

 protected:
  using Protocol::Protocol;

  // --- what variants change --------------------------------------------------------------------
  // An attach with the locks below ioas->mutex.
  virtual Task<int> do_attach(lnx::Thread& t, Device& device, Hwpt& hwpt);
  // iommufd_hw_pagetable_has_group(): walks the device list.
  virtual bool has_group(lnx::Thread& t, const Hwpt& hwpt, const Device& device) const;
  // It reads the core's state, without group->mutex.
  [[nodiscard]] virtual bool asks_core() const { return false; }
  // After remove_device(): is the device's group to be detached?
  virtual bool last_of_group(lnx::Thread& t, const Hwpt& hwpt, const Device& device) const;
  // No device is attached: its domain is not in the ioas.
  [[nodiscard]] virtual bool unused(const Hwpt& hwpt) const { return hwpt.devices.empty(); }
  virtual void add_device(Device& device, Hwpt& hwpt) const;
  virtual void remove_device(Device& device, Hwpt& hwpt) const;
  // Of the core; the first device also fills the domain.
  virtual Task<int> attach_group(lnx::Thread& t, Device& device, Hwpt& hwpt);
  virtual Task<void> lock_for_detach(lnx::Thread& t, Hwpt& hwpt);
  virtual Task<void> unlock_after_detach(lnx::Thread& t, Hwpt& hwpt);
  // A new automatic domain with its first device. REQUIRES: ioas.mutex is held.
  virtual Task<int> attach_new(lnx::Thread& t, Device& device, Ioas& ioas);
  // Automatic domains found in the list are held by a reference (iommufd_lock_obj()).
  [[nodiscard]] virtual bool references_candidates() const { return false; }

  // --- what they share -------------------------------------------------------------------------
  // REQUIRES: ioas.mutex is held.
  Task<Hwpt*> alloc(lnx::Thread& t, Device& device, Ioas& ioas, ObjectId id);
  // do_attach() and detach() under their locks.
  Task<int> attach_locked(lnx::Thread& t, Device& device, Hwpt& hwpt);
  Task<void> detach_locked(lnx::Thread& t, Device& device, Hwpt& hwpt);
  // do_attach() of an automatic domain in the list.
  Task<int> try_candidate(lnx::Thread& t, Device& device, Hwpt& hwpt);
  // Its first device was attached with `rc`: into the list, or undone. Gives rc back.
  Task<int> settle_auto(lnx::Thread& t, Hwpt& hwpt, int rc);
  // Out of the ioas: domain and list.
  Task<void> unlink(lnx::Thread& t, Hwpt& hwpt);
  Task<int> enforce_reserved(lnx::Thread& t, Device& device, Hwpt& hwpt);
};

}  // namespace smmulab::iommufd

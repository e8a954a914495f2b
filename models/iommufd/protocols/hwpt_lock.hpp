// SPDX-License-Identifier: Apache-2.0
// The design with a devices_lock in each hwpt: what v6.2 and the drafts before the group lock
// share. Rule: reference locking.md section 7.A (Linux 6.2 drivers/iommu/iommufd/device.c,
// hw_pagetable.c). 6.2 had no IOMMU_HWPT_ALLOC; here it makes an hwpt as the automatic path does,
// and it is filled at its first attach, as there.
#pragma once

#include "models/iommufd/protocol.hpp"

namespace smmulab::iommufd {

class HwptLockProtocol : public Protocol {
 public:
  [[nodiscard]] ObjectRefs object_refs() const override { return ObjectRefs::kDestroyRwsem; }

  Task<int> hwpt_alloc(lnx::Thread& t, Device& device, Ioas& ioas, ObjectId id) override;
  Task<void> hwpt_destroy(lnx::Thread& t, Hwpt& hwpt) override;
  Task<int> attach(lnx::Thread& t, Device& device, Hwpt& hwpt) override;
  Task<int> attach_ioas(lnx::Thread& t, Device& device, Ioas& ioas) override;
  Task<void> detach(lnx::Thread& t, Device& device) override;
  [[nodiscard]] bool still_attached(const Device& device) const override {
    return device.hwpt != nullptr;
  }

 protected:
  using Protocol::Protocol;

  Task<Hwpt*> alloc(lnx::Thread& t, Device& device, Ioas& ioas, ObjectId id);
  Task<int> do_attach(lnx::Thread& t, Device& device, Hwpt& hwpt);
  // iommufd_hw_pagetable_has_group(): walks the device list.
  bool has_group(lnx::Thread& t, const Hwpt& hwpt, const IommuGroup& group) const;
  Task<int> enforce_reserved(lnx::Thread& t, Device& device, Hwpt& hwpt);
};

}  // namespace smmulab::iommufd

// SPDX-License-Identifier: Apache-2.0
// Linux 6.6 to 6.12 (variant E; up to 6.7 object references are destroy_rwsem, a parameter):
// igroup->lock, one per iommu group and context, protects the group's hwpt and device list; a
// replace moves every device of the group; the domain is filled when the hwpt is made, under
// ioas->mutex, never under igroup->lock; an automatic hwpt that a replace left is destroyed once
// the reference to the new one is put. Rule: Linux 6.12 drivers/iommu/iommufd/device.c,
// hw_pagetable.c. Not modelled: faults in flight when an attachment ends; that the count of an old
// hwpt that is not automatic drops after that put, too (here just before it).
#pragma once

#include "models/iommufd/protocol.hpp"

namespace smmulab::iommufd {

class IgroupProtocol : public Protocol {
 public:
  explicit IgroupProtocol(Context& context, const ProtocolParams& params = {})
      : Protocol(context),
        destroy_rwsem_(params.destroy_rwsem),
        detach_race_(params.detach_race),
        mend_h9_(params.mend_h9) {}

  [[nodiscard]] ObjectRefs object_refs() const override {
    return destroy_rwsem_ ? ObjectRefs::kDestroyRwsem : ObjectRefs::kShortTerm;
  }
  [[nodiscard]] KernelVersion kernel() const override {
    return linux_version(6, destroy_rwsem_ ? 7 : 12);
  }

  Task<int> hwpt_alloc(lnx::Thread& t, Device& device, Ioas& ioas, ObjectId id,
                       const HwptRequest& request) override;
  Task<void> hwpt_destroy(lnx::Thread& t, Hwpt& hwpt) override;
  Task<int> attach(lnx::Thread& t, Device& device, Hwpt& hwpt) override;
  Task<int> attach_ioas(lnx::Thread& t, Device& device, Ioas& ioas) override;
  Task<int> replace(lnx::Thread& t, Device& device, Hwpt& hwpt) override;
  Task<int> replace_ioas(lnx::Thread& t, Device& device, Ioas& ioas) override;
  Task<void> detach(lnx::Thread& t, Device& device) override;
  // With the race of 6.12's detach an hwpt may be used after it was freed.
  [[nodiscard]] bool racy() const override { return detach_race_; }
  [[nodiscard]] bool checks_isolated_msi_at_bind() const override { return true; }
  [[nodiscard]] Hwpt* attached_hwpt(const Device& device) const override;

 protected:
  // What a replace leaves to be put once every lock is dropped.
  struct Replaced {
    int rc;
    Hwpt* old;
  };

  // --- what variants change --------------------------------------------------------------------
  // iommufd_hw_pagetable_attach()
  virtual Task<int> do_attach(lnx::Thread& t, Device& device, Hwpt& hwpt);
  // iommufd_device_do_replace()
  virtual Task<Replaced> do_replace(lnx::Thread& t, Device& device, Hwpt& hwpt);
  // iommufd_hw_pagetable_detach()
  virtual Task<Hwpt*> detach_locked(lnx::Thread& t, Device& device);
  virtual Task<void> group_setup_msi(lnx::Thread& t, Hwpt& hwpt);
  // iommufd_hwpt_pasid_compat() of the RID: 0 or -EINVAL.
  [[nodiscard]] virtual int check_compat(const IommufdGroup& /*igroup*/,
                                         const Hwpt& /*hwpt*/) const {
    return 0;
  }

  // --- what they share -------------------------------------------------------------------------
  // The core's part, with page faults turned on before and off after where hwpts deliver them.
  Task<int> attach_hwpt(lnx::Thread& t, Device& device, Hwpt& hwpt);
  Task<int> replace_hwpt(lnx::Thread& t, Device& device, Hwpt& old, Hwpt& next);
  Task<void> detach_hwpt(lnx::Thread& t, Device& device, Hwpt* hwpt);

 private:
  // iommufd_hwpt_paging_alloc(). REQUIRES: ioas.mutex is held. Null with *rc set: failed, undone.
  Task<Hwpt*> alloc(lnx::Thread& t, Device& device, Ioas& ioas, ObjectId id, bool immediate_attach,
                    const HwptRequest& request, int* rc);
  Task<void> set_iopf(lnx::Thread& t, Device& device, bool on);
  Task<void> respond_faults(lnx::Thread& t, Fault& fault);
  Task<int> replace_reserved(lnx::Thread& t, IommufdGroup& igroup, Hwpt& hwpt);
  Task<void> remove_reserved(lnx::Thread& t, IommufdGroup& igroup, const Hwpt& hwpt);
  // iommufd_device_auto_get_domain() for attach and for replace.
  Task<Replaced> auto_domain(lnx::Thread& t, Device& device, Ioas& ioas, bool replacing);
  Task<Replaced> try_auto(lnx::Thread& t, Device& device, Hwpt& hwpt, bool replacing);

  bool destroy_rwsem_;
  bool detach_race_;
  bool mend_h9_;
};

}  // namespace smmulab::iommufd

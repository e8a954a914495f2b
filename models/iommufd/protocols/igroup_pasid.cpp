// SPDX-License-Identifier: Apache-2.0
// Linux 6.15 and later (variant F): igroup->hwpt and device_list became an entry of the array
// igroup->pasid_attach (RID is NO_PASID), whose other entries are PASIDs; MSI pages are kept in a
// list under ictx->sw_msi_lock and mapped into each hwpt under igroup->lock instead of by a cookie.
// Detach reads the hwpt under igroup->lock. Rule: Linux 6.15 drivers/iommu/iommufd/device.c
// iommufd_hw_pagetable_attach(), iommufd_group_setup_msi(), driver.c iommufd_sw_msi_install();
// Linux 6.15. A PASID is attached to hwpts made for it
// (IOMMU_HWPT_ALLOC_PASID) only, so never to an automatic one. protocol.reset_hooks: PCI resets of
// 7.0, with protocol.mend_reset_detach of 7.1. Not modelled: the pages each group requires beyond
// protocol.sw_msi_pages, the cost of the array entries beyond that of 6.12's lists, vDEVICEs; page
// faults go the way of 6.12, where about 6.16 moved them into the driver.
#include <algorithm>
#include <cerrno>

#include "models/iommufd/protocols/igroup.hpp"
#include "models/iommufd/protocols/registry.hpp"

namespace smmulab::iommufd {
namespace {

class IgroupPasid final : public IgroupProtocol {
 public:
  IgroupPasid(Context& context, const ProtocolParams& params)
      : IgroupProtocol(context, without_those_before_6_15(params)),
        sw_msi_lock_(machine(), machine().locks().get("ictx->sw_msi_lock", lnx::LockKind::kMutex)),
        sw_msi_pages_(params.sw_msi_pages),
        kernel_(!params.reset_hooks        ? linux_version(6, 15)
                : params.mend_reset_detach ? linux_version(7, 1)
                                           : linux_version(7, 0)) {}

  [[nodiscard]] KernelVersion kernel() const override { return kernel_; }
  Task<int> attach_pasid(lnx::Thread& t, Device& device, std::uint32_t pasid, Hwpt& hwpt) override;
  Task<void> detach_pasid(lnx::Thread& t, Device& device, std::uint32_t pasid) override;
  Task<int> msi_prepare(lnx::Thread& t, Device& device) override;

 private:
  static ProtocolParams without_those_before_6_15(ProtocolParams params) {
    params.detach_race = false;
    params.destroy_rwsem = false;
    return params;
  }
  Task<void> group_setup_msi(lnx::Thread& t, Hwpt& hwpt) override;
  // Of the RID: while there are PASIDs.
  [[nodiscard]] int check_compat(const IommufdGroup& igroup, const Hwpt& hwpt) const override {
    return !hwpt.pasid_compat && !igroup.pasids.empty() ? -EINVAL : 0;
  }
  Task<int> attach_first(lnx::Thread& t, Device& device, std::uint32_t pasid, Hwpt& hwpt);
  // Gives the hwpt that was left, for each device of the group at once.
  Task<int> replace_pasid(lnx::Thread& t, Device& device, IommufdGroup::PasidAttach& entry,
                          Hwpt& hwpt, Hwpt** left);

  lnx::Mutex sw_msi_lock_;
  std::uint32_t sw_msi_pages_;
  KernelVersion kernel_;
};

Task<int> IgroupPasid::attach_first(lnx::Thread& t, Device& device, std::uint32_t pasid,
                                    Hwpt& hwpt) {
  const int rc = co_await core().attach_pasid(t, *device.group, pasid, *hwpt.domain, nullptr);
  if (rc == 0) {
    device.igroup->pasids.push_back({pasid, &hwpt, {&device}});
    ++hwpt.users;
  }
  co_return rc;
}

Task<int> IgroupPasid::replace_pasid(lnx::Thread& t, Device& device,
                                     IommufdGroup::PasidAttach& entry, Hwpt& hwpt, Hwpt** left) {
  Hwpt* old = entry.hwpt;
  if (old == &hwpt) {
    co_return 0;
  }
  const int rc =
      co_await core().attach_pasid(t, *device.group, entry.pasid, *hwpt.domain, old->domain);
  if (rc == 0) {
    const auto moved = static_cast<std::int64_t>(entry.devices.size());
    t.touch(hwpt.counts(), lnx::Access::kUpdate);
    t.touch(old->counts(), lnx::Access::kUpdate);
    hwpt.users += moved;
    old->users -= moved - 1;
    entry.hwpt = &hwpt;
    *left = old;
  }
  co_return rc;
}

// No reserved regions, no MSI pages: those are the RID's.
Task<int> IgroupPasid::attach_pasid(lnx::Thread& t, Device& device, std::uint32_t pasid,
                                    Hwpt& hwpt) {
  IommufdGroup& igroup = *device.igroup;
  Hwpt* left = nullptr;
  co_await igroup.lock.lock(t);
  t.charge(costs().list_step * static_cast<std::int64_t>(igroup.pasids.size() + 1));
  IommufdGroup::PasidAttach* entry = igroup.find(pasid);
  int rc = -EINVAL;
  const bool compat = hwpt.pasid_compat && (igroup.hwpt == nullptr || igroup.hwpt->pasid_compat);
  if (compat && entry == nullptr) {
    rc = co_await attach_first(t, device, pasid, hwpt);
  } else if (compat && std::ranges::find(entry->devices, &device) != entry->devices.end()) {
    rc = co_await replace_pasid(t, device, *entry, hwpt, &left);
  } else if (compat && entry->hwpt == &hwpt) {  // a group-mate joins
    entry->devices.push_back(&device);
    ++hwpt.users;
    rc = 0;
  }
  co_await igroup.lock.unlock(t);
  if (left != nullptr) {
    co_await context().put_hwpt(t, *left);
  }
  co_return rc;
}

Task<void> IgroupPasid::detach_pasid(lnx::Thread& t, Device& device, std::uint32_t pasid) {
  IommufdGroup& igroup = *device.igroup;
  co_await igroup.lock.lock(t);
  t.charge(costs().list_step * static_cast<std::int64_t>(igroup.pasids.size()));
  IommufdGroup::PasidAttach* entry = igroup.find(pasid);
  Hwpt* hwpt = entry->hwpt;
  std::erase(entry->devices, &device);
  if (entry->devices.empty()) {
    std::erase_if(igroup.pasids, [pasid](const auto& e) { return e.pasid == pasid; });
    co_await core().detach_pasid(t, *device.group, pasid);
  }
  co_await igroup.lock.unlock(t);
  co_await context().put_hwpt(t, *hwpt);
}

// iommu_dma_prepare_msi() of 6.15: group->mutex, and iommufd's sw_msi callback under it.
Task<int> IgroupPasid::msi_prepare(lnx::Thread& t, Device& device) {
  int rc = 0;
  co_await device.group->mutex.lock(t);
  if (Hwpt* hwpt = attached_hwpt(device)) {
    co_await sw_msi_lock_.lock(t);
    rc = co_await map_msi_page(t, hwpt->paging());
    co_await sw_msi_lock_.unlock(t);
  }
  co_await device.group->mutex.unlock(t);
  co_return rc;
}

// Pages that the hwpt has already are only walked over.
Task<void> IgroupPasid::group_setup_msi(lnx::Thread& t, Hwpt& hwpt) {
  co_await sw_msi_lock_.lock(t);
  t.charge(costs().list_step * static_cast<std::int64_t>(sw_msi_pages_));
  const Bytes size{sw_msi_pages_ * kPage};
  if (hwpt.sw_msi_bytes == 0 && size.value() != 0) {
    const int rc = co_await context().driver().map(t, *hwpt.domain, kMsiBase, size, Bytes{kPage});
    hwpt.sw_msi_bytes = rc == 0 ? size.value() : 0;
  }
  co_await sw_msi_lock_.unlock(t);
}

}  // namespace

std::unique_ptr<Protocol> make_igroup_pasid(Context& context, const ProtocolParams& params) {
  return std::make_unique<IgroupPasid>(context, params);
}

}  // namespace smmulab::iommufd

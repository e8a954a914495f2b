// SPDX-License-Identifier: Apache-2.0
#include "models/iommufd/protocol.hpp"

#include <cerrno>

namespace smmulab::iommufd {

Task<void> Protocol::enter(lnx::Thread& /*t*/) {
  co_return;
}
Task<void> Protocol::leave(lnx::Thread& /*t*/) {
  co_return;
}

Task<int> Protocol::nested_alloc(lnx::Thread& t, Hwpt& parent, ObjectId id,
                                 const HwptRequest& request) {
  Hwpt* hwpt = co_await context_.new_hwpt(t, *parent.ioas, id, &parent);
  if (hwpt == nullptr) {
    co_return -EEXIST;
  }
  hwpt->domain = co_await context_.driver().nested_alloc(t, *parent.domain);
  hwpt->pasid_compat = request.has(HwptFlag::kPasid);
  Context::set_fault(t, *hwpt, request.fault);
  Context::finalize(t, *hwpt);
  co_return 0;
}

Task<int> Protocol::attach_pasid(lnx::Thread& /*t*/, Device& /*device*/, std::uint32_t /*pasid*/,
                                 Hwpt& /*hwpt*/) {
  co_return -EOPNOTSUPP;
}

Task<void> Protocol::detach_pasid(lnx::Thread& /*t*/, Device& /*device*/, std::uint32_t /*pasid*/) {
  co_return;
}

// iommu_dma_prepare_msi() up to 6.14: one lock for the system, a page in the domain's cookie.
Task<int> Protocol::msi_prepare(lnx::Thread& t, Device& device) {
  co_await t.access(device.group->mutex, lnx::Access::kRead);
  Hwpt* hwpt = attached_hwpt(device);
  if (hwpt == nullptr) {
    co_return 0;  // blocked, or the default domain, which has the page since boot
  }
  lnx::Mutex& lock = core().msi_prepare_lock();
  co_await lock.lock(t);
  const int rc = co_await map_msi_page(t, hwpt->paging());
  co_await lock.unlock(t);
  co_return rc;
}

Task<int> Protocol::map_msi_page(lnx::Thread& t, Hwpt& hwpt) {
  constexpr Bytes kDoorbell{kPage};
  t.charge(costs().list_step);
  if (hwpt.sw_msi_bytes != 0) {
    co_return 0;
  }
  hwpt.sw_msi_bytes = kPage;
  t.charge(costs().msi_page);
  const int rc = co_await context_.driver().map(t, *hwpt.domain, kMsiBase, kDoorbell, kDoorbell);
  if (rc != 0) {
    hwpt.sw_msi_bytes = 0;
  }
  co_return rc;
}

void Protocol::setup_msi(lnx::Thread& t, Hwpt& hwpt) const {
  if (!hwpt.msi_cookie) {
    t.charge(costs().msi_cookie);
    hwpt.msi_cookie = true;
  }
}

Task<void> Protocol::free_domain(lnx::Thread& t, Hwpt& hwpt) {
  if (context_.check_unused(t, hwpt)) {
    co_await context_.driver().domain_free(t, *hwpt.domain);
  }
}

Task<void> Protocol::destroy_filled(lnx::Thread& t, Hwpt& hwpt) {
  Ioas& ioas = *hwpt.ioas;
  if (hwpt.listed) {
    co_await ioas.mutex.lock(t);
    t.charge(costs().list_step);
    std::erase(ioas.hwpt_list, &hwpt);
    hwpt.listed = false;
    co_await ioas.mutex.unlock(t);
    co_await ioas.iopt.remove_domain(t, *hwpt.domain);
  }
  co_await free_domain(t, hwpt);
}

namespace {

void describe_mends(ParamTable& table, ProtocolParams& p) {
  const auto add = [&table](const char* key, bool* value, const char* doc, const char* source) {
    table.add(std::string("protocol.") + key, value, doc, {source});
  };
  add("mend_h1", &p.mend_h1,
      "seed-unordered, posted-v1: replace takes both devices_locks in one order (hazard H1)",
      "iommu list: PATCH v1 7/8 \"Use iommu_group_replace_domain()\" (2 Feb 2023) takes the new "
      "hwpt's, then the old one's; J. Gunthorpe's lock_both by address (Feb 2023) mends it");
  add("mend_h2", &p.mend_h2,
      "posted-v2: detach takes ioas->mutex before devices_lock, as attach does (hazard H2)",
      "iommu list: PATCH v2 08/10 of the replace series (7 Feb 2023), its detach helper");
  add("mend_h3", &p.mend_h3,
      "posted-v2: replace takes both ioas->mutex first, in one order (hazard H3)",
      "iommu list: PATCH v2 08/10 of the replace series (7 Feb 2023) takes the old ioas's under "
      "the "
      "new one's");
  add("mend_h4", &p.mend_h4,
      "devices-users-3: a count of attached devices says when to detach a group (hazard H4)",
      "iommu list: K. Tian and N. Chen on PATCH v2 3/3 \"Change iommufd_hw_pagetable_has_group to "
      "device centric\" (Jan, Feb 2023)");
  add("mend_h5", &p.mend_h5,
      "core-group: the core refuses a device that asks for another domain than its group's "
      "(hazard H5)",
      "github.com/nicolinc/iommufd 124f7804ef38 drivers/iommu/iommu.c does not ask");
  add("mend_h9", &p.mend_h9,
      "igroup, igroup-pasid: a replace that fails within one ioas keeps the reservations (H9)",
      "Linux 6.12 drivers/iommu/iommufd/device.c iommufd_device_do_replace()");
  add("mend_reset_detach", &p.mend_reset_detach,
      "igroup-pasid with protocol.reset_hooks: a detach during a reset changes the group's domain, "
      "as of 7.0.10 and 7.1",
      "Linux 7.0.10 drivers/iommu/iommu.c __iommu_group_set_domain_internal()");
  add("mend_stale_domain", &p.mend_stale_domain,
      "posted-v1: an hwpt that a replace leaves without devices goes out of its ioas",
      "iommu list: PATCH v1 7/8 of the replace series (2 Feb 2023) has no "
      "iopt_table_remove_domain(), and deletes hwpt_item always");
  add("mend_leaked_reference", &p.mend_leaked_reference,
      "posted-v2: attaching an attached device by ioas, -EBUSY, drops its object reference",
      "iommu list: PATCH v2 08/10 of the replace series (7 Feb 2023)");
}

}  // namespace

void describe(ParamTable& table, ProtocolParams& params) {
  describe_mends(table, params);
  table.add(
      "protocol.fill_before", &params.fill_before,
      "seed-lock-both, seed-unordered, ioas-pair, devices-users-*: fill the new domain "
      "before the replace (needs a driver that finalises "
      "at allocation), not after it",
      {"iommu list: both orders were proposed in the thread of PATCH v2 1/3 \"Add devices_users "
       "to track the hw_pagetable usage by device\" (Feb 2023)"});
  table.add(
      "protocol.detach_race", &params.detach_race,
      "igroup: a detach reads igroup->hwpt before it has igroup->lock, so that one racing with "
      "the replace of a group-mate drops a reference of the wrong hwpt; false: mended",
      {"Linux 6.12 drivers/iommu/iommufd/device.c iommufd_hw_pagetable_detach()"});
  table.add("protocol.destroy_rwsem", &params.destroy_rwsem,
            "igroup: as of 6.7 (and 6.6, but for what 6.7 added): whoever uses an object holds its "
            "destroy_rwsem, and a destroy waits for that; false: 6.8 to 6.12, which count "
            "short-term users",
            {"Linux 6.7 and 6.8 drivers/iommu/iommufd/main.c iommufd_get_object(), "
             "iommufd_object_destroy_user()"});
  table.add("protocol.core_group_ioas_mutex", &params.core_group_ioas_mutex,
            "core-group: ioas->mutex around the whole attach, as in the draft; false: only the "
            "core's group->mutex",
            {"github.com/nicolinc/iommufd 5ae54f360495 drivers/iommu/iommufd/device.c holds it"});
  table.add(
      "protocol.reset_hooks", &params.reset_hooks,
      "igroup-pasid: as of 7.0: a PCI reset of a device with ATS blocks its DMA, and attach and "
      "replace in its group meanwhile give -EBUSY (hazard H13)",
      {"iommu list: PATCH v7 4/5 \"iommu: Introduce pci_dev_reset_iommu_prepare/done()\"; Linux "
       "7.0"});
  table.add("protocol.sw_msi_pages", &params.sw_msi_pages, 0, 64,
            "igroup-pasid: MSI doorbell pages that each group requires", {"assumed: one ITS"});
}

}  // namespace smmulab::iommufd

// SPDX-License-Identifier: Apache-2.0
#include "models/iommufd/params.hpp"

namespace smmulab::iommufd {
namespace {

constexpr Provenance kAssumed{"assumed: typical of arm64 servers at 2.6-3 GHz"};

void describe_ioctl(ParamTable& t, IommufdParams& p) {
  t.add(
      "iommufd.vfio", &p.vfio,
      "operations arrive through VFIO cdevs: dev_set->lock above attach, replace, detach and bind",
      {"Linux 6.12 drivers/vfio/device_cdev.c"});
  const auto add = [&t](const char* key, Ps* value, Ps max, const char* doc) {
    t.add(std::string("iommufd.") + key, value, 0_ps, max, doc, kAssumed);
  };
  add("ioctl", &p.ioctl, 10_ms, "system call entry and exit, argument copies, dispatch");
  add("vfio_ioctl", &p.vfio_ioctl, 10_ms, "VFIO's layer above attach and detach");
  add("lookup", &p.lookup, 10_ms, "finding an object under xa_lock, line present");
  add("put", &p.put, 10_ms, "dropping an object's references");
  add("object_alloc", &p.object_alloc, 10_ms, "allocating an object and its id");
  add("object_free", &p.object_free, 10_ms, "freeing an object and its id");
  add("bind", &p.bind, 1'000_ms, "VFIO device open and bind, the iommu core's part not included");
  add("unbind", &p.unbind, 1'000_ms, "the same for unbind");
  add("attach_base", &p.attach_base, 10_ms, "iommufd_device_change_pt and helpers");
  add("handle", &p.handle, 10_ms, "the group's attach handle: allocation, pasid_array entry");
  add("list_step", &p.list_step, 10_ms, "one element of a device or hwpt list");
  add("group_base", &p.group_base, 10_ms, "iommu core's loop over a group, without callbacks");
  add("msi_cookie", &p.msi_cookie, 10_ms, "iommu_get_msi_cookie, once per hwpt");
  add("resv_query", &p.resv_query, 10_ms, "get_resv_regions of one device");
  add("resv_insert", &p.resv_insert, 10_ms,
      "checking and inserting one reserved region, or one allowed range");
  add("unresv", &p.unresv, 10_ms, "scanning the reserved tree and freeing a device's nodes");
  t.add("iommufd.resv_regions", &p.resv_regions, 1, 64, "reserved regions of one device",
        {"Linux 6.12 arm_smmu_get_resv_regions: one SW_MSI region, plus firmware's"});
}

void describe_fill(ParamTable& t, IommufdParams& p) {
  const auto add = [&t](const char* key, Ps* value, const char* doc) {
    t.add(std::string("iommufd.") + key, value, 0_ps, 10_ms, doc, kAssumed);
  };
  add("map_base", &p.map_base, "iopt_alloc_pages and list element of a map");
  add("area_insert", &p.area_insert, "inserting the area of an accepted range, under iova_rwsem");
  add("area_publish", &p.area_publish, "setting area->pages, under iova_rwsem");
  add("area_remove", &p.area_remove, "removing an area, under iova_rwsem");
  add("unmap_base", &p.unmap_base, "finding the next area to unmap, under iova_rwsem");
  add("pages_free", &p.pages_free, "last iopt_put_pages");
  add("fill_base", &p.fill_base, "pfn_reader set-up and tear-down, per area filled or unfilled");
  add("pin_call", &p.pin_call, "one pin_user_pages_fast call (up to 8192 pages)");
  add("pin_page", &p.pin_page, "pinning one 4 KiB page");
  add("batch_page", &p.batch_page, "adding one 4 KiB page to a batch");
  add("account", &p.account, "locked_vm accounting, once per fill or unfill");
  add("unpin_page", &p.unpin_page, "unpinning one 4 KiB page");
  add("msi_page", &p.msi_page, "one MSI doorbell page's entry in a domain, its map excluded");
  add("iopf", &p.iopf, "enabling or disabling a device's page faults");
  add("xarray_page", &p.xarray_page, "storing or loading one 4 KiB page that an access pins");
  add("access_base", &p.access_base, "an access's pin or unpin within one area, pages excluded");
  add("domain_link", &p.domain_link, "linking or unlinking a domain: array, alignment, aperture");
  t.add("iommufd.run_pages", &p.run_pages, 1, 1U << 18U,
        "4 KiB pages per physically contiguous run of user memory", {"assumed"});
}

}  // namespace

void describe(ParamTable& table, IommufdParams& params) {
  describe_ioctl(table, params);
  describe_fill(table, params);
}

}  // namespace smmulab::iommufd

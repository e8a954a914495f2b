// SPDX-License-Identifier: Apache-2.0
// Costs and settings of iommufd, VFIO above it and the iommu core below it. Times are CPU time; the
// blocks are those of Linux 6.12 drivers/iommu/iommufd, the SMMU driver's part is in DriverParams.
#pragma once

#include <cstdint>

#include "sim/params.hpp"
#include "sim/time.hpp"

namespace smmulab::iommufd {

struct IommufdParams {
  bool vfio = true;  // operations arrive through VFIO cdevs: dev_set->lock above everything

  // ioctl layer
  Ps ioctl{280'000};         // system call, argument copies, dispatch
  Ps vfio_ioctl{90'000};     // VFIO's layer above attach and detach
  Ps lookup{25'000};         // xa_load and references under xa_lock, line present
  Ps put{15'000};            // dropping them
  Ps object_alloc{220'000};  // kzalloc, id allocation, finalize
  Ps object_free{150'000};   // id removal, kfree
  Ps bind{25'000'000};       // device open and bind, iommu core part not included
  Ps unbind{5'000'000};

  // attach, replace, detach
  Ps attach_base{110'000};         // iommufd_device_change_pt and helpers
  Ps handle{80'000};               // attach handle: kzalloc, xarray entry of the group
  Ps list_step{6'000};             // one element of a device or hwpt list
  Ps group_base{70'000};           // iommu core: set_domain loop, without its callbacks
  Ps msi_cookie{150'000};          // iommu_get_msi_cookie, once per hwpt
  Ps resv_query{250'000};          // get_resv_regions of one device (allocates its list)
  Ps resv_insert{60'000};          // one reserved region: overlap tests, node
  Ps unresv{50'000};               // scanning the reserved tree, freeing nodes
  std::uint32_t resv_regions = 1;  // per device: SW_MSI, and what firmware adds

  // map, unmap, fill
  Ps map_base{250'000};          // iopt_alloc_pages, list element
  Ps area_insert{90'000};        // interval-tree insertion under iova_rwsem
  Ps area_publish{15'000};       // area->pages = pages
  Ps area_remove{80'000};        // interval-tree removal, kfree
  Ps unmap_base{60'000};         // finding the area under iova_rwsem
  Ps pages_free{90'000};         // iopt_put_pages of the last reference
  Ps fill_base{180'000};         // pfn_reader set-up and tear-down of one area, per fill or unfill
  Ps pin_call{200'000};          // one pin_user_pages_fast call
  Ps pin_page{25'000};           // per 4 KiB page in it
  Ps batch_page{4'000};          // batch_add_pfn per page
  Ps account{60'000};            // update_pinned, once per fill or unfill
  Ps unpin_page{15'000};         // per 4 KiB page
  Ps msi_page{250'000};          // iommu_dma_get_msi_page: allocation and IOVA, the map excluded
  Ps iopf{150'000};              // iommu_dev_enable_feature or _disable_feature of page faults
  Ps xarray_page{10'000};        // storing or loading one PFN that an access pins
  Ps access_base{120'000};       // pinning or unpinning a part of one area for an access
  Ps domain_link{60'000};        // adding or removing a domain in the xarray, alignment, aperture
  std::uint32_t run_pages = 16;  // pages per physically contiguous run of user memory
};

void describe(ParamTable& table, IommufdParams& params);

}  // namespace smmulab::iommufd

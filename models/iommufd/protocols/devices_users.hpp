// SPDX-License-Identifier: Apache-2.0
// "iommufd: Add devices_users to track the hw_pagetable usage by device" and the patches after it
// (variant C, Jan and Feb 2023): a count per hwpt says whether a device is attached, not its list.
// The series has no replace; here it is that of hwpt_replace.hpp, with both ioas->mutex in address
// order. Rule: PATCH v2 1/3 to 3/3 (iommu list, 28 Jan 2023). Not modelled: as hwpt_replace.hpp;
// nested hwpts, which share their parent's count.
#pragma once

#include "models/iommufd/protocols/hwpt_replace.hpp"

namespace smmulab::iommufd {

class DevicesUsersProtocol : public HwptReplaceProtocol {
 public:
  using HwptReplaceProtocol::HwptReplaceProtocol;

 protected:
  [[nodiscard]] bool unused(const Hwpt& hwpt) const override { return hwpt.devices_users == 0; }
  void add_device(Device& device, Hwpt& hwpt) const override {
    HwptReplaceProtocol::add_device(device, hwpt);
    ++hwpt.devices_users;
  }
  void remove_device(Device& device, Hwpt& hwpt) const override {
    HwptReplaceProtocol::remove_device(device, hwpt);
    --hwpt.devices_users;
  }
};

}  // namespace smmulab::iommufd

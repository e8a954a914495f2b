// SPDX-License-Identifier: Apache-2.0
// What the two posted replace series share: do_attach() is attach and replace in one, under the new
// hwpt's devices_lock; it always uses the core's replace_domain, fills an hwpt without devices
// after the switch, then takes the device out of the old hwpt. Rule: patches 7/8 of v1 and
// 08/10 of v2 of the replace series (iommu list, Feb 2023). Not modelled: as hwpt_replace.hpp.
#pragma once

#include "models/iommufd/protocols/hwpt_lock.hpp"

namespace smmulab::iommufd {

class PostedReplaceProtocol : public HwptLockProtocol {
 public:
  Task<int> replace(lnx::Thread& t, Device& device, Hwpt& hwpt) override;
  Task<int> replace_ioas(lnx::Thread& t, Device& device, Ioas& ioas) override;

 protected:
  using HwptLockProtocol::HwptLockProtocol;

  Task<int> do_attach(lnx::Thread& t, Device& device, Hwpt& hwpt) override;
  Task<int> attach_group(lnx::Thread& t, Device& device, Hwpt& hwpt) override;

  // The new hwpt's devices_lock, and `old`'s (or null) if it is to be taken first.
  virtual Task<void> lock_devices(lnx::Thread& t, Hwpt* old, Hwpt& next) = 0;
  virtual Task<void> unlock_devices(lnx::Thread& t, Hwpt* old, Hwpt& next) = 0;
  // Takes the device, which `next` has now, out of `old`.
  virtual Task<void> leave_old(lnx::Thread& t, Device& device, Hwpt& old, Hwpt& next) = 0;
};

}  // namespace smmulab::iommufd

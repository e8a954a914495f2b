// SPDX-License-Identifier: Apache-2.0
#include "models/iommufd/protocols/posted_replace.hpp"

#include <cerrno>

#include <fmt/format.h>

namespace smmulab::iommufd {

Task<int> PostedReplaceProtocol::attach_group(lnx::Thread& t, Device& device, Hwpt& hwpt) {
  int rc = co_await core().replace_group(t, *device.group, *hwpt.domain);
  if (rc == 0 && unused(hwpt)) {
    rc = co_await hwpt.ioas->iopt.add_domain(t, *hwpt.domain);
    if (rc == -EEXIST) {  // WARN_ON() in iopt_table_add_domain()
      context().invariants().note(
          Invariant::kLinkedOnce,
          fmt::format("hwpt {} is filled again: its domain is still one of ioas {}",
                      hwpt.id.value(), hwpt.ioas->id.value()));
    }
    if (rc != 0 && device.hwpt != nullptr) {
      co_await core().replace_group(t, *device.group, *device.hwpt->domain);
    } else if (rc != 0) {
      co_await core().detach_group(t, *device.group);
    }
  }
  co_return rc;
}

Task<int> PostedReplaceProtocol::do_attach(lnx::Thread& t, Device& device, Hwpt& hwpt) {
  Hwpt* old = device.hwpt;
  if (old == &hwpt) {
    co_return 0;
  }
  co_await lock_devices(t, old, hwpt);
  const int rc = co_await attach_locked(t, device, hwpt);
  if (rc == 0 && old != nullptr) {
    co_await leave_old(t, device, *old, hwpt);
  }
  co_await unlock_devices(t, old, hwpt);
  co_return rc;
}

Task<int> PostedReplaceProtocol::replace(lnx::Thread& t, Device& device, Hwpt& hwpt) {
  Hwpt* old = device.hwpt;
  const int rc = co_await attach(t, device, hwpt);
  if (rc == 0 && old != &hwpt) {
    co_await context().put_hwpt(t, *old);
  }
  co_return rc;
}

Task<int> PostedReplaceProtocol::replace_ioas(lnx::Thread& t, Device& device, Ioas& ioas) {
  Hwpt* old = device.hwpt;
  const int rc = co_await attach_ioas(t, device, ioas);
  if (rc == 0 && old != device.hwpt) {
    co_await context().put_hwpt(t, *old);
  }
  co_return rc;
}

}  // namespace smmulab::iommufd

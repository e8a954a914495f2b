// SPDX-License-Identifier: Apache-2.0
#include "models/iommufd/protocols/hwpt_lock.hpp"

#include <algorithm>
#include <cerrno>

namespace smmulab::iommufd {

// REQUIRES: ioas.mutex is held.
Task<Hwpt*> HwptLockProtocol::alloc(lnx::Thread& t, Device& device, Ioas& ioas, ObjectId id) {
  Hwpt* hwpt = co_await context().new_hwpt(t, ioas, id);
  if (hwpt != nullptr) {
    hwpt->domain = co_await context().driver().domain_alloc(t, *device.master);
  }
  co_return hwpt;
}

Task<int> HwptLockProtocol::hwpt_alloc(lnx::Thread& t, Device& device, Ioas& ioas, ObjectId id) {
  co_await ioas.mutex.lock(t);
  Hwpt* hwpt = co_await alloc(t, device, ioas, id);
  if (hwpt != nullptr) {
    Context::finalize(*hwpt);
  }
  co_await ioas.mutex.unlock(t);
  co_return hwpt != nullptr ? 0 : -EEXIST;
}

Task<void> HwptLockProtocol::hwpt_destroy(lnx::Thread& t, Hwpt& hwpt) {
  co_await context().driver().domain_free(t, *hwpt.domain);
}

bool HwptLockProtocol::has_group(lnx::Thread& t, const Hwpt& hwpt, const IommuGroup& group) const {
  t.charge(costs().list_step * static_cast<std::int64_t>(hwpt.devices.size()));
  return std::any_of(hwpt.devices.begin(), hwpt.devices.end(),
                     [&group](const Device* d) { return d->group == &group; });
}

Task<int> HwptLockProtocol::enforce_reserved(lnx::Thread& t, Device& device, Hwpt& hwpt) {
  co_return co_await hwpt.ioas->iopt.enforce_reserved_of_group(
      t, *device.master, device.group->mutex, device.group->devices.size());
}

Task<int> HwptLockProtocol::do_attach(lnx::Thread& t, Device& device, Hwpt& hwpt) {
  co_await hwpt.devices_lock.lock(t);
  int rc = co_await enforce_reserved(t, device, hwpt);
  if (rc != 0) {
    co_await hwpt.devices_lock.unlock(t);
    co_return rc;
  }
  setup_msi(t, hwpt);
  if (!has_group(t, hwpt, *device.group)) {
    rc = co_await core().attach_group(t, *device.group, *hwpt.domain);
    if (rc == 0 && hwpt.devices.empty()) {
      rc = co_await hwpt.ioas->iopt.add_domain(t, *hwpt.domain);
      if (rc != 0) {
        co_await core().detach_group(t, *device.group);
      }
    }
  }
  if (rc == 0) {
    t.charge(costs().list_step);
    ++hwpt.users;
    hwpt.devices.push_back(&device);
  } else {
    co_await hwpt.ioas->iopt.remove_reserved(t, *device.master);
  }
  co_await hwpt.devices_lock.unlock(t);
  co_return rc;
}

Task<int> HwptLockProtocol::attach(lnx::Thread& t, Device& device, Hwpt& hwpt) {
  const int rc = co_await do_attach(t, device, hwpt);
  if (rc == 0) {
    device.hwpt = &hwpt;
  }
  co_return rc;
}

Task<int> HwptLockProtocol::attach_ioas(lnx::Thread& t, Device& device, Ioas& ioas) {
  co_await ioas.mutex.lock(t);
  int rc = -EINVAL;
  for (std::size_t i = 0; i < ioas.hwpt_list.size() && rc == -EINVAL; ++i) {
    Hwpt& hwpt = *ioas.hwpt_list[i];
    t.charge(costs().list_step);
    if (hwpt.auto_domain) {
      rc = co_await attach(t, device, hwpt);
    }
  }
  if (rc == -EINVAL) {
    Hwpt* hwpt = co_await alloc(t, device, ioas, context().next_auto_id());
    hwpt->auto_domain = true;
    rc = co_await attach(t, device, *hwpt);
    if (rc == 0) {
      ioas.hwpt_list.push_back(hwpt);
      hwpt->listed = true;
      Context::finalize(*hwpt);
    } else {
      co_await hwpt_destroy(t, *hwpt);
      co_await context().abort_hwpt(t, *hwpt);
    }
  }
  co_await ioas.mutex.unlock(t);
  co_return rc;
}

Task<void> HwptLockProtocol::detach(lnx::Thread& t, Device& device) {
  Hwpt& hwpt = *device.hwpt;
  Ioas& ioas = *hwpt.ioas;
  co_await ioas.mutex.lock(t);
  co_await hwpt.devices_lock.lock(t);
  t.charge(costs().list_step);
  std::erase(hwpt.devices, &device);
  if (!has_group(t, hwpt, *device.group)) {
    if (hwpt.devices.empty()) {
      co_await ioas.iopt.remove_domain(t, *hwpt.domain);
      if (hwpt.listed) {
        std::erase(ioas.hwpt_list, &hwpt);
        hwpt.listed = false;
      }
    }
    co_await core().detach_group(t, *device.group);
  }
  co_await ioas.iopt.remove_reserved(t, *device.master);
  co_await hwpt.devices_lock.unlock(t);
  co_await ioas.mutex.unlock(t);
  device.hwpt = nullptr;
  co_await context().put_hwpt(t, hwpt);
}

}  // namespace smmulab::iommufd

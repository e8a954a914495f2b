// SPDX-License-Identifier: Apache-2.0
#include "models/iommufd/protocols/hwpt_lock.hpp"

#include <algorithm>
#include <cerrno>

namespace smmulab::iommufd {

Task<Hwpt*> HwptLockProtocol::alloc(lnx::Thread& t, Device& device, Ioas& ioas, ObjectId id) {
  Hwpt* hwpt = co_await context().new_hwpt(t, ioas, id);
  if (hwpt != nullptr) {
    hwpt->domain = co_await context().driver().domain_alloc(t, *device.master);
  }
  co_return hwpt;
}

Task<int> HwptLockProtocol::hwpt_alloc(lnx::Thread& t, Device& device, Ioas& ioas, ObjectId id,
                                       const HwptRequest& /*request*/) {
  co_await ioas.mutex.lock(t);
  Hwpt* hwpt = co_await alloc(t, device, ioas, id);
  if (hwpt != nullptr) {
    Context::finalize(t, *hwpt);
  }
  co_await ioas.mutex.unlock(t);
  co_return hwpt != nullptr ? 0 : -EEXIST;
}

Task<void> HwptLockProtocol::hwpt_destroy(lnx::Thread& t, Hwpt& hwpt) {
  return free_domain(t, hwpt);
}

bool HwptLockProtocol::has_group(lnx::Thread& t, const Hwpt& hwpt, const Device& device) const {
  t.charge(costs().list_step * static_cast<std::int64_t>(hwpt.devices.size()));
  return std::any_of(hwpt.devices.begin(), hwpt.devices.end(),
                     [&device](const Device* d) { return d->group == device.group; });
}

bool HwptLockProtocol::last_of_group(lnx::Thread& t, const Hwpt& hwpt, const Device& device) const {
  return !has_group(t, hwpt, device);
}

Task<int> HwptLockProtocol::enforce_reserved(lnx::Thread& t, Device& device, Hwpt& hwpt) {
  co_return co_await hwpt.ioas->iopt.enforce_reserved_of_group(
      t, *device.master, device.group->mutex, device.group->devices.size());
}

Task<int> HwptLockProtocol::attach_group(lnx::Thread& t, Device& device, Hwpt& hwpt) {
  int rc = co_await core().attach_group(t, *device.group, *hwpt.domain);
  if (rc == 0 && unused(hwpt)) {
    rc = co_await hwpt.ioas->iopt.add_domain(t, *hwpt.domain);
    if (rc != 0) {
      co_await core().detach_group(t, *device.group);
    }
  }
  co_return rc;
}

void HwptLockProtocol::add_device(Device& device, Hwpt& hwpt) const {
  ++hwpt.users;
  hwpt.devices.push_back(&device);
  device.hwpt = &hwpt;
}

void HwptLockProtocol::remove_device(Device& device, Hwpt& hwpt) const {
  std::erase(hwpt.devices, &device);
}

Task<int> HwptLockProtocol::attach_locked(lnx::Thread& t, Device& device, Hwpt& hwpt) {
  int rc = co_await enforce_reserved(t, device, hwpt);
  if (rc != 0) {
    co_return rc;
  }
  setup_msi(t, hwpt);
  if (asks_core()) {
    co_await t.access(device.group->mutex, lnx::Access::kWrite);
  }
  if (!has_group(t, hwpt, device)) {
    rc = co_await attach_group(t, device, hwpt);
  }
  if (rc == 0) {
    t.charge(costs().list_step);
    add_device(device, hwpt);
  } else {
    co_await hwpt.ioas->iopt.remove_reserved(t, *device.master);
  }
  co_return rc;
}

Task<int> HwptLockProtocol::do_attach(lnx::Thread& t, Device& device, Hwpt& hwpt) {
  co_await hwpt.devices_lock.lock(t);
  const int rc = co_await attach_locked(t, device, hwpt);
  co_await hwpt.devices_lock.unlock(t);
  co_return rc;
}

Task<int> HwptLockProtocol::attach(lnx::Thread& t, Device& device, Hwpt& hwpt) {
  return do_attach(t, device, hwpt);
}

Task<int> HwptLockProtocol::try_candidate(lnx::Thread& t, Device& device, Hwpt& hwpt) {
  if (!references_candidates()) {
    co_return co_await do_attach(t, device, hwpt);
  }
  if (!co_await context().try_get(t, hwpt)) {
    co_return -EINVAL;
  }
  const int rc = co_await do_attach(t, device, hwpt);
  co_await context().put(t, hwpt);
  co_return rc;
}

Task<int> HwptLockProtocol::settle_auto(lnx::Thread& t, Hwpt& hwpt, int rc) {
  if (rc == 0) {
    hwpt.ioas->hwpt_list.push_back(&hwpt);
    hwpt.listed = true;
    Context::finalize(t, hwpt);
  } else {
    co_await hwpt_destroy(t, hwpt);
    co_await context().abort_hwpt(t, hwpt);
  }
  co_return rc;
}

Task<int> HwptLockProtocol::attach_new(lnx::Thread& t, Device& device, Ioas& ioas) {
  Hwpt* hwpt = co_await alloc(t, device, ioas, context().next_auto_id());
  hwpt->auto_domain = true;
  const int rc = co_await do_attach(t, device, *hwpt);
  co_return co_await settle_auto(t, *hwpt, rc);
}

Task<int> HwptLockProtocol::attach_ioas(lnx::Thread& t, Device& device, Ioas& ioas) {
  co_await ioas.mutex.lock(t);
  int rc = -EINVAL;
  for (std::size_t i = 0; i < ioas.hwpt_list.size() && rc == -EINVAL; ++i) {
    Hwpt& hwpt = *ioas.hwpt_list[i];
    t.charge(costs().list_step);
    if (hwpt.auto_domain) {
      rc = co_await try_candidate(t, device, hwpt);
    }
  }
  if (rc == -EINVAL) {
    rc = co_await attach_new(t, device, ioas);
  }
  co_await ioas.mutex.unlock(t);
  co_return rc;
}

Task<void> HwptLockProtocol::unlink(lnx::Thread& t, Hwpt& hwpt) {
  co_await hwpt.ioas->iopt.remove_domain(t, *hwpt.domain);
  if (hwpt.listed) {
    co_await t.access(hwpt.ioas->mutex, lnx::Access::kWrite);  // not every variant holds it
    std::erase(hwpt.ioas->hwpt_list, &hwpt);
    hwpt.listed = false;
  }
}

Task<void> HwptLockProtocol::detach_locked(lnx::Thread& t, Device& device, Hwpt& hwpt) {
  t.charge(costs().list_step);
  if (asks_core()) {
    co_await t.access(device.group->mutex, lnx::Access::kWrite);
  }
  remove_device(device, hwpt);
  if (last_of_group(t, hwpt, device)) {
    if (unused(hwpt)) {
      co_await unlink(t, hwpt);
    }
    co_await core().detach_group(t, *device.group);
  }
  co_await hwpt.ioas->iopt.remove_reserved(t, *device.master);
}

Task<void> HwptLockProtocol::lock_for_detach(lnx::Thread& t, Hwpt& hwpt) {
  co_await hwpt.ioas->mutex.lock(t);
  co_await hwpt.devices_lock.lock(t);
}

Task<void> HwptLockProtocol::unlock_after_detach(lnx::Thread& t, Hwpt& hwpt) {
  co_await hwpt.devices_lock.unlock(t);
  co_await hwpt.ioas->mutex.unlock(t);
}

Task<void> HwptLockProtocol::detach(lnx::Thread& t, Device& device) {
  Hwpt& hwpt = *device.hwpt;
  co_await lock_for_detach(t, hwpt);
  co_await detach_locked(t, device, hwpt);
  co_await unlock_after_detach(t, hwpt);
  device.hwpt = nullptr;
  co_await context().put_hwpt(t, hwpt);
}

}  // namespace smmulab::iommufd

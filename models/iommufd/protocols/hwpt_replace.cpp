// SPDX-License-Identifier: Apache-2.0
#include "models/iommufd/protocols/hwpt_replace.hpp"

#include <cerrno>

namespace smmulab::iommufd {

MutexPair HwptReplaceProtocol::ioas_locks(Ioas& old, Ioas& next) const {
  return old.id < next.id ? MutexPair{&old.mutex, &next.mutex} : MutexPair{&next.mutex, &old.mutex};
}

MutexPair HwptReplaceProtocol::device_locks(Hwpt& old, Hwpt& next) const {
  return old.id < next.id ? MutexPair{&old.devices_lock, &next.devices_lock}
                          : MutexPair{&next.devices_lock, &old.devices_lock};
}

Task<void> HwptReplaceProtocol::lock_both(lnx::Thread& t, MutexPair pair, unsigned nesting) {
  co_await pair.first->lock(t);
  if (pair.second != pair.first) {
    co_await pair.second->lock(t, nesting);
  }
}

Task<void> HwptReplaceProtocol::unlock_both(lnx::Thread& t, MutexPair pair) {
  if (pair.second != pair.first) {
    co_await pair.second->unlock(t);
  }
  co_await pair.first->unlock(t);
}

Task<int> HwptReplaceProtocol::replace_locked(lnx::Thread& t, Device& device, Hwpt& old, Hwpt& next,
                                              bool ioas_held) {
  const MutexPair outer = ioas_locks(*old.ioas, *next.ioas);
  const MutexPair inner = device_locks(old, next);
  if (!ioas_held) {
    co_await lock_both(t, outer);
  }
  co_await lock_both(t, inner);
  const int rc = co_await switch_domain(t, device, old, next);
  co_await unlock_both(t, inner);
  if (!ioas_held) {
    co_await unlock_both(t, outer);
  }
  co_return rc;
}

// The core's part, and the fill before or after it.
Task<int> HwptReplaceProtocol::switch_hardware(lnx::Thread& t, Device& device, Hwpt& old,
                                               Hwpt& next) {
  const bool fill = unused(next);
  int rc = 0;
  if (fill && fill_before_) {
    rc = co_await next.ioas->iopt.add_domain(t, *next.domain);
  }
  if (rc == 0) {
    rc = co_await core().replace_group(t, *device.group, *next.domain);
    if (rc != 0 && fill && fill_before_) {
      co_await next.ioas->iopt.remove_domain(t, *next.domain);
    }
  }
  if (rc == 0 && fill && !fill_before_) {
    rc = co_await next.ioas->iopt.add_domain(t, *next.domain);
    if (rc != 0) {
      co_await core().replace_group(t, *device.group, *old.domain);
    }
  }
  co_return rc;
}

Task<int> HwptReplaceProtocol::switch_domain(lnx::Thread& t, Device& device, Hwpt& old,
                                             Hwpt& next) {
  const bool other_ioas = old.ioas != next.ioas;
  if (other_ioas) {
    const int rc = co_await enforce_reserved(t, device, next);
    if (rc != 0) {
      co_return rc;
    }
  }
  setup_msi(t, next);
  if (asks_core()) {
    co_await t.access(device.group->mutex, lnx::Access::kWrite);
  }
  has_group(t, next, device);
  const int rc = co_await switch_hardware(t, device, old, next);
  if (rc != 0) {
    if (other_ioas) {
      co_await next.ioas->iopt.remove_reserved(t, *device.master);
    }
    co_return rc;
  }
  t.charge(costs().list_step * 2);
  remove_device(device, old);
  add_device(device, next);
  if (unused(old)) {
    co_await unlink(t, old);
  }
  if (other_ioas) {
    co_await old.ioas->iopt.remove_reserved(t, *device.master);
  }
  co_return 0;
}

Task<int> HwptReplaceProtocol::replace(lnx::Thread& t, Device& device, Hwpt& hwpt) {
  Hwpt* old = device.hwpt;
  if (old == &hwpt) {
    co_return 0;
  }
  const int rc = co_await replace_locked(t, device, *old, hwpt, false);
  if (rc == 0) {
    co_await context().put_hwpt(t, *old);
  }
  co_return rc;
}

Task<int> HwptReplaceProtocol::replace_candidate(lnx::Thread& t, Device& device, Hwpt& old,
                                                 Hwpt& next) {
  if (!references_candidates()) {
    co_return co_await replace_locked(t, device, old, next, true);
  }
  if (!co_await context().try_get(t, next)) {
    co_return -EINVAL;
  }
  const int rc = co_await replace_locked(t, device, old, next, true);
  co_await context().put(t, next);
  co_return rc;
}

Task<int> HwptReplaceProtocol::replace_ioas(lnx::Thread& t, Device& device, Ioas& ioas) {
  Hwpt* old = device.hwpt;
  const MutexPair locks = ioas_locks(*old->ioas, ioas);
  co_await lock_both(t, locks);
  int rc = -EINVAL;
  bool same = false;
  for (std::size_t i = 0; i < ioas.hwpt_list.size() && rc == -EINVAL; ++i) {
    Hwpt& hwpt = *ioas.hwpt_list[i];
    t.charge(costs().list_step);
    if (&hwpt == old && hwpt.auto_domain) {
      same = true;
      rc = 0;
    } else if (hwpt.auto_domain) {
      rc = co_await replace_candidate(t, device, *old, hwpt);
    }
  }
  if (rc == -EINVAL) {
    Hwpt* hwpt = co_await alloc(t, device, ioas, context().next_auto_id());
    hwpt->auto_domain = true;
    rc = co_await replace_locked(t, device, *old, *hwpt, true);
    rc = co_await settle_auto(t, *hwpt, rc);
  }
  co_await unlock_both(t, locks);
  if (rc == 0 && !same) {
    co_await context().put_hwpt(t, *old);
  }
  co_return rc;
}

}  // namespace smmulab::iommufd

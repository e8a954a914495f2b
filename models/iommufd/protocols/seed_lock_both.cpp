// SPDX-License-Identifier: Apache-2.0
// The seed thread's replace (variant B, ordered): the devices_lock of both hwpts in one fixed
// order, and the ioas->mutex of both IOASes around them when the old hwpt may become empty or the
// IOASes differ. Object ids stand for addresses, so that the order is the same in every run. Rule:
// reference locking.md section 7.B; all other operations as in v6.2. Known fault of the draft,
// kept: replace moves the whole group but only the one device's entry in the lists, so that its
// group mates stay booked on the old hwpt while the hardware is on the new one.
#include <algorithm>
#include <cerrno>
#include <utility>

#include "models/iommufd/protocols/hwpt_lock.hpp"
#include "models/iommufd/protocols/registry.hpp"

namespace smmulab::iommufd {
namespace {

class SeedLockBoth final : public HwptLockProtocol {
 public:
  SeedLockBoth(Context& context, bool fill_before)
      : HwptLockProtocol(context), fill_before_(fill_before) {}

  Task<int> replace(lnx::Thread& t, Device& device, Hwpt& hwpt) override {
    Hwpt* old = device.hwpt;
    if (old == &hwpt) {
      co_return 0;
    }
    const int rc = co_await replace_locked(t, device, *old, hwpt, nullptr);
    if (rc == 0) {
      co_await context().put_hwpt(t, *old);
    }
    co_return rc;
  }

  Task<int> replace_ioas(lnx::Thread& t, Device& device, Ioas& ioas) override;

 private:
  using Pair = std::pair<lnx::Mutex*, lnx::Mutex*>;

  static Pair ordered(lnx::Mutex& a, ObjectId a_id, lnx::Mutex& b, ObjectId b_id) {
    return a_id < b_id ? Pair{&a, &b} : Pair{&b, &a};
  }
  static Task<void> lock_both(lnx::Thread& t, Pair pair) {
    co_await pair.first->lock(t);
    if (pair.second != pair.first) {
      co_await pair.second->lock(t, 1);  // SINGLE_DEPTH_NESTING
    }
  }
  static Task<void> unlock_both(lnx::Thread& t, Pair pair) {
    if (pair.second != pair.first) {
      co_await pair.second->unlock(t);
    }
    co_await pair.first->unlock(t);
  }

  // `held`: an ioas whose mutex the caller holds already.
  Task<int> replace_locked(lnx::Thread& t, Device& device, Hwpt& old, Hwpt& next, Ioas* held);
  Task<int> switch_domain(lnx::Thread& t, Device& device, Hwpt& old, Hwpt& next);

  bool fill_before_;
};

Task<int> SeedLockBoth::replace_locked(lnx::Thread& t, Device& device, Hwpt& old, Hwpt& next,
                                       Ioas* held) {
  const Pair ioas_locks = ordered(old.ioas->mutex, old.ioas->id, next.ioas->mutex, next.ioas->id);
  const Pair device_locks = ordered(old.devices_lock, old.id, next.devices_lock, next.id);
  bool with_ioas = old.ioas != next.ioas || old.devices.size() <= 1;
  for (;;) {
    const bool take_ioas = with_ioas && held == nullptr;
    if (take_ioas) {
      co_await lock_both(t, ioas_locks);
    }
    co_await lock_both(t, device_locks);
    int rc = -EAGAIN;
    if (with_ioas || held != nullptr || old.devices.size() > 1) {
      rc = co_await switch_domain(t, device, old, next);
    }
    co_await unlock_both(t, device_locks);
    if (take_ioas) {
      co_await unlock_both(t, ioas_locks);
    }
    if (rc != -EAGAIN) {
      co_return rc;
    }
    with_ioas = true;  // the old hwpt lost its other devices before we had its lock
  }
}

// Under all locks: reservations, the hardware, the fill, the lists.
Task<int> SeedLockBoth::switch_domain(lnx::Thread& t, Device& device, Hwpt& old, Hwpt& next) {
  const bool other_ioas = old.ioas != next.ioas;
  if (other_ioas) {
    const int rc = co_await enforce_reserved(t, device, next);
    if (rc != 0) {
      co_return rc;
    }
  }
  setup_msi(t, next);
  has_group(t, next, *device.group);
  const bool fill = next.devices.empty();
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
  if (rc != 0) {
    if (other_ioas) {
      co_await next.ioas->iopt.remove_reserved(t, *device.master);
    }
    co_return rc;
  }
  t.charge(costs().list_step * 2);
  std::erase(old.devices, &device);
  next.devices.push_back(&device);
  ++next.users;
  device.hwpt = &next;
  if (old.devices.empty()) {
    co_await old.ioas->iopt.remove_domain(t, *old.domain);
    if (old.listed) {
      std::erase(old.ioas->hwpt_list, &old);
      old.listed = false;
    }
  }
  if (other_ioas) {
    co_await old.ioas->iopt.remove_reserved(t, *device.master);
  }
  co_return 0;
}

// Automatic domains: the new IOAS's hwpt_list is searched under its ioas->mutex; with the old
// IOAS's mutex taken too, in order, whenever they differ.
Task<int> SeedLockBoth::replace_ioas(lnx::Thread& t, Device& device, Ioas& ioas) {
  Hwpt* old = device.hwpt;
  const Pair ioas_locks = ordered(old->ioas->mutex, old->ioas->id, ioas.mutex, ioas.id);
  co_await lock_both(t, ioas_locks);
  int rc = -EINVAL;
  bool same = false;
  for (std::size_t i = 0; i < ioas.hwpt_list.size() && rc == -EINVAL; ++i) {
    Hwpt& hwpt = *ioas.hwpt_list[i];
    t.charge(costs().list_step);
    if (&hwpt == old && hwpt.auto_domain) {
      same = true;
      rc = 0;
    } else if (hwpt.auto_domain) {
      rc = co_await replace_locked(t, device, *old, hwpt, &ioas);
    }
  }
  if (rc == -EINVAL) {
    Hwpt* hwpt = co_await alloc(t, device, ioas, context().next_auto_id());
    hwpt->auto_domain = true;
    rc = co_await replace_locked(t, device, *old, *hwpt, &ioas);
    if (rc == 0) {
      ioas.hwpt_list.push_back(hwpt);
      hwpt->listed = true;
      Context::finalize(*hwpt);
    } else {
      co_await hwpt_destroy(t, *hwpt);
      co_await context().abort_hwpt(t, *hwpt);
    }
  }
  co_await unlock_both(t, ioas_locks);
  if (rc == 0 && !same) {
    co_await context().put_hwpt(t, *old);
  }
  co_return rc;
}

}  // namespace

std::unique_ptr<Protocol> make_seed_lock_both(Context& context, const ProtocolParams& params) {
  return std::make_unique<SeedLockBoth>(context, params.fill_before);
}

}  // namespace smmulab::iommufd

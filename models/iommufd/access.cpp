// SPDX-License-Identifier: Apache-2.0
#include "models/iommufd/access.hpp"

#include <algorithm>
#include <cerrno>
#include <limits>

#include "models/iommufd/context.hpp"
#include "models/iommufd/protocol.hpp"

namespace smmulab::iommufd {

Access::Access(Context& owner, ObjectId object_id, bool deaf_to_unmap)
    : Object(ObjectType::kAccess, object_id),
      context(owner),
      ioas_lock(owner.machine(),
                owner.machine().locks().get("access->ioas_lock", lnx::LockKind::kMutex)),
      pins_lock(owner.machine(),
                owner.machine().locks().get("access->pins_lock", lnx::LockKind::kMutex)),
      deaf(deaf_to_unmap) {
  ++users;  // the driver, up to its destroy
}

Task<void> Access::lock(lnx::Thread& t) {
  if (context.protocol().kernel() >= linux_version(6, 4)) {
    co_await ioas_lock.lock(t);
  }
}

Task<void> Access::unlock(lnx::Thread& t) {
  if (context.protocol().kernel() >= linux_version(6, 4)) {
    co_await ioas_lock.unlock(t);
  }
}

Task<int> Access::change_ioas(lnx::Thread& t, Ioas* to) {
  if (ioas != ioas_unpin) {
    co_return -EBUSY;  // somebody else is in between
  }
  Ioas* from = ioas;
  if (from == to) {
    co_return 0;
  }
  ioas = nullptr;  // no more pins from here on
  if (to != nullptr) {
    const int rc = co_await to->iopt.add_access(t, *this);
    if (rc != 0) {
      ioas = from;
      co_return rc;
    }
    t.touch(to->counts(), lnx::Access::kUpdate);
    ++to->users;
  }
  if (from != nullptr) {
    co_await unlock(t);
    co_await let_go(t, 0, std::numeric_limits<std::uint64_t>::max());
    co_await lock(t);
    co_await from->iopt.remove_access(t, *this);
    t.touch(from->counts(), lnx::Access::kUpdate);
    --from->users;
  }
  ioas = to;
  ioas_unpin = to;
  co_return 0;
}

Task<int> Access::attach(lnx::Thread& t, Ioas& to) {
  co_await lock(t);
  const bool replaces = ioas != nullptr;
  int rc = -EBUSY;
  if (!replaces || context.protocol().kernel() >= linux_version(6, 6)) {
    rc = co_await change_ioas(t, &to);
  }
  co_await unlock(t);
  co_return rc;
}

Task<int> Access::detach(lnx::Thread& t) {
  co_await lock(t);
  int rc = 0;
  if (ioas != nullptr) {  // else VFIO does not ask
    rc = co_await change_ioas(t, nullptr);
  }
  co_await unlock(t);
  co_return rc;
}

Task<void> Access::destroy(lnx::Thread& t) {
  co_await detach(t);
}

Task<int> Access::pin(lnx::Thread& t, Iova iova, Bytes length) {
  co_await pins_lock.lock(t);
  co_await lock(t);
  int rc = -ENOENT;
  if (ioas != nullptr) {
    rc = co_await ioas->iopt.pin(t, iova, length);
  }
  co_await unlock(t);
  if (rc == 0) {
    t.charge(context.params().list_step);
    pins.push_back({iova, length});
  }
  co_await pins_lock.unlock(t);
  co_return rc;
}

Task<void> Access::unpin_pages(lnx::Thread& t, const Pin& pin) {
  co_await lock(t);
  if (ioas_unpin != nullptr) {
    co_await ioas_unpin->iopt.unpin(t, pin.iova, pin.length);
  }
  co_await unlock(t);
}

Task<int> Access::unpin(lnx::Thread& t, Iova iova, Bytes length) {
  co_await pins_lock.lock(t);
  t.charge(context.params().list_step * static_cast<std::int64_t>(pins.size()));
  const auto it = std::find_if(pins.begin(), pins.end(),
                               [=](const Pin& p) { return p.iova == iova && p.length == length; });
  int rc = -ENOENT;
  if (it != pins.end()) {
    const Pin pin = *it;
    pins.erase(it);
    co_await unpin_pages(t, pin);
    rc = 0;
  }
  co_await pins_lock.unlock(t);
  co_return rc;
}

Task<void> Access::let_go(lnx::Thread& t, std::uint64_t start, std::uint64_t last) {
  // Its owner's leaving the ioas takes everything along, also of one that is deaf to user space.
  const bool leaves = start == 0 && last == std::numeric_limits<std::uint64_t>::max();
  co_await pins_lock.lock(t);
  for (std::size_t i = 0; i < pins.size();) {
    const Pin pin = pins[i];
    t.charge(context.params().list_step);
    const bool hit =
        start <= pin.iova.value() + (pin.length.value() - 1) && pin.iova.value() <= last;
    if (!hit || (deaf && !leaves)) {
      ++i;
      continue;
    }
    pins.erase(pins.begin() + static_cast<std::ptrdiff_t>(i));
    co_await unpin_pages(t, pin);
  }
  co_await pins_lock.unlock(t);
}

Task<void> Access::notify_unmap(lnx::Thread& t, std::uint64_t start, std::uint64_t last) {
  if (!context.try_reference(t, *this)) {
    co_return;  // being destroyed: its own leaving takes care
  }
  co_await let_go(t, start, last);
  co_await context.put(t, *this);
}

}  // namespace smmulab::iommufd

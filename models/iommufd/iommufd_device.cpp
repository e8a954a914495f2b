// SPDX-License-Identifier: Apache-2.0
// A device's PASIDs, MSIs and resets, from entry to exit.
#include <algorithm>
#include <cerrno>

#include "models/iommufd/iommufd.hpp"

namespace smmulab::iommufd {

// An ioas is refused: its automatic hwpt would not be made for PASIDs.
Task<int> Iommufd::change_pasid(lnx::Thread& t, Device& device, std::uint32_t pasid, ObjectId pt) {
  t.charge(context_.params().attach_base);
  Object* object = co_await context_.get(t, pt);
  if (object == nullptr) {
    co_return -ENOENT;
  }
  int rc = -EINVAL;
  if (object->type == ObjectType::kHwpt) {
    rc = co_await protocol_.attach_pasid(t, device, pasid, static_cast<Hwpt&>(*object));
  }
  co_await context_.put(t, *object);
  co_return rc;
}

Task<int> Iommufd::attach_pasid(lnx::Thread& t, DeviceIndex index, std::uint32_t pasid,
                                ObjectId pt) {
  Device& device = devices_[index.value()];
  co_await enter(t);
  int rc = -EOPNOTSUPP;
  if (has(6, 15)) {
    co_await lock_dev_set(t, device);
    rc = -EINVAL;
    if (device.object != nullptr && pasid != 0 && pasid <= kMaxPasid) {
      begin_move(t, *device.igroup);
      rc = co_await change_pasid(t, device, pasid, pt);
      if (rc == 0 && std::ranges::find(device.pasids, pasid) == device.pasids.end()) {
        device.pasids.push_back(pasid);
        count_attachment(t, device, 1);
      }
      end_move(t, *device.igroup);
    }
    co_await unlock_dev_set(t, device);
  }
  co_await leave(t);
  co_return rc;
}

Task<int> Iommufd::detach_pasid(lnx::Thread& t, DeviceIndex index, std::uint32_t pasid) {
  Device& device = devices_[index.value()];
  co_await enter(t);
  int rc = -EOPNOTSUPP;
  if (has(6, 15)) {
    co_await lock_dev_set(t, device);
    rc = device.object != nullptr ? 0 : -EINVAL;
    if (std::erase(device.pasids, pasid) != 0) {  // else VFIO does nothing
      t.charge(context_.params().attach_base);
      begin_move(t, *device.igroup);
      co_await protocol_.detach_pasid(t, device, pasid);
      count_attachment(t, device, -1);
      end_move(t, *device.igroup);
    }
    co_await unlock_dev_set(t, device);
  }
  co_await leave(t);
  co_return rc;
}

Task<int> Iommufd::msi_prepare(lnx::Thread& t, DeviceIndex index) {
  Device& device = devices_[index.value()];
  co_await enter(t);
  const int rc = co_await protocol_.msi_prepare(t, device);
  co_await leave(t);
  co_return rc;
}

// The reset hooks came with about 7.0: before, a reset has nothing to do with the IOMMU.
Task<int> Iommufd::reset(lnx::Thread& t, DeviceIndex index, bool done) {
  Device& device = devices_[index.value()];
  co_await enter(t);
  int rc = -EOPNOTSUPP;
  if (has(7, 0)) {
    t.touch(shared(Shared::kGroup, device.group->id.value()), lnx::Access::kWrite);
    IommuCore& core = context_.core();
    rc = 0;
    if (done) {
      co_await core.reset_done(t, *device.group, *device.master);
    } else {
      rc = co_await core.reset_prepare(t, *device.group, *device.master, !has(7, 1));
    }
  }
  co_await leave(t);
  co_return rc;
}

Task<int> Iommufd::reset_begin(lnx::Thread& t, DeviceIndex device) {
  return reset(t, device, false);
}

Task<int> Iommufd::reset_done(lnx::Thread& t, DeviceIndex device) {
  return reset(t, device, true);
}

}  // namespace smmulab::iommufd

// SPDX-License-Identifier: Apache-2.0
#include "models/iommufd/iommufd.hpp"

#include <cerrno>

namespace smmulab::iommufd {

Iommufd::Iommufd(Context& context, Protocol& protocol, std::deque<Device>& devices)
    : context_(context), protocol_(protocol), devices_(devices) {
  context_.set_protocol(protocol);
  context_.core().set_reverts_whole_group(!has(6, 3));
}

Task<void> Iommufd::enter(lnx::Thread& t) {
  t.charge(context_.params().ioctl);
  co_await protocol_.enter(t);
}

Task<void> Iommufd::leave(lnx::Thread& t) {
  co_await protocol_.leave(t);
  co_await t.run();
}

Task<void> Iommufd::lock_dev_set(lnx::Thread& t, Device& device) {
  if (context_.params().vfio) {
    t.charge(context_.params().vfio_ioctl);
    co_await device.dev_set->lock.lock(t);
  }
}

Task<void> Iommufd::unlock_dev_set(lnx::Thread& t, Device& device) {
  if (context_.params().vfio) {
    co_await device.dev_set->lock.unlock(t);
  }
}

Task<int> Iommufd::bind(lnx::Thread& t, DeviceIndex index) {
  Device& device = devices_[index.value()];
  co_await enter(t);
  co_await lock_dev_set(t, device);
  int rc = -EINVAL;
  if (device.object == nullptr) {
    t.charge(context_.params().bind);
    if (protocol_.checks_isolated_msi_at_bind()) {
      co_await context_.core().check_isolated_msi(t, *device.group);
    }
    rc = co_await context_.core().claim_dma_owner(t, *device.group, &context_);
    if (rc == 0) {
      t.charge(context_.params().object_alloc);
      device.iopf_lock = std::make_unique<lnx::Mutex>(
          context_.machine(),
          context_.machine().locks().get("idev->iopf_lock", lnx::LockKind::kMutex));
      device.igroup = &context_.group_of(*device.group);
      t.touch(device.igroup->moves(), lnx::Access::kWrite);
      device.igroup->bound.push_back(&device);
      context_.add_device(t, device, index);
    }
  }
  co_await unlock_dev_set(t, device);
  co_await leave(t);
  co_return rc;
}

Task<int> Iommufd::unbind(lnx::Thread& t, DeviceIndex index) {
  Device& device = devices_[index.value()];
  co_await enter(t);
  co_await lock_dev_set(t, device);
  int rc = -EINVAL;
  if (device.object != nullptr && !device.object->destroying) {
    device.object->destroying = true;
    if (device.attached) {  // VFIO detaches before it unbinds
      begin_move(t, *device.igroup);
      co_await protocol_.detach(t, device);
      set_attached(t, device, false);
      end_move(t, *device.igroup);
    }
    while (!device.pasids.empty()) {
      begin_move(t, *device.igroup);
      co_await protocol_.detach_pasid(t, device, device.pasids.back());
      device.pasids.pop_back();
      count_attachment(t, device, -1);
      end_move(t, *device.igroup);
    }
    t.touch(device.igroup->moves(), lnx::Access::kWrite);
    std::erase(device.igroup->bound, &device);
    co_await context_.destroy_device(t, *device.object);
    rc = 0;
  }
  co_await unlock_dev_set(t, device);
  co_await leave(t);
  co_return rc;
}

Task<int> Iommufd::ioas_alloc(lnx::Thread& t, ObjectId id) {
  co_await enter(t);
  const int rc = co_await context_.add_ioas(t, id);
  co_await leave(t);
  co_return rc;
}

Task<int> Iommufd::ioas_destroy(lnx::Thread& t, ObjectId id) {
  co_await enter(t);
  const int rc = co_await context_.destroy(t, id, ObjectType::kIoas);
  co_await leave(t);
  co_return rc;
}

Task<int> Iommufd::hwpt_destroy(lnx::Thread& t, ObjectId id) {
  co_await enter(t);
  const int rc = co_await context_.destroy(t, id, ObjectType::kHwpt);
  co_await leave(t);
  co_return rc;
}

// iommufd_device_change_pt()
Task<int> Iommufd::change_pt(lnx::Thread& t, Device& device, ObjectId pt, Change change) {
  t.charge(context_.params().attach_base);
  Object* object = co_await context_.get(t, pt);
  if (object == nullptr) {
    co_return -ENOENT;
  }
  int rc = -EINVAL;
  context_.begin_change(t);
  if (object->type == ObjectType::kHwpt) {
    auto& hwpt = static_cast<Hwpt&>(*object);
    rc = change == Change::kAttach ? co_await protocol_.attach(t, device, hwpt)
                                   : co_await protocol_.replace(t, device, hwpt);
  } else if (object->type == ObjectType::kIoas) {
    auto& ioas = static_cast<Ioas&>(*object);
    rc = change == Change::kAttach ? co_await protocol_.attach_ioas(t, device, ioas)
                                   : co_await protocol_.replace_ioas(t, device, ioas);
  }
  if (protocol_.leaks_reference(*object, rc)) {
    Context::leak(t, *object);
  } else {
    co_await context_.put(t, *object);
  }
  co_await context_.end_change(t);
  co_return rc;
}

// iommufd_device_attach() and _detach(): whoever unbinds the device first would be found out.
void Iommufd::count_attachment(lnx::Thread& t, const Device& device, int change) {
  if (device.object != nullptr) {  // else nobody kept them apart
    t.touch(device.object->counts(), lnx::Access::kUpdate);
    device.object->users += change;
  }
}

void Iommufd::set_attached(lnx::Thread& t, Device& device, bool attached) {
  if (device.attached != attached) {
    device.attached = attached;
    count_attachment(t, device, attached ? 1 : -1);
  }
}

void Iommufd::begin_move(lnx::Thread& t, IommufdGroup& igroup) {
  t.touch(igroup.moves(), lnx::Access::kUpdate);
  ++igroup.changes;
}

// A device of the group was moved, with what result ever.
void Iommufd::end_move(lnx::Thread& t, IommufdGroup& igroup) {
  t.touch(igroup.moves(), lnx::Access::kWrite);
  if (--igroup.changes != 0) {
    return;
  }
  if (context_.machine().control() != nullptr) [[unlikely]] {
    for (const Device* device : igroup.bound) {
      if (const Hwpt* hwpt = protocol_.attached_hwpt(*device)) {
        t.touch(linked(*hwpt->domain), lnx::Access::kRead);
      }
    }
  }
  context_.invariants().check_group(igroup);
}

Task<int> Iommufd::attach_pt(lnx::Thread& t, DeviceIndex index, ObjectId pt, Change change) {
  Device& device = devices_[index.value()];
  co_await enter(t);
  co_await lock_dev_set(t, device);
  int rc = -EINVAL;  // not bound
  if (device.object != nullptr) {
    if (context_.params().vfio) {
      change = device.attached ? Change::kReplace : Change::kAttach;
    }
    if (change == Change::kAttach && device.attached) {
      rc = -EBUSY;
    } else if (change == Change::kReplace && !device.attached) {
      rc = -EINVAL;
    } else {
      begin_move(t, *device.igroup);
      rc = co_await change_pt(t, device, pt, change);
      if (change == Change::kAttach) {
        set_attached(t, device, rc == 0);
      } else if (rc != 0) {
        set_attached(t, device, protocol_.attached_hwpt(device) != nullptr);
      }
      end_move(t, *device.igroup);
    }
  }
  co_await unlock_dev_set(t, device);
  co_await leave(t);
  co_return rc;
}

Task<int> Iommufd::attach(lnx::Thread& t, DeviceIndex device, ObjectId pt) {
  return attach_pt(t, device, pt, Change::kAttach);
}

Task<int> Iommufd::replace(lnx::Thread& t, DeviceIndex device, ObjectId pt) {
  return attach_pt(t, device, pt, Change::kReplace);
}

Task<int> Iommufd::detach(lnx::Thread& t, DeviceIndex index) {
  Device& device = devices_[index.value()];
  co_await enter(t);
  co_await lock_dev_set(t, device);
  if (device.attached) {  // else the kernel returns 0 and does nothing
    t.charge(context_.params().attach_base);
    begin_move(t, *device.igroup);
    co_await protocol_.detach(t, device);
    set_attached(t, device, false);
    end_move(t, *device.igroup);
  }
  co_await unlock_dev_set(t, device);
  co_await leave(t);
  co_return device.object != nullptr ? 0 : -EINVAL;
}

Task<Object*> Iommufd::get_object(lnx::Thread& t, ObjectId id, ObjectType type) {
  Object* object = co_await context_.get(t, id);
  if (object != nullptr && object->type != type) {
    co_await context_.put(t, *object);
    object = nullptr;
  }
  co_return object;
}

Task<Ioas*> Iommufd::get_ioas(lnx::Thread& t, ObjectId id) {
  co_return static_cast<Ioas*>(co_await get_object(t, id, ObjectType::kIoas));
}

Task<int> Iommufd::map(lnx::Thread& t, ObjectId id, Iova iova, Bytes length) {
  co_await enter(t);
  int rc = -ENOENT;
  if (Ioas* ioas = co_await get_ioas(t, id)) {
    rc = co_await ioas->iopt.map(t, iova, length);
    co_await context_.put(t, *ioas);
  }
  co_await leave(t);
  co_return rc;
}

Task<int> Iommufd::unmap(lnx::Thread& t, ObjectId id, Iova iova, Bytes length) {
  co_await enter(t);
  int rc = -ENOENT;
  if (Ioas* ioas = co_await get_ioas(t, id)) {
    rc = co_await ioas->iopt.unmap(t, iova, length);
    co_await context_.put(t, *ioas);
  }
  co_await leave(t);
  co_return rc;
}

Task<int> Iommufd::unmap_all(lnx::Thread& t, ObjectId id) {
  co_await enter(t);
  int rc = -ENOENT;
  if (Ioas* ioas = co_await get_ioas(t, id)) {
    rc = co_await ioas->iopt.unmap_all(t);
    co_await context_.put(t, *ioas);
  }
  co_await leave(t);
  co_return rc;
}

Task<int> Iommufd::allow_iovas(lnx::Thread& t, ObjectId id, Iova iova, Bytes length) {
  co_await enter(t);
  int rc = -ENOENT;
  if (Ioas* ioas = co_await get_ioas(t, id)) {
    const IoPagetable::IovaRange range{iova.value(), iova.value() + (length.value() - 1)};
    rc = co_await ioas->iopt.set_allowed(t, {&range, 1});
    co_await context_.put(t, *ioas);
  }
  co_await leave(t);
  co_return rc;
}

}  // namespace smmulab::iommufd

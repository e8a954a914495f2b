// SPDX-License-Identifier: Apache-2.0
// The object of a bound device in the table of objects.
#include <algorithm>
#include <utility>

#include "models/iommufd/context.hpp"
#include "models/iommufd/protocol.hpp"

namespace smmulab::iommufd {

Ps Context::free_rwsem_cost(Ps operation, std::int64_t operations) const {
  const bool rwsem = protocol_->object_refs() == ObjectRefs::kDestroyRwsem;
  return rwsem ? (operation + machine_.params().line.same_cpu) * operations : Ps{0};
}

void Context::add_device(lnx::Thread& t, Device& device, DeviceIndex index) {
  auto made = std::make_unique<DeviceObject>(device, index);
  if (machine_.control() != nullptr) [[unlikely]] {
    add_destroy_rwsem(*made);  // it must not be another in another order
  }
  device.object = made.get();
  auto& entry = objects_[made->id.value()];
  if (entry != nullptr) {  // without locks: two binds at once
    graveyard_.push_back(std::move(entry));
  }
  entry = std::move(made);
  finalize(t, *device.object);
}

bool Context::get_device(lnx::Thread& t, Object& device) {
  const Ps before = t.unpaid();
  const bool found = try_reference(t, device);
  t.charge(before + params_.lookup - t.unpaid());
  return found;
}

Task<void> Context::put_device(lnx::Thread& t, Object& device) {
  t.touch(device.counts(), lnx::Access::kUpdate);
  t.charge(std::max(Ps{0}, params_.put - free_rwsem_cost(machine_.params().lock.rwsem_read, 1)));
  if (protocol_->object_refs() == ObjectRefs::kDestroyRwsem) {
    --device.users;
    co_await device.destroy_rwsem->read_unlock(t);
    co_return;
  }
  if (device.destroyer != nullptr) {
    co_await t.run();  // who waits sees this reference go at the end of the put
  }
  drop_reference(t, device);
}

Task<void> Context::destroy_device(lnx::Thread& t, Object& device) {
  const bool rwsem = protocol_->object_refs() == ObjectRefs::kDestroyRwsem;
  if (rwsem) {
    add_destroy_rwsem(device);
    co_await device.destroy_rwsem->write_lock(t);
  } else {
    co_await t.access(device.counts(), lnx::Access::kWrite);
    co_await wait_shortterm(t, device);
  }
  t.charge(std::max(Ps{0}, params_.unbind + params_.object_free -
                               free_rwsem_cost(machine_.params().lock.rwsem_write, 2)));
  t.touch(device.entry(), lnx::Access::kWrite);
  t.touch(device.counts(), lnx::Access::kWrite);
  --device.users;
  // Without VFIO nobody keeps an attach and an unbind of one device apart.
  SMMULAB_CHECK(device.users == 1 || racy() || !params_.vfio,
                "a device has users its driver does not know of");
  const std::unique_ptr<Object> taken = take(device.id);
  static_cast<DeviceObject&>(*taken).device.object = nullptr;
  co_await destroy_object(t, *taken);
  if (rwsem) {
    co_await taken->destroy_rwsem->write_unlock(t);
  }
}

}  // namespace smmulab::iommufd

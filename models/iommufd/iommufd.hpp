// SPDX-License-Identifier: Apache-2.0
// Iommufd: the operations user space asks for, as ioctls of /dev/iommu and of VFIO cdevs, each from
// entry to exit. Results are 0 or a negative errno as the kernel gives it (oracle O10).
// Rule: Linux 6.12 drivers/iommu/iommufd/main.c, ioas.c, device.c; drivers/vfio/device_cdev.c and
// iommufd.c (dev_set->lock; ATTACH_PT of an attached device is a replace).
// Not modelled: argument validation that a well-formed trace cannot fail, several contexts.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "models/iommufd/context.hpp"
#include "models/iommufd/protocol.hpp"

namespace smmulab::iommufd {

class Iommufd {
 public:
  // `devices` outlive this object.
  Iommufd(Context& context, Protocol& protocol, std::deque<Device>& devices);

  Task<int> bind(lnx::Thread& t, DeviceIndex device);
  Task<int> unbind(lnx::Thread& t, DeviceIndex device);
  Task<int> ioas_alloc(lnx::Thread& t, ObjectId id);
  Task<int> ioas_destroy(lnx::Thread& t, ObjectId id);
  Task<int> hwpt_alloc(lnx::Thread& t, ObjectId id, DeviceIndex device, ObjectId pt);
  Task<int> hwpt_destroy(lnx::Thread& t, ObjectId id);
  // VFIO: attaches, or replaces if attached already. `pt`: an hwpt, or an IOAS for an automatic
  // one. Without VFIO the caller says which it is.
  Task<int> attach(lnx::Thread& t, DeviceIndex device, ObjectId pt);
  Task<int> replace(lnx::Thread& t, DeviceIndex device, ObjectId pt);
  Task<int> detach(lnx::Thread& t, DeviceIndex device);
  Task<int> map(lnx::Thread& t, ObjectId ioas, Iova iova, Bytes length);
  Task<int> unmap(lnx::Thread& t, ObjectId ioas, Iova iova, Bytes length);
  Task<int> unmap_all(lnx::Thread& t, ObjectId ioas);

  struct CopyRange {
    ObjectId ioas;
    Iova iova;
  };
  Task<int> copy(lnx::Thread& t, CopyRange from, CopyRange to, Bytes length);
  // What a kernel driver does with its access; the access is found by its id, as the selftest's.
  // `deaf`: its unmap callback lets go of nothing.
  Task<int> access_create(lnx::Thread& t, ObjectId id, bool deaf);
  Task<int> access_destroy(lnx::Thread& t, ObjectId id);
  // Attaches, or replaces if attached already.
  Task<int> access_attach(lnx::Thread& t, ObjectId access, ObjectId ioas);
  Task<int> access_detach(lnx::Thread& t, ObjectId access);
  Task<int> pin(lnx::Thread& t, ObjectId access, Iova iova, Bytes length);
  Task<int> unpin(lnx::Thread& t, ObjectId access, Iova iova, Bytes length);

 private:
  enum class Change : std::uint8_t { kAttach, kReplace };

  Task<void> enter(lnx::Thread& t);
  Task<void> leave(lnx::Thread& t);
  Task<void> lock_dev_set(lnx::Thread& t, Device& device);
  Task<void> unlock_dev_set(lnx::Thread& t, Device& device);
  static void begin_move(lnx::Thread& t, IommufdGroup& igroup);
  void end_move(lnx::Thread& t, IommufdGroup& igroup);
  Task<int> change_pt(lnx::Thread& t, Device& device, ObjectId pt, Change change);
  Task<int> attach_pt(lnx::Thread& t, DeviceIndex index, ObjectId pt, Change change);
  // iommufd_get_object() of that type; null: -ENOENT.
  Task<Object*> get_object(lnx::Thread& t, ObjectId id, ObjectType type);
  Task<Ioas*> get_ioas(lnx::Thread& t, ObjectId id);
  Task<Access*> get_access(lnx::Thread& t, ObjectId id);

  Context& context_;
  Protocol& protocol_;
  std::deque<Device>& devices_;
};

}  // namespace smmulab::iommufd

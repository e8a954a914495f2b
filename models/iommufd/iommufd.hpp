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
  // `pt`: an ioas, or the parent of a nested one. `fault`: asked for by the flag.
  Task<int> hwpt_alloc(lnx::Thread& t, ObjectId id, DeviceIndex device, ObjectId pt,
                       std::uint32_t flags, ObjectId fault);
  Task<int> hwpt_destroy(lnx::Thread& t, ObjectId id);
  // VFIO: attaches, or replaces if attached already. `pt`: an hwpt, or an IOAS for an automatic
  // one. Without VFIO the caller says which it is.
  Task<int> attach(lnx::Thread& t, DeviceIndex device, ObjectId pt);
  Task<int> replace(lnx::Thread& t, DeviceIndex device, ObjectId pt);
  Task<int> detach(lnx::Thread& t, DeviceIndex device);
  Task<int> map(lnx::Thread& t, ObjectId ioas, Iova iova, Bytes length);
  Task<int> unmap(lnx::Thread& t, ObjectId ioas, Iova iova, Bytes length);
  Task<int> unmap_all(lnx::Thread& t, ObjectId ioas);
  // IOMMU_IOAS_ALLOW_IOVAS of one range.
  Task<int> allow_iovas(lnx::Thread& t, ObjectId ioas, Iova iova, Bytes length);

  // IOMMU_HWPT_INVALIDATE of a nested one, or of the vIOMMU it stands for.
  Task<int> hwpt_invalidate(lnx::Thread& t, ObjectId hwpt, std::uint64_t count);
  // Unknown flags give -EOPNOTSUPP.
  Task<int> set_dirty_tracking(lnx::Thread& t, ObjectId hwpt, std::uint32_t flags);
  Task<int> get_dirty_bitmap(lnx::Thread& t, ObjectId hwpt, Iova iova, Bytes length,
                             std::uint32_t flags);
  Task<int> fault_alloc(lnx::Thread& t, ObjectId id);
  Task<int> fault_destroy(lnx::Thread& t, ObjectId id);

  // VFIO_DEVICE_ATTACH_IOMMUFD_PT with a PASID: a replace if it is attached already.
  Task<int> attach_pasid(lnx::Thread& t, DeviceIndex device, std::uint32_t pasid, ObjectId pt);
  Task<int> detach_pasid(lnx::Thread& t, DeviceIndex device, std::uint32_t pasid);
  // The kernel's, on behalf of the device's driver or user.
  Task<int> msi_prepare(lnx::Thread& t, DeviceIndex device);
  Task<int> reset_begin(lnx::Thread& t, DeviceIndex device);
  Task<int> reset_done(lnx::Thread& t, DeviceIndex device);

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
  // An attachment is a user of the device's object: no lookup and no lock, VFIO has the pointer.
  static void count_attachment(lnx::Thread& t, const Device& device, int change);
  static void set_attached(lnx::Thread& t, Device& device, bool attached);
  void end_move(lnx::Thread& t, IommufdGroup& igroup);
  Task<int> change_pt(lnx::Thread& t, Device& device, ObjectId pt, Change change);
  Task<int> attach_pt(lnx::Thread& t, DeviceIndex index, ObjectId pt, Change change);
  // iommufd_get_object() of that type; null: -ENOENT.
  Task<Object*> get_object(lnx::Thread& t, ObjectId id, ObjectType type);
  Task<Ioas*> get_ioas(lnx::Thread& t, ObjectId id);
  [[nodiscard]] bool has(std::uint32_t major, std::uint32_t minor) const {
    return protocol_.kernel() >= linux_version(major, minor);
  }
  Task<Hwpt*> get_hwpt(lnx::Thread& t, ObjectId id, bool nested);
  // 0 or a negative errno, of what asks for it.
  [[nodiscard]] int check_request(const Object& parent, std::uint32_t flags) const;
  Task<int> alloc_on(lnx::Thread& t, Device& device, Object& parent, ObjectId id,
                     const HwptRequest& request);
  Task<int> change_pasid(lnx::Thread& t, Device& device, std::uint32_t pasid, ObjectId pt);
  Task<int> reset(lnx::Thread& t, DeviceIndex device, bool done);
  Task<Access*> get_access(lnx::Thread& t, ObjectId id);

  Context& context_;
  Protocol& protocol_;
  std::deque<Device>& devices_;
};

}  // namespace smmulab::iommufd

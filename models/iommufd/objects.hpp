// SPDX-License-Identifier: Apache-2.0
// iommufd's objects. Rule: Linux 6.12 drivers/iommu/iommufd/iommufd_private.h; fields that only
// some protocols use say so. Object references follow the protocol's kernel version (context.hpp).
// Accesses: access.hpp. A nested hwpt stands for the vIOMMU between it and its parent, too, which
// SMMUv3 needs. Not modelled: faults in flight, vIOMMUs and vDEVICEs as objects of their own.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "models/iommufd/core.hpp"
#include "models/iommufd/io_pagetable.hpp"
#include "models/iommufd/shared.hpp"
#include "models/linux/mutex.hpp"
#include "models/linux/rwsem.hpp"
#include "models/linux/spinlock.hpp"
#include "sim/ids.hpp"
#include "sim/record.hpp"

namespace smmulab::iommufd {

enum class ObjectType : std::uint8_t { kDevice, kIoas, kHwpt, kAccess, kFault };

// Ids are the trace's, which has none for a device's object: those are counted down from the end.
[[nodiscard]] constexpr ObjectId object_id(DeviceIndex device) {
  return ObjectId{~device.value()};
}

// users counts the id table's own reference; so does shortterm_users (Linux 6.8 and later).
// A destroy waits for the short-term ones; up to 6.7 destroy_rwsem does that.
struct Object : Waitable {
  Object(ObjectType object_type, ObjectId object_id) : type(object_type), id(object_id) {}

  ObjectType type;
  ObjectId id;
  // iommufd_object_finalize(): until then no id finds the object.
  bool finalized = false;
  bool destroying = false;  // its kernel user is giving it up
  std::int64_t users = 1;
  std::int64_t shortterm_users = 1;
  lnx::Thread* destroyer = nullptr;           // waits for shortterm_users == 0
  std::unique_ptr<lnx::Rwsem> destroy_rwsem;  // protocols of 6.7 and before
  RecordedObject recorded;                    // its shortterm_users

  [[nodiscard]] lnx::SharedObject entry() const { return shared(Shared::kId, id.value()); }
  [[nodiscard]] lnx::SharedObject counts() const { return shared(Shared::kUsers, id.value()); }
  // What the trace calls it: its id, or the device's index.
  [[nodiscard]] std::uint32_t number() const {
    return type == ObjectType::kDevice ? ~id.value() : id.value();
  }
  [[nodiscard]] std::string wait_name() const override {
    return (type == ObjectType::kDevice ? "users of device " : "users of object ") +
           std::to_string(number());
  }
  void wait_holders(std::vector<const Process*>& /*out*/) const override {}
};

struct Hwpt;

struct Ioas final : Object {
  Ioas(lnx::Machine& machine, smmu::Driver& driver, const IommufdParams& params, ObjectId object_id)
      : Object(ObjectType::kIoas, object_id),
        mutex(machine, machine.locks().get("ioas->mutex", lnx::LockKind::kMutex)),
        iopt(machine, driver, params) {}

  lnx::Mutex mutex;
  IoPagetable iopt;
  std::vector<Hwpt*> hwpt_list;
  std::vector<std::unique_ptr<lnx::LockBase>> script_locks;  // of a scripted protocol
};

struct Device;

// IOMMU_FAULT_QUEUE_ALLOC: where an hwpt's page faults are delivered.
struct Fault final : Object {
  Fault(lnx::Machine& machine, ObjectId object_id)
      : Object(ObjectType::kFault, object_id),
        mutex(machine, machine.locks().get("fault->mutex", lnx::LockKind::kMutex)),
        lock(machine, machine.locks().get("fault->lock", lnx::LockKind::kSpinlock)) {
    lock.lock_class().leaf = true;
  }

  lnx::Mutex mutex;    // responses
  lnx::Spinlock lock;  // faults to deliver
};

struct Hwpt final : Object {
  Hwpt(lnx::Machine& machine, ObjectId object_id, Ioas& of)
      : Object(ObjectType::kHwpt, object_id),
        ioas(&of),
        devices_lock(machine, machine.locks().get("hwpt->devices_lock", lnx::LockKind::kMutex)) {}

  // What maps for it: itself, or the parent of a nested one.
  [[nodiscard]] Hwpt& paging() { return parent == nullptr ? *this : *parent; }
  [[nodiscard]] const Hwpt& paging() const { return parent == nullptr ? *this : *parent; }

  Ioas* ioas;              // of a nested one: its parent's
  Hwpt* parent = nullptr;  // nested
  smmu::Domain* domain = nullptr;
  bool nest_parent = false;
  bool pasid_compat = false;  // IOMMU_HWPT_ALLOC_PASID
  Fault* fault = nullptr;
  bool auto_domain = false;
  bool msi_cookie = false;
  bool listed = false;  // in ioas->hwpt_list
  // Protocols before the group lock (Linux 6.2 to 6.5, drafts):
  lnx::Mutex devices_lock;
  std::vector<Device*> devices;
  std::int64_t devices_users = 0;  // devices_users series (7.C)
  std::uint64_t sw_msi_bytes = 0;  // MSI pages mapped into the domain (Linux 6.15 and later)
  std::vector<std::unique_ptr<lnx::LockBase>> script_locks;  // of a scripted protocol
};

// iommufd_group: one per context and iommu_group (protocols of 6.6 and later).
struct IommufdGroup {
  IommufdGroup(lnx::Machine& machine, IommuGroup& iommu_group)
      : lock(machine, machine.locks().get("igroup->lock", lnx::LockKind::kMutex)),
        group(&iommu_group) {}

  lnx::Mutex lock;
  IommuGroup* group;
  Hwpt* hwpt = nullptr;
  std::vector<Device*> device_list;
  // Linux 6.15 and later: what else is in igroup->pasid_attach; the above is its entry for the RID.
  struct PasidAttach {
    std::uint32_t pasid;
    Hwpt* hwpt;
    std::vector<Device*> devices;
  };
  std::vector<PasidAttach> pasids;
  [[nodiscard]] PasidAttach* find(std::uint32_t pasid) {
    const auto it = std::ranges::find(pasids, pasid, &PasidAttach::pasid);
    return it == pasids.end() ? nullptr : &*it;
  }
  [[nodiscard]] lnx::SharedObject moves() const {
    return shared(Shared::kGroup, group->id.value());
  }

  // Of this model: its bound devices, and how many of them are being moved right now.
  std::vector<Device*> bound;
  std::uint32_t changes = 0;
  std::vector<std::unique_ptr<lnx::LockBase>> script_locks;  // of a scripted protocol
};

// VFIO's device set: devices that are reset together share its lock.
struct DevSet {
  DevSet(lnx::Machine& machine, DevSetId set_id)
      : lock(machine, machine.locks().get("dev_set->lock", lnx::LockKind::kMutex)), id(set_id) {}
  lnx::Mutex lock;
  DevSetId id;
};

// A device: the hardware's master, VFIO's view, and iommufd_device once bound.
struct Device {
  smmu::Master* master = nullptr;
  IommuGroup* group = nullptr;
  DevSet* dev_set = nullptr;

  Object* object = nullptr;               // bound: its iommufd object, until its id is gone
  IommufdGroup* igroup = nullptr;         // bound
  Hwpt* hwpt = nullptr;                   // idev->hwpt of protocols before the group lock
  bool attached = false;                  // VFIO: iommufd_attached
  std::vector<std::uint32_t> pasids;      // VFIO: attached ones
  std::unique_ptr<lnx::Mutex> iopf_lock;  // bound
  std::uint32_t iopf_enabled = 0;
};

// iommufd_device: its users are the id table, the driver that bound it, and each attachment.
struct DeviceObject final : Object {
  DeviceObject(Device& of, DeviceIndex index)
      : Object(ObjectType::kDevice, object_id(index)), device(of) {
    ++users;  // the driver, up to its unbind
  }

  Device& device;
};

}  // namespace smmulab::iommufd

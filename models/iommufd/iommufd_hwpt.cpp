// SPDX-License-Identifier: Apache-2.0
// Making hwpts, and what is asked of one beyond attaching to it.
#include <cerrno>

#include "models/iommufd/iommufd.hpp"

namespace smmulab::iommufd {

// iommufd_hwpt_paging_alloc(), iommufd_hwpt_nested_alloc(): what they refuse, in their order.
// Nesting and dirty tracking came with 6.7, faults with 6.11 (of nested hwpts; of others 6.13),
// PASIDs with 6.15.
int Iommufd::check_request(const Object& parent, std::uint32_t flags) const {
  using F = HwptFlag;
  if (parent.type == ObjectType::kHwpt) {
    const auto& hwpt = static_cast<const Hwpt&>(parent);
    const std::uint32_t valid =
        (has(6, 11) ? F::kFaultIdValid : 0U) | (has(6, 15) ? F::kPasid : 0U);
    if (!has(6, 7) || (flags & ~valid) != 0) {
      return -EOPNOTSUPP;
    }
    if (hwpt.parent != nullptr || hwpt.auto_domain || !hwpt.nest_parent) {
      return -EINVAL;
    }
    return context_.driver().nests() ? 0 : -EOPNOTSUPP;
  }
  const std::uint32_t valid = (has(6, 7) ? F::kNestParent | F::kDirtyTracking : 0U) |
                              (has(6, 13) ? F::kFaultIdValid : 0U) | (has(6, 15) ? F::kPasid : 0U);
  const HwptRequest request{flags, nullptr};
  if ((flags & ~valid) != 0 || (request.has(F::kFaultIdValid) && request.has(F::kNestParent))) {
    return -EOPNOTSUPP;
  }
  return context_.driver().check_request(
      {request.has(F::kNestParent), request.has(F::kDirtyTracking)});
}

Task<int> Iommufd::alloc_on(lnx::Thread& t, Device& device, Object& parent, ObjectId id,
                            const HwptRequest& request) {
  if (parent.type == ObjectType::kHwpt) {
    return protocol_.nested_alloc(t, static_cast<Hwpt&>(parent), id, request);
  }
  return protocol_.hwpt_alloc(t, device, static_cast<Ioas&>(parent), id, request);
}

// The kernel looks the fault object up after the hwpt is made, and undoes that if there is none;
// here before, with the same result.
Task<int> Iommufd::hwpt_alloc(lnx::Thread& t, ObjectId id, DeviceIndex index, ObjectId pt,
                              std::uint32_t flags, ObjectId fault_id) {
  Device& device = devices_[index.value()];
  co_await enter(t);
  t.touch(device.dev_set->lock, lnx::Access::kRead);
  int rc = -ENOENT;
  Object* object = device.object;
  if (object != nullptr && context_.get_device(t, *object)) {
    Object* parent = co_await context_.get(t, pt);
    rc = -EINVAL;  // no such pt [iommufd_hwpt_alloc()]
    if (parent != nullptr) {
      if (parent->type == ObjectType::kIoas || parent->type == ObjectType::kHwpt) {
        rc = check_request(*parent, flags);
      }
      HwptRequest request{flags, nullptr};
      if (rc == 0 && request.has(HwptFlag::kFaultIdValid)) {
        request.fault = static_cast<Fault*>(co_await get_object(t, fault_id, ObjectType::kFault));
        rc = request.fault == nullptr ? -ENOENT : 0;
      }
      if (rc == 0) {
        rc = co_await alloc_on(t, device, *parent, id, request);
      }
      if (request.fault != nullptr) {
        co_await context_.put(t, *request.fault);
      }
      co_await context_.put(t, *parent);
    }
    co_await context_.put_device(t, *object);
  }
  co_await leave(t);
  co_return rc;
}

Task<Hwpt*> Iommufd::get_hwpt(lnx::Thread& t, ObjectId id, bool nested) {
  auto* hwpt = static_cast<Hwpt*>(co_await get_object(t, id, ObjectType::kHwpt));
  if (hwpt != nullptr && (hwpt->parent != nullptr) != nested) {
    co_await context_.put(t, *hwpt);
    hwpt = nullptr;
  }
  co_return hwpt;
}

// No lock is held for the driver's work.
Task<int> Iommufd::hwpt_invalidate(lnx::Thread& t, ObjectId id, std::uint64_t count) {
  co_await enter(t);
  int rc = has(6, 8) ? -ENOENT : -EOPNOTSUPP;
  if (has(6, 8) && count > kMaxInvalidations) {
    rc = -EINVAL;
  } else if (has(6, 8)) {
    if (Hwpt* hwpt = co_await get_hwpt(t, id, true)) {
      co_await context_.driver().invalidate_user(t, *hwpt->domain, count);
      rc = 0;
      co_await context_.put(t, *hwpt);
    }
  }
  co_await leave(t);
  co_return rc;
}

Task<int> Iommufd::set_dirty_tracking(lnx::Thread& t, ObjectId id, std::uint32_t flags) {
  co_await enter(t);
  const bool known = has(6, 7) && (flags & ~kDirtyEnable) == 0;
  int rc = known ? -ENOENT : -EOPNOTSUPP;
  if (known) {
    if (Hwpt* hwpt = co_await get_hwpt(t, id, false)) {
      rc = -EOPNOTSUPP;
      if (hwpt->domain->dirty_tracking) {
        rc = co_await hwpt->ioas->iopt.set_dirty_tracking(t, *hwpt->domain, flags != 0);
      }
      co_await context_.put(t, *hwpt);
    }
  }
  co_await leave(t);
  co_return rc;
}

Task<int> Iommufd::get_dirty_bitmap(lnx::Thread& t, ObjectId id, Iova iova, Bytes length,
                                    std::uint32_t flags) {
  co_await enter(t);
  const bool known = has(6, 7) && (flags & ~kDirtyNoClear) == 0;
  int rc = known ? -ENOENT : -EOPNOTSUPP;
  if (known) {
    if (Hwpt* hwpt = co_await get_hwpt(t, id, false)) {
      rc = co_await hwpt->ioas->iopt.read_and_clear_dirty(t, *hwpt->domain, iova, length,
                                                          (flags & kDirtyNoClear) == 0);
      co_await context_.put(t, *hwpt);
    }
  }
  co_await leave(t);
  co_return rc;
}

Task<int> Iommufd::fault_alloc(lnx::Thread& t, ObjectId id) {
  co_await enter(t);
  int rc = -EOPNOTSUPP;
  if (has(6, 11)) {
    rc = co_await context_.add_fault(t, id);
  }
  co_await leave(t);
  co_return rc;
}

Task<int> Iommufd::fault_destroy(lnx::Thread& t, ObjectId id) {
  co_await enter(t);
  int rc = -EOPNOTSUPP;
  if (has(6, 11)) {
    rc = co_await context_.destroy(t, id, ObjectType::kFault);
  }
  co_await leave(t);
  co_return rc;
}

}  // namespace smmulab::iommufd

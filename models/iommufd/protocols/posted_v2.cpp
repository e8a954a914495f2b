// SPDX-License-Identifier: Apache-2.0
// "[PATCH v2 08/10] iommufd/device: Use iommu_group_replace_domain()", 7 Feb 2023 (variant B-v2):
// attach takes ioas->mutex, then devices_lock; the detach helper, which is the ordinary detach too,
// takes devices_lock, then ioas->mutex (hazard H2, protocol.mend_h2). A replace across IOASes takes
// the old ioas->mutex innermost (hazard H3, protocol.mend_h3). A replace away from an automatic
// domain is -EBUSY, so is attaching an attached device by ioas, which leaks the ioas's reference
// (hazard leaked-reference, protocol.mend_leaked_reference). Rule: that patch (iommu list, 7 Feb
// 2023) and its cover letter. Not modelled: as posted_replace.hpp.
#include <cerrno>
#include <utility>

#include "models/iommufd/protocols/posted_replace.hpp"
#include "models/iommufd/protocols/registry.hpp"

namespace smmulab::iommufd {
namespace {

class PostedV2 final : public PostedReplaceProtocol {
 public:
  PostedV2(Context& context, const ProtocolParams& params)
      : PostedReplaceProtocol(context),
        detach_ioas_first_(params.mend_h2),
        both_ioas_first_(params.mend_h3),
        drops_reference_(params.mend_leaked_reference) {}

  Task<int> attach(lnx::Thread& t, Device& device, Hwpt& hwpt) override;
  Task<int> replace(lnx::Thread& t, Device& device, Hwpt& hwpt) override;
  Task<int> replace_ioas(lnx::Thread& t, Device& device, Ioas& ioas) override;
  [[nodiscard]] bool leaks_reference(const Object& object, int rc) const override {
    return object.type == ObjectType::kIoas && rc == -EBUSY && !drops_reference_;
  }

 private:
  Task<void> lock_devices(lnx::Thread& t, Hwpt* old, Hwpt& next) override;
  Task<void> unlock_devices(lnx::Thread& t, Hwpt* old, Hwpt& next) override;
  Task<void> leave_old(lnx::Thread& t, Device& device, Hwpt& old, Hwpt& next) override;
  Task<void> lock_for_detach(lnx::Thread& t, Hwpt& hwpt) override;
  Task<void> unlock_after_detach(lnx::Thread& t, Hwpt& hwpt) override;
  Task<void> remove_device_of_group(lnx::Thread& t, Device& device, Hwpt& old);

  bool detach_ioas_first_;
  bool both_ioas_first_;
  bool drops_reference_;
};

Task<int> PostedV2::attach(lnx::Thread& t, Device& device, Hwpt& hwpt) {
  Ioas* next = hwpt.ioas;
  Ioas* old = both_ioas_first_ && device.hwpt != nullptr ? device.hwpt->ioas : next;
  if (old->id > next->id) {
    std::swap(old, next);
  }
  co_await old->mutex.lock(t);
  if (old != next) {
    co_await next->mutex.lock(t, 1);
  }
  const int rc = co_await do_attach(t, device, hwpt);
  if (old != next) {
    co_await next->mutex.unlock(t);
  }
  co_await old->mutex.unlock(t);
  co_return rc;
}

Task<int> PostedV2::replace(lnx::Thread& t, Device& device, Hwpt& hwpt) {
  if (device.hwpt->auto_domain) {
    co_return -EBUSY;
  }
  co_return co_await PostedReplaceProtocol::replace(t, device, hwpt);
}

Task<int> PostedV2::replace_ioas(lnx::Thread& /*t*/, Device& /*device*/, Ioas& /*ioas*/) {
  co_return -EBUSY;
}

Task<void> PostedV2::lock_devices(lnx::Thread& t, Hwpt* /*old*/, Hwpt& next) {
  return next.devices_lock.lock(t);
}

Task<void> PostedV2::unlock_devices(lnx::Thread& t, Hwpt* /*old*/, Hwpt& next) {
  co_await next.devices_lock.unlock(t);
}

Task<void> PostedV2::remove_device_of_group(lnx::Thread& t, Device& device, Hwpt& old) {
  t.charge(costs().list_step);
  remove_device(device, old);
  if (last_of_group(t, old, device) && unused(old)) {
    co_await unlink(t, old);
  }
}

// __iommmufd_device_detach() without the core's part.
Task<void> PostedV2::leave_old(lnx::Thread& t, Device& device, Hwpt& old, Hwpt& next) {
  co_await old.devices_lock.lock(t);
  const bool other_ioas = old.ioas != next.ioas;
  if (other_ioas && !both_ioas_first_) {
    co_await old.ioas->mutex.lock(t);
  }
  co_await remove_device_of_group(t, device, old);
  if (other_ioas) {
    co_await old.ioas->iopt.remove_reserved(t, *device.master);
    if (!both_ioas_first_) {
      co_await old.ioas->mutex.unlock(t);
    }
  }
  co_await old.devices_lock.unlock(t);
}

Task<void> PostedV2::lock_for_detach(lnx::Thread& t, Hwpt& hwpt) {
  if (detach_ioas_first_) {
    co_return co_await HwptLockProtocol::lock_for_detach(t, hwpt);
  }
  co_await hwpt.devices_lock.lock(t);
  co_await hwpt.ioas->mutex.lock(t);
}

Task<void> PostedV2::unlock_after_detach(lnx::Thread& t, Hwpt& hwpt) {
  if (detach_ioas_first_) {
    co_return co_await HwptLockProtocol::unlock_after_detach(t, hwpt);
  }
  co_await hwpt.ioas->mutex.unlock(t);
  co_await hwpt.devices_lock.unlock(t);
}

}  // namespace

std::unique_ptr<Protocol> make_posted_v2(Context& context, const ProtocolParams& params) {
  return std::make_unique<PostedV2>(context, params);
}

}  // namespace smmulab::iommufd

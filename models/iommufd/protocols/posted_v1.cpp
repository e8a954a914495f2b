// SPDX-License-Identifier: Apache-2.0
// "[PATCH v1 7/8] iommufd/device: Use iommu_group_replace_domain()", 2 Feb 2023 (variant B-v1): the
// old hwpt's devices_lock is nested in the new one's in no order, without annotation (hazard H1,
// protocol.mend_h1); the old hwpt's entry in hwpt_list goes always, its domain stays in the ioas
// even if no device is left (hazard stale-domain, protocol.mend_stale_domain). Rule: that
// patch (iommu list, 2 Feb 2023). Not modelled: as posted_replace.hpp; the crash of deleting a list
// entry twice.
#include "models/iommufd/protocols/posted_replace.hpp"
#include "models/iommufd/protocols/registry.hpp"

namespace smmulab::iommufd {
namespace {

class PostedV1 final : public PostedReplaceProtocol {
 public:
  PostedV1(Context& context, const ProtocolParams& params)
      : PostedReplaceProtocol(context),
        ordered_(params.mend_h1),
        removes_domain_(params.mend_stale_domain) {}

 private:
  Task<void> lock_devices(lnx::Thread& t, Hwpt* old, Hwpt& next) override;
  Task<void> unlock_devices(lnx::Thread& t, Hwpt* old, Hwpt& next) override;
  Task<void> leave_old(lnx::Thread& t, Device& device, Hwpt& old, Hwpt& next) override;
  Task<void> leave_list(lnx::Thread& t, Hwpt& old);
  // The new ioas's mutex does not protect the old one's list.
  [[nodiscard]] bool references_candidates() const override { return true; }

  bool ordered_;
  bool removes_domain_;
};

Task<void> PostedV1::lock_devices(lnx::Thread& t, Hwpt* old, Hwpt& next) {
  const bool old_first = ordered_ && old != nullptr && old->id < next.id;
  if (old_first) {
    co_await old->devices_lock.lock(t);
  }
  co_await next.devices_lock.lock(t, old_first ? 1 : 0);
  if (ordered_ && old != nullptr && !old_first) {
    co_await old->devices_lock.lock(t, 1);
  }
}

Task<void> PostedV1::unlock_devices(lnx::Thread& t, Hwpt* old, Hwpt& next) {
  if (ordered_ && old != nullptr) {
    co_await old->devices_lock.unlock(t);
  }
  co_await next.devices_lock.unlock(t);
}

Task<void> PostedV1::leave_list(lnx::Thread& t, Hwpt& old) {
  if (!removes_domain_) {
    std::erase(old.ioas->hwpt_list, &old);
    old.listed = false;
  } else if (unused(old)) {
    co_await unlink(t, old);
  }
}

Task<void> PostedV1::leave_old(lnx::Thread& t, Device& device, Hwpt& old, Hwpt& next) {
  if (!ordered_) {
    co_await old.devices_lock.lock(t);
  }
  if (old.ioas != next.ioas) {
    co_await old.ioas->iopt.remove_reserved(t, *device.master);
  }
  t.charge(costs().list_step * 2);
  remove_device(device, old);
  co_await t.access(old.ioas->mutex, lnx::Access::kWrite);  // its list, without that mutex
  co_await leave_list(t, old);
  if (!ordered_) {
    co_await old.devices_lock.unlock(t);
  }
}

}  // namespace

std::unique_ptr<Protocol> make_posted_v1(Context& context, const ProtocolParams& params) {
  return std::make_unique<PostedV1>(context, params);
}

}  // namespace smmulab::iommufd

// SPDX-License-Identifier: Apache-2.0
// Mainline v6.4 and v6.5 (variant A'): the hwpt is filled when it is made and leaves its ioas when
// it is destroyed ("Revise the hwpt lifetime model"), so attach and detach take devices_lock only.
// Rule: Linux 6.4 drivers/iommu/iommufd/device.c, hw_pagetable.c; devices_lock is held across the
// immediate attach, the fill and the list. Not modelled: as hwpt_lock.hpp; a driver that finalises
// at attach cannot be filled by IOMMU_HWPT_ALLOC.
#include <cerrno>

#include "models/iommufd/protocols/moving.hpp"
#include "models/iommufd/protocols/registry.hpp"

namespace smmulab::iommufd {
namespace {

class V64 final : public MovingProtocol {
 public:
  explicit V64(Context& context) : MovingProtocol(context) {}

  [[nodiscard]] KernelVersion kernel() const override { return linux_version(6, 5); }
  [[nodiscard]] bool checks_isolated_msi_at_bind() const override { return true; }

  Task<int> hwpt_alloc(lnx::Thread& t, Device& device, Ioas& ioas, ObjectId id,
                       const HwptRequest& /*request*/) override {
    co_await ioas.mutex.lock(t);
    Hwpt* hwpt = co_await alloc(t, device, ioas, id);
    int rc = -EEXIST;
    if (hwpt != nullptr) {
      rc = co_await fill(t, *hwpt, nullptr);
      rc = co_await settle(t, *hwpt, rc);
    }
    co_await ioas.mutex.unlock(t);
    co_return rc;
  }
  Task<void> hwpt_destroy(lnx::Thread& t, Hwpt& hwpt) override { return destroy_filled(t, hwpt); }

 private:
  // The domain stays in the ioas for the hwpt's life.
  [[nodiscard]] bool unused(const Hwpt& /*hwpt*/) const override { return false; }
  [[nodiscard]] bool references_candidates() const override { return true; }
  Task<void> lock_for_detach(lnx::Thread& t, Hwpt& hwpt) override {
    return hwpt.devices_lock.lock(t);
  }
  Task<void> unlock_after_detach(lnx::Thread& t, Hwpt& hwpt) override {
    co_await hwpt.devices_lock.unlock(t);
  }
  Task<int> attach_new(lnx::Thread& t, Device& device, Ioas& ioas) override {
    Hwpt* hwpt = co_await alloc(t, device, ioas, context().next_auto_id());
    hwpt->auto_domain = true;
    const int rc = co_await fill(t, *hwpt, &device);
    co_return co_await settle(t, *hwpt, rc);
  }

  // iommufd_hw_pagetable_alloc() after the domain is there; with a device: immediate attach.
  Task<int> fill(lnx::Thread& t, Hwpt& hwpt, Device* device);
  // Made: findable. Failed: undone, without ioas->mutex, which the caller has.
  Task<int> settle(lnx::Thread& t, Hwpt& hwpt, int rc);
};

Task<int> V64::fill(lnx::Thread& t, Hwpt& hwpt, Device* device) {
  co_await hwpt.devices_lock.lock(t);
  int rc = 0;
  if (device != nullptr) {
    rc = co_await attach_locked(t, *device, hwpt);
  }
  if (rc == 0) {
    rc = co_await hwpt.ioas->iopt.add_domain(t, *hwpt.domain);
    if (rc == 0) {
      t.charge(costs().list_step);
      hwpt.ioas->hwpt_list.push_back(&hwpt);
      hwpt.listed = true;
    } else if (device != nullptr) {
      co_await detach_locked(t, *device, hwpt);
      device->hwpt = nullptr;
      --hwpt.users;
    }
  }
  co_await hwpt.devices_lock.unlock(t);
  co_return rc;
}

Task<int> V64::settle(lnx::Thread& t, Hwpt& hwpt, int rc) {
  if (rc == 0) {
    Context::finalize(t, hwpt);
  } else {
    co_await free_domain(t, hwpt);
    co_await context().abort_hwpt(t, hwpt);
  }
  co_return rc;
}

}  // namespace

std::unique_ptr<Protocol> make_v6_4(Context& context, const ProtocolParams& /*params*/) {
  return std::make_unique<V64>(context);
}

}  // namespace smmulab::iommufd

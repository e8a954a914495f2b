// SPDX-License-Identifier: Apache-2.0
// "[PATCH .. 3/3] iommufd/device: Change iommufd_hw_pagetable_has_group to device centric" (variant
// C3): only ioas->mutex is left; the device list is gone, has_device asks the core for the device's
// domain. Detaching the first device of a group therefore detaches the whole group (hazard H4);
// protocol.mend_h4 counts the group's devices. Rule: that patch (iommu list, 28 Jan
// 2023; the bug: K. Tian's and N. Chen's answers). Not modelled: as devices_users.hpp.
#include "models/iommufd/protocols/devices_users.hpp"
#include "models/iommufd/protocols/registry.hpp"

namespace smmulab::iommufd {
namespace {

class DevicesUsers3 final : public DevicesUsersProtocol {
 public:
  DevicesUsers3(Context& context, const ProtocolParams& params)
      : DevicesUsersProtocol(context, params), counts_group_(params.mend_h4) {}

  Task<int> attach(lnx::Thread& t, Device& device, Hwpt& hwpt) override {
    co_await hwpt.ioas->mutex.lock(t);
    const int rc = co_await do_attach(t, device, hwpt);
    co_await hwpt.ioas->mutex.unlock(t);
    co_return rc;
  }

 private:
  Task<int> do_attach(lnx::Thread& t, Device& device, Hwpt& hwpt) override {
    return attach_locked(t, device, hwpt);
  }
  [[nodiscard]] bool asks_core() const override { return true; }
  // has_device: iommu_get_domain_for_dev(), without a lock.
  bool has_group(lnx::Thread& t, const Hwpt& hwpt, const Device& device) const override {
    t.charge(costs().list_step);
    return device.group->domain == hwpt.domain;
  }
  bool last_of_group(lnx::Thread& t, const Hwpt& hwpt, const Device& device) const override {
    return has_group(t, hwpt, device) && (!counts_group_ || device.group->attached.empty());
  }
  void add_device(Device& device, Hwpt& hwpt) const override {
    ++hwpt.users;
    ++hwpt.devices_users;
    device.hwpt = &hwpt;
    device.group->attached.push_back(device.master);
  }
  void remove_device(Device& device, Hwpt& hwpt) const override {
    --hwpt.devices_users;
    std::erase(device.group->attached, device.master);
  }
  Task<void> lock_for_detach(lnx::Thread& t, Hwpt& hwpt) override {
    return hwpt.ioas->mutex.lock(t);
  }
  Task<void> unlock_after_detach(lnx::Thread& t, Hwpt& hwpt) override {
    co_await hwpt.ioas->mutex.unlock(t);
  }
  Task<int> replace_locked(lnx::Thread& t, Device& device, Hwpt& old, Hwpt& next,
                           bool ioas_held) override;

  bool counts_group_;
};

Task<int> DevicesUsers3::replace_locked(lnx::Thread& t, Device& device, Hwpt& old, Hwpt& next,
                                        bool ioas_held) {
  const MutexPair locks = ioas_locks(*old.ioas, *next.ioas);
  if (!ioas_held) {
    co_await lock_both(t, locks);
  }
  const int rc = co_await switch_domain(t, device, old, next);
  if (!ioas_held) {
    co_await unlock_both(t, locks);
  }
  co_return rc;
}

}  // namespace

std::unique_ptr<Protocol> make_devices_users_3(Context& context, const ProtocolParams& params) {
  return std::make_unique<DevicesUsers3>(context, params);
}

}  // namespace smmulab::iommufd

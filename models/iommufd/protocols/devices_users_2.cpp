// SPDX-License-Identifier: Apache-2.0
// "[PATCH 2/3] iommufd/device: Make hwpt_list list_add/del symmetric" (variant C2): ioas->mutex
// outermost on the hwpt path too, devices_lock inside. Rule: that patch (iommu list, 28 Jan
// 2023). Not modelled: as devices_users.hpp.
#include "models/iommufd/protocols/devices_users.hpp"
#include "models/iommufd/protocols/registry.hpp"

namespace smmulab::iommufd {
namespace {

class DevicesUsers2 final : public DevicesUsersProtocol {
 public:
  using DevicesUsersProtocol::DevicesUsersProtocol;

  Task<int> attach(lnx::Thread& t, Device& device, Hwpt& hwpt) override {
    co_await hwpt.ioas->mutex.lock(t);
    const int rc = co_await do_attach(t, device, hwpt);
    co_await hwpt.ioas->mutex.unlock(t);
    co_return rc;
  }
};

}  // namespace

std::unique_ptr<Protocol> make_devices_users_2(Context& context, const ProtocolParams& params) {
  return std::make_unique<DevicesUsers2>(context, params);
}

}  // namespace smmulab::iommufd

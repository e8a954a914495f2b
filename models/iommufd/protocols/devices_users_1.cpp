// SPDX-License-Identifier: Apache-2.0
// "[PATCH v2 1/3] iommufd: Add devices_users to track the hw_pagetable usage by device", 28 Jan
// 2023 (variant C1): v6.2's locks, the count instead of the list's emptiness. Rule: that
// patch (iommu list). Not modelled: as devices_users.hpp.
#include "models/iommufd/protocols/devices_users.hpp"
#include "models/iommufd/protocols/registry.hpp"

namespace smmulab::iommufd {

std::unique_ptr<Protocol> make_devices_users_1(Context& context, const ProtocolParams& params) {
  return std::make_unique<DevicesUsersProtocol>(context, params);
}

}  // namespace smmulab::iommufd

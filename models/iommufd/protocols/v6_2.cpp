// SPDX-License-Identifier: Apache-2.0
// Mainline v6.2 (variant A): hwpt->devices_lock, and no replace. Rule: Linux 6.2
// drivers/iommu/iommufd/device.c. Not modelled: as hwpt_lock.hpp.
#include "models/iommufd/protocols/moving.hpp"
#include "models/iommufd/protocols/registry.hpp"

namespace smmulab::iommufd {
namespace {

class V62 final : public MovingProtocol {
 public:
  explicit V62(Context& context) : MovingProtocol(context) {}
};

}  // namespace

std::unique_ptr<Protocol> make_v6_2(Context& context, const ProtocolParams& /*params*/) {
  return std::make_unique<V62>(context);
}

}  // namespace smmulab::iommufd

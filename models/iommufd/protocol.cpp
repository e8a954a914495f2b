// SPDX-License-Identifier: Apache-2.0
#include "models/iommufd/protocol.hpp"

namespace smmulab::iommufd {

Task<void> Protocol::enter(lnx::Thread& /*t*/) {
  co_return;
}
Task<void> Protocol::leave(lnx::Thread& /*t*/) {
  co_return;
}

void Protocol::setup_msi(lnx::Thread& t, Hwpt& hwpt) const {
  if (!hwpt.msi_cookie) {
    t.charge(costs().msi_cookie);
    hwpt.msi_cookie = true;
  }
}

void describe(ParamTable& table, ProtocolParams& params) {
  table.add("protocol.fill_before", &params.fill_before,
            "seed-lock-both: fill the new domain before the replace (needs a driver that finalises "
            "at allocation), not after it",
            {"reference locking.md section 7.B: both orders were proposed in the thread"});
  table.add(
      "protocol.detach_race", &params.detach_race,
      "igroup: a detach reads igroup->hwpt before it has igroup->lock, so that one racing with "
      "the replace of a group-mate drops a reference of the wrong hwpt; false: mended",
      {"Linux 6.12 drivers/iommu/iommufd/device.c iommufd_hw_pagetable_detach()"});
}

}  // namespace smmulab::iommufd

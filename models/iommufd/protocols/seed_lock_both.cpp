// SPDX-License-Identifier: Apache-2.0
// The seed thread's replace (variant B, ordered): the devices_lock of both hwpts in one fixed
// order, and the ioas->mutex of both IOASes around them when the old hwpt may become empty or the
// IOASes differ. Rule: J. Gunthorpe's lock_both in that thread. Not modelled: as
// hwpt_replace.hpp.
#include <cerrno>

#include "models/iommufd/protocols/hwpt_replace.hpp"
#include "models/iommufd/protocols/registry.hpp"

namespace smmulab::iommufd {
namespace {

class SeedLockBoth final : public HwptReplaceProtocol {
 public:
  using HwptReplaceProtocol::HwptReplaceProtocol;

 private:
  Task<int> replace_locked(lnx::Thread& t, Device& device, Hwpt& old, Hwpt& next,
                           bool ioas_held) override;
};

Task<int> SeedLockBoth::replace_locked(lnx::Thread& t, Device& device, Hwpt& old, Hwpt& next,
                                       bool ioas_held) {
  co_await t.access(old.devices_lock, lnx::Access::kRead);
  if (ioas_held || old.ioas != next.ioas || old.devices.size() <= 1) {
    co_return co_await HwptReplaceProtocol::replace_locked(t, device, old, next, ioas_held);
  }
  const MutexPair locks = device_locks(old, next);
  co_await lock_both(t, locks);
  const bool alone = old.devices.size() <= 1;  // the others left before we had its lock
  int rc = 0;
  if (!alone) {
    rc = co_await switch_domain(t, device, old, next);
  }
  co_await unlock_both(t, locks);
  if (alone) {
    rc = co_await HwptReplaceProtocol::replace_locked(t, device, old, next, false);
  }
  co_return rc;
}

}  // namespace

std::unique_ptr<Protocol> make_seed_lock_both(Context& context, const ProtocolParams& params) {
  return std::make_unique<SeedLockBoth>(context, params);
}

}  // namespace smmulab::iommufd

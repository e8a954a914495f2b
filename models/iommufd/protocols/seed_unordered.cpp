// SPDX-License-Identifier: Apache-2.0
// The first sketch of replace in the seed thread (variant B0): the old hwpt's devices_lock, then
// the new one's, in no order; ioas->mutex is not taken. X->Y against Y->X deadlocks (hazard H1).
// protocol.mend_h1 takes them by address. Rule: N. Chen's sketch in the thread of "[PATCH v2
// 1/3] iommufd: Add devices_users" (Feb 2023). Not modelled: the sketch's slip of adding the device
// to the old list again; its unlocked change of the old ioas's hwpt_list (an automatic domain found
// there is held by a reference).
#include "models/iommufd/protocols/hwpt_replace.hpp"
#include "models/iommufd/protocols/registry.hpp"

namespace smmulab::iommufd {
namespace {

class SeedUnordered final : public HwptReplaceProtocol {
 public:
  SeedUnordered(Context& context, const ProtocolParams& params)
      : HwptReplaceProtocol(context, params), ordered_(params.mend_h1) {}

 private:
  Task<int> replace_locked(lnx::Thread& t, Device& device, Hwpt& old, Hwpt& next,
                           bool /*ioas_held*/) override {
    const MutexPair locks = device_locks(old, next);
    co_await lock_both(t, locks, ordered_ ? 1 : 0);  // the sketch has no annotation
    const int rc = co_await switch_domain(t, device, old, next);
    co_await unlock_both(t, locks);
    co_return rc;
  }
  // An automatic domain is searched for under the new ioas's alone.
  [[nodiscard]] MutexPair ioas_locks(Ioas& /*old*/, Ioas& next) const override {
    return {&next.mutex, &next.mutex};
  }
  [[nodiscard]] MutexPair device_locks(Hwpt& old, Hwpt& next) const override {
    return ordered_ ? HwptReplaceProtocol::device_locks(old, next)
                    : MutexPair{&old.devices_lock, &next.devices_lock};
  }
  [[nodiscard]] bool references_candidates() const override { return true; }

  bool ordered_;
};

}  // namespace

std::unique_ptr<Protocol> make_seed_unordered(Context& context, const ProtocolParams& params) {
  return std::make_unique<SeedUnordered>(context, params);
}

}  // namespace smmulab::iommufd

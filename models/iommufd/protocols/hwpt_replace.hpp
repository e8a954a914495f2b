// SPDX-License-Identifier: Apache-2.0
// Replace in the designs with a devices_lock in each hwpt, as the thread of Feb 2023 discusses it:
// the core's replace_domain moves the group, the device's list entry goes from one hwpt to the
// other. Which locks are held around that is what the variants differ in; object ids stand for
// addresses, so that the order is the same in every run. Rule: docs/protocols.md, each variant;
// all other operations as in v6.2. Not modelled: nothing moves the group-mates' entries, so groups
// of several devices end in a wrong state (hazard group-move), as in the drafts.
#pragma once

#include <utility>

#include "models/iommufd/protocols/hwpt_lock.hpp"

namespace smmulab::iommufd {

using MutexPair = std::pair<lnx::Mutex*, lnx::Mutex*>;  // of one and the same mutex twice: that one

class HwptReplaceProtocol : public HwptLockProtocol {
 public:
  HwptReplaceProtocol(Context& context, const ProtocolParams& params)
      : HwptLockProtocol(context), fill_before_(params.fill_before) {}

  Task<int> replace(lnx::Thread& t, Device& device, Hwpt& hwpt) override;
  // The new ioas's hwpt_list is searched under its ioas->mutex.
  Task<int> replace_ioas(lnx::Thread& t, Device& device, Ioas& ioas) override;

 protected:
  // --- what variants change --------------------------------------------------------------------
  // Both ioas->mutex in order, both devices_lock in order, switch_domain(). With `ioas_held` the
  // caller holds ioas_locks() already.
  virtual Task<int> replace_locked(lnx::Thread& t, Device& device, Hwpt& old, Hwpt& next,
                                   bool ioas_held);
  [[nodiscard]] virtual MutexPair ioas_locks(Ioas& old, Ioas& next) const;
  [[nodiscard]] virtual MutexPair device_locks(Hwpt& old, Hwpt& next) const;

  // --- what they share -------------------------------------------------------------------------
  // `nesting`: the second one's lockdep subclass (SINGLE_DEPTH_NESTING).
  static Task<void> lock_both(lnx::Thread& t, MutexPair pair, unsigned nesting = 1);
  static Task<void> unlock_both(lnx::Thread& t, MutexPair pair);
  // Under all locks: reservations, the hardware, the fill, the lists.
  Task<int> switch_domain(lnx::Thread& t, Device& device, Hwpt& old, Hwpt& next);

 private:
  Task<int> switch_hardware(lnx::Thread& t, Device& device, Hwpt& old, Hwpt& next);
  Task<int> replace_candidate(lnx::Thread& t, Device& device, Hwpt& old, Hwpt& next);

  bool fill_before_;
};

}  // namespace smmulab::iommufd

// SPDX-License-Identifier: Apache-2.0
// Invalidations in the TCU: the caches, and which of the requests in work used what has gone.
#include "models/smmuv3/timed/tcu.hpp"

namespace smmulab::smmu::timed {

void Tcu::mark(Xlate& x) {
  if (!x.stale) {
    x.stale = true;
    x.marked_in = marks_;
    ++stale_[marks_];
  }
}

void Tcu::unmark(Xlate& x) {
  if (x.stale && --stale_[x.marked_in] == 0 && x.marked_in != marks_ && stale_waiter_ != nullptr) {
    timers_.at(timers_.now(), *stale_waiter_, stale_what_);
    stale_waiter_ = nullptr;
  }
  x.stale = false;
}

void Tcu::invalidate(const hw::Command& command) {
  if (hw::is_tlbi(command.opcode)) {
    const hw::TlbInvalidation what = hw::tlb_invalidation(command);
    walk_.invalidate(what);
    for (Xlate& x : xlates_) {
      if (x.at == At::kConfig) {
        x.ban.all = true;  // its tag is not known yet, and it may have read stage 2 tables
        mark(x);
      } else if (x.at == At::kWalk || x.at == At::kMerged) {
        if (x.ban.add(what, x.tag)) {
          mark(x);
        }
      }
    }
    return;
  }
  const auto what = hw::config_invalidation(command);
  if (!what) {
    return;
  }
  config_.invalidate(*what);
  for (Xlate& x : xlates_) {
    if (x.at == At::kConfig || x.at == At::kWalk || x.at == At::kMerged) {
      if (hw::ConfigCache::covers(*what, {x.request.stream, x.request.substream, {}})) {
        x.stale_config = true;
        x.ban.all = true;
        mark(x);
      }
    }
  }
}

}  // namespace smmulab::smmu::timed

// SPDX-License-Identifier: Apache-2.0
// The TCU's walks ahead.
#include <algorithm>

#include "models/smmuv3/timed/tcu.hpp"

namespace smmulab::smmu::timed {

// STE.PF: points the request at the range that was translated, the stride at the one after or
// before.
bool Tcu::prepare_prefetch(Xlate& x) const {
  constexpr std::uint8_t kForward = 2, kBackward = 3;
  const std::uint8_t direction = x.config.prefetch;
  if (!params_.tcu.prefetch || (direction != kForward && direction != kBackward) ||
      x.request.kind != hw::RequestKind::kUntranslated || !has_walk_cache_) {
    return false;
  }
  const std::uint64_t reach = 1ULL << x.translation.reach_log2;
  x.request.address &= ~(reach - 1);
  x.stride = direction == kForward ? reach : ~reach + 1;
  const std::uint64_t next = x.request.address + x.stride;
  return direction == kForward ? next != 0 : next < x.request.address;
}

// One address of a prefetch is done, however it ended: the next, or the slot is free.
void Tcu::walk_ahead(std::uint32_t i) {
  Xlate& x = xlates_[i];
  --x.more;
  if (x.more == 0 || x.stale_config) {
    release(i);
    return;
  }
  unmark(x);  // the next walk reads anew
  x.ban = Ban{};
  x.memo.begin(walk_, x.ban);
  x.request.address += x.stride;
  x.request.access.write = false;
  x.at = At::kWalk;
  ++counters_.all.prefetch;
  begin_walk(i, x.config);
}

void Tcu::prefetch(const hw::Command& command) {
  if (!params_.tcu.prefetch_commands || free_.empty()) {
    return;
  }
  const std::uint32_t i = free_.back();
  free_.pop_back();
  Xlate& x = xlates_[i];
  x.request = hw::Request{};
  x.request.stream = command.stream;
  if (command.substream_valid) {
    x.request.substream = command.substream;
  }
  x.request.address = command.address;
  x.at = At::kLookup;
  x.next = kNone;
  x.has_slot = x.read_tables = x.read_config = x.stale = x.stale_config = x.aborted = false;
  x.prefetching = true;
  const bool addresses = command.opcode == hw::Opcode::kPrefetchAddr && has_walk_cache_;
  x.more = addresses ? std::min(kMaxPrefetches, 1U << std::min<unsigned>(command.size, 31U)) : 0;
  x.stride = 1ULL << std::min<unsigned>(12U + command.stride, 63U);
  x.ban = Ban{};
  x.memo.begin(walk_, x.ban);
  ++counters_.all.prefetch;
  timers_.after(params_.tcu.config_lookup, *this, kConfigLookup, i);
}

}  // namespace smmulab::smmu::timed

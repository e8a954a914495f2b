// SPDX-License-Identifier: Apache-2.0
#include "models/smmuv3/driver/dma_watch.hpp"

#include <algorithm>
#include <iterator>

namespace smmulab::smmu {

void DmaWatch::begin(std::uint64_t number, std::uint64_t first, std::uint64_t last,
                     std::uint64_t pa, SimTime since) {
  longest_ = std::max(windows_.empty() ? 0 : longest_, last - first + 1);
  by_number_.insert_or_assign(number, windows_.insert({pa, {first, last, since, since}}));
  stream_->set_observer(this);
}

void DmaWatch::end(std::uint64_t number) {
  const auto found = by_number_.find(number);
  if (found == by_number_.end()) {
    return;
  }
  const Window& window = found->second->second;
  if (window.uses != 0) {
    const Ps last = window.last_use - window.since;
    ++unmaps_.unmaps;
    unmaps_.old_uses += window.uses;
    unmaps_.last_total += last;
    unmaps_.last_max = std::max(unmaps_.last_max, last);
  }
  windows_.erase(found->second);
  by_number_.erase(found);
  if (windows_.empty() && other_ == nullptr) {
    stream_->set_observer(nullptr);  // transactions that nobody looks at cost less
  }
}

void DmaWatch::tell(timed::StreamObserver& other) {
  other_ = &other;
  stream_->set_observer(this);
}

void DmaWatch::transaction(const hw::Request& request, const timed::Passage& passage,
                           SimTime issued, SimTime done) {
  if (other_ != nullptr) {
    other_->transaction(request, passage, issued, done);
  }
  if (!passage.passes()) {
    return;
  }
  // Those that begin at or below the output address, from the nearest down.
  for (auto above = windows_.upper_bound(passage.pa); above != windows_.begin(); --above) {
    auto& [pa, w] = *std::prev(above);
    if (passage.pa - pa >= longest_) {
      break;
    }
    if (request.address >= w.first && request.address <= w.last &&
        passage.pa - pa == request.address - w.first) {
      ++w.uses;
      w.last_use = std::max(w.last_use, passage.ready);
    }
  }
}

}  // namespace smmulab::smmu

// SPDX-License-Identifier: Apache-2.0
#include "models/smmuv3/driver/dma_watch.hpp"

#include <algorithm>

namespace smmulab::smmu {

void DmaWatch::begin(std::uint64_t number, std::uint64_t first, std::uint64_t last,
                     std::uint64_t pa, SimTime since) {
  windows_.push_back({number, first, last, pa, since, since});
  stream_->set_observer(this);
}

void DmaWatch::end(std::uint64_t number) {
  const auto window = std::ranges::find(windows_, number, &Window::number);
  if (window == windows_.end()) {
    return;
  }
  if (window->uses != 0) {
    const Ps last = window->last_use - window->since;
    ++unmaps_.unmaps;
    unmaps_.old_uses += window->uses;
    unmaps_.last_total += last;
    unmaps_.last_max = std::max(unmaps_.last_max, last);
  }
  windows_.erase(window);
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
  for (Window& w : windows_) {
    if (request.address >= w.first && request.address <= w.last &&
        passage.pa - w.pa == request.address - w.first) {
      ++w.uses;
      w.last_use = std::max(w.last_use, passage.ready);
    }
  }
}

}  // namespace smmulab::smmu

// SPDX-License-Identifier: Apache-2.0
// DmaWatch: one device's DMA stream and what unmaps mean to it: how long after the page-table
// entries were cleared a transaction still went through by the old translation, until its TLBI is
// complete: that is the use after unmap, which in lazy mode lasts until a flush. Old translations
// are told by their output address (TimedHardware::domain_pa()).
// Not modelled: a range that is mapped again, in the same domain, before its unmap has ended; which
// of two domains it was that share output addresses.
#pragma once

#include <cstdint>
#include <map>

#include <tsl/robin_map.h>

#include "models/smmuv3/timed/dma_stream.hpp"

namespace smmulab::smmu {

struct UnmapDmaStat {
  std::uint64_t unmaps = 0;    // with an old use
  std::uint64_t old_uses = 0;  // transactions
  Ps last_total{0};            // from the unmap to the last of them
  Ps last_max{0};
};

class DmaWatch final : public timed::StreamObserver {
 public:
  explicit DmaWatch(timed::DmaStream& stream) : stream_(&stream) {}
  [[nodiscard]] const timed::StreamStats& stats() const { return stream_->stats(); }
  [[nodiscard]] const UnmapDmaStat& unmaps() const { return unmaps_; }
  [[nodiscard]] GaugeWindow reach() const { return stream_->reach(); }
  // nullptr: the device has no ATC.
  [[nodiscard]] const timed::AtsStats* ats() const {
    return stream_->ats() == nullptr ? nullptr : &stream_->ats()->stats();
  }

  // IOVAs [first, last] led to `pa` and on, until `since`.
  void begin(std::uint64_t number, std::uint64_t first, std::uint64_t last, std::uint64_t pa,
             SimTime since);
  void end(std::uint64_t number);
  // Is told of every transaction from now on, too.
  void tell(timed::StreamObserver& other);
  void transaction(const hw::Request& request, const timed::Passage& passage, SimTime issued,
                   SimTime done) override;

 private:
  struct Window {
    std::uint64_t first, last;
    SimTime since;
    SimTime last_use;
    std::uint64_t uses = 0;
  };
  // By the output address of `first`. A flush queue leaves thousands open.
  using Windows = std::multimap<std::uint64_t, Window>;
  timed::DmaStream* stream_;
  timed::StreamObserver* other_ = nullptr;
  Windows windows_;
  std::uint64_t longest_ = 0;  // bytes of a window, since none was open
  tsl::robin_map<std::uint64_t, Windows::iterator> by_number_;
  UnmapDmaStat unmaps_;
};

}  // namespace smmulab::smmu

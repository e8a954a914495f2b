// SPDX-License-Identifier: Apache-2.0
// ReachMeter: TLB reach of each client over time: the bytes of address space that entries cover
// which its transactions filled, in the main TLB, or in the micro TLB of a TBU without one. An
// entry that another client fills anew, sharing the address space, is that one's from then on. Not
// counted: what an ATC holds; translated transactions fill no TLB.
#pragma once

#include <cstdint>
#include <vector>

#include <tsl/robin_map.h>

#include "models/smmuv3/hw/tlb.hpp"
#include "models/smmuv3/timed/timers.hpp"
#include "sim/ids.hpp"
#include "sim/stats.hpp"

namespace smmulab::smmu::timed {

class ReachMeter final : public hw::ReachListener {
 public:
  explicit ReachMeter(const Timers& timers) : timers_(timers) {}

  // A client, measured from now on. Gives its number.
  std::uint32_t add() {
    gauges_.emplace_back(timers_.now());
    return static_cast<std::uint32_t>(gauges_.size());
  }
  // Transactions of this StreamID are that client's.
  void assign(StreamId stream, std::uint32_t client) {
    clients_.insert_or_assign(stream.value(), client);
  }
  // 0: nobody's.
  [[nodiscard]] std::uint32_t client_of(StreamId stream) const {
    const auto found = clients_.find(stream.value());
    return found == clients_.end() ? 0 : found->second;
  }
  // Until now, in bytes.
  [[nodiscard]] GaugeWindow at(std::uint32_t client) const {
    return gauges_[client - 1].at(timers_.now());
  }
  void covered(std::uint32_t owner, std::int64_t bytes) override {
    gauges_[owner - 1].add(timers_.now(), bytes);
  }

 private:
  const Timers& timers_;
  tsl::robin_map<std::uint32_t, std::uint32_t> clients_;  // by StreamID
  std::vector<Gauge> gauges_;                             // by client - 1
};

}  // namespace smmulab::smmu::timed

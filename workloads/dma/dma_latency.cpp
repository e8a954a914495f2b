// SPDX-License-Identifier: Apache-2.0
#include "workloads/dma/dma_latency.hpp"

#include <algorithm>

#include "models/smmuv3/hw/command_queue.hpp"
#include "sim/check.hpp"

namespace smmulab::workloads::dma {

namespace hw = smmu::hw;
namespace timed = smmu::timed;

namespace {

constexpr std::uint8_t kQueueLog2 = 8;
// Bounds memory. Where a long run of accesses is cut, those under way end first.
constexpr std::size_t kMostWaiting = std::size_t{1} << 16U;

}  // namespace

DmaLatency::DmaLatency(const timed::TimedParams& params, const hw::Features& features,
                       const hw::StreamTableBase& streams, hw::Memory& memory,
                       hw::FrameAllocator& frames, std::uint32_t outstanding)
    : memory_(memory), smmu_(params, features, streams, memory), outstanding_(outstanding) {
  smmu_.commands().set_queue({frames.allocate(kQueueLog2 + 4), kQueueLog2});
}

void DmaLatency::access(const timed::RecordedAccess& access) {
  waiting_.push_back(access);
  if (waiting_.size() == kMostWaiting) {
    settle();
  }
}

void DmaLatency::settle() {
  if (waiting_.empty()) {
    return;
  }
  timed::StreamParams params;
  params.pattern = timed::Pattern::kRecorded;
  params.recorded = waiting_;
  params.count = waiting_.size();
  params.outstanding = outstanding_;
  params.start = smmu_.now();
  // Not one of the SMMU's own, which stay: a trace may have a million such runs of accesses.
  timed::DmaStream stream(smmu_.timers(), params, smmu_.tbu(0), smmu_.port());
  stream.set_observer(this);
  smmu_.timers().run_to_idle();
  smmu_.timers().run_until(std::max(smmu_.now(), stream.stats().last));
  waiting_.clear();
}

void DmaLatency::command(const hw::Command& command) {
  settle();
  const hw::CommandWords words = hw::encode(command);
  const std::uint64_t at = smmu_.commands().address_of(commands_);
  memory_.write64(at, words[0]);
  memory_.write64(at + 8, words[1]);
  smmu_.commands().write_prod(++commands_);
  smmu_.timers().run_to_idle();
  SMMULAB_CHECK(smmu_.commands().error() == timed::CommandError::kNone,
                "a command of a DMA study was refused");
}

void DmaLatency::reset() {
  settle();
  times_.clear();
  count_ = 0;
  sum_ = Ps{0};
}

void DmaLatency::transaction(const hw::Request& /*request*/, const timed::Passage& passage,
                             SimTime issued, SimTime /*done*/) {
  const Ps time = passage.ready - issued;
  ++times_[time];
  ++count_;
  sum_ += time;
}

Ps DmaLatency::quantile(std::uint64_t percent) const {
  const std::uint64_t rank = (count_ * percent + 99) / 100;  // of the least such value, from 1
  std::uint64_t below = 0;
  for (const auto& [time, times] : times_) {
    below += times;
    if (below >= rank) {
      return time;
    }
  }
  return Ps{0};
}

std::optional<Latencies> DmaLatency::latencies() {
  settle();
  if (count_ == 0) {
    return std::nullopt;
  }
  const double mean = static_cast<double>(sum_.count()) / static_cast<double>(count_);
  return Latencies{mean, quantile(50), quantile(99)};
}

}  // namespace smmulab::workloads::dma

// SPDX-License-Identifier: Apache-2.0
#include "models/smmuv3/driver/command_queues.hpp"

namespace smmulab::smmu {

CommandQueues::CommandQueues(lnx::Machine& machine, const DriverParams& params, std::uint32_t smmu,
                             TimedHardware* timed)
    : timed_(timed != nullptr), unit_(std::make_unique<InvalidationUnit>()) {
  queues_.emplace_back(machine, params, smmu, *unit_, 0, timed);
  if (params.cmdq_kind == QueueKind::kSingle) {
    only_ = &queues_.front();
    return;
  }
  const std::size_t more = params.cmdq_count == 0 ? machine.cpu_count() : params.cmdq_count;
  for (std::size_t i = 1; i <= more; ++i) {
    queues_.emplace_back(machine, params, smmu, *unit_, static_cast<std::uint32_t>(i), timed);
  }
}

CommandQueue& CommandQueues::queue_for(const lnx::Thread& t) {
  return queues_[1 + t.cpu_index() % (queues_.size() - 1)];
}

CommandQueueStat CommandQueues::stat() const {
  CommandQueueStat sum;
  for (const CommandQueue& queue : queues_) {
    sum += queue.stat();
  }
  return sum;
}

std::uint64_t CommandQueues::count(Command c) const {
  std::uint64_t sum = 0;
  for (const CommandQueue& queue : queues_) {
    sum += queue.hardware().count(c);
  }
  return sum;
}

}  // namespace smmulab::smmu

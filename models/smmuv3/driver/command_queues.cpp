// SPDX-License-Identifier: Apache-2.0
#include "models/smmuv3/driver/command_queues.hpp"

namespace smmulab::smmu {
namespace {

// What a VCMDQ takes [Linux 6.12 tegra241_guest_vcmdq_supports_cmd() and its host-side like].
bool vcmdq_takes(Command c) {
  switch (c) {
    case Command::kTlbiNhAsid:
    case Command::kTlbiNhVa:
    case Command::kTlbiS12Vmall:
    case Command::kTlbiS2Ipa:
    case Command::kAtcInv:
      return true;
    default:
      return false;
  }
}

}  // namespace

CommandQueues::CommandQueues(lnx::Machine& machine, const DriverParams& params, std::uint32_t smmu,
                             TimedHardware* timed)
    : kind_(params.cmdq_kind),
      timed_(timed != nullptr),
      unit_(std::make_unique<InvalidationUnit>()) {
  queues_.emplace_back(machine, params, smmu, *unit_, 0, timed);
  if (kind_ == QueueKind::kSingle) {
    return;
  }
  if (timed_) {
    throw ConfigError("smmuv3.hardware = timed has one command queue (driver.cmdq_kind = single)");
  }
  const std::size_t more = params.cmdq_count == 0 ? machine.cpu_count() : params.cmdq_count;
  for (std::size_t i = 1; i <= more; ++i) {
    queues_.emplace_back(machine, params, smmu, *unit_, static_cast<std::uint32_t>(i));
  }
}

CommandQueue& CommandQueues::queue_for(const lnx::Thread& t, const CommandBatch& batch) {
  if (queues_.size() == 1 ||
      (kind_ == QueueKind::kCmdqv && (batch.size() == 0 || !vcmdq_takes(batch[0])))) {
    return queues_.front();
  }
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

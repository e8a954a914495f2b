// SPDX-License-Identifier: Apache-2.0
// The TCU's faults: who is told of them, and transactions that stall.
#include "models/smmuv3/timed/tcu.hpp"

namespace smmulab::smmu::timed {

// True: it stalls, or waits for its record to be taken; it has neither answer nor release.
bool Tcu::tell(std::uint32_t i, const hw::Fault& fault, const hw::StreamConfig& config) {
  Xlate& x = xlates_[i];
  if (faults_ == nullptr || x.prefetching) {
    return false;
  }
  const auto stag = static_cast<std::uint16_t>(i);
  const auto response = faults_->fault(x.request, fault, config, stag);
  if (response == hw::Response::kStall) {
    stall(i);
  }
  return !response || response == hw::Response::kStall;
}

void Tcu::stall(std::uint32_t i) {
  xlates_[i].at = At::kStalled;
  ++stalled_;
  unmark(xlates_[i]);
}

void Tcu::retry(std::uint32_t i) {
  --stalled_;
  start(i, xlates_[i].tbu << 16U | xlates_[i].slot);
}

void Tcu::terminate(std::uint32_t i) {
  --stalled_;
  answer(i);
  release(i);
}

void Tcu::resume(const hw::Command& command) {
  if (command.stag >= xlates_.size()) {
    return;
  }
  const Xlate& x = xlates_[command.stag];
  if (x.at != At::kStalled || x.request.stream != command.stream) {
    return;
  }
  faults_->forget(command.stag);  // a transaction that still waited for its record
  const bool again = (command.response & 1U) != 0;  // Ac
  again ? retry(command.stag) : terminate(command.stag);
}

void Tcu::terminate_stalled(StreamId stream) {
  for (std::uint32_t i = 0; i < xlates_.size(); ++i) {
    if (xlates_[i].at == At::kStalled && xlates_[i].request.stream == stream) {
      faults_->forget(static_cast<std::uint16_t>(i));
      terminate(i);
    }
  }
}

}  // namespace smmulab::smmu::timed

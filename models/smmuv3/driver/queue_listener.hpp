// SPDX-License-Identifier: Apache-2.0
// What timed hardware tells the driver's command queue.
#pragma once

#include <cstdint>

namespace smmulab::smmu {

class QueueListener {
 public:
  // CONS has passed the slot, at TimedHardware::time().
  virtual void consumed(std::uint64_t slot) = 0;

 protected:
  QueueListener() = default;
  QueueListener(const QueueListener&) = default;
  QueueListener& operator=(const QueueListener&) = default;
  ~QueueListener() = default;
};

}  // namespace smmulab::smmu

// SPDX-License-Identifier: Apache-2.0
// Step: what a config fetch or a table walk wants next. A timed model charges each; run() drives a
// machine at once, without time.
#pragma once

#include <array>
#include <cstdint>

#include "models/smmuv3/hw/memory.hpp"
#include "models/smmuv3/hw/types.hpp"

namespace smmulab::smmu::hw {

struct Step {
  enum class Kind : std::uint8_t { kRead, kUpdate, kDone, kFault };
  enum class What : std::uint8_t { kL1Std, kSte, kL1Cd, kCd, kDescriptor };
  Kind kind = Kind::kDone;
  What what = What::kDescriptor;
  std::uint8_t stage = 0;  // of the descriptor
  std::uint8_t level = 0;
  std::uint8_t words = 1;                   // 64-bit words to read from `address`
  std::uint64_t address = 0;                // physical
  std::uint64_t expected = 0, desired = 0;  // kUpdate
};

// Accesses, each one counted once whatever its width.
struct AccessCounts {
  std::uint32_t stream_table = 0;  // L1STD and STE
  std::uint32_t cd_table = 0;      // L1CD and CD
  std::uint32_t s1_descriptors = 0;
  std::uint32_t s2_descriptors = 0;
  std::uint32_t updates = 0;
  [[nodiscard]] std::uint32_t reads() const {
    return stream_table + cd_table + s1_descriptors + s2_descriptors;
  }
  void count(const Step& step) {
    if (step.kind == Step::Kind::kUpdate) {
      ++updates;
    } else if (step.what == Step::What::kDescriptor) {
      ++(step.stage == 1 ? s1_descriptors : s2_descriptors);
    } else {
      ++(step.what == Step::What::kL1Std || step.what == Step::What::kSte ? stream_table
                                                                          : cd_table);
    }
  }
  friend bool operator==(const AccessCounts&, const AccessCounts&) = default;
};

// A machine has next() -> Step, supply(words), abort() for an external abort, and updated(bool).
template <class Machine>
Step run(Machine& machine, Memory& memory, AccessCounts& counts) {
  std::array<std::uint64_t, 8> words{};
  while (true) {
    const Step step = machine.next();
    if (step.kind == Step::Kind::kDone || step.kind == Step::Kind::kFault) {
      return step;
    }
    counts.count(step);
    if (step.kind == Step::Kind::kUpdate) {
      machine.updated(memory.compare_exchange64(step.address, step.expected, step.desired));
      continue;
    }
    bool aborted = false;
    for (std::uint8_t i = 0; i < step.words && !aborted; ++i) {
      const auto word = memory.read64(step.address + 8ULL * i);
      aborted = !word;
      words[i] = word.value_or(0);
    }
    if (aborted) {
      machine.abort();
    } else {
      machine.supply(words);
    }
  }
}

}  // namespace smmulab::smmu::hw

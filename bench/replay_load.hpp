// SPDX-License-Identifier: Apache-2.0
// Replay of generated traces: every thread has a device in a group and device set of its own and
// moves it between its two hwpts: attach, replace, detach, and so on.
#pragma once

#include <cstdint>
#include <string>

#include "bench/meter.hpp"
#include "models/smmuv3/driver/stream_params.hpp"
#include "sim/record.hpp"

namespace smmulab::bench {

struct ReplayShape {
  std::uint32_t threads = 64;
  std::uint64_t operations = 0;  // attach, replace and detach together
  // False: one SMMU, one IOAS, arm_smmu_asid_lock. True: an SMMU and an IOAS for each thread, no
  // arm_smmu_asid_lock: no thread ever waits for another.
  bool independent = false;
  // Counted: what the lock models cost. Timed, a replay's default: with the SMMU, without DMA.
  smmu::HardwareKind hardware = smmu::HardwareKind::kCounted;
};

// Writes the trace of that shape.
void write_trace(const std::string& path, const ReplayShape& shape);
// Replays it with `igroup`, reading included. Counts operations. Throws std::runtime_error if an
// operation fails.
[[nodiscard]] Sample run_replay(const std::string& path, const ReplayShape& shape,
                                Record* record = nullptr);

}  // namespace smmulab::bench

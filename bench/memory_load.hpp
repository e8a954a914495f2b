// SPDX-License-Identifier: Apache-2.0
// What a simulated machine costs in memory.
#pragma once

#include <cstdint>

#include "models/smmuv3/driver/stream_params.hpp"

namespace smmulab::bench {

struct MemoryShape {
  std::uint32_t devices = 1;  // all bound and attached to one hwpt
  std::uint64_t areas = 0;    // mapped into the hwpt's IOAS, 64 KiB each
  std::uint64_t stride = 0;   // from the start of one area to that of the next
  // Timed: page tables are stored entry by entry.
  smmu::HardwareKind hardware = smmu::HardwareKind::kCounted;
};
struct MemorySample {
  double bytes_per_area = 0;  // heap in use after mapping less before, page tables included
  double peak_bytes = 0;      // largest resident size of the process
};

// Meant for a fresh process.
[[nodiscard]] MemorySample run_memory(const MemoryShape& shape);

}  // namespace smmulab::bench

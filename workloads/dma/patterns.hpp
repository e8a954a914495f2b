// SPDX-License-Identifier: Apache-2.0
// Built-in DMA patterns over one mapped area of one stream: `ring` (buffers used one after another,
// as a NIC's), `random` (uniform over the area's 4K blocks, as an NVMe drive's), `strided`.
#pragma once

#include <cstdint>
#include <string>

#include "workloads/dma/dma_study.hpp"

namespace smmulab::workloads::dma {

struct PatternSpec {
  std::string name = "ring";
  std::uint64_t footprint = 64ULL << 20U;  // bytes
  std::uint64_t page = 4096;               // 4k, 64k (contiguous), 2M, 32M (contiguous), 1G
  std::uint64_t stride = 4096;             // between accesses; of ring and strided
  std::uint64_t accesses = 200'000;        // of which the first fifth is warm-up
  std::uint64_t seed = 1;
};

// Maps, warms up, resets, runs. Throws ConfigError.
void run_pattern(const PatternSpec& spec, DmaStudy& study);

}  // namespace smmulab::workloads::dma

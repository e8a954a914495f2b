// SPDX-License-Identifier: Apache-2.0
// What the timed SMMU costs the host, by itself: a stream whose translations all hit, nested walks
// from cold micro and main TLBs, invalidations with a SYNC each.
#pragma once

#include <cstdint>

#include "bench/bare_lru.hpp"
#include "bench/meter.hpp"

namespace smmulab::bench {

// Transactions of one device, closed loop, 256 bytes each. REQUIRES: the micro TLB has room for the
// pages (16), and the step is 256 or whole pages.
[[nodiscard]] Sample run_smmu_hits(const PageStream& stream, std::uint64_t transactions);
// Table walks of one nested stream (4 levels over 4) at random in 256 MiB of 4 KiB pages.
[[nodiscard]] Sample run_smmu_nested_walks(std::uint64_t transactions);
// TLBI_NH_VA and CMD_SYNC by turns, nothing else going on. Counts pairs.
[[nodiscard]] Sample run_smmu_syncs(std::uint64_t pairs);

}  // namespace smmulab::bench

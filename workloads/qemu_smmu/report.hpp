// SPDX-License-Identifier: Apache-2.0
// What came of holding the model to a QEMU log: for each thing that is compared how often both
// agree, and the first disagreements with their lines.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace smmulab::workloads::qemu {

// What is compared, in the order of the table.
enum class Check : std::uint8_t {
  kConfigLookup,   // config cache hit or miss
  kConfigAddress,  // addresses of level 1 descriptor, STE and CD
  kBypass,         // bypass or abort without a table
  kAsid,           // ASID of the stream's configuration
  kIotlbLookup,    // IOTLB hit or miss
  kWalkReads,      // address of each descriptor read, and how many
  kLeaf,           // level of the leaf, page or block
  kAddress,        // physical address
  kPermission,     // read-only or writable
  kFault,          // event of a translation that faulted
  kFlush,          // IOTLB emptied because it was full
  kLive,           // the set of live IOTLB entries after a command
};
inline constexpr std::size_t kChecks = 12;
[[nodiscard]] const char* check_name(Check check);
[[nodiscard]] constexpr const char* hit_or_miss(bool hit) {
  return hit ? "hit" : "miss";
}

struct Tally {
  std::uint64_t agree = 0;
  std::uint64_t miss = 0;
};

struct Miss {
  std::uint64_t line = 0;
  Check check = Check::kAddress;
  std::string recorded, model;
};

struct Report {
  static constexpr std::size_t kMostMisses = 100;  // that are kept
  std::array<Tally, kChecks> tallies;
  std::vector<Miss> misses;
  std::uint64_t lines = 0, events = 0, noise = 0, damaged = 0, first_damaged = 0;
  std::uint64_t translations = 0, hits = 0, walks = 0, pages = 0, blocks = 0, reads = 0;
  std::uint64_t faults = 0, faults_not_judged = 0, bypassed = 0, aborted = 0, disabled = 0;
  std::uint64_t commands = 0, invalidations = 0, streams = 0;
  // Of a log whose beginning is missing: state that it uses and that was made before.
  std::uint64_t adopted_configs = 0, adopted_entries = 0;
  std::uint64_t incomplete = 0;  // translations whose end, or beginning, is not there

  [[nodiscard]] std::uint64_t missed() const {
    std::uint64_t sum = 0;
    for (const Tally& tally : tallies) {
      sum += tally.miss;
    }
    return sum;
  }
};

}  // namespace smmulab::workloads::qemu

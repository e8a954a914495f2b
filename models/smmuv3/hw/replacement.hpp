// SPDX-License-Identifier: Apache-2.0
// Which way of a full set goes: the policies that real parts name (MMU-600: micro TLB round-robin
// or PLRU, main TLB random, walk and config caches round-robin; MMU-700: walk cache RRIP; gem5 and
// studies: LRU) and that of QEMU's IOTLB, which empties the whole cache instead.
// RRIP is SRRIP with hit priority and 2 bits (Jaleel et al., ISCA 2010); PLRU is the binary tree.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/random.hpp"

namespace smmulab::smmu::hw {

enum class Policy : std::uint8_t { kRandom, kRoundRobin, kPlru, kRrip, kLru, kFlushAll };

class Replacement {
 public:
  static constexpr std::uint32_t kMaxPlruWays = 64;
  // REQUIRES: sets, ways > 0; for PLRU ways a power of 2 of at most 64.
  Replacement(Policy policy, std::uint32_t sets, std::uint32_t ways, std::uint64_t seed);
  void hit(std::uint32_t set, std::uint32_t way) {
    if (heeds_hits_) {
      note_hit(set, way);
    }
  }
  void filled(std::uint32_t set, std::uint32_t way);
  // REQUIRES: every way of the set is in use; the policy is not kFlushAll.
  [[nodiscard]] std::uint32_t victim(std::uint32_t set);
  [[nodiscard]] Policy policy() const { return policy_; }

 private:
  void note_hit(std::uint32_t set, std::uint32_t way);
  void point_away(std::uint32_t set, std::uint32_t way);
  [[nodiscard]] std::uint32_t rrip_victim(std::uint32_t set);

  Policy policy_;
  bool heeds_hits_;
  std::uint32_t ways_;
  std::uint64_t clock_ = 0;
  RandomStream random_;
  std::vector<std::uint64_t> set_state_;   // round-robin: next way; PLRU: tree bits
  std::vector<std::uint64_t> line_state_;  // LRU: time of use; RRIP: re-reference prediction
};

}  // namespace smmulab::smmu::hw

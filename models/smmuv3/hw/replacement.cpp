// SPDX-License-Identifier: Apache-2.0
#include "models/smmuv3/hw/replacement.hpp"

#include <bit>

#include "sim/check.hpp"

namespace smmulab::smmu::hw {
namespace {

constexpr std::uint64_t kDistant = 3, kLong = 2;  // of RRIP's 2 bits

}  // namespace

Replacement::Replacement(Policy policy, std::uint32_t sets, std::uint32_t ways, std::uint64_t seed)
    : policy_(policy),
      heeds_hits_(policy == Policy::kPlru || policy == Policy::kRrip || policy == Policy::kLru),
      ways_(ways),
      random_(seed, "smmu replacement"),
      set_state_(sets) {
  SMMULAB_CHECK(policy != Policy::kPlru || (std::has_single_bit(ways) && ways <= kMaxPlruWays),
                "a PLRU tree needs a power of 2 of at most 64 ways");
  if (policy == Policy::kLru || policy == Policy::kRrip) {
    line_state_.resize(std::size_t{sets} * ways, policy == Policy::kRrip ? kDistant : 0);
  }
}

// Every node on the way from the root to `way` comes to point to the other side.
void Replacement::point_away(std::uint32_t set, std::uint32_t way) {
  std::uint64_t& tree = set_state_[set];
  std::uint32_t node = 1;
  for (std::uint32_t half = ways_ / 2; half > 0; half /= 2) {
    const bool right = (way & half) != 0;
    tree = right ? tree & ~(std::uint64_t{1} << node) : tree | std::uint64_t{1} << node;
    node = 2 * node + (right ? 1 : 0);
  }
}

void Replacement::note_hit(std::uint32_t set, std::uint32_t way) {
  switch (policy_) {
    case Policy::kPlru:
      point_away(set, way);
      break;
    case Policy::kRrip:
      line_state_[std::size_t{set} * ways_ + way] = 0;
      break;
    case Policy::kLru:
      line_state_[std::size_t{set} * ways_ + way] = ++clock_;
      break;
    case Policy::kRandom:
    case Policy::kRoundRobin:
    case Policy::kFlushAll:
      break;
  }
}

void Replacement::filled(std::uint32_t set, std::uint32_t way) {
  if (policy_ == Policy::kRrip) {
    line_state_[std::size_t{set} * ways_ + way] = kLong;
  } else if (policy_ == Policy::kRoundRobin) {
    set_state_[set] = (way + 1) % ways_;
  } else {
    hit(set, way);
  }
}

std::uint32_t Replacement::rrip_victim(std::uint32_t set) {
  std::uint64_t* const lines = &line_state_[std::size_t{set} * ways_];
  while (true) {
    for (std::uint32_t way = 0; way < ways_; ++way) {
      if (lines[way] == kDistant) {
        return way;
      }
    }
    for (std::uint32_t way = 0; way < ways_; ++way) {
      ++lines[way];
    }
  }
}

std::uint32_t Replacement::victim(std::uint32_t set) {
  switch (policy_) {
    case Policy::kRandom:
      return static_cast<std::uint32_t>(random_.uniform_int(ways_));
    case Policy::kRoundRobin:
      return static_cast<std::uint32_t>(set_state_[set]);
    case Policy::kPlru: {
      std::uint32_t node = 1;
      while (node < ways_) {
        node = 2 * node + static_cast<std::uint32_t>(set_state_[set] >> node & 1U);
      }
      return node - ways_;
    }
    case Policy::kRrip:
      return rrip_victim(set);
    case Policy::kLru: {
      const std::uint64_t* const lines = &line_state_[std::size_t{set} * ways_];
      std::uint32_t oldest = 0;
      for (std::uint32_t way = 1; way < ways_; ++way) {
        oldest = lines[way] < lines[oldest] ? way : oldest;
      }
      return oldest;
    }
    case Policy::kFlushAll:
      break;
  }
  return 0;
}

}  // namespace smmulab::smmu::hw

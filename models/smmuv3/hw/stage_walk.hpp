// SPDX-License-Identifier: Apache-2.0
// StageWalk: the walk of one stage as a pure state machine. It says which descriptor it wants, is
// given the word, and goes on until a leaf, a descriptor update (HTTU) or a fault: whoever drives
// it reads the memory and charges for that. No allocation, no memory access, no time.
//
// Order of checks on a leaf: address size, access flag, permission (Arm ARM D8.15). The access flag
// of an access without permission is left alone.
// Not modelled: WXN, PAN, S2PTW, MTE, memory types; speculative updates of the access flag.
#pragma once

#include <cstdint>

#include "models/smmuv3/hw/stage.hpp"
#include "models/smmuv3/hw/types.hpp"

namespace smmulab::smmu::hw {

// A leaf as it applies to one input address.
struct Leaf {
  std::uint64_t output = 0;  // of that address, to the byte
  std::uint8_t level = 0;
  std::uint8_t page_log2 = 12;   // size of the page or block
  std::uint8_t reach_log2 = 12;  // the same, or the contiguous group it belongs to
  bool global = false;
  bool clean =
      false;  // writable once hardware has marked it dirty; perms lack the write until then
  Permissions perms;
  friend bool operator==(const Leaf&, const Leaf&) = default;
};

// A place in a walk that is known already: a leaf, or the table to go on with.
struct WalkPoint {
  bool is_leaf = false;
  std::uint8_t level = 0;  // of the leaf; or of the descriptor to read next
  std::uint8_t controls = 0;
  std::uint64_t table = 0;
  Leaf leaf;
};

class StageWalk {
 public:
  enum class State : std::uint8_t { kDescriptor, kUpdate, kLeaf, kFault };

  void begin(const Stage& stage, std::uint64_t input, Access access);
  // Goes on from a known place. REQUIRES: kDescriptor, nothing supplied yet. False: the leaf known
  // does not do (it must be marked dirty), walk.
  bool resume(const WalkPoint& point);

  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] std::uint8_t level() const { return level_; }
  [[nodiscard]] std::uint64_t descriptor_address() const;  // REQUIRES: kDescriptor or kUpdate
  void supply(std::uint64_t word);                         // REQUIRES: kDescriptor
  // REQUIRES: kUpdate. The word found must still be expected(); else updated(false) reads it again.
  [[nodiscard]] std::uint64_t expected() const { return word_; }
  [[nodiscard]] std::uint64_t desired() const { return desired_; }
  void updated(bool done);

  [[nodiscard]] const Leaf& leaf() const { return leaf_; }  // REQUIRES: kLeaf
  [[nodiscard]] Event fault() const { return fault_; }      // REQUIRES: kFault
  [[nodiscard]] std::uint64_t input() const { return input_; }
  [[nodiscard]] const Stage& stage() const { return *stage_; }
  // The table to read next, for a walk cache. REQUIRES: kDescriptor, below the start level.
  [[nodiscard]] WalkPoint point() const { return {false, level_, controls_, table_, {}}; }

 private:
  void fail(Event event) {
    state_ = State::kFault;
    fault_ = event;
  }
  void supply_leaf(std::uint64_t word);
  [[nodiscard]] bool in_range() const;
  [[nodiscard]] Permissions permissions(std::uint64_t word) const;
  void make_leaf(std::uint64_t word);

  const Stage* stage_ = nullptr;
  std::uint64_t input_ = 0;
  std::uint64_t table_ = 0;
  std::uint64_t word_ = 0;
  std::uint64_t desired_ = 0;
  Leaf leaf_;
  Access access_;
  State state_ = State::kFault;
  Event fault_ = Event::kNone;
  std::uint8_t level_ = 0;
  std::uint8_t controls_ = 0;  // bits [62:59] of the table descriptors, or-ed
};

}  // namespace smmulab::smmu::hw

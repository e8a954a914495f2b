// SPDX-License-Identifier: Apache-2.0
// WaitStacks: weights of stacks of frames, as a tree, so that a frame is a number and a stack is
// one, too.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "sim/record.hpp"
#include "sim/time.hpp"

namespace smmulab::analysis {

enum class FrameKind : std::uint8_t { kThread, kOp, kLock, kObject, kHandedOver, kOffCpu, kDeeper };

class WaitStacks {
 public:
  using Node = std::uint32_t;
  static constexpr Node kRoot = 0;

  // The stack with one more frame. `id`: a number of the record, kNoRecordId for none.
  Node push(Node stack, FrameKind kind, std::uint32_t id = kNoRecordId);
  void add(Node stack, Ps weight) { nodes_[stack].weight += weight; }
  // "frame;frame WEIGHT", WEIGHT in whole ns, sorted; what is below 1 ns is left out.
  [[nodiscard]] std::vector<std::string> folded(const Record& record) const;

 private:
  struct Entry {
    Node parent = kRoot;
    FrameKind kind = FrameKind::kThread;
    std::uint32_t id = kNoRecordId;
    Ps weight{0};
  };
  struct Key {
    std::uint64_t frame;
    Node parent;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct Hash {
    std::size_t operator()(const Key& key) const {
      return static_cast<std::size_t>(
          (key.frame ^ (static_cast<std::uint64_t>(key.parent) << 20U)) * 0x9e3779b97f4a7c15ULL);
    }
  };

  std::vector<Entry> nodes_{Entry{}};
  std::unordered_map<Key, Node, Hash> children_;
};

// "CLASS#INSTANCE"
[[nodiscard]] std::string lock_name(const Record& record, std::uint32_t lock);

}  // namespace smmulab::analysis

// SPDX-License-Identifier: Apache-2.0
// ObjectChecker: which devices are bound and which object ids are alive as a trace is read,
// so that a name used before it was made, after it was destroyed, as the wrong kind, or made twice
// is found. Races between threads are not judged (past_op.hpp): an object may exist from the issue
// of the operation that makes it, and may be gone from the issue of the one that destroys it; a
// kernel that reuses an id at once is believed if the destroying operation began before the making
// ended. Memory: live objects, and the last kRemembered destroyed ones for better messages.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <unordered_map>
#include <vector>

#include "workloads/op_problem.hpp"
#include "workloads/past_op.hpp"

namespace smmulab::workloads {

enum class ObjectKind : std::uint8_t { kDevice, kIoas, kHwpt, kAccess, kFault };
inline constexpr std::size_t kObjectKinds = 5;

using KindMask = std::uint8_t;
[[nodiscard]] constexpr KindMask bit(ObjectKind kind) {
  return static_cast<KindMask>(1U << static_cast<unsigned>(kind));
}

// Ids of all kinds but devices share one space; device numbers are the trace's own.
using ObjectKey = std::uint64_t;
[[nodiscard]] constexpr ObjectKey object_key(ObjectId id) {
  return id.value();
}
[[nodiscard]] constexpr ObjectKey object_key(DeviceIndex device) {
  return (1ULL << 32U) | device.value();
}

class ObjectChecker {
 public:
  static constexpr std::size_t kRemembered = 1024;

  enum class Fate : std::uint8_t { kDestroyed, kReplaced };  // kReplaced: an id reused in a race

  // To be called once for each operation, before the others.
  [[nodiscard]] MaybeProblem advance(const Op& op);
  // `op` names the object under `key`; it may be of any of those kinds. REQUIRES (as for the next
  // two): op did not fail.
  [[nodiscard]] MaybeProblem use(const Op& op, Key key, ObjectKey object, KindMask kinds);
  [[nodiscard]] MaybeProblem make(const Op& op, Key key, ObjectKey object, ObjectKind kind);
  [[nodiscard]] MaybeProblem destroy(const Op& op, Key key, ObjectKey object, ObjectKind kind,
                                     Fate& fate);
  // No operation issued up to now is running any more.
  [[nodiscard]] MaybeProblem settle();

 private:
  struct Entry {
    PastOp made;
    PastOp gone;
    ObjectKind kind = ObjectKind::kDevice;
    bool dying = false;
    bool doubtful = false;  // one of two operations that raced made it: kind is not known
  };
  struct Suspect {  // made while an object of the name was alive
    ObjectKey object;
    Key key;
    PastOp op;
    std::string message;
  };

  void forget_old(SimTime now);

  std::unordered_map<ObjectKey, Entry> entries_;  // looked up only
  std::vector<Suspect> suspects_;
  std::deque<std::pair<ObjectKey, std::uint64_t>> gone_;  // object, line of its end
};

}  // namespace smmulab::workloads

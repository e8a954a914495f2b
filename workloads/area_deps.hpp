// SPDX-License-Identifier: Apache-2.0
// AreaDeps: who mapped and who freed each part of one ioas, so that an unmap waits for the map it
// undoes and a map waits for the unmap that made room, if another thread did it.
// Memory: live areas, plus at most max(kFreedKept, live areas) freed ranges; older ones are merged
// into one hull for each thread, which can only make a map wait for an old unmap it did not need.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "workloads/deps.hpp"

namespace smmulab::workloads {

// The waits of one operation, at most one for each thread.
class WaitSet {
 public:
  explicit WaitSet(ThreadIndex self) : self_(self) {}
  // The operation that is number `count` (from 1) of `thread`; the thread's own are always met.
  void add(ThreadIndex thread, std::uint64_t count);
  [[nodiscard]] const std::vector<Wait>& waits() const { return waits_; }

 private:
  ThreadIndex self_;
  std::vector<Wait> waits_;
};

class AreaDeps {
 public:
  static constexpr std::size_t kFreedKept = 256;

  // `count`: which operation of its thread (from 1) this is. REQUIRES: op did not fail.
  void map(const Op& op, std::uint64_t count, WaitSet& waits);
  void unmap(const Op& op, std::uint64_t count, WaitSet& waits);
  // Waits are the caller's (for all earlier operations on the ioas).
  void unmap_all(const Op& op, std::uint64_t count);
  // The map that made `iova` reachable, if it is.
  void reach(Iova iova, WaitSet& waits) const;
  // `op` needs what is mapped in [first, last]: it waits for the maps, and who unmaps waits for it.
  void use(std::uint64_t first, std::uint64_t last, const Op& op, std::uint64_t count,
           WaitSet& waits);

  [[nodiscard]] std::size_t areas() const { return live_.size(); }
  [[nodiscard]] std::size_t freed() const { return freed_.size(); }

 private:
  struct Part {
    std::uint64_t last = 0;
    std::uint64_t count = 0;
    std::uint64_t age = 0;  // grows with each freed part
    ThreadIndex by{};
    std::vector<Wait> uses{};  // the last of each thread; of live areas
  };
  using Parts = std::map<std::uint64_t, Part>;
  struct Hull {
    std::uint64_t first;
    std::uint64_t last;
    std::uint64_t count;
  };

  static Parts::iterator first_overlap(Parts& parts, std::uint64_t first);
  void take_freed(std::uint64_t first, std::uint64_t last, WaitSet& waits);
  void fold_old_parts();

  Parts live_;
  Parts freed_;  // no part overlaps a live area
  std::map<ThreadIndex, Hull> old_freed_;
  std::uint64_t age_ = 0;
};

}  // namespace smmulab::workloads

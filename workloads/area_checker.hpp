// SPDX-License-Identifier: Apache-2.0
// AreaChecker: the mapped areas of one ioas as a trace tells of them, and whether a map overlaps
// one or an unmap finds none. Areas act as in io_pagetable.c of Linux 6.12: an unmap takes away
// whole areas inside its range, must hit at least one, and must not cut one; a failed unmap may
// have taken away some before it failed.
//
// Operations that overlap in time may have acted in either order (past_op.hpp), so a contradiction
// with a running operation is held back as a suspect until no operation that explains it can come
// any more. An area whose fate a race decides is "uncertain" and accuses nobody.
// Memory: live areas, and operations that were running at the time last seen.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "workloads/op_problem.hpp"
#include "workloads/past_op.hpp"

namespace smmulab::workloads {

class AreaChecker {
 public:
  // Each takes the next operation of the file on this ioas.
  [[nodiscard]] MaybeProblem map(const Op& op);
  [[nodiscard]] MaybeProblem unmap(const Op& op);
  [[nodiscard]] MaybeProblem unmap_all(const Op& op);
  // A copy whose source is in this ioas: areas must cover it.
  [[nodiscard]] MaybeProblem copy_from(const Op& op);
  // An operation that may have been on this ioas, or on the one that had its id before.
  void doubt(const Op& op);
  // Nothing known is certain any more.
  void doubt_all();
  // Another operation of the file, on whatever; to be called before this ioas goes.
  [[nodiscard]] MaybeProblem advance(const Op& op);
  // No operation issued up to now is running any more (a phase, the end of the file).
  [[nodiscard]] MaybeProblem settle();
  [[nodiscard]] std::size_t areas() const { return areas_.size(); }

 private:
  struct Range {
    std::uint64_t first;
    std::uint64_t last;
    [[nodiscard]] bool overlaps(const Range& o) const { return first <= o.last && o.first <= last; }
    [[nodiscard]] bool contains(const Range& o) const { return first <= o.first && o.last <= last; }
  };
  struct Area {
    std::uint64_t last;
    PastOp made;
    bool certain;
  };
  struct Suspect {
    Range range;
    PastOp op;       // it is innocent if explained before its end
    bool needs_map;  // else: needs an unmap that takes away `range`
    std::string message;
    // Of a copy whose source is not mapped: a map of a part of the gap would explain it; of an
    // unmap it must be within.
    bool copies = false;
    [[nodiscard]] Key key() const { return copies ? Key::kFrom : Key::kIova; }
  };
  struct Flight {
    Range range;
    PastOp op;
  };
  using Areas = std::map<std::uint64_t, Area>;

  [[nodiscard]] MaybeProblem accuse(const Op& op, Suspect suspect);
  [[nodiscard]] Areas::iterator first_overlap(Range range);
  [[nodiscard]] bool unmap_in_flight(const Op& op, Range range) const;
  [[nodiscard]] MaybeProblem remove(const Op& op, Range range, bool& hit);
  Areas::iterator give_way(Areas::iterator it, Range range, bool raced);
  void note_unmap(const Op& op, Range range);
  void blur(Range range);

  Areas areas_;
  std::vector<Flight> unmaps_;
  std::vector<Flight> gave_way_;  // areas that were gone when that map took effect
  std::vector<Suspect> suspects_;
};

}  // namespace smmulab::workloads

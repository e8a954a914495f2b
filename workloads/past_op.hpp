// SPDX-License-Identifier: Apache-2.0
// What order a recording proves between two operations. Only issue time and duration were recorded,
// so two operations that overlap in time may have taken effect either way round: neither is judged
// against the other. An operation without recorded duration counts as done in file order.
#pragma once

#include <algorithm>
#include <cstdint>

#include "workloads/op.hpp"

namespace smmulab::workloads {

struct PastOp {
  SimTime end{};
  std::uint64_t line = 0;
  ThreadIndex by{};
  bool timed = false;  // end is known

  PastOp() = default;
  explicit PastOp(const Op& op)
      : end(op.issue + (op.has_duration() ? op.duration : Ps{0})),
        line(op.line),
        by(op.thread),
        timed(op.has_duration()) {}

  // Stands for two operations of which either may have been the later.
  void merge(const PastOp& other) {
    end = std::max(end, other.end);
    by = kNoThread;
    timed = true;
  }

  [[nodiscard]] bool merged() const { return timed && by == kNoThread; }

  // Certainly done when a later operation of the file began.
  [[nodiscard]] bool done_before(const Op& later) const {
    return !timed || by == later.thread || end < later.issue;
  }
};

}  // namespace smmulab::workloads

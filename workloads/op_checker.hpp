// SPDX-License-Identifier: Apache-2.0
// OpChecker: whether the operations of a trace, in file order, make sense together: values in
// range, times in order, objects made before used, areas mapped before unmapped. Operations
// recorded with an error change nothing and may name what does not exist (that may be why they
// failed). Not judged: whether a device or an access is attached and what an access pins, errnos
// (that is the replay's comparison), the order of operations that overlap in time. Memory: live
// objects, live areas, threads.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "workloads/area_checker.hpp"
#include "workloads/object_checker.hpp"
#include "workloads/op_problem.hpp"
#include "workloads/trace_header.hpp"

namespace smmulab::workloads {

class OpChecker {
 public:
  explicit OpChecker(const TraceHeader& header);

  // The next operation (not a phase). Problems name op.line, or the line of an earlier operation.
  [[nodiscard]] MaybeProblem check(const Op& op);
  // A phase or the end of the trace: all operations up to here have ended.
  [[nodiscard]] MaybeProblem settle();

 private:
  struct Ioas {
    PastOp made;
    AreaChecker areas;
  };

  [[nodiscard]] MaybeProblem check_values(const Op& op) const;
  [[nodiscard]] static MaybeProblem check_numbers(const Op& op);
  [[nodiscard]] static MaybeProblem check_range(const Op& op);
  [[nodiscard]] MaybeProblem check_time(const Op& op);
  [[nodiscard]] MaybeProblem check_names(const Op& op) const;
  [[nodiscard]] MaybeProblem check_uses(const Op& op);
  [[nodiscard]] MaybeProblem check_objects(const Op& op);
  [[nodiscard]] MaybeProblem check_ioas_alloc(const Op& op);
  [[nodiscard]] MaybeProblem check_destroy(const Op& op);
  [[nodiscard]] AreaChecker* areas_of(const Op& op, ObjectId id);
  [[nodiscard]] MaybeProblem check_areas(const Op& op);

  std::size_t devices_;
  SimTime last_issue_{};
  std::uint64_t last_line_ = 0;
  std::vector<PastOp> last_of_thread_;
  ObjectChecker objects_;
  std::map<ObjectId, Ioas> ioases_;  // live ones
};

}  // namespace smmulab::workloads

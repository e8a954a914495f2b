// SPDX-License-Identifier: Apache-2.0
// Waits: one replay with a record, read by blame and critical path. The record goes as soon as it
// is read: only results cross, as JSON text.
#include <optional>
#include <string>

#include <pybind11/functional.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "analysis/blame.hpp"
#include "analysis/critical_path.hpp"
#include "analysis/tracepoints.hpp"
#include "python/bindings/register.hpp"
#include "python/bindings/replaying.hpp"
#include "workloads/replay.hpp"
#include "workloads/report_json.hpp"

namespace smmulab::bindings {
namespace {

namespace py = pybind11;

struct Waits {
  std::string result;
  std::string blame;
  std::string critical_path;
  std::string tracepoints;
};

Waits waits(const std::string& trace, const std::string& protocol, const Assignments& assignments,
            const std::optional<std::string>& machine, const Progress& progress) {
  return recorded(trace, protocol, assignments, machine, progress, false,
                  [](const Record& record, const workloads::ReplayResult& result) {
                    const analysis::Timelines timelines(record);
                    return Waits{
                        workloads::to_json(result), analysis::to_json(analysis::blame(timelines)),
                        analysis::to_json(analysis::critical_path(timelines)),
                        analysis::to_json(analysis::tracepoints(record, letters_of(result)))};
                  });
}

}  // namespace

void register_waits(py::module_& m) {
  py::class_<Waits>(m, "Waits", "Who waited for whom in a replay, and its critical path; as JSON.")
      .def_readonly("result", &Waits::result)
      .def_readonly("blame", &Waits::blame)
      .def_readonly("critical_path", &Waits::critical_path)
      .def_readonly("tracepoints", &Waits::tracepoints);
  m.def("waits", &waits, py::arg("trace"), py::arg("protocol"), py::arg("assignments"),
        py::arg("machine") = py::none(), py::arg("progress") = py::none(),
        "Replays a trace with a record and reads what its threads waited for.");
}

}  // namespace smmulab::bindings

// SPDX-License-Identifier: Apache-2.0
// Lockdep: replays of one trace, or of the covering set, with their records read by the analysis.
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <pybind11/functional.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "analysis/lockdep.hpp"
#include "analysis/lockdep_json.hpp"
#include "analysis/lockdep_text.hpp"
#include "models/iommufd/protocol.hpp"
#include "python/bindings/register.hpp"
#include "python/bindings/replaying.hpp"
#include "workloads/covering_set.hpp"

namespace smmulab::bindings {
namespace {

namespace py = pybind11;

struct Lockdep {
  std::string text;
  std::string dot;
  std::string json;
  std::size_t hazards = 0;
};

// Reads runs as they end: a record lives no longer than its run.
class Reader {
 public:
  void add(const workloads::RecordedRun& run) {
    const bool ok = run.status == "ok";
    builder_.add(run.record, {run.name, ok ? "" : fmt::format("{}: {}", run.status, run.message),
                              run.status == "model error"});
  }
  [[nodiscard]] Lockdep result(const std::string& title) const {
    const analysis::LockdepReport report = analysis::lockdep(builder_.graph());
    return {analysis::to_text(report, title), analysis::to_dot(report, title),
            analysis::to_json(report, title), report.hazard_count()};
  }

 private:
  analysis::LockGraphBuilder builder_;
};

Lockdep lockdep(const std::string& protocol, const Assignments& assignments,
                const std::optional<std::string>& machine, const std::optional<std::string>& trace,
                const Progress& progress) {
  const std::string name{iommufd::find_protocol(protocol).name};
  const workloads::Settings settings = settings_of(machine, assignments);
  return interruptible(progress, [&](const auto& watch) {
    Reader reader;
    if (trace) {
      reader.add(workloads::record_trace(*trace, *trace, settings, protocol, watch));
      return reader.result(fmt::format("{}, {}", name, *trace));
    }
    workloads::record_covering_set(
        settings, protocol, [&reader](const workloads::RecordedRun& run) { reader.add(run); },
        watch);
    return reader.result(fmt::format("{}, covering set", name));
  });
}

}  // namespace

void register_lockdep(py::module_& m) {
  py::class_<Lockdep>(m, "Lockdep", "What lockdep says about the locks of a protocol.")
      .def_readonly("text", &Lockdep::text)
      .def_readonly("dot", &Lockdep::dot)
      .def_readonly("json", &Lockdep::json)
      .def_readonly("hazards", &Lockdep::hazards);
  m.def("lockdep", &lockdep, py::arg("protocol"), py::arg("assignments"),
        py::arg("machine") = py::none(), py::arg("trace") = py::none(),
        py::arg("progress") = py::none(),
        "Replays a trace, or the covering set, and reads its locks as lockdep does.");
}

}  // namespace smmulab::bindings

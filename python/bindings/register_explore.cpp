// SPDX-License-Identifier: Apache-2.0
// Explore: every order of a small case's steps.
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <pybind11/functional.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "python/bindings/register.hpp"
#include "python/bindings/replaying.hpp"
#include "workloads/explore/explore_protocol.hpp"

namespace smmulab::bindings {
namespace {

namespace py = pybind11;

struct Explored {
  std::string text;
  std::string json;
  bool failed = false;
  bool exhaustive = true;
};

Explored explore_cases(const std::string& protocol, const Assignments& assignments,
                       const std::optional<std::string>& machine,
                       const std::optional<std::string>& trace,
                       const std::vector<std::string>& cases, std::uint64_t max_schedules,
                       const Progress& progress) {
  const workloads::Settings settings = settings_of(machine, assignments);
  return interruptible(progress, [&](const auto& watch) {
    const explore::Report report =
        explore::explore_protocol({protocol, trace, cases, max_schedules, watch}, settings);
    return Explored{explore::to_text(report), explore::to_json(report), report.failed(),
                    report.exhaustive()};
  });
}

std::pair<std::string, bool> replay_schedule(const std::string& protocol,
                                             const Assignments& assignments,
                                             const std::string& schedule,
                                             const std::optional<std::string>& machine,
                                             const std::optional<std::string>& trace) {
  const py::gil_scoped_release release;
  explore::Shown shown = explore::show_schedule({protocol, trace, {}, 1, {}}, schedule,
                                                settings_of(machine, assignments));
  return {std::move(shown.text), !shown.failures.empty()};
}

}  // namespace

void register_explore(py::module_& m) {
  py::class_<Explored>(m, "Explored", "What came of every order of some small cases.")
      .def_readonly("text", &Explored::text)
      .def_readonly("json", &Explored::json)
      .def_readonly("failed", &Explored::failed)
      .def_readonly("exhaustive", &Explored::exhaustive);
  m.def("explore", &explore_cases, py::arg("protocol"), py::arg("assignments"),
        py::arg("machine") = py::none(), py::arg("trace") = py::none(),
        py::arg("cases") = std::vector<std::string>{}, py::arg("max_schedules") = 1'000'000,
        py::arg("progress") = py::none(),
        "Runs the built-in cases, or a trace, in every order of their steps that matters.");
  m.def("replay_schedule", &replay_schedule, py::arg("protocol"), py::arg("assignments"),
        py::arg("schedule"), py::arg("machine") = py::none(), py::arg("trace") = py::none(),
        "(time line, whether it failed) of one schedule of a case.");
}

}  // namespace smmulab::bindings

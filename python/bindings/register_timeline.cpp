// SPDX-License-Identifier: Apache-2.0
// Timeline: one replay with a record, written as a trace for Perfetto.
#include <cerrno>
#include <fstream>
#include <optional>
#include <string>
#include <system_error>

#include <fmt/format.h>
#include <pybind11/functional.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "analysis/perfetto_export.hpp"
#include "models/smmuv3/driver/opcode_name.hpp"
#include "python/bindings/register.hpp"
#include "python/bindings/replaying.hpp"
#include "sim/error.hpp"
#include "workloads/replay.hpp"
#include "workloads/report_json.hpp"

namespace smmulab::bindings {
namespace {

namespace py = pybind11;

void write(const Record& record, const std::string& path) {
  const auto fail = [&path] {
    throw ConfigError(
        fmt::format("{}: cannot be written: {}", path, std::generic_category().message(errno)));
  };
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  if (!out) {
    fail();
  }
  analysis::write_perfetto(analysis::Timelines(record), out, smmu::opcode_name);
  out.close();
  if (!out) {
    fail();
  }
}

std::string timeline(const std::string& trace, const std::string& protocol,
                     const Assignments& assignments, const std::string& out,
                     const std::optional<std::string>& machine, const Progress& progress) {
  const workloads::Settings settings = settings_of(machine, assignments);
  return interruptible(progress, [&](const auto& watch) {
    Record record;
    workloads::ReplayOptions options;
    options.protocol = protocol;
    options.record = &record;
    options.record_objects = true;
    options.progress = watch;
    const workloads::ReplayResult result = workloads::replay(trace, settings, options);
    write(record, out);
    return workloads::to_json(result);
  });
}

}  // namespace

void register_timeline(py::module_& m) {
  m.def("timeline", &timeline, py::arg("trace"), py::arg("protocol"), py::arg("assignments"),
        py::arg("out"), py::arg("machine") = py::none(), py::arg("progress") = py::none(),
        "Replays a trace with a record and writes it for Perfetto; the result as JSON.");
}

}  // namespace smmulab::bindings

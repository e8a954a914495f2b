// SPDX-License-Identifier: Apache-2.0
// Replays, settings and importers. Results cross as JSON text, so that the Python half needs no
// binding for each field.
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <pybind11/functional.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "analysis/lock_sequences.hpp"
#include "models/iommufd/protocol.hpp"
#include "python/bindings/register.hpp"
#include "python/bindings/replaying.hpp"
#include "workloads/dma/dma_trace.hpp"
#include "workloads/import_ops_log.hpp"
#include "workloads/ops_file.hpp"
#include "workloads/replay.hpp"
#include "workloads/report_json.hpp"
#include "workloads/trace_format.hpp"

namespace smmulab::bindings {
namespace {

namespace py = pybind11;
using workloads::Settings;

std::string replay_json(const std::string& trace, const std::string& protocol,
                        const Assignments& assignments, const std::optional<std::string>& machine,
                        const std::string& engine, const std::optional<std::string>& ops,
                        const Progress& progress, const std::optional<std::string>& dma_trace) {
  const Settings settings = settings_of(machine, assignments);
  workloads::ReplayOptions options;
  options.protocol = protocol;
  options.engine = parse_engine_kind(engine);
  return interruptible(progress, [&](const auto& watch) {
    options.progress = watch;
    std::optional<workloads::RecordedDma> dma;
    if (dma_trace) {
      dma = workloads::dma::read_recorded_dma(*dma_trace);
      options.dma = &*dma;
    }
    std::unique_ptr<workloads::OpsFile> file;
    if (ops) {
      file = std::make_unique<workloads::OpsFile>(*ops);
      options.sink = [&file](const workloads::OpOutcome& outcome) { file->write(outcome); };
    }
    const workloads::ReplayResult result = workloads::replay(trace, settings, options);
    if (file) {
      file->finish();
    }
    return workloads::to_json(result);
  });
}

using SequenceRow = std::tuple<std::string, std::string, std::uint64_t>;

std::vector<SequenceRow> lock_sequences(const std::string& trace, const std::string& protocol,
                                        const Assignments& assignments,
                                        const std::optional<std::string>& machine,
                                        const Progress& progress) {
  return recorded(trace, protocol, assignments, machine, progress, false,
                  [](const Record& record, const workloads::ReplayResult& result) {
                    std::vector<SequenceRow> rows;
                    const auto found = analysis::lock_sequences(record, letters_of(result));
                    rows.reserve(found.size());
                    for (const auto& [key, count] : found) {
                      rows.emplace_back(key.first, key.second, count);
                    }
                    return rows;
                  });
}

// Settings with their table, made once: making a table takes far longer than setting a value.
struct Described {
  Settings settings;
  ParamTable table;
  Described() { workloads::describe(table, settings); }
};

std::string canonical_value(const std::string& key, const std::string& value) {
  static Described described;  // the GIL is held
  described.table.set(key, value);
  return described.table.get(key);
}

void register_lists(py::module_& m) {
  py::class_<ParamInfo>(m, "Parameter", "One parameter: what it is, its range, where it is from.")
      .def_readonly("key", &ParamInfo::key)
      .def_readonly("unit", &ParamInfo::unit)
      .def_readonly("doc", &ParamInfo::doc)
      .def_readonly("provenance", &ParamInfo::provenance)
      .def_readonly("default", &ParamInfo::default_value)
      .def_readonly("minimum", &ParamInfo::minimum)
      .def_readonly("maximum", &ParamInfo::maximum);
  m.def(
      "parameters",
      [] {
        Settings settings;
        ParamTable table;
        workloads::describe(table, settings);
        return table.describe();
      },
      "Every parameter, in the order of its component.");
  m.def(
      "presets",
      [] {
        std::vector<std::pair<std::string, std::string>> rows;
        for (const workloads::PresetInfo& p : workloads::presets()) {
          rows.emplace_back(p.name, p.description);
        }
        return rows;
      },
      "(name, description) of each machine preset.");
  m.def(
      "protocols",
      [] {
        std::vector<std::tuple<std::string, std::string, std::string>> rows;
        for (const iommufd::ProtocolInfo& p : iommufd::protocols()) {
          rows.emplace_back(p.name, p.kernel, p.description);
        }
        return rows;
      },
      "(name, kernel version or series, description) of each protocol.");
  m.def(
      "protocol_history",
      [](const std::string& protocol) {
        return std::string(iommufd::find_protocol(protocol).history);
      },
      py::arg("protocol"),
      "Where the protocol comes from and what became of it. Raises ConfigError with the nearest "
      "name.");
  m.def(
      "hazards",
      [](const std::string& protocol) {
        std::vector<std::tuple<std::string, std::string, std::string>> rows;
        for (const std::string_view name : iommufd::find_protocol(protocol).hazards) {
          const iommufd::Hazard& hazard = iommufd::find_hazard(name);
          rows.emplace_back(hazard.name, hazard.effect, hazard.mend);
        }
        return rows;
      },
      py::arg("protocol"),
      "(name, effect, parameter that mends it or \"\") of what goes wrong in a protocol.");
  m.def(
      "check_protocol", [](const std::string& name) { (void)iommufd::find_protocol(name); },
      py::arg("name"), "Raises ConfigError, with the nearest name, if there is no such protocol.");
}

void register_import(py::module_& m) {
  using workloads::ImportSummary;
  py::class_<ImportSummary>(m, "ImportSummary", "What an import read and wrote.")
      .def_readonly("kind", &ImportSummary::kind)
      .def_readonly("source_hash", &ImportSummary::source_hash)
      .def_readonly("operations", &ImportSummary::operations)
      .def_readonly("failed", &ImportSummary::failed)
      .def_readonly("devices", &ImportSummary::devices)
      .def_readonly("threads", &ImportSummary::threads)
      .def_readonly("cpus", &ImportSummary::cpus);
  m.def("detect_log_kind", &workloads::detect_log_kind, py::arg("path"),
        "The kind of a recorded log; raises TraceError if it is none that can be imported.");
  m.def(
      "import_ops_log",
      [](const std::string& log, const std::string& trace, std::optional<std::uint32_t> cpus,
         const std::string& source, const std::string& kernel, const Progress& progress) {
        return interruptible(progress, [&](const auto& watch) {
          workloads::ImportOptions options;
          options.cpus = cpus;
          options.source = source;
          options.kernel = kernel;
          options.progress = watch;
          return workloads::import_ops_log(log, trace, options);
        });
      },
      py::arg("log"), py::arg("trace"), py::arg("cpus") = py::none(), py::arg("source") = "",
      py::arg("kernel") = "", py::arg("progress") = py::none(),
      "Converts an operation log of the recorder into a trace. `progress` is told of operations.");
}

}  // namespace

void register_workloads(py::module_& m) {
  register_lists(m);
  register_import(m);
  m.def("trace_hash", &workloads::trace_hash, py::arg("path"),
        "XXH3-128 of the uncompressed bytes, 32 hexadecimal digits.");
  m.def(
      "resolve",
      [](const Assignments& assignments, const std::optional<std::string>& machine,
         const std::vector<std::string>& other_tables) {
        return workloads::settings_json(settings_of(machine, assignments, other_tables));
      },
      py::arg("assignments"), py::arg("machine") = py::none(),
      py::arg("other_tables") = std::vector<std::string>{},
      "The resolved configuration as canonical JSON. Tables of the machine file that are named in "
      "`other_tables` are left to the caller.");
  m.def(
      "check_counted_costs",
      [](const Assignments& assignments) {
        const workloads::Settings settings = settings_of(std::nullopt, assignments);
        smmu::check_counted_costs(settings.hardware, settings.driver);
      },
      py::arg("assignments"),
      "ConfigError for a cost of counted hardware (hw.*) that is set where hardware is timed.");
  m.def("canonical_value", &canonical_value, py::arg("key"), py::arg("value"),
        "The value of a parameter in its canonical text.");
  m.def("replay_json", &replay_json, py::arg("trace"), py::arg("protocol"), py::arg("assignments"),
        py::arg("machine") = py::none(), py::arg("engine") = "native", py::arg("ops") = py::none(),
        py::arg("progress") = py::none(), py::arg("dma_trace") = py::none(),
        "One replay, its devices' DMA from `dma_trace` if there is one; its result as JSON text.");
  m.def("lock_sequences", &lock_sequences, py::arg("trace"), py::arg("protocol"),
        py::arg("assignments"), py::arg("machine") = py::none(), py::arg("progress") = py::none(),
        "(operation, lock words joined by '; ', count) of a replay.");
}

}  // namespace smmulab::bindings

// SPDX-License-Identifier: Apache-2.0
// The SMMU's caches: QEMU logs checked and imported, DMA traces and patterns run. Results are JSON.
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <pybind11/functional.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "models/smmuv3/driver/stream_params.hpp"
#include "python/bindings/register.hpp"
#include "python/bindings/replaying.hpp"
#include "workloads/dma/patterns.hpp"
#include "workloads/qemu_smmu/dma_export.hpp"
#include "workloads/qemu_smmu/run_log.hpp"

namespace smmulab::bindings {
namespace {

namespace py = pybind11;

std::string check_qemu_log(const std::string& path, const std::string& name,
                           const Progress& progress) {
  return interruptible(progress, [&](const auto& watch) {
    return workloads::qemu::to_json(workloads::qemu::run_log(path, name, nullptr, watch));
  });
}

std::string import_qemu_log(const std::string& path, const std::string& trace,
                            const std::string& name, const Progress& progress) {
  return interruptible(progress, [&](const auto& watch) {
    workloads::qemu::DmaExport sink(trace);
    sink.writer().comment("from the QEMU SMMU trace log " + name);
    const auto report = workloads::qemu::run_log(path, name, &sink, watch);
    sink.writer().commit();
    return workloads::qemu::to_json(report);
  });
}

std::vector<std::pair<std::string, std::string>> smmu_presets() {
  std::vector<std::pair<std::string, std::string>> rows;
  for (const smmu::hw::SmmuPreset& preset : smmu::hw::smmu_presets()) {
    rows.emplace_back(preset.name, preset.description);
  }
  return rows;
}

workloads::Settings with_point(workloads::Settings settings, const Assignments& point) {
  for (const std::string& assignment : point) {
    workloads::apply_assignment(assignment, settings);
  }
  return settings;
}

// With latencies of so many accesses under way (0: without), where there are the caches that a
// timed SMMU must have.
template <class Run>
std::string study_json(const std::string& name, const workloads::Settings& settings,
                       std::uint32_t outstanding, const Run& run) {
  workloads::dma::DmaStudy study(settings.smmuv3, name);
  const bool both = settings.smmuv3.utlb_entries != 0 && settings.smmuv3.cc_entries != 0;
  if (outstanding != 0 && both) {
    study.measure(smmu::with_caches(settings.hardware.timed, settings.smmuv3), outstanding);
  }
  run(study);
  return workloads::dma::to_json(study.counts(), study.latencies());
}

// One study for each list of assignments, on `settings`. `run` gets a function to call now and
// then: it throws what Ctrl-C raises.
template <class Run>
std::vector<std::string> run_studies(const std::string& name, const workloads::Settings& settings,
                                     const std::vector<Assignments>& points,
                                     std::uint32_t outstanding, const Run& run) {
  return interruptible({}, [&](const std::function<bool(std::uint64_t)>& watch) {
    const auto look = [&watch] {
      if (!watch(0)) {
        throw Interrupted("interrupted");
      }
    };
    std::vector<std::string> results;
    for (const Assignments& point : points) {
      look();
      results.push_back(study_json(name, with_point(settings, point), outstanding,
                                   [&](workloads::dma::DmaStudy& study) { run(study, look); }));
    }
    return results;
  });
}

std::vector<std::string> run_dma_trace(const std::string& trace, const Assignments& assignments,
                                       const std::vector<Assignments>& points,
                                       const std::optional<std::string>& machine,
                                       std::uint32_t outstanding) {
  const workloads::Settings settings = settings_of(machine, assignments);
  std::vector<workloads::dma::DmaOp> ops;
  {
    const py::gil_scoped_release release;
    ops = workloads::dma::read_dma_trace(trace);
  }
  return run_studies(trace, settings, points, outstanding,
                     [&ops](workloads::dma::DmaStudy& study, const auto& look) {
                       constexpr std::uint64_t kLookEvery = 65536;
                       std::uint64_t n = 0;
                       for (const workloads::dma::DmaOp& op : ops) {
                         study.run(op);
                         if (++n % kLookEvery == 0) {
                           look();
                         }
                       }
                     });
}

std::vector<std::string> run_dma_pattern(const std::string& name, std::uint64_t footprint,
                                         std::uint64_t page, std::uint64_t stride,
                                         std::uint64_t accesses, const Assignments& assignments,
                                         const std::vector<Assignments>& points,
                                         const std::optional<std::string>& machine,
                                         std::uint32_t outstanding) {
  const workloads::Settings settings = settings_of(machine, assignments);
  return run_studies("pattern " + name, settings, points, outstanding,
                     [&](workloads::dma::DmaStudy& study, const auto& /*look*/) {
                       workloads::dma::run_pattern({name, footprint, page, stride, accesses, 1},
                                                   study);
                     });
}

}  // namespace

void register_smmu(py::module_& m) {
  m.def("looks_like_qemu_log", &workloads::qemu::looks_like_qemu_log, py::arg("path"),
        "Is there an event of QEMU's -trace 'smmu*' in this file?");
  m.def("check_qemu_log", &check_qemu_log, py::arg("path"), py::arg("name"),
        py::arg("progress") = py::none(), "Holds the model to a QEMU log; the report as JSON.");
  m.def("import_qemu_log", &import_qemu_log, py::arg("path"), py::arg("trace"), py::arg("name"),
        py::arg("progress") = py::none(), "Writes a QEMU log as a DMA trace; the report as JSON.");
  m.def("smmu_presets", &smmu_presets, "(name, description) of each SMMU preset.");
  m.def("parse_size", &workloads::dma::parse_size, py::arg("text"),
        "Bytes of \"64k\", \"2M\", \"0x1000\"; None if it is no size.");
  m.def("run_dma_trace", &run_dma_trace, py::arg("trace"), py::arg("assignments"),
        py::arg("points"), py::arg("machine") = py::none(), py::arg("outstanding") = 0,
        "Counts of a DMA trace, as JSON, for each list of further assignments in `points`; what "
        "translations take with so many accesses `outstanding` (0: null).");
  m.def("run_dma_pattern", &run_dma_pattern, py::arg("name"), py::arg("footprint"), py::arg("page"),
        py::arg("stride"), py::arg("accesses"), py::arg("assignments"), py::arg("points"),
        py::arg("machine") = py::none(), py::arg("outstanding") = 0,
        "The same of a built-in DMA pattern.");
}

}  // namespace smmulab::bindings

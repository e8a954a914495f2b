// SPDX-License-Identifier: Apache-2.0
// The map+unmap loop of the DMA API.
#include <cstdint>
#include <optional>
#include <string>

#include <pybind11/functional.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "python/bindings/register.hpp"
#include "python/bindings/replaying.hpp"
#include "workloads/map_bench_json.hpp"

namespace smmulab::bindings {
namespace {

namespace py = pybind11;

std::string map_bench(std::uint32_t cpus, const Assignments& assignments,
                      const std::optional<std::string>& machine, std::uint64_t rounds,
                      std::uint64_t size, std::uint32_t in_flight, std::uint64_t seed,
                      const Progress& progress) {
  const workloads::Settings settings = settings_of(machine, assignments);
  return interruptible(progress, [&](const auto& watch) {
    dma_iommu::MapBenchOptions options;
    options.cpus = cpus;
    options.rounds = rounds;
    options.size = Bytes{size};
    options.in_flight = in_flight;
    options.seed = seed;
    options.progress = watch;
    return workloads::map_bench_json(settings, options);
  });
}

}  // namespace

void register_map_bench(py::module_& m) {
  m.def("map_bench", &map_bench, py::arg("cpus"), py::arg("assignments"),
        py::arg("machine") = py::none(), py::arg("rounds") = 20'000, py::arg("size") = 4096,
        py::arg("in_flight") = 1, py::arg("seed") = 1, py::arg("progress") = py::none(),
        "The map+unmap loop of the DMA API on the first CPUs of a machine; JSON.");
}

}  // namespace smmulab::bindings

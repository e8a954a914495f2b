// SPDX-License-Identifier: Apache-2.0
// Topology: groups, device sets and stream ids of a PCIe host, and traces for it.
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "models/pcie/read_sysfs.hpp"
#include "models/pcie/report.hpp"
#include "python/bindings/register.hpp"
#include "python/bindings/replaying.hpp"
#include "workloads/header_text.hpp"
#include "workloads/topology_trace.hpp"

namespace smmulab::bindings {
namespace {

namespace py = pybind11;

class Topology {
 public:
  Topology(const std::string& path, const std::string& settings)
      : host_(pcie::read_host(path, settings)) {}

  [[nodiscard]] std::string text() const { return pcie::to_text(host_); }
  [[nodiscard]] std::string json() const { return pcie::to_json(host_); }
  [[nodiscard]] std::string dot() const { return pcie::to_dot(host_); }
  [[nodiscard]] std::size_t unlike_recorded() const { return host_.unlike_recorded().size(); }
  [[nodiscard]] std::string trace_header(std::vector<std::string> devices,
                                         std::uint32_t cpus) const {
    return workloads::format_header(workloads::header_of(host_, {std::move(devices), cpus}));
  }
  void write_trace(const std::string& path, std::uint64_t replaces,
                   std::vector<std::string> devices, std::uint32_t cpus) const {
    const workloads::TraceHeader header = workloads::header_of(host_, {std::move(devices), cpus});
    interruptible({}, [&](const std::function<bool(std::uint64_t)>& watch) {
      workloads::write_replace_trace(path, header, replaces, watch);
    });
  }

 private:
  pcie::Host host_;
};

}  // namespace

void register_topology(py::module_& m) {
  py::class_<Topology>(m, "Topology", "A PCIe host with its iommu groups and VFIO device sets.")
      .def(py::init<const std::string&, const std::string&>(), py::arg("path"),
           py::arg("settings") = "")
      .def("text", &Topology::text)
      .def("json", &Topology::json)
      .def("dot", &Topology::dot)
      .def_property_readonly("unlike_recorded", &Topology::unlike_recorded)
      .def("trace_header", &Topology::trace_header, py::arg("devices") = std::vector<std::string>{},
           py::arg("cpus") = 0)
      .def("write_trace", &Topology::write_trace, py::arg("path"), py::arg("replaces"),
           py::arg("devices") = std::vector<std::string>{}, py::arg("cpus") = 0);
}

}  // namespace smmulab::bindings

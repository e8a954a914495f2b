// SPDX-License-Identifier: Apache-2.0
#include <optional>
#include <string>

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "python/bindings/register.hpp"

#include "build_info.hpp"

namespace smmulab::bindings {
namespace {

// Static facts of one build; a class of its own so that Python sees names, not a dict.
struct BuildInfo {
  std::string version{build_info::kVersion};
  std::string compiler{build_info::kCompiler};
  std::string build_type{build_info::kBuildType};
  std::optional<std::string> simgrid =
      build_info::kSimgridVersion.empty() ? std::nullopt
                                          : std::optional<std::string>{build_info::kSimgridVersion};
};

}  // namespace

void register_build_info(pybind11::module_& m) {
  namespace py = pybind11;
  py::class_<BuildInfo>(m, "BuildInfo", "What this build is made of.")
      .def_readonly("version", &BuildInfo::version)
      .def_readonly("compiler", &BuildInfo::compiler)
      .def_readonly("build_type", &BuildInfo::build_type)
      .def_readonly("simgrid", &BuildInfo::simgrid);
  m.def("build_info", [] { return BuildInfo{}; });
}

}  // namespace smmulab::bindings

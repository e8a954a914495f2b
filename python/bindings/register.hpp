// SPDX-License-Identifier: Apache-2.0
// The parts of the extension module, one register_*.cpp each. module.cpp calls them in order: a
// part that names a type of another one comes after it.
#pragma once

#include <pybind11/pybind11.h>

namespace smmulab::bindings {

void register_build_info(pybind11::module_& m);
void register_errors(pybind11::module_& m);
void register_explore(pybind11::module_& m);
void register_lockdep(pybind11::module_& m);
void register_map_bench(pybind11::module_& m);
void register_protocols(pybind11::module_& m);
void register_smmu(pybind11::module_& m);
void register_waits(pybind11::module_& m);
void register_timeline(pybind11::module_& m);
void register_topology(pybind11::module_& m);
void register_workloads(pybind11::module_& m);

}  // namespace smmulab::bindings

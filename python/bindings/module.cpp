// SPDX-License-Identifier: Apache-2.0
// Table of contents of smmulab._core. The module is private: users see the Python package.
#include "python/bindings/register.hpp"

PYBIND11_MODULE(_core, m) {
  m.doc() = "C++ half of smmulab; use the package smmulab instead.";
  smmulab::bindings::register_errors(m);
  smmulab::bindings::register_build_info(m);
  smmulab::bindings::register_workloads(m);
  smmulab::bindings::register_protocols(m);
  smmulab::bindings::register_waits(m);
  smmulab::bindings::register_lockdep(m);
  smmulab::bindings::register_map_bench(m);
  smmulab::bindings::register_explore(m);
  smmulab::bindings::register_timeline(m);
  smmulab::bindings::register_topology(m);
  smmulab::bindings::register_smmu(m);
}

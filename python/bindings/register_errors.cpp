// SPDX-License-Identifier: Apache-2.0
// Each class of sim/error.hpp becomes a Python exception of the same name. The fields of TraceError
// and DeadlockError become attributes of the exception object, so that it still pickles.
#include <exception>
#include <utility>

#include <pybind11/gil_safe_call_once.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "python/bindings/register.hpp"
#include "sim/error.hpp"

namespace smmulab::bindings {
namespace {

namespace py = pybind11;
using ExceptionClass = py::gil_safe_call_once_and_store<py::object>;

void register_trace_error(py::module_& m, const py::handle& base) {
  PYBIND11_CONSTINIT static ExceptionClass type;
  type.call_once_and_store_result([&] { return py::exception<TraceError>(m, "TraceError", base); });
  py::register_exception_translator([](std::exception_ptr pending) {
    try {
      std::rethrow_exception(std::move(pending));
    } catch (const TraceError& error) {
      const py::object value = type.get_stored()(error.what());
      value.attr("file") = error.file();
      value.attr("line") = error.line();
      value.attr("column") = error.column();
      PyErr_SetObject(type.get_stored().ptr(), value.ptr());
    }
  });
}

void register_deadlock_error(py::module_& m, const py::handle& base) {
  PYBIND11_CONSTINIT static ExceptionClass type;
  type.call_once_and_store_result(
      [&] { return py::exception<DeadlockError>(m, "DeadlockError", base); });
  py::register_exception_translator([](std::exception_ptr pending) {
    try {
      std::rethrow_exception(std::move(pending));
    } catch (const DeadlockError& error) {
      const py::object value = type.get_stored()(error.what());
      value.attr("cycle") = error.cycle();
      PyErr_SetObject(type.get_stored().ptr(), value.ptr());
    }
  });
}

}  // namespace

void register_errors(py::module_& m) {
  // The last one registered is asked first, so the base comes before what derives from it.
  const auto base = py::register_exception<Error>(m, "Error");
  py::register_exception<ConfigError>(m, "ConfigError", base);
  py::register_exception<ModelError>(m, "ModelError", base);
  py::register_exception<Interrupted>(m, "Interrupted", base);
  register_trace_error(m, base);
  register_deadlock_error(m, base);
}

}  // namespace smmulab::bindings

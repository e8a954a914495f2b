// SPDX-License-Identifier: Apache-2.0
// Protocols written in Python: a generator as a Script. Python's lock is taken at each verb and
// given back before simulated time goes on, so that no other stack is entered with it. Objects of
// the simulation are handles that know when their run is over.
#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "models/iommufd/protocols/scripted.hpp"
#include "python/bindings/register.hpp"
#include "sim/error.hpp"

namespace smmulab::bindings {
namespace {

namespace py = pybind11;
using namespace iommufd;

// What handles need of their run.
struct ScriptRun {
  const Protocol* base;
};

template <class T>
struct Handle {
  T* object;
  std::weak_ptr<ScriptRun> run;

  [[nodiscard]] T& get() const {
    if (run.expired()) {
      throw ConfigError("a protocol's run is over: its devices, hwpts and ioases are gone");
    }
    return *object;
  }
};

template <class T>
py::object handle_to(T* object, const std::weak_ptr<ScriptRun>& run) {
  return object == nullptr ? py::none() : py::cast(Handle<T>{object, run});
}

template <class T>
py::list handles_to(const std::vector<T*>& objects, const std::weak_ptr<ScriptRun>& run) {
  py::list all;
  for (T* object : objects) {
    all.append(handle_to(object, run));
  }
  return all;
}

py::object to_python(const ScriptValue& value, const std::weak_ptr<ScriptRun>& run) {
  if (const std::int64_t* number = std::get_if<std::int64_t>(&value)) {
    return py::int_(*number);
  }
  if (Device* const* device = std::get_if<Device*>(&value)) {
    return handle_to(*device, run);
  }
  if (Hwpt* const* hwpt = std::get_if<Hwpt*>(&value)) {
    return handle_to(*hwpt, run);
  }
  if (Ioas* const* ioas = std::get_if<Ioas*>(&value)) {
    return handle_to(*ioas, run);
  }
  return py::none();
}

ScriptValue from_python(const py::handle& value) {
  if (value.is_none()) {
    return {};
  }
  if (py::isinstance<Handle<Device>>(value)) {
    return &value.cast<Handle<Device>>().get();
  }
  if (py::isinstance<Handle<Hwpt>>(value)) {
    return &value.cast<Handle<Hwpt>>().get();
  }
  if (py::isinstance<Handle<Ioas>>(value)) {
    return &value.cast<Handle<Ioas>>().get();
  }
  if (py::isinstance<py::int_>(value)) {
    return value.cast<std::int64_t>();
  }
  throw py::type_error(
      fmt::format("expected a device, an hwpt, an ioas, a whole number or None, not {}",
                  py::repr(value).cast<std::string>()));
}

// Of the error that is set: its traceback as Python prints it. An interrupt (Ctrl-C) is raised once
// more when the run has ended.
std::string take_error() {
  const py::error_already_set error;
  if (error.matches(PyExc_KeyboardInterrupt)) {
    PyErr_SetInterrupt();
  }
  // There is none where a call failed before its first line.
  const py::object trace = error.trace() ? py::object(error.trace()) : py::none();
  const py::object lines =
      py::module_::import("traceback").attr("format_exception")(error.type(), error.value(), trace);
  return py::str("").attr("join")(lines).attr("rstrip")().cast<std::string>();
}

class GeneratorScript final : public Script {
 public:
  GeneratorScript(py::object generator, std::weak_ptr<ScriptRun> run)
      : generator_(std::move(generator)), run_(std::move(run)) {}
  ~GeneratorScript() override {
    const py::gil_scoped_acquire gil;
    generator_ = {};
  }

  bool next(const ScriptValue& sent, Verb& verb, ScriptValue& result) override {
    const py::gil_scoped_acquire gil;
    PyObject* raw = nullptr;
    const PySendResult how = PyIter_Send(generator_.ptr(), to_python(sent, run_).ptr(), &raw);
    if (how == PYGEN_ERROR) {
      throw ScriptFailure(take_error());
    }
    const auto got = py::reinterpret_steal<py::object>(raw);
    try {
      if (how == PYGEN_RETURN) {
        result = from_python(got);
        return false;
      }
      if (!py::isinstance<Verb>(got)) {
        throw ScriptFailure(fmt::format(
            "yields {}; expected acquire(), release(), block() or another verb of smmulab.Protocol",
            py::repr(got).cast<std::string>()));
      }
      verb = got.cast<Verb>();
    } catch (const py::builtin_exception& error) {
      throw ScriptFailure(fmt::format("its result: {}", error.what()));
    }
    return true;
  }

  [[nodiscard]] std::string where() const override {
    const py::gil_scoped_acquire gil;
    py::object at = generator_;
    std::string found;
    while (py::hasattr(at, "gi_frame") && !at.attr("gi_frame").is_none()) {
      const py::object frame = at.attr("gi_frame");
      found = fmt::format("{}:{}", frame.attr("f_code").attr("co_filename").cast<std::string>(),
                          frame.attr("f_lineno").cast<int>());
      at = at.attr("gi_yieldfrom");
    }
    return found;
  }

 private:
  py::object generator_;
  std::weak_ptr<ScriptRun> run_;
};

class PythonSource final : public ScriptSource {
 public:
  // REQUIRES: Python's lock is held.
  PythonSource(py::object protocol, const std::vector<std::string>& operations,
               const Protocol& base)
      : protocol_(std::move(protocol)), run_(std::make_shared<ScriptRun>(ScriptRun{&base})) {
    for (std::size_t i = 0; i < kScriptOps.size(); ++i) {
      has_[i] = std::find(operations.begin(), operations.end(), kScriptOps[i]) != operations.end();
    }
  }
  ~PythonSource() override {
    const py::gil_scoped_acquire gil;
    protocol_ = {};
  }

  [[nodiscard]] bool has(ScriptOp op) const override { return has_[static_cast<std::size_t>(op)]; }
  std::unique_ptr<Script> start(ScriptOp op, const std::vector<ScriptValue>& args) override {
    const py::gil_scoped_acquire gil;
    py::tuple given(args.size());
    for (std::size_t i = 0; i < args.size(); ++i) {
      given[i] = to_python(args[i], run_);
    }
    const py::object method = protocol_.attr(std::string(name_of(op)).c_str());
    PyObject* raw = PyObject_Call(method.ptr(), given.ptr(), nullptr);
    if (raw == nullptr) {
      throw ScriptFailure(take_error());
    }
    auto generator = py::reinterpret_steal<py::object>(raw);
    if (PyGen_Check(generator.ptr()) == 0) {
      throw ScriptFailure("is no generator function: it has to yield its verbs");
    }
    return std::make_unique<GeneratorScript>(std::move(generator), run_);
  }

 private:
  py::object protocol_;
  std::shared_ptr<ScriptRun> run_;
  std::array<bool, kScriptOps.size()> has_{};
};

Verb make_verb(Verb::Kind kind, const std::string& name, const py::args& args,
               const std::string& mode, unsigned nesting) {
  if (mode != "write" && mode != "read") {
    throw ConfigError(fmt::format("mode '{}': expected 'read' or 'write'", mode));
  }
  Verb verb;
  verb.kind = kind;
  verb.name = name;
  verb.mode = mode == "read" ? LockMode::kRead : LockMode::kWrite;
  verb.nesting = nesting;
  for (const py::handle value : args) {
    verb.args.push_back(from_python(value));
  }
  return verb;
}

std::vector<ScriptLock> locks_of(const py::dict& locks) {
  std::vector<ScriptLock> all;
  for (const auto& [name, kind] : locks) {
    const auto text = py::str(kind).cast<std::string>();
    if (text != "mutex" && text != "rwsem") {
      throw ConfigError(fmt::format("lock '{}': '{}' is no kind of lock; expected mutex or rwsem",
                                    py::str(name).cast<std::string>(), text));
    }
    all.push_back({py::str(name).cast<std::string>(),
                   text == "mutex" ? lnx::LockKind::kMutex : lnx::LockKind::kRwsem});
  }
  return all;
}

void add_python_protocol(const std::string& key, const py::object& cls, const std::string& name,
                         const std::string& description, const std::string& base,
                         const py::dict& locks, const std::vector<std::string>& operations) {
  // Never freed: the table of protocols outlives the interpreter.
  const auto* kept = new py::object(cls);  // NOLINT(cppcoreguidelines-owning-memory)
  ScriptedInfo info{name, description, base, locks_of(locks), {}};
  info.make = [kept, operations, name](Context& /*context*/,
                                       const Protocol& of) -> std::unique_ptr<ScriptSource> {
    const py::gil_scoped_acquire gil;
    PyObject* raw = PyObject_CallNoArgs(kept->ptr());
    if (raw == nullptr) {
      throw ConfigError(fmt::format("protocol {}: cannot be made: {}", name, take_error()));
    }
    return std::make_unique<PythonSource>(py::reinterpret_steal<py::object>(raw), operations, of);
  };
  add_scripted_protocol(key, std::move(info));
}

// The same in every run, so that a set of objects has one order.
std::uint32_t number_of(const Device& device) {
  const auto& ids = device.master->stream_ids;
  return ids.empty() ? 0 : ids.front().value();
}
std::uint32_t number_of(const Object& object) {
  return object.id.value();
}

template <class T>
py::class_<Handle<T>> register_handle(py::module_& m, const char* name, const char* doc) {
  return py::class_<Handle<T>>(m, name, doc)
      .def("__eq__",
           [](const Handle<T>& self, const py::object& other) {
             return py::isinstance<Handle<T>>(other) &&
                    other.cast<Handle<T>>().object == self.object;
           })
      .def("__hash__", [](const Handle<T>& self) { return number_of(self.get()); });
}

void register_handles(py::module_& m) {
  auto device = register_handle<Device>(m, "Device", "A device, in a protocol's operation.");
  auto hwpt = register_handle<Hwpt>(m, "Hwpt", "An hwpt, in a protocol's operation.");
  auto ioas = register_handle<Ioas>(m, "Ioas", "An ioas, in a protocol's operation.");
  device.def_property_readonly("name", [](const Handle<Device>& d) { return d.get().master->name; })
      .def_property_readonly(
          "group", [](const Handle<Device>& d) { return d.get().group->id.value(); },
          "Number of its iommu group.")
      .def_property_readonly(
          "hwpt",
          [](const Handle<Device>& d) {
            const Device& it = d.get();
            return handle_to(d.run.lock()->base->attached_hwpt(it), d.run);
          },
          "What the base protocol's state says it is attached to, or None.")
      .def_property_readonly(
          "group_hwpt",
          [](const Handle<Device>& d) {
            const IommufdGroup* group = d.get().igroup;
            return handle_to(group == nullptr ? nullptr : group->hwpt, d.run);
          },
          "igroup->hwpt, or None.")
      .def_property_readonly(
          "group_devices",
          [](const Handle<Device>& d) {
            const IommufdGroup* group = d.get().igroup;
            return group == nullptr ? py::list() : handles_to(group->device_list, d.run);
          },
          "igroup->device_list.")
      .def(
          "on_domain_of",
          [](const Handle<Device>& d, const Handle<Hwpt>& h) {
            return d.get().group->domain == h.get().domain;
          },
          py::arg("hwpt"), "Whether the core has its group on that hwpt's domain.")
      .def("__repr__",
           [](const Handle<Device>& d) { return "Device(" + d.get().master->name + ")"; });
  hwpt.def_property_readonly("id", [](const Handle<Hwpt>& h) { return h.get().id.value(); })
      .def_property_readonly("ioas",
                             [](const Handle<Hwpt>& h) { return handle_to(h.get().ioas, h.run); })
      .def_property_readonly("automatic", [](const Handle<Hwpt>& h) { return h.get().auto_domain; })
      .def_property_readonly(
          "filled",
          [](const Handle<Hwpt>& h) {
            const Hwpt& it = h.get();
            return it.ioas->iopt.has_domain(*it.domain);
          },
          "Whether its domain follows the ioas's mappings.")
      .def_property_readonly("listed", [](const Handle<Hwpt>& h) { return h.get().listed; })
      .def_property_readonly(
          "devices", [](const Handle<Hwpt>& h) { return handles_to(h.get().devices, h.run); },
          "hwpt->devices (blocks hwpt_add and hwpt_remove).")
      .def("__repr__",
           [](const Handle<Hwpt>& h) { return fmt::format("Hwpt({})", h.get().id.value()); });
  ioas.def_property_readonly("id", [](const Handle<Ioas>& i) { return i.get().id.value(); })
      .def_property_readonly(
          "hwpts", [](const Handle<Ioas>& i) { return handles_to(i.get().hwpt_list, i.run); },
          "ioas->hwpt_list.")
      .def("__repr__",
           [](const Handle<Ioas>& i) { return fmt::format("Ioas({})", i.get().id.value()); });
}

}  // namespace

void register_protocols(py::module_& m) {
  register_handles(m);
  py::class_<Verb> verb(m, "Verb", "What an operation of a protocol does next.");
  const auto maker = [&verb](const char* name, Verb::Kind kind) {
    verb.def_static(
        name,
        [kind](const std::string& what, const py::args& args, const std::string& mode,
               unsigned nesting) { return make_verb(kind, what, args, mode, nesting); },
        py::arg("what"), py::kw_only(), py::arg("mode") = "write", py::arg("nesting") = 0);
  };
  maker("acquire", Verb::Kind::kAcquire);
  maker("try_acquire", Verb::Kind::kTryAcquire);
  maker("release", Verb::Kind::kRelease);
  maker("look", Verb::Kind::kLook);
  maker("block", Verb::Kind::kBlock);
  m.def("add_protocol", &add_python_protocol, py::arg("key"), py::arg("cls"), py::arg("name"),
        py::arg("description"), py::arg("base"), py::arg("locks"), py::arg("operations"),
        "Makes a class known to everything that takes a protocol's name.");
  m.def(
      "protocol_name", [](const std::string& key) { return std::string(find_protocol(key).name); },
      py::arg("key"), "The name that results show. Raises ConfigError.");
  m.def(
      "script_operations",
      [] { return std::vector<std::string>(kScriptOps.begin(), kScriptOps.end()); },
      "Operations that a protocol's methods may replace.");
  m.def(
      "script_blocks",
      [] {
        std::vector<std::tuple<std::string, std::string, std::string>> rows;
        for (const ScriptBlock& block : script_blocks()) {
          rows.emplace_back(block.name, block.args, block.description);
        }
        return rows;
      },
      "(name, a letter for each argument, description) of each block.");
  set_protocol_loader([](const std::string& key) {
    const py::gil_scoped_acquire gil;
    py::module_::import("smmulab.protocol_source").attr("load")(key);
  });
}

}  // namespace smmulab::bindings

// SPDX-License-Identifier: Apache-2.0
// What bindings that replay share: settings from a machine file and assignments; the GIL released
// while it runs; signals looked at from time to time, so that Ctrl-C works, in Jupyter too.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <pybind11/pybind11.h>

#include "analysis/lock_sequences.hpp"
#include "sim/error.hpp"
#include "workloads/replay.hpp"
#include "workloads/settings.hpp"

namespace smmulab::bindings {

using Assignments = std::vector<std::string>;
// Python's, called with the number of operations that ended; false ends the run.
using Progress = std::optional<std::function<bool(std::uint64_t)>>;

[[nodiscard]] inline workloads::Settings settings_of(
    const std::optional<std::string>& machine, const Assignments& assignments,
    const std::vector<std::string>& other_tables = {}) {
  workloads::Settings settings;
  if (machine) {
    workloads::load_machine_file(*machine, settings, other_tables);
  }
  for (const std::string& assignment : assignments) {
    workloads::apply_assignment(assignment, settings);
  }
  return settings;
}

// 'M', 'R' or 'S' by the name of a lock class, of those that the replay had.
[[nodiscard]] inline analysis::LockLetter letters_of(const workloads::ReplayResult& result) {
  std::map<std::string, char, std::less<>> letters;
  for (const workloads::LockResult& lock : result.locks) {
    letters[lock.name] = lock.kind == "mutex" ? 'M' : lock.kind == "rwsem" ? 'R' : 'S';
  }
  return [letters = std::move(letters)](std::string_view name) {
    const auto at = letters.find(name);
    return at == letters.end() ? 'M' : at->second;
  };
}

// Calls `work` without the GIL, with the progress function that its replays are to be given. What a
// signal handler or `progress` raises is raised here.
template <class Work>
auto interruptible(const Progress& progress, const Work& work) {
  namespace py = pybind11;
  std::optional<py::error_already_set> raised;
  const std::function<bool(std::uint64_t)> watch = [&progress, &raised](std::uint64_t ended) {
    const py::gil_scoped_acquire gil;
    try {
      if (PyErr_CheckSignals() != 0) {
        throw py::error_already_set();
      }
      return !progress || (*progress)(ended);
    } catch (py::error_already_set& error) {
      raised = std::move(error);
      return false;
    }
  };
  try {
    const py::gil_scoped_release release;
    return work(watch);
  } catch (const Interrupted&) {
    if (raised) {
      throw std::move(*raised);
    }
    throw;
  }
}

// One replay; what `use` makes of its record and result. `objects`: which lock, not only its class,
// is on record as well.
template <class Use>
auto recorded(const std::string& trace, const std::string& protocol, const Assignments& assignments,
              const std::optional<std::string>& machine, const Progress& progress, bool objects,
              const Use& use) {
  const workloads::Settings settings = settings_of(machine, assignments);
  return interruptible(progress, [&](const auto& watch) {
    Record record;
    workloads::ReplayOptions options;
    options.protocol = protocol;
    options.record = &record;
    options.record_objects = objects;
    options.progress = watch;
    const workloads::ReplayResult result = workloads::replay(trace, settings, options);
    return use(record, result);
  });
}

}  // namespace smmulab::bindings

// SPDX-License-Identifier: Apache-2.0
// Timeline: one replay with a record, written as a trace for Perfetto, or as a table of its locks.
#include <cerrno>
#include <cstdint>
#include <fstream>
#include <optional>
#include <string>
#include <system_error>
#include <tuple>
#include <vector>

#include <fmt/format.h>
#include <pybind11/functional.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "analysis/perfetto_export.hpp"
#include "models/smmuv3/driver/opcode_name.hpp"
#include "python/bindings/register.hpp"
#include "python/bindings/replaying.hpp"
#include "sim/error.hpp"
#include "workloads/replay.hpp"
#include "workloads/report_json.hpp"

namespace smmulab::bindings {
namespace {

namespace py = pybind11;

void write(const Record& record, const std::string& path) {
  const auto fail = [&path] {
    throw ConfigError(
        fmt::format("{}: cannot be written: {}", path, std::generic_category().message(errno)));
  };
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  if (!out) {
    fail();
  }
  analysis::write_perfetto(analysis::Timelines(record), out, smmu::opcode_name);
  out.close();
  if (!out) {
    fail();
  }
}

std::string timeline(const std::string& trace, const std::string& protocol,
                     const Assignments& assignments, const std::string& out,
                     const std::optional<std::string>& machine, const Progress& progress) {
  return recorded(trace, protocol, assignments, machine, progress, true,
                  [&out](const Record& record, const workloads::ReplayResult& result) {
                    write(record, out);
                    return workloads::to_json(result);
                  });
}

// Thread, lock, its class, whether the thread holds it (or waits for it), from and to in ps.
using LockTime =
    std::tuple<std::string, std::string, std::string, bool, std::int64_t, std::int64_t>;

std::vector<LockTime> lock_times_of(const Record& record) {
  const analysis::Timelines timelines(record);
  std::vector<LockTime> rows;
  const auto add = [&](std::uint32_t thread, std::uint32_t lock, bool holds, SimTime from,
                       SimTime to) {
    const RecordLock id{lock};
    rows.emplace_back(record.name(RecordThread{thread}), record.name(id),
                      record.name(record.lock_class(id)), holds, from.time_since_epoch().count(),
                      to.time_since_epoch().count());
  };
  for (std::uint32_t thread = 0; thread < timelines.threads().size(); ++thread) {
    for (const analysis::Wait& wait : timelines.threads()[thread].waits) {
      if (wait.lock) {
        add(thread, wait.object, false, wait.from, wait.to);
      }
    }
  }
  for (std::uint32_t lock = 0; lock < record.lock_count(); ++lock) {
    const std::vector<analysis::Holding>& holdings = timelines.holdings(lock);
    for (std::size_t i = 0; i + 1 < holdings.size(); ++i) {  // the last one has no end
      if (holdings[i].thread != kNoRecordId) {
        add(holdings[i].thread, lock, true, holdings[i].since, holdings[i + 1].since);
      }
    }
  }
  return rows;
}

std::vector<LockTime> lock_times(const std::string& trace, const std::string& protocol,
                                 const Assignments& assignments,
                                 const std::optional<std::string>& machine,
                                 const Progress& progress) {
  return recorded(trace, protocol, assignments, machine, progress, true,
                  [](const Record& record, const workloads::ReplayResult& /*result*/) {
                    return lock_times_of(record);
                  });
}

}  // namespace

void register_timeline(py::module_& m) {
  m.def("timeline", &timeline, py::arg("trace"), py::arg("protocol"), py::arg("assignments"),
        py::arg("out"), py::arg("machine") = py::none(), py::arg("progress") = py::none(),
        "Replays a trace with a record and writes it for Perfetto; the result as JSON.");
  m.def("lock_times", &lock_times, py::arg("trace"), py::arg("protocol"), py::arg("assignments"),
        py::arg("machine") = py::none(), py::arg("progress") = py::none(),
        "Replays a trace with a record; (thread, lock, lock class, held?, from, to in ps) of each "
        "wait, and of who held the lock meanwhile.");
}

}  // namespace smmulab::bindings

// SPDX-License-Identifier: Apache-2.0
#include "workloads/settings.hpp"

#include <fmt/format.h>

#include "sim/error.hpp"

namespace smmulab::workloads {
namespace {

void describe_machine(ParamTable& t, MachineShape& p) {
  t.add("machine.cpus", &p.cpus, 0, 4096, "number of CPUs; 0: as the trace says",
        {"user's choice"});
  t.add("machine.sockets", &p.sockets, 1, 64, "sockets the CPUs are shared by (with machine.cpus)",
        {"user's choice"});
  t.add("machine.nodes_per_socket", &p.nodes_per_socket, 1, 64,
        "NUMA nodes of a socket (with machine.cpus)", {"user's choice"});
  t.add("machine.cpus_per_cluster", &p.cpus_per_cluster, 0, 64,
        "cores of a cluster, which pass lines among each other faster; 0: no clusters (with "
        "machine.cpus)",
        {"user's choice"});
  t.add_enum("machine.pinning", &p.pinning, {"trace", "spread", "none"},
             "threads: pinned as in the trace, thread i to CPU i modulo CPUs, or free to move",
             {"user's choice"});
  t.add_enum("machine.ats", &p.ats, {"trace", "all"},
             "devices that have ATS: those of which the trace says so, or all", {"user's choice"});
}

void describe_replay(ParamTable& t, ReplayParams& p) {
  t.add_enum("replay.mode", &p.mode, {"closed", "timed"},
             "each thread's next operation after its last, or at its recorded time",
             {"user's choice"});
  t.add_enum(
      "replay.think", &p.think, {"zero", "recorded", "slept"},
      "closed: between operations of a thread: nothing, or the recorded gap, as user time or "
      "asleep",
      {"user's choice"});
  t.add("replay.sleep_up_to", &p.sleep_up_to, 0_ps, 1'000_ms,
        "slept: each sleep is drawn between 0 and this, in whole us, and at most the recorded gap, "
        "which holds the wait for a CPU, too; 0: it is the recorded gap",
        {"user's choice"});
  t.add("replay.user_time", &p.user_time, 0_ps, 1'000_ms,
        "user-mode CPU time before each operation, in addition", {"user's choice"});
  t.add("replay.speed_percent", &p.speed_percent, 1, 100'000,
        "timed: 200 issues operations twice as fast as recorded", {"user's choice"});
  t.add("replay.memory_mib", &p.memory_mib, 1, 65'536,
        "memory for operations read ahead (MiB); more spills to a temporary file",
        {"user's choice"});
}

}  // namespace

void describe(ParamTable& table, Settings& settings) {
  describe_machine(table, settings.machine);
  lnx::describe(table, settings.linux_kernel);
  smmu::describe(table, settings.driver);
  dma_iommu::describe(table, settings.dma);
  smmu::hw::describe(table, settings.smmuv3);
  smmu::describe(table, settings.hardware);
  iommufd::describe(table, settings.iommufd);
  iommufd::describe(table, settings.protocol);
  describe_replay(table, settings.replay);
  describe(table, settings.free);
  describe(table, settings.split);
}

void apply_preset(std::string_view name, Settings& settings) {
  std::vector<std::string> names;
  for (const PresetInfo& preset : presets()) {
    if (preset.name == name) {
      preset.apply(settings);
      return;
    }
    names.emplace_back(preset.name);
  }
  const std::string near = nearest_name(name, names);
  throw ConfigError(fmt::format("unknown preset '{}'{}; known: {}", name,
                                near.empty() ? "" : fmt::format(", did you mean '{}'?", near),
                                fmt::join(names, ", ")));
}

void load_machine_file(const std::string& path, Settings& settings,
                       const std::vector<std::string>& others) {
  // The preset comes first, whatever its place in the file: it sets what other keys then change.
  enum class Chosen : std::uint8_t { kFirst };
  Chosen chosen = Chosen::kFirst;
  std::vector<std::string> names;
  for (const PresetInfo& preset : presets()) {
    names.emplace_back(preset.name);
  }
  ParamTable first;
  first.add_enum("preset", &chosen, names, "preset to start from", {"user's choice"});
  std::vector<std::string> ignored = {"machine",  "sched",  "line", "lock",   "driver",
                                      "hw",       "smmuv3", "dma",  "stream", "iommufd",
                                      "protocol", "replay", "free", "split"};
  ignored.insert(ignored.end(), others.begin(), others.end());
  first.load_toml_file(path, ignored);
  Settings changed = settings;
  if (chosen != Chosen::kFirst) {
    presets()[static_cast<std::size_t>(chosen)].apply(changed);
  }
  ParamTable table;
  describe(table, changed);
  ignored = others;
  ignored.emplace_back("preset");
  table.load_toml_file(path, ignored);
  settings = changed;
}

void apply_assignment(std::string_view assignment, Settings& settings) {
  const std::size_t equals = assignment.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    throw ConfigError(fmt::format("'{}' is not KEY=VALUE", assignment));
  }
  const std::string_view key = assignment.substr(0, equals);
  const std::string_view value = assignment.substr(equals + 1);
  if (key == "preset") {
    apply_preset(value, settings);
    return;
  }
  if (key == "smmuv3.preset") {
    settings.smmuv3 = smmu::hw::find_smmu_preset(value).params;
    settings.assigned.emplace_back(key);
    return;
  }
  ParamTable table;
  describe(table, settings);
  table.set(key, value);
  settings.assigned.emplace_back(key);
}

}  // namespace smmulab::workloads

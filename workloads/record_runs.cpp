// SPDX-License-Identifier: Apache-2.0
// Runs with a record: those of covering_set.hpp.
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "sim/error.hpp"
#include "workloads/covering_set.hpp"
#include "workloads/replay.hpp"

namespace smmulab::workloads {
namespace {

namespace fs = std::filesystem;

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::error_code error;
    std::string path = (fs::temp_directory_path(error) / "smmulab-XXXXXX").string();
    if (error || ::mkdtemp(path.data()) == nullptr) {
      throw ConfigError("no folder for temporary files can be made (TMPDIR)");
    }
    path_ = path;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  [[nodiscard]] std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  fs::path path_;
};

}  // namespace

RecordedRun record_trace(const std::string& path, const std::string& name, const Settings& settings,
                         const std::string& protocol,
                         const std::function<bool(std::uint64_t)>& progress) {
  RecordedRun run;
  run.name = name;
  ReplayOptions options;
  options.protocol = protocol;
  options.record = &run.record;
  options.record_objects = true;
  options.progress = progress;
  try {
    const ReplayResult result = replay(path, settings, options);
    run.status = result.status;
    run.message = result.message;
    run.operations = result.operations;
  } catch (const ModelError& error) {
    run.status = "model error";
    run.message = error.what();
  }
  return run;
}

void record_covering_set(const Settings& settings, const std::string& protocol,
                         const std::function<void(const RecordedRun&)>& sink,
                         const std::function<bool(std::uint64_t)>& progress) {
  const TemporaryFolder folder;
  for (const CoveringWorkload& workload : covering_set()) {
    const std::string path = folder.file(workload.name + ".iotrace");
    write_workload(workload, path);
    sink(record_trace(path, workload.name, settings, protocol, progress));
  }
}

}  // namespace smmulab::workloads

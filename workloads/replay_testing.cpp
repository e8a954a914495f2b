// SPDX-License-Identifier: Apache-2.0
#include "workloads/replay_testing.hpp"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <utility>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "models/iommufd/protocol.hpp"

namespace smmulab::workloads::testing {
namespace {

namespace fs = std::filesystem;

constexpr int kCannotExec = 127;

void redirect(int to, const std::string& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  ::dup2(fd, to);
  ::close(fd);
}

CommandResult run_program(const std::vector<std::string>& words,
                          const std::function<void(pid_t)>& meanwhile = {}) {
  const TempDir dir;
  std::vector<std::string> copy = words;
  std::vector<char*> argv;
  for (std::string& word : copy) {
    argv.push_back(word.data());
  }
  argv.push_back(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    redirect(STDOUT_FILENO, dir.file("out"));
    redirect(STDERR_FILENO, dir.file("err"));
    ::execvp(argv[0], argv.data());
    std::_Exit(kCannotExec);
  }
  if (meanwhile) {
    meanwhile(child);
  }
  int status = 0;
  rusage usage{};
  wait4(child, &status, 0, &usage);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_bytes(dir.file("out")),
          read_bytes(dir.file("err")), usage.ru_maxrss};
}

}  // namespace

std::vector<std::string> recorded_traces() {
  std::vector<std::string> paths;
  for (const auto& entry : fs::directory_iterator(SMMULAB_SOURCE_DIR "/workloads/traces")) {
    if (entry.path().string().ends_with(".iotrace.zst")) {
      paths.push_back(entry.path().string());
    }
  }
  std::ranges::sort(paths);
  return paths;
}

std::string test_name(const std::string& path) {
  std::string name = fs::path(path).filename().string();
  name.resize(name.find('.'));
  std::erase_if(name, [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; });
  return name;
}

std::vector<std::string> protocol_names() {
  std::vector<std::string> names;
  for (const iommufd::ProtocolInfo& info : iommufd::protocols()) {
    names.emplace_back(info.name);
  }
  return names;
}

TraceTraits traits_of(const std::string& path) {
  TraceTraits traits;
  TraceReader reader(path);
  std::set<GroupId> groups;
  for (const DeviceRecord& device : reader.header().devices) {
    traits.groups = traits.groups || !groups.insert(device.group).second;
  }
  std::set<ObjectId> ioases;
  Op op;
  while (reader.next(op)) {
    if (op.kind == OpKind::kIoasAlloc) {
      ioases.insert(op.object);
    }
    const bool moves = op.kind == OpKind::kAttach || op.kind == OpKind::kReplace;
    traits.automatic = traits.automatic || (moves && ioases.contains(op.pt));
    traits.failed_replace = traits.failed_replace || (op.kind == OpKind::kReplace && op.failed());
    traits.deaf_access = traits.deaf_access || (op.kind == OpKind::kAccessCreate && op.flags != 0);
    traits.resets = traits.resets || op.kind == OpKind::kResetBegin;
  }
  return traits;
}

namespace {

bool met_by(const iommufd::Hazard& hazard, const TraceTraits& traits) {
  switch (hazard.needs) {
    case iommufd::HazardNeeds::kThreads:
      return true;
    case iommufd::HazardNeeds::kGroups:
      return traits.groups;
    case iommufd::HazardNeeds::kAutomatic:
      return traits.automatic;
    case iommufd::HazardNeeds::kFailedReplace:
      return traits.failed_replace;
    case iommufd::HazardNeeds::kDeafAccess:
      return traits.deaf_access;
    case iommufd::HazardNeeds::kReset:
      return traits.resets;
  }
  return true;
}

}  // namespace

bool is_correct(const std::string& protocol, const TraceTraits& traits, bool mended) {
  return std::ranges::none_of(iommufd::find_protocol(protocol).hazards, [&](std::string_view name) {
    const iommufd::Hazard& hazard = iommufd::find_hazard(name);
    return met_by(hazard, traits) && !(mended && !hazard.mend.empty());
  });
}

Settings mended_settings() {
  Settings settings;
  for (const iommufd::Hazard& hazard : iommufd::hazards()) {
    if (!hazard.mend.empty()) {
      apply_assignment(fmt::format("{}=true", hazard.mend), settings);
    }
  }
  return settings;
}

std::optional<Settings> correct_settings(const std::string& protocol, const TraceTraits& traits) {
  if (is_correct(protocol, traits, false)) {
    return Settings{};
  }
  return is_correct(protocol, traits, true) ? std::optional(mended_settings()) : std::nullopt;
}

std::string shared_runs() {
  const fs::path runs = fs::path(SMMULAB_SOURCE_DIR).parent_path() / "shared/traces/runs";
  return fs::is_directory(runs) ? runs.string() : "";
}

bool unpack(const std::string& archive, const std::string& folder) {
  return run_program({"tar", "-C", folder, "-xJf", archive}).exit_code == 0;
}

CommandResult run_replay_program(const std::vector<std::string>& arguments,
                                 const std::function<void(pid_t)>& meanwhile) {
  std::vector<std::string> words{SMMULAB_REPLAY_PROGRAM};
  words.insert(words.end(), arguments.begin(), arguments.end());
  return run_program(words, meanwhile);
}

Outcomes replay_all(const std::string& path, const Settings& settings,
                    const std::string& protocol) {
  Outcomes outcomes;
  ReplayOptions options;
  options.protocol = protocol;
  options.sink = [&outcomes](const OpOutcome& op) { outcomes.ops.push_back(op); };
  outcomes.result = replay(path, settings, options);
  std::ranges::sort(outcomes.ops, {}, &OpOutcome::seq);
  return outcomes;
}

Settings settings_with(const std::vector<std::string>& assignments) {
  Settings settings;
  for (const std::string& assignment : assignments) {
    apply_assignment(assignment, settings);
  }
  return settings;
}

}  // namespace smmulab::workloads::testing

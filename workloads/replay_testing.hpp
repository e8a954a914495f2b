// SPDX-License-Identifier: Apache-2.0
// For tests of the replay: the recorded traces of this repository and of ../shared/traces, the
// built command line program, and operation results in a form that compares.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include <fmt/format.h>

#include "workloads/op.hpp"
#include "workloads/replay.hpp"
#include "workloads/trace_testing.hpp"

namespace smmulab::workloads::testing {

// workloads/traces/*.iotrace.zst, sorted.
[[nodiscard]] std::vector<std::string> recorded_traces();
// For the name of a parameterised test: the file's name without suffix, letters and digits only.
[[nodiscard]] std::string test_name(const std::string& path);
[[nodiscard]] std::vector<std::string> protocol_names();

// What of a trace brings out a protocol's hazards, beyond concurrency.
struct TraceTraits {
  bool groups = false;          // a group of several devices
  bool automatic = false;       // attaches by ioas
  bool failed_replace = false;  // recorded
  bool deaf_access = false;     // made with flags=1
  bool resets = false;
};
[[nodiscard]] TraceTraits traits_of(const std::string& path);
// Has the protocol no hazard that such a trace could meet? `mended`: with mended_settings().
[[nodiscard]] bool is_correct(const std::string& protocol, const TraceTraits& traits, bool mended);
// Everything on that mends a hazard.
[[nodiscard]] Settings mended_settings();
// Those for a protocol that is correct for the trace as it is, or once mended; none: for neither.
[[nodiscard]] std::optional<Settings> correct_settings(const std::string& protocol,
                                                       const TraceTraits& traits);

// ../shared/traces/runs beside the source folder, or "" if it is absent.
[[nodiscard]] std::string shared_runs();
// Unpacks an archive with tar. False: tar failed.
[[nodiscard]] bool unpack(const std::string& archive, const std::string& folder);

struct CommandResult {
  int exit_code = -1;  // -1: ended by a signal
  std::string out;
  std::string err;
  long max_rss_kib = 0;
};
// Runs smmulab-replay, found where the build put it. `meanwhile` is called with its process id.
[[nodiscard]] CommandResult run_replay_program(const std::vector<std::string>& arguments,
                                               const std::function<void(pid_t)>& meanwhile = {});

struct Outcomes {
  ReplayResult result;
  std::vector<OpOutcome> ops;  // by seq
};
// Replays natively and keeps every operation's times.
[[nodiscard]] Outcomes replay_all(const std::string& path, const Settings& settings,
                                  const std::string& protocol = "igroup");
// As `setting` on the command line: "replay.mode=timed".
[[nodiscard]] Settings settings_with(const std::vector<std::string>& assignments);

}  // namespace smmulab::workloads::testing

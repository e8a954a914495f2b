// SPDX-License-Identifier: Apache-2.0
// smmulab-replay: replays a trace under one or more protocols; no Python needed.
// Exit codes: 0 all replays ended, 1 a model failed, a protocol deadlocked or ended in a wrong
// state, 2 wrong usage or input.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "sim/error.hpp"
#include "workloads/ops_file.hpp"
#include "workloads/replay.hpp"
#include "workloads/report_json.hpp"
#include "workloads/report_text.hpp"
#include "workloads/trace_format.hpp"

namespace smmulab::workloads {
namespace {

constexpr int kModelFailure = 1;
constexpr int kUsageError = 2;

volatile std::sig_atomic_t interrupted = 0;

struct Arguments {
  std::string trace;
  std::vector<std::string> protocols;
  std::string machine;
  std::vector<std::string> assignments;
  std::string engine = "native";
  std::string ops;
  bool json = false;
};

Settings settings_from(const Arguments& args) {
  Settings settings;
  if (!args.machine.empty()) {
    load_machine_file(args.machine, settings);
  }
  for (const std::string& assignment : args.assignments) {
    apply_assignment(assignment, settings);
  }
  return settings;
}

// Counts on stderr while a person watches.
bool show_progress(std::uint64_t ended) {
  static const bool kTerminal = isatty(STDERR_FILENO) != 0;
  if (kTerminal) {
    fmt::print(stderr, "\r{} operations", ended);
    std::fflush(stderr);
  }
  return interrupted == 0;
}

ReplayResult replay_one(const Arguments& args, const Settings& settings,
                        const std::string& protocol) {
  ReplayOptions options;
  options.protocol = protocol;
  options.engine = parse_engine_kind(args.engine);
  options.progress = show_progress;
  std::unique_ptr<OpsFile> ops;
  if (!args.ops.empty()) {
    const bool several = args.protocols.size() > 1;
    ops = std::make_unique<OpsFile>(several ? args.ops + "." + protocol : args.ops);
    options.sink = [&ops](const OpOutcome& outcome) { ops->write(outcome); };
  }
  ReplayResult result = replay(args.trace, settings, options);
  if (ops) {
    ops->finish();
  }
  if (isatty(STDERR_FILENO) != 0) {
    fmt::print(stderr, "\r\033[K");
  }
  return result;
}

// Every run of a protocol gives the same result, and the results are told apart by its name.
void expect_each_once(const std::vector<std::string>& protocols) {
  for (auto name = protocols.begin(); name != protocols.end(); ++name) {
    if (std::find(protocols.begin(), name, *name) != name) {
      throw ConfigError(fmt::format("protocol '{}' is named twice", *name));
    }
  }
}

int replay_all(const Arguments& args) {
  const Settings settings = settings_from(args);
  bool failed = false;
  std::vector<std::string> documents;
  for (const std::string& protocol : args.protocols) {
    const ReplayResult result = replay_one(args, settings, protocol);
    failed = failed || result.status != "ok";
    if (args.json) {
      documents.push_back(to_json(result));
    } else {
      std::cout << to_text(result) << std::flush;
    }
  }
  if (args.json) {
    std::cout << fmt::format("{{\"trace\":{},\"config\":{},\"results\":[{}]}}\n",
                             json_string(trace_hash(args.trace)), settings_json(settings),
                             fmt::join(documents, ","));
  }
  return failed ? kModelFailure : 0;
}

// Runs `body`, which gives the exit code; an error becomes a line on stderr and an exit code.
int guarded(const std::function<int()>& body) {
  try {
    return body();
  } catch (const Interrupted& e) {
    fmt::print(stderr, "\nsmmulab-replay: {}\n", e.what());
    return 128 + SIGINT;
  } catch (const ModelError& e) {
    fmt::print(stderr, "smmulab-replay: model error: {}\n", e.what());
    return kModelFailure;
  } catch (const Error& e) {
    fmt::print(stderr, "smmulab-replay: {}\n", e.what());
    return kUsageError;
  }
}

// SimGrid allows one engine per process: each protocol gets a process of its own.
int fork_per_protocol(const Arguments& args) {
  int status = 0;
  for (const std::string& protocol : args.protocols) {
    std::cout << std::flush;
    const pid_t child = fork();
    if (child == 0) {
      Arguments one = args;
      one.protocols = {protocol};
      if (!args.ops.empty() && args.protocols.size() > 1) {
        one.ops += "." + protocol;
      }
      std::_Exit([&one] {
        const int code = guarded([&one] { return replay_all(one); });
        std::cout << std::flush;
        return code;
      }());
    }
    int child_status = 0;
    waitpid(child, &child_status, 0);
    const int code = WIFEXITED(child_status) ? WEXITSTATUS(child_status) : kModelFailure;
    status = std::max(status, code);
  }
  return status;
}

int main_with(int argc, char** argv) {
  Arguments args;
  CLI::App app{"Replays an iommufd trace under locking protocols."};
  app.add_option("TRACE", args.trace, "trace (.iotrace, .iotrace.zst)")->required();
  app.add_option("-p,--protocol", args.protocols,
                 "protocol to replay under (may be repeated; default: igroup)");
  app.add_option("-m,--machine", args.machine, "machine file (TOML)");
  app.add_option("-s,--set", args.assignments, "KEY=VALUE: a parameter, or preset=NAME");
  app.add_option("--engine", args.engine, "native or simgrid");
  app.add_option("--ops", args.ops,
                 "write start and end of each operation (ps), a line each; with several protocols "
                 "FILE.PROTOCOL");
  app.add_flag("--json", args.json, "print JSON instead of tables");
  app.set_version_flag("--version", version_text());
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& e) {  // --help, --version
    return app.exit(e);
  } catch (const CLI::ParseError& e) {
    fmt::print(stderr, "smmulab-replay: {}; see smmulab-replay --help\n", e.what());
    return kUsageError;
  }
  if (args.protocols.empty()) {
    args.protocols = {"igroup"};
  }
  std::signal(SIGINT, [](int /*signal*/) { interrupted = 1; });
  return guarded([&args] {
    expect_each_once(args.protocols);
    return args.engine == "simgrid" && args.protocols.size() > 1 ? fork_per_protocol(args)
                                                                 : replay_all(args);
  });
}

}  // namespace
}  // namespace smmulab::workloads

int main(int argc, char** argv) {
  return smmulab::workloads::main_with(argc, argv);
}

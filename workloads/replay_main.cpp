// SPDX-License-Identifier: Apache-2.0
// smmulab-replay: replays a trace under one or more protocols; no Python needed.
// Exit codes: 0 all replays ended, 1 a model failed, a protocol deadlocked or ended in a wrong
// state, 2 wrong usage or input, 130 stopped by SIGINT, 143 by SIGTERM.
#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "sim/error.hpp"
#include "workloads/dma/dma_trace.hpp"
#include "workloads/ops_file.hpp"
#include "workloads/replay.hpp"
#include "workloads/report_json.hpp"
#include "workloads/report_text.hpp"
#include "workloads/trace_format.hpp"

namespace smmulab::workloads {
namespace {

constexpr int kModelFailure = 1;
constexpr int kUsageError = 2;

volatile std::sig_atomic_t stop_signal = 0;
volatile std::sig_atomic_t child = 0;  // process that replays, if it is not this one

extern "C" void note_signal(int signal) {
  stop_signal = signal;
  if (child > 0) {
    ::kill(child, signal);
  }
}

struct Arguments {
  std::string trace;
  std::vector<std::string> protocols;
  std::string machine;
  std::vector<std::string> assignments;
  std::string engine = "native";
  std::string dma_trace;
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
  return stop_signal == 0;
}

// The DMA of the replays; none: the settings' own.
using Dma = std::optional<RecordedDma>;

ReplayResult replay_one(const Arguments& args, const Settings& settings, const Dma& dma,
                        const std::string& protocol) {
  ReplayOptions options;
  options.protocol = protocol;
  options.engine = parse_engine_kind(args.engine);
  options.dma = dma ? &*dma : nullptr;
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
  if (protocol == args.protocols.front()) {  // the same for each
    for (const std::string& warning : result.warnings) {
      fmt::print(stderr, "smmulab-replay: warning: {}\n", warning);
    }
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

// Runs `body`, which gives the exit code; an error becomes a line on stderr and an exit code.
int guarded(const std::function<int()>& body) {
  try {
    return body();
  } catch (const Interrupted& e) {
    fmt::print(stderr, "{}smmulab-replay: {}\n", isatty(STDERR_FILENO) != 0 ? "\n" : "", e.what());
    return 128 + stop_signal;
  } catch (const ModelError& e) {
    fmt::print(stderr, "smmulab-replay: model error: {}\n", e.what());
    return kModelFailure;
  } catch (const Error& e) {
    fmt::print(stderr, "smmulab-replay: {}\n", e.what());
    return kUsageError;
  }
}

// What one replay has to say: a JSON document or tables; and whether the protocol deadlocked.
struct Answer {
  int code = 0;
  std::string text;
};

Answer answer_of(const Arguments& args, const Settings& settings, const Dma& dma,
                 const std::string& protocol) {
  const ReplayResult result = replay_one(args, settings, dma, protocol);
  return {result.status == "ok" ? 0 : kModelFailure, args.json ? to_json(result) : to_text(result)};
}

[[noreturn]] void fail_with_errno(std::string_view what) {
  throw Error(fmt::format("{}: {}", what, std::generic_category().message(errno)));
}

void write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno != EINTR) {
      fail_with_errno("cannot pass on a result");
    }
    bytes.remove_prefix(n > 0 ? static_cast<std::size_t>(n) : 0);
  }
}

std::string read_all(int fd) {
  std::string text;
  std::array<char, 1 << 16> block{};
  for (;;) {
    const ssize_t n = ::read(fd, block.data(), block.size());
    if (n == 0) {
      return text;
    }
    if (n < 0 && errno != EINTR) {
      fail_with_errno("cannot read a result");
    }
    text.append(block.data(), n > 0 ? static_cast<std::size_t>(n) : 0);
  }
}

// The same in a process of its own, as SimGrid allows one engine per process. An answer without
// text: the replay failed and has said so.
Answer answer_of_child(const Arguments& args, const Settings& settings, const Dma& dma,
                       const std::string& protocol) {
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) != 0) {
    fail_with_errno("cannot make a pipe");
  }
  std::cout << std::flush;
  // A signal between fork() and the assignment would reach this process only.
  sigset_t stops;
  sigset_t before;
  ::sigemptyset(&stops);
  ::sigaddset(&stops, SIGINT);
  ::sigaddset(&stops, SIGTERM);
  ::sigprocmask(SIG_BLOCK, &stops, &before);
  child = ::fork();
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  if (child < 0) {
    fail_with_errno("cannot start a process");
  }
  if (child == 0) {
    ::close(ends[0]);
    std::_Exit(guarded([&] {
      const Answer answer = answer_of(args, settings, dma, protocol);
      write_all(ends[1], answer.text);
      return answer.code;
    }));
  }
  ::close(ends[1]);
  Answer answer{kModelFailure, read_all(ends[0])};
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  child = 0;
  if (WIFEXITED(status)) {
    answer.code = WEXITSTATUS(status);
  } else {
    throw ModelError(fmt::format("{}: its process ended by signal {}", protocol, WTERMSIG(status)));
  }
  return answer;
}

int replay_all(const Arguments& args) {
  const Settings settings = settings_from(args);
  expect_each_once(args.protocols);
  Dma dma;
  if (!args.dma_trace.empty()) {
    dma = dma::read_recorded_dma(args.dma_trace);
  }
  const bool apart = args.engine == "simgrid" && args.protocols.size() > 1;
  int code = 0;
  std::vector<std::string> documents;
  for (const std::string& protocol : args.protocols) {
    Answer answer = apart ? answer_of_child(args, settings, dma, protocol)
                          : answer_of(args, settings, dma, protocol);
    code = std::max(code, answer.code);
    if (answer.text.empty()) {
      return code;
    }
    if (args.json) {
      documents.push_back(std::move(answer.text));
    } else {
      std::cout << answer.text << std::flush;
    }
  }
  if (args.json) {
    std::string traces = fmt::format("\"trace\":{}", json_string(trace_hash(args.trace)));
    if (dma) {
      traces += fmt::format(",\"dma_trace\":{}", json_string(trace_hash(args.dma_trace)));
    }
    std::cout << fmt::format("{{{},\"config\":{},\"results\":[{}]}}\n", traces,
                             settings_json(settings), fmt::join(documents, ","));
  }
  return code;
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
  app.add_option("--dma-trace", args.dma_trace,
                 "what the devices access meanwhile, over and over (docs/timed.md); not with "
                 "smmuv3.hardware=counted");
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
  std::signal(SIGINT, note_signal);
  std::signal(SIGTERM, note_signal);
  return guarded([&args] { return replay_all(args); });
}

}  // namespace
}  // namespace smmulab::workloads

int main(int argc, char** argv) {
  return smmulab::workloads::main_with(argc, argv);
}

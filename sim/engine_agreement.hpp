// SPDX-License-Identifier: Apache-2.0
// For tests: runs one program on both engines and compares what it logged, row by row. SimGrid
// allows one engine in the life of an operating system process, so its run takes place in a child,
// made before SimGrid starts; the log comes back through a pipe. The child leaves by exit(), and a
// word of it on stdout or stderr is a failure: SimGrid's end is tested as well.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "sim/engine.hpp"
#include "sim/engine_factory.hpp"
#include "sim/error.hpp"

namespace smmulab::agreement {

struct Log {
  static constexpr std::size_t kColumns = 3;
  std::vector<std::int64_t> rows;  // time in ps, process, value
  std::string text;

  // REQUIRES: called from a process of the engine.
  void add(const Engine& e, std::int64_t value) {
    rows.insert(rows.end(), {to_ps(e.now()), e.current().id().value(), value});
  }
  void note(const std::string& line) { text += line + "\n"; }
  [[nodiscard]] std::string row(std::size_t i) const {
    return fmt::format("{}", fmt::join(std::span(rows).subspan(i * kColumns, kColumns), " "));
  }
};

// Spawns, runs, and logs.
using Program = std::function<void(Engine&, Log&)>;

inline std::string with_causes(const std::exception& e) {
  try {
    std::rethrow_if_nested(e);
  } catch (const std::exception& cause) {
    return fmt::format("{} <- {}", e.what(), with_causes(cause));
  }
  return e.what();
}

// An error that ends the program is part of what it logs.
inline Log run_here(EngineKind kind, const Program& program) {
  Log log;
  const std::unique_ptr<Engine> engine = make_engine(kind);
  try {
    program(*engine, log);
  } catch (const DeadlockError& e) {
    log.note(fmt::format("DeadlockError {} [{}]", e.what(), fmt::join(e.cycle(), ",")));
  } catch (const Interrupted& e) {
    log.note(fmt::format("Interrupted {}", e.what()));
  } catch (const ModelError& e) {
    log.note(fmt::format("ModelError {}", with_causes(e)));
  }
  log.note(fmt::format("end at {} ps after {} steps", to_ps(engine->now()), engine->events()));
  return log;
}

inline std::string read_all(int fd) {
  std::string bytes;
  std::array<char, 65536> buffer{};
  for (ssize_t n = 0; (n = read(fd, buffer.data(), buffer.size())) > 0;) {
    bytes.append(buffer.data(), static_cast<std::size_t>(n));
  }
  close(fd);
  return bytes;
}

inline void write_all(int fd, const void* data, std::size_t size) {
  for (const char* p = static_cast<const char*>(data); size > 0;) {
    const ssize_t n = write(fd, p, size);
    if (n <= 0) {
      std::_Exit(3);
    }
    p += n;
    size -= static_cast<std::size_t>(n);
  }
}

// Runs the body in a child process and gives what it wrote to `out`.
inline std::string in_child(const std::function<void(int out)>& body) {
  std::array<int, 2> result{};
  std::array<int, 2> noise{};
  if (pipe(result.data()) != 0 || pipe(noise.data()) != 0) {
    ADD_FAILURE() << "no pipe";
    return {};
  }
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    dup2(noise[1], STDOUT_FILENO);
    dup2(noise[1], STDERR_FILENO);
    body(result[1]);
    std::exit(0);
  }
  close(result[1]);
  close(noise[1]);
  std::string bytes = read_all(result[0]);
  EXPECT_EQ(read_all(noise[0]), "");
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "wait status " << status;
  return bytes;
}

inline Log run_in_child(EngineKind kind, const Program& program) {
  const std::string bytes = in_child([&](int out) {
    const Log log = run_here(kind, program);
    const std::size_t count = log.rows.size();
    write_all(out, &count, sizeof count);
    write_all(out, log.rows.data(), count * sizeof log.rows[0]);
    write_all(out, log.text.data(), log.text.size());
  });
  Log log;
  std::size_t count = 0;
  if (bytes.size() < sizeof count) {
    ADD_FAILURE() << "the child gave no log";
    return log;
  }
  std::memcpy(&count, bytes.data(), sizeof count);
  const std::size_t text_at = sizeof count + count * sizeof log.rows[0];
  log.rows.resize(count);
  std::memcpy(log.rows.data(), bytes.data() + sizeof count, text_at - sizeof count);
  log.text = bytes.substr(text_at);
  return log;
}

// Gives the native engine's log, for what a test wants to know beyond equality.
inline Log expect_equal(const Program& program) {
  Log native = run_here(EngineKind::kNative, program);
  const Log simgrid = run_in_child(EngineKind::kSimGrid, program);
  EXPECT_EQ(native.text, simgrid.text);
  EXPECT_EQ(native.rows.size(), simgrid.rows.size());
  const auto difference = std::ranges::mismatch(native.rows, simgrid.rows);
  const auto at = static_cast<std::size_t>(difference.in1 - native.rows.begin()) / Log::kColumns;
  if (at * Log::kColumns < std::min(native.rows.size(), simgrid.rows.size())) {
    ADD_FAILURE() << "row " << at << ": native " << native.row(at) << ", simgrid "
                  << simgrid.row(at);
  }
  return native;
}

}  // namespace smmulab::agreement

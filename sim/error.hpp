// SPDX-License-Identifier: Apache-2.0
// Typed errors. Library code throws these and never prints or exits. Expected outcomes (an errno of
// a simulated ioctl, a trylock that fails) are return values, not exceptions.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace smmulab {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The user's fault: a configuration key, a value out of range, an unknown protocol, a folder that
// cannot be written.
class ConfigError : public Error {
 public:
  using Error::Error;
};

// The user's trace (or imported log) is wrong. what() reads "FILE:LINE:COLUMN: message".
class TraceError : public Error {
 public:
  TraceError(std::string file, std::size_t line, std::size_t column, const std::string& message)
      : Error(file + ":" + std::to_string(line) + ":" + std::to_string(column) + ": " + message),
        file_(std::move(file)),
        line_(line),
        column_(column) {}
  [[nodiscard]] const std::string& file() const { return file_; }
  [[nodiscard]] std::size_t line() const { return line_; }
  [[nodiscard]] std::size_t column() const { return column_; }

 private:
  std::string file_;
  std::size_t line_;
  std::size_t column_;
};

// A bug: in a model, in a protocol, or in this library. what() carries simulated time, thread and
// component when it left a running simulation.
class ModelError : public Error {
 public:
  using Error::Error;
};

// Nothing can run any more, but tasks still wait. cycle() reads "T1", "lock", "T2", ... and ends
// with the thread it began with; it is empty when the wait is not a cycle (a lost wake-up).
class DeadlockError : public Error {
 public:
  DeadlockError(const std::string& message, std::vector<std::string> cycle)
      : Error(message), cycle_(std::move(cycle)) {}
  [[nodiscard]] const std::vector<std::string>& cycle() const { return cycle_; }

 private:
  std::vector<std::string> cycle_;
};

// The run was asked to stop (Ctrl-C, a progress callback that said no).
class Interrupted : public Error {
 public:
  using Error::Error;
};

}  // namespace smmulab

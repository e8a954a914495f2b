// SPDX-License-Identifier: Apache-2.0
// TraceWriter: writes a trace in canonical form (docs/trace-format.md), zstd-compressed if the path
// ends in ".zst". It checks all it is given like the reader, so that every finished file can be
// read. The file appears under its name at finish() only, whole; without finish() nothing stays.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "workloads/byte_stream.hpp"
#include "workloads/op.hpp"
#include "workloads/op_checker.hpp"
#include "workloads/trace_header.hpp"

namespace smmulab::workloads {

struct TraceWriterOptions {
  // 1 (fast) .. 19 (small) .. 22 (needs much memory to read). Part of what makes bytes identical.
  int zstd_level = 9;
  // If set, errors name this file and the operation's own `line` in place of the trace and its
  // line: an importer names its log.
  std::string source;
};

class TraceWriter {
 public:
  // Throws ConfigError if the folder cannot be written, TraceError if the header is wrong.
  TraceWriter(std::string path, TraceHeader header, TraceWriterOptions options = {});

  // op.seq is not used; op.line only with options.source. REQUIRES: kind is not kPhase.
  void write(const Op& op);
  void phase(std::string_view name);
  // Writes the end line and gives the file its name. Returns the number of operations.
  std::uint64_t finish();

  [[nodiscard]] const TraceHeader& header() const { return header_; }

 private:
  void flush(std::size_t at_least);
  void settle();
  [[noreturn]] void fail(const OpProblem& problem) const;

  std::string path_;
  TraceHeader header_;
  TraceWriterOptions options_;
  std::unique_ptr<ByteSink> sink_;
  OpChecker checker_;
  std::string buffer_;
  std::uint64_t count_ = 0;
  std::uint64_t line_ = 0;  // last written
};

}  // namespace smmulab::workloads

// SPDX-License-Identifier: Apache-2.0
// TraceReader: reads a trace (docs/trace-format.md), plain or zstd, operation by operation in
// memory bounded by the header, the live objects and the live areas. Whatever it hands out has been
// checked (OpChecker); anything wrong is a TraceError "FILE:LINE:COLUMN: what was expected".
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "workloads/line_reader.hpp"
#include "workloads/op.hpp"
#include "workloads/op_checker.hpp"
#include "workloads/op_text.hpp"
#include "workloads/trace_header.hpp"

namespace smmulab::workloads {

class TraceReader {
 public:
  static constexpr std::size_t kMaxPhaseNames = 4096;  // different names in one trace

  // Reads the header. Throws ConfigError if the file cannot be read.
  explicit TraceReader(std::string path);

  [[nodiscard]] const TraceHeader& header() const { return header_; }
  // The next operation, or a phase (kind kPhase, thread kNoThread, issue of the operation before
  // it). False after the last; by then the end line has been checked. REQUIRES: after a throw, no
  // more.
  bool next(Op& op);
  // REQUIRES: phase came from next() with kind kPhase.
  [[nodiscard]] const std::string& phase_name(const Op& phase) const;
  // Operations returned so far, without phases.
  [[nodiscard]] std::uint64_t operations() const { return count_; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  bool next_line(std::string_view& line);
  void read_header();
  bool take_line(Op& op);
  void take_op(Lexer& lexer, Op& op);
  void take_phase(Lexer& lexer, Op& op);
  void take_end(Lexer& lexer);
  [[noreturn]] void fail(const OpProblem& problem, const OpColumns& columns) const;

  std::string path_;
  LineReader lines_;
  TraceHeader header_;
  OpChecker checker_;
  std::vector<std::string> phase_names_;
  std::map<std::string, std::uint32_t, std::less<>> phase_index_;
  std::uint64_t count_ = 0;
  SimTime last_issue_{};
  bool ended_ = false;
};

}  // namespace smmulab::workloads

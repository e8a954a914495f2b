// SPDX-License-Identifier: Apache-2.0
#include "workloads/trace_reader.hpp"

#include <limits>
#include <utility>

#include <fmt/format.h>

#include "workloads/header_text.hpp"

namespace smmulab::workloads {

TraceReader::TraceReader(std::string path)
    : path_(std::move(path)), lines_(path_), checker_(TraceHeader{}) {
  try {
    read_header();
  } catch (const TraceError& error) {
    lines_.throw_with_damage(error);
  }
  checker_ = OpChecker(header_);
}

// The next line that is neither blank nor a comment.
bool TraceReader::next_line(std::string_view& line) {
  while (lines_.next(line)) {
    const std::size_t start = line.find_first_not_of(' ');
    if (start != std::string_view::npos && line[start] != '#') {
      return true;
    }
  }
  return false;
}

void TraceReader::read_header() {
  HeaderParser parser;
  std::string_view line;
  bool any = false;
  while (next_line(line)) {
    any = true;
    if (parser.take(line, lines_.place())) {
      header_ = std::move(parser.header());
      return;
    }
  }
  lines_.place().fail(1, any ? "the trace is truncated: no 'begin' line"
                             : fmt::format("not a trace: the first line should read '{} {}'",
                                           kTraceMagic, kTraceVersion));
}

bool TraceReader::next(Op& op) {
  try {
    return !ended_ && take_line(op);
  } catch (const TraceError& error) {
    lines_.throw_with_damage(error);
  }
}

bool TraceReader::take_line(Op& op) {
  std::string_view line;
  if (!next_line(line)) {
    lines_.place().fail(
        1, fmt::format("the trace is truncated: no 'end' line after {} operations", count_));
  }
  Lexer lexer(line, lines_.place());
  Lexer ahead = lexer;
  const Token first = ahead.expect("an operation");
  if (first.text == "end") {
    take_end(ahead);
    return false;
  }
  if (first.text == "phase") {
    take_phase(ahead, op);
    return true;
  }
  if (first.text[0] != '-' && (first.text[0] < '0' || first.text[0] > '9')) {
    lexer.fail(first, fmt::format("expected an operation (it begins with its issue time in ns), "
                                  "'phase' or 'end', found '{}'",
                                  first.text));
  }
  take_op(lexer, op);
  return true;
}

void TraceReader::take_op(Lexer& lexer, Op& op) {
  OpColumns columns;
  parse_op(lexer, op, columns);
  op.seq = count_++;
  last_issue_ = op.issue;
  if (const MaybeProblem bad = checker_.check(op)) {
    fail(*bad, columns);
  }
}

void TraceReader::take_phase(Lexer& lexer, Op& op) {
  const Token name = lexer.expect("the name of the phase");
  lexer.expect_end();
  if (const MaybeProblem bad = checker_.settle()) {
    fail(*bad, {});
  }
  auto it = phase_index_.find(name.text);
  if (it == phase_index_.end()) {
    if (phase_names_.size() == kMaxPhaseNames) {
      lexer.fail(name, fmt::format("more than {} different phase names", kMaxPhaseNames));
    }
    const auto index = static_cast<std::uint32_t>(phase_names_.size());
    it = phase_index_.emplace(std::string(name.text), index).first;
    phase_names_.emplace_back(name.text);
  }
  op = Op{};
  op.kind = OpKind::kPhase;
  op.issue = last_issue_;
  op.seq = count_;
  op.line = lines_.place().line;
  op.thread = kNoThread;
  op.flags = it->second;
}

void TraceReader::take_end(Lexer& lexer) {
  const Token number = lexer.expect("the number of operations");
  const std::uint64_t expected =
      parse_number(lexer, number, "end", std::numeric_limits<std::uint64_t>::max());
  lexer.expect_end();
  if (expected != count_) {
    lexer.fail(number,
               fmt::format("the end line says {} operations, but {} were read", expected, count_));
  }
  if (const MaybeProblem bad = checker_.settle()) {
    fail(*bad, {});
  }
  std::string_view line;
  if (next_line(line)) {
    lines_.place().fail(1, "unexpected text behind the end line");
  }
  ended_ = true;
}

const std::string& TraceReader::phase_name(const Op& phase) const {
  return phase_names_.at(phase.flags);
}

// Columns are known for the present line only; an earlier one is named by its line.
void TraceReader::fail(const OpProblem& problem, const OpColumns& columns) const {
  std::size_t column = 1;
  if (problem.line == lines_.place().line) {
    switch (problem.at) {
      case OpProblem::At::kLine:
        break;
      case OpProblem::At::kIssue:
        column = columns.issue;
        break;
      case OpProblem::At::kThread:
        column = columns.thread;
        break;
      case OpProblem::At::kKey:
        column = columns.value[static_cast<std::size_t>(problem.key)];
        break;
    }
  }
  throw TraceError(path_, problem.line, column, problem.message);
}

}  // namespace smmulab::workloads

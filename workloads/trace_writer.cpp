// SPDX-License-Identifier: Apache-2.0
#include "workloads/trace_writer.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "sim/check.hpp"
#include "sim/utf8.hpp"
#include "workloads/header_text.hpp"
#include "workloads/line_reader.hpp"
#include "workloads/op_text.hpp"

namespace smmulab::workloads {
namespace {

constexpr std::size_t kFlushBytes = 128 * 1024;

// Reads the header's own text back: whatever would not come back the same cannot be written.
void check_header(const std::string& path, const TraceHeader& header, const std::string& text) {
  HeaderParser parser;
  Place place{&path, 0};
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::size_t stop = rest.find('\n');
    const std::string_view line = rest.substr(0, stop);
    ++place.line;
    if (valid_utf8_prefix(line) != line.size() || line.size() > LineReader::kMaxLine ||
        std::any_of(line.begin(), line.end(),
                    [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; })) {
      place.fail(1, "a header text holds control bytes, is too long or is not UTF-8");
    }
    parser.take(line, place);
    rest.remove_prefix(stop + 1);
  }
  if (parser.header() != header) {
    place.fail(1, "a header text holds line breaks or blanks that would not be read back");
  }
}

}  // namespace

TraceWriter::TraceWriter(std::string path, TraceHeader header, TraceWriterOptions options)
    : path_(std::move(path)),
      header_(std::move(header)),
      options_(std::move(options)),
      checker_(header_) {
  buffer_ = format_header(header_);
  check_header(path_, header_, buffer_);
  line_ = static_cast<std::uint64_t>(std::count(buffer_.begin(), buffer_.end(), '\n'));
  sink_ = open_sink(path_, options_.zstd_level);
}

void TraceWriter::write(const Op& op) {
  SMMULAB_CHECK(op.kind != OpKind::kPhase, "TraceWriter::write: phases are written by phase()");
  Op written = op;
  if (options_.source.empty()) {
    written.line = line_ + 1;
  }
  if (const MaybeProblem bad = checker_.check(written)) {
    fail(*bad);
  }
  append_op(buffer_, written);
  ++line_;
  ++count_;
  flush(kFlushBytes);
}

void TraceWriter::phase(std::string_view name) {
  const auto bad = [](char c) { return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f; };
  SMMULAB_CHECK(!name.empty() && std::none_of(name.begin(), name.end(), bad) &&
                    valid_utf8_prefix(name) == name.size(),
                "TraceWriter::phase: the name must be one word");
  settle();
  buffer_ += fmt::format("phase {}\n", name);
  ++line_;
  flush(kFlushBytes);
}

std::uint64_t TraceWriter::finish() {
  SMMULAB_CHECK(sink_ != nullptr, "TraceWriter::finish: called twice");
  settle();
  buffer_ += fmt::format("end {}\n", count_);
  flush(0);
  sink_->commit();
  sink_.reset();
  return count_;
}

void TraceWriter::flush(std::size_t at_least) {
  if (buffer_.size() >= at_least) {
    sink_->write(buffer_);
    buffer_.clear();
  }
}

void TraceWriter::settle() {
  if (const MaybeProblem bad = checker_.settle()) {
    fail(*bad);
  }
}

void TraceWriter::fail(const OpProblem& problem) const {
  throw TraceError(options_.source.empty() ? path_ : options_.source, problem.line, 1,
                   problem.message);
}

}  // namespace smmulab::workloads

// SPDX-License-Identifier: Apache-2.0
#include "workloads/ops_log.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "sim/params.hpp"
#include "workloads/fields.hpp"
#include "workloads/lexer.hpp"

namespace smmulab::workloads {
namespace {

constexpr std::array<std::string_view, 10> kLogOps{"bind",   "ioas_alloc", "hwpt_alloc", "destroy",
                                                   "attach", "replace",    "detach",     "map",
                                                   "unmap",  "dma"};
constexpr std::uint64_t kMaxThreads = 4096;  // and CPUs
constexpr std::uint64_t kMaxU64 = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint64_t kMaxNs = static_cast<std::uint64_t>(kMaxTracePs) / 1000;
constexpr std::int32_t kMaxS32 = std::numeric_limits<std::int32_t>::max();

std::int32_t take_signed(Lexer& lexer, std::string_view what, std::int32_t min, std::int32_t max) {
  const Token word = lexer.expect(what);
  const bool negative = word.text.starts_with('-');
  const Token digits{word.text.substr(negative ? 1 : 0), word.column + (negative ? 1U : 0U)};
  const auto magnitude =
      static_cast<std::int32_t>(parse_number(lexer, digits, what, std::uint64_t{kMaxS32}));
  const std::int32_t value = negative ? -magnitude : magnitude;
  if (value < min || value > max) {
    lexer.fail(word, fmt::format("{}: {} is out of range ({}..{})", what, value, min, max));
  }
  return value;
}

std::uint64_t take_number(Lexer& lexer, std::string_view what, std::uint64_t max) {
  const Token word = lexer.expect(what);
  return parse_number(lexer, word, what, max);
}

std::uint32_t take_u32(Lexer& lexer, std::string_view what) {
  const Token word = lexer.expect(what);
  return parse_u32(lexer, word, what);
}

LogOp take_op(Lexer& lexer) {
  const Token word = lexer.expect("an operation");
  const auto* it = std::find(kLogOps.begin(), kLogOps.end(), word.text);
  if (it == kLogOps.end()) {
    const std::string near = nearest_name(word.text, {kLogOps.begin(), kLogOps.end()});
    lexer.fail(word, fmt::format("unknown operation '{}' ({})", word.text,
                                 near.empty() ? fmt::format("known: {}", fmt::join(kLogOps, ", "))
                                              : fmt::format("did you mean '{}'?", near)));
  }
  return static_cast<LogOp>(it - kLogOps.begin());
}

bool names_device(LogOp op) {
  return op == LogOp::kBind || op == LogOp::kHwptAlloc || op == LogOp::kAttach ||
         op == LogOp::kReplace || op == LogOp::kDetach || op == LogOp::kDma;
}

}  // namespace

OpsLog::OpsLog(std::string path) : path_(std::move(path)), lines_(path_) {
  read_header();
}

void OpsLog::read_header() {
  std::string_view line;
  if (!lines_.next(line)) {
    lines_.place().fail(1, "the log is empty");
  }
  take_program(line);
  while (lines_.next(line)) {
    if (!take_comment(line)) {
      return;
    }
  }
  lines_.place().fail(1, "the log is truncated: its header has no line '# start_ns end_ns ...'");
}

void OpsLog::take_program(std::string_view line) {
  Lexer lexer(line, lines_.place());
  Token word;
  if (!lexer.next(word) || word.text != "#" || !lexer.next(word) || word.text != kOpsLogProgram) {
    lines_.place().fail(
        1, fmt::format("expected '# {} shape=... ' on the first line", kOpsLogProgram));
  }
  header_.program = std::string(Lexer(lexer).rest().text);
  const Fields fields(lexer, {"shape", "ndev", "nmap", "pin"},
                      {"iters", "nhwpt", "nioas", "think", "maplen", "detp", "seed", "run_ns"});
  header_.shape = std::string(fields.get("shape").text);
  header_.map_threads =
      static_cast<std::uint32_t>(parse_number(lexer, fields.get("nmap"), "nmap", kMaxThreads));
  header_.pinned = fields.number("pin") != 0;
}

// "# dev ..." and the like; false at the line of column names, which ends the header.
bool OpsLog::take_comment(std::string_view line) {
  Lexer lexer(line, lines_.place());
  if (lexer.expect("'#'").text != "#") {
    lines_.place().fail(1, "expected a header line, beginning with '# '");
  }
  const Token word = lexer.expect("dev, ioas, hwpt or start_ns");
  if (word.text == "start_ns") {
    return false;
  }
  if (word.text == "dev") {
    if (take_u32(lexer, "dev") != header_.devices.size()) {
      lexer.fail(word, fmt::format("expected dev {}", header_.devices.size()));
    }
    const Fields fields(lexer, {"bdf", "iommu_group", "iommufd_devid"}, {});
    header_.devices.push_back({std::string(fields.get("bdf").text), fields.number("iommu_group"),
                               fields.number("iommufd_devid")});
  } else if (word.text != "ioas" && word.text != "hwpt") {
    lexer.fail(word, fmt::format("unknown header line '{}'", word.text));
  }
  return true;
}

bool OpsLog::next(OpsLogRecord& record) {
  std::string_view line;
  if (!lines_.next(line)) {
    return false;
  }
  Lexer lexer(line, lines_.place());
  record.line = lines_.place().line;
  record.start_ns = take_number(lexer, "start_ns", kMaxNs);
  record.end_ns = take_number(lexer, "end_ns", kMaxNs);
  record.thread = take_signed(lexer, "thread", OpsLogRecord::kMain, kMaxS32);
  record.cpu = static_cast<std::uint32_t>(take_number(lexer, "cpu_at_end", kMaxThreads - 1));
  record.op = take_op(lexer);
  record.device =
      take_signed(lexer, "dev", -1, static_cast<std::int32_t>(header_.devices.size()) - 1);
  (void)take_u32(lexer, "devid");
  (void)take_signed(lexer, "group", -1, kMaxS32);
  record.pt = take_u32(lexer, "pt_id");
  record.old = take_u32(lexer, "old_pt_id");
  record.iova = take_number(lexer, "iova", kMaxU64);
  record.length = take_number(lexer, "len", kMaxU64);
  record.ret = take_signed(lexer, "ret", -kMaxS32, 0);
  lexer.expect_end();
  check(record);
  last_start_ = record.start_ns;
  return true;
}

void OpsLog::check(const OpsLogRecord& record) const {
  const Place place = lines_.place();
  if (record.start_ns < last_start_) {
    place.fail(1,
               fmt::format("start_ns {} is before that of the line above ({}): the log should be "
                           "sorted",
                           record.start_ns, last_start_));
  }
  if (record.end_ns < record.start_ns) {
    place.fail(1, fmt::format("end_ns {} is before start_ns {}: negative time", record.end_ns,
                              record.start_ns));
  }
  if (names_device(record.op) && record.device < 0) {
    place.fail(1,
               fmt::format("{} needs a device", kLogOps.at(static_cast<std::size_t>(record.op))));
  }
}

}  // namespace smmulab::workloads

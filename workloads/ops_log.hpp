// SPDX-License-Identifier: Apache-2.0
// OpsLog: the operation log that the trace recorder's bench program writes (SHAPE.ops.txt): a
// comment header with devices, ioas and hwpt ids, then one line for each ioctl:
//   start_ns end_ns thread cpu_at_end op dev devid group pt_id old_pt_id iova len ret
// Only the form is checked here. What a line means as an operation: import_ops_log.cpp.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "workloads/line_reader.hpp"

namespace smmulab::workloads {

struct OpsLogDevice {
  std::string bdf;  // "0000:00:02.0"
  std::uint32_t group = 0;
  std::uint32_t devid = 0;  // its iommufd id
};

struct OpsLogHeader {
  std::string program;  // the text of the first line
  std::string shape;
  std::uint32_t map_threads = 0;
  bool pinned = false;
  std::vector<OpsLogDevice> devices;
};

// The kinds of line; the log's word is in log_op_names().
enum class LogOp : std::uint8_t {
  kBind,
  kIoasAlloc,
  kHwptAlloc,
  kDestroy,
  kAttach,
  kReplace,
  kDetach,
  kMap,
  kUnmap,
  kDma,
};

struct OpsLogRecord {
  static constexpr std::int32_t kMain = -1;

  std::uint64_t line = 0;
  std::uint64_t start_ns = 0;
  std::uint64_t end_ns = 0;
  std::int32_t thread = kMain;
  std::uint32_t cpu = 0;
  LogOp op = LogOp::kBind;
  std::int32_t device = -1;
  std::uint32_t pt = 0;
  std::uint32_t old = 0;
  std::uint64_t iova = 0;
  std::uint64_t length = 0;
  std::int32_t ret = 0;
};

class OpsLog {
 public:
  // Reads the header. Throws ConfigError if the file cannot be read, TraceError if it is no such
  // log.
  explicit OpsLog(std::string path);
  [[nodiscard]] const OpsLogHeader& header() const { return header_; }
  // The next record; false at the end. Throws TraceError.
  bool next(OpsLogRecord& record);
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  void read_header();
  void take_program(std::string_view line);
  bool take_comment(std::string_view line);
  void check(const OpsLogRecord& record) const;

  std::string path_;
  LineReader lines_;
  OpsLogHeader header_;
  std::uint64_t last_start_ = 0;
};

// First word of every such log.
inline constexpr std::string_view kOpsLogProgram = "iofd_bench";

}  // namespace smmulab::workloads

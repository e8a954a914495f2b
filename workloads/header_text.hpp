// SPDX-License-Identifier: Apache-2.0
// The header lines of a trace, from "smmulab-trace 1" to "begin": parser and canonical text.
// Rules: cpu, smmu, device and thread numbers count up from 0; whatever a line names is declared
// above it; names of devices and of threads are unique, stream ids of an SMMU too.
// docs/trace-format.md has the details.
#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "workloads/lexer.hpp"
#include "workloads/trace_header.hpp"

namespace smmulab::workloads {

inline constexpr std::uint32_t kTraceVersion = 1;
inline constexpr std::string_view kTraceMagic = "smmulab-trace";

class HeaderParser {
 public:
  // The next line that is neither blank nor comment. True when it was "begin". Throws TraceError.
  bool take(std::string_view line, const Place& place);
  [[nodiscard]] TraceHeader& header() { return header_; }

 private:
  void take_version(Lexer& lexer);
  void take_meta(Lexer& lexer);
  void take_cpu(Lexer& lexer);
  void take_smmu(Lexer& lexer);
  void take_group(Lexer& lexer);
  void take_devset(Lexer& lexer);
  void take_device(Lexer& lexer);
  void take_thread(Lexer& lexer);
  [[nodiscard]] std::vector<StreamId> take_stream_ids(const Lexer& lexer, const Token& list,
                                                      SmmuIndex smmu);

  TraceHeader header_;
  std::set<GroupId> groups_;
  std::set<DevSetId> devsets_;
  std::map<std::pair<SmmuIndex, StreamId>, std::size_t> streams_;  // -> number of the device
  std::set<std::string, std::less<>> names_;  // of devices and threads, with their kind before
  bool seen_version_ = false;
};

// All header lines with "begin", canonical: meta, cpu, smmu, group, devset, device, thread.
[[nodiscard]] std::string format_header(const TraceHeader& header);

}  // namespace smmulab::workloads

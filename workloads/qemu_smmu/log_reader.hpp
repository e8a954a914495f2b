// SPDX-License-Identifier: Apache-2.0
// Lines of a QEMU log (plain or zstd) in bounded memory. Unlike a trace's reader it takes what
// comes: a console's control bytes, damaged UTF-8, no newline at the end; overlong lines are noise.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "workloads/byte_stream.hpp"

namespace smmulab::workloads::qemu {

class LogReader {
 public:
  static constexpr std::size_t kMaxLine = 4096;
  explicit LogReader(const std::string& path) : source_(open_source(path)), buffer_(1U << 18U) {}
  // Without its line end; valid until the next call. False at the end. Throws CorruptData.
  bool next(std::string_view& line);
  [[nodiscard]] std::uint64_t line_number() const { return line_; }
  // Did the last line have an end? A log of a killed QEMU may stop in the middle of one.
  [[nodiscard]] bool ended() const { return ended_; }

 private:
  std::unique_ptr<ByteSource> source_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0, end_ = 0;
  std::uint64_t line_ = 0;
  bool ended_ = true;
};

}  // namespace smmulab::workloads::qemu

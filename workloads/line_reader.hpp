// SPDX-License-Identifier: Apache-2.0
// LineReader: the lines of a text (plain or zstd), one after another, in bounded memory. It refuses
// control bytes (also CR), invalid UTF-8 and lines longer than kMaxLine.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sim/error.hpp"
#include "workloads/byte_stream.hpp"

namespace smmulab::workloads {

// A line of a file, for messages. Columns count bytes from 1.
struct Place {
  const std::string* file = nullptr;
  std::size_t line = 0;

  [[noreturn]] void fail(std::size_t column, const std::string& message) const {
    throw TraceError(*file, line, column, message);
  }
};

class LineReader {
 public:
  static constexpr std::size_t kMaxLine = 64 * 1024;

  explicit LineReader(std::string path);
  // Without its '\n'; valid until the next call. False at the end. Throws TraceError.
  bool next(std::string_view& line);
  // Throws `error` again, with what is wrong with the compressed data behind it, if anything: text
  // that makes no sense may come from damage that shows only at the checksum. REQUIRES: no more
  // next().
  [[noreturn]] void throw_with_damage(const TraceError& error);
  // Of the line last returned (after the end: the line behind the last).
  [[nodiscard]] Place place() const { return {&path_, line_}; }

 private:
  bool fill();
  std::string damage_ahead();
  void check(std::string_view line) const;

  std::string path_;
  std::unique_ptr<ByteSource> source_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0;  // unread bytes are [begin_, end_)
  std::size_t end_ = 0;
  std::size_t line_ = 0;
  bool at_end_ = false;
  bool damaged_ = false;
};

}  // namespace smmulab::workloads

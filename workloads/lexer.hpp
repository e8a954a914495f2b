// SPDX-License-Identifier: Apache-2.0
// Words, key=value fields and numbers of one line, each with its column. Everything throws
// TraceError with the place and what was expected.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "sim/time.hpp"
#include "workloads/line_reader.hpp"

namespace smmulab::workloads {

struct Token {
  std::string_view text;
  std::size_t column = 0;
};

// Latest time and longest duration a trace may hold (53 days), so that their sum does not overflow.
inline constexpr std::int64_t kMaxTracePs = std::numeric_limits<std::int64_t>::max() / 2;

class Lexer {
 public:
  Lexer(std::string_view line, Place place) : line_(line), place_(place) {}

  [[nodiscard]] const Place& place() const { return place_; }
  // The next word; false at the end of the line.
  bool next(Token& word);
  // The next word, or an error that says what was expected.
  Token expect(std::string_view what);
  // Everything up to the end, without blanks at either side.
  Token rest();
  void expect_end();
  // The (empty) word behind the last, to point at what is missing.
  [[nodiscard]] Token end() const { return {{}, line_.size() + 1}; }

  [[noreturn]] void fail(const Token& at, const std::string& message) const {
    place_.fail(at.column, message);
  }

 private:
  std::string_view line_;
  Place place_;
  std::size_t at_ = 0;
};

// Splits "key=value" at the first '='. Throws if there is no '=' or no key.
void split_field(const Lexer& lexer, const Token& word, Token& key, Token& value);

// A whole number, decimal or 0x hexadecimal, at most `max`. `what` names it in messages.
[[nodiscard]] std::uint64_t parse_number(const Lexer& lexer, const Token& word,
                                         std::string_view what, std::uint64_t max);
[[nodiscard]] std::uint32_t parse_u32(const Lexer& lexer, const Token& word, std::string_view what);
// Nanoseconds with up to 3 digits behind the point: "120345", "0.25".
[[nodiscard]] Ps parse_nanoseconds(const Lexer& lexer, const Token& word, std::string_view what);
// The same text, canonical: no zeros at the end. REQUIRES: time >= 0.
void append_nanoseconds(std::string& out, Ps time);

}  // namespace smmulab::workloads

// SPDX-License-Identifier: Apache-2.0
#include "workloads/lexer.hpp"

#include <array>
#include <charconv>
#include <iterator>

#include <fmt/format.h>

namespace smmulab::workloads {

bool Lexer::next(Token& word) {
  while (at_ < line_.size() && line_[at_] == ' ') {
    ++at_;
  }
  const std::size_t begin = at_;
  while (at_ < line_.size() && line_[at_] != ' ') {
    ++at_;
  }
  word = {line_.substr(begin, at_ - begin), begin + 1};
  return at_ > begin;
}

Token Lexer::expect(std::string_view what) {
  Token word;
  if (!next(word)) {
    place_.fail(line_.size() + 1, fmt::format("expected {}", what));
  }
  return word;
}

Token Lexer::rest() {
  Token word;
  if (!next(word)) {
    return word;
  }
  const std::size_t begin = word.column - 1;
  const std::size_t last = line_.find_last_not_of(' ');
  at_ = line_.size();
  return {line_.substr(begin, last - begin + 1), word.column};
}

void Lexer::expect_end() {
  Token word;
  if (next(word)) {
    fail(word, fmt::format("unexpected '{}': the line should end here", word.text));
  }
}

void split_field(const Lexer& lexer, const Token& word, Token& key, Token& value) {
  const std::size_t equals = word.text.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    lexer.fail(word, fmt::format("expected key=value, found '{}'", word.text));
  }
  key = {word.text.substr(0, equals), word.column};
  value = {word.text.substr(equals + 1), word.column + equals + 1};
}

std::uint64_t parse_number(const Lexer& lexer, const Token& word, std::string_view what,
                           std::uint64_t max) {
  std::string_view digits = word.text;
  const int base = digits.starts_with("0x") ? 16 : 10;
  digits.remove_prefix(base == 16 ? 2 : 0);
  std::uint64_t value = 0;
  const char* end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, value, base);
  if (error == std::errc::invalid_argument || stop != end) {
    lexer.fail(word, fmt::format("{}: expected a whole number, found '{}'", what, word.text));
  }
  if (error == std::errc::result_out_of_range || value > max) {
    lexer.fail(word, fmt::format("{}: {} is out of range (at most {})", what, word.text, max));
  }
  return value;
}

std::uint32_t parse_u32(const Lexer& lexer, const Token& word, std::string_view what) {
  return static_cast<std::uint32_t>(
      parse_number(lexer, word, what, std::numeric_limits<std::uint32_t>::max()));
}

Ps parse_nanoseconds(const Lexer& lexer, const Token& word, std::string_view what) {
  std::string_view text = word.text;
  if (text.starts_with('-')) {
    lexer.fail(word, fmt::format("{}: {} is negative", what, text));
  }
  const char* end = text.data() + text.size();
  std::uint64_t whole = 0;
  const auto head = std::from_chars(text.data(), end, whole);
  std::uint64_t thousandths = 0;
  bool good = head.ec != std::errc::invalid_argument;
  if (good && head.ptr != end) {
    const char* fraction = head.ptr + 1;
    const auto tail = std::from_chars(fraction, end, thousandths);
    const auto count = end - fraction;
    good = *head.ptr == '.' && tail.ec == std::errc{} && tail.ptr == end && count <= 3;
    for (auto i = count; i < 3; ++i) {
      thousandths *= 10;
    }
  }
  if (!good) {
    lexer.fail(word, fmt::format("{}: expected nanoseconds (such as 1500 or 0.25), found '{}'",
                                 what, text));
  }
  constexpr auto kMax = static_cast<std::uint64_t>(kMaxTracePs);
  if (head.ec == std::errc::result_out_of_range || whole > kMax / 1000 ||
      whole * 1000 + thousandths > kMax) {
    lexer.fail(word,
               fmt::format("{}: {} is out of range (at most {} ns)", what, text, kMax / 1000));
  }
  return Ps{static_cast<std::int64_t>(whole * 1000 + thousandths)};
}

void append_nanoseconds(std::string& out, Ps time) {
  const std::int64_t whole = time.count() / 1000;
  const auto thousandths = static_cast<int>(time.count() % 1000);
  std::array<char, 24> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), whole).ptr;
  out.append(digits.data(), end);
  if (thousandths != 0) {
    fmt::format_to(std::back_inserter(out), ".{:03}", thousandths);
    out.erase(out.find_last_not_of('0') + 1);
  }
}

}  // namespace smmulab::workloads

// SPDX-License-Identifier: Apache-2.0
// The text side of sim/params.hpp: durations and near names.
#include <algorithm>
#include <array>
#include <charconv>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "sim/error.hpp"
#include "sim/params.hpp"

namespace smmulab {
namespace {

struct Unit {
  std::string_view name;
  std::size_t exponent;  // one unit is 10^exponent picoseconds
  std::uint64_t picoseconds;
};

// From the largest down: "ps" is last, so that "ns" and the like are not taken for "s".
constexpr std::array<Unit, 5> kUnits{{{"s", 12, 1'000'000'000'000},
                                      {"ms", 9, 1'000'000'000},
                                      {"us", 6, 1'000'000},
                                      {"ns", 3, 1'000},
                                      {"ps", 0, 1}}};

constexpr std::string_view kDurationForm =
    "a number with ps, ns, us, ms or s, such as 15ns or 1.5us";

constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

std::size_t digits_at(std::string_view text, std::size_t from) {
  std::size_t end = from;
  while (end < text.size() && is_digit(text[end])) {
    ++end;
  }
  return end - from;
}

[[noreturn]] void bad_duration(std::string_view text, std::string_view what) {
  throw ConfigError(fmt::format("'{}' {}", text, what));
}

// Digits as a signed number; the magnitude of the least int64 is not wanted either way.
std::int64_t signed_picoseconds(std::string_view text, const std::string& digits, bool negative) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc{}) {
    bad_duration(text, "is too long: simulated time ends after 9223372s (106 days)");
  }
  return negative ? -value : value;
}

// Optimal string alignment: insert, delete, replace, and swap of neighbours cost 1 each.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1);
  std::vector<std::size_t> above(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) {
    above[j] = j;
  }
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    std::swap(before, above);
    std::swap(above, row);
  }
  return above[b.size()];
}

}  // namespace

std::string format_duration(Ps value) {
  const std::int64_t count = value.count();
  const std::uint64_t magnitude =
      count < 0 ? 0 - static_cast<std::uint64_t>(count) : static_cast<std::uint64_t>(count);
  for (const Unit& unit : kUnits) {
    const std::uint64_t thousandth = std::max<std::uint64_t>(unit.picoseconds / 1000, 1);
    if (magnitude < unit.picoseconds || magnitude % thousandth != 0) {
      continue;
    }
    std::string digits = std::to_string(magnitude / unit.picoseconds);
    if (const std::uint64_t rest = magnitude % unit.picoseconds; rest != 0) {
      digits += fmt::format(".{:03}", rest / thousandth);
      digits.erase(digits.find_last_not_of('0') + 1);
    }
    return fmt::format("{}{}{}", count < 0 ? "-" : "", digits, unit.name);
  }
  return "0ps";
}

Ps parse_duration(std::string_view text) {
  if (text == "0") {
    return Ps{0};
  }
  const bool negative = text.substr(0, 1) == "-";
  const std::size_t start = negative ? 1 : 0;
  const std::size_t whole = digits_at(text, start);
  std::size_t end = start + whole;
  std::string_view fraction;
  if (text.substr(end, 1) == ".") {
    fraction = text.substr(end + 1, digits_at(text, end + 1));
    end += 1 + fraction.size();
    if (fraction.empty()) {
      bad_duration(text, fmt::format("is no duration: expected {}", kDurationForm));
    }
  }
  if (whole == 0) {
    bad_duration(text, fmt::format("is no duration: expected {}", kDurationForm));
  }
  const std::string_view name = text.substr(end);
  const auto unit =
      std::find_if(kUnits.begin(), kUnits.end(), [name](const Unit& u) { return u.name == name; });
  if (unit == kUnits.end()) {
    const std::string_view what = name.empty() ? "has no unit" : "has an unknown unit";
    bad_duration(text, fmt::format("{}: expected {}", what, kDurationForm));
  }
  fraction = fraction.substr(0, fraction.find_last_not_of('0') + 1);
  if (fraction.size() > unit->exponent) {
    bad_duration(text, "is finer than 1 ps, the resolution of simulated time");
  }
  std::string digits(text.substr(start, whole));
  digits += fraction;
  digits.append(unit->exponent - fraction.size(), '0');
  return Ps{signed_picoseconds(text, digits, negative)};
}

std::string nearest_name(std::string_view name, const std::vector<std::string>& candidates) {
  std::size_t least = std::max<std::size_t>(2, name.size() / 3) + 1;
  const std::string* nearest = nullptr;
  for (const std::string& candidate : candidates) {
    const std::size_t distance = edit_distance(name, candidate);
    // As many edits as letters: nothing is shared.
    if (distance < least && distance < std::max<std::size_t>({name.size(), candidate.size(), 1})) {
      least = distance;
      nearest = &candidate;
    }
  }
  return nearest != nullptr ? *nearest : std::string();
}

}  // namespace smmulab

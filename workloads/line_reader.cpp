// SPDX-License-Identifier: Apache-2.0
#include "workloads/line_reader.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "sim/utf8.hpp"

namespace smmulab::workloads {
LineReader::LineReader(std::string path)
    : path_(std::move(path)), source_(open_source(path_)), buffer_(2 * kMaxLine) {}

bool LineReader::next(std::string_view& line) {
  std::size_t searched = begin_;
  for (;;) {
    const auto* hit =
        static_cast<const char*>(std::memchr(buffer_.data() + searched, '\n', end_ - searched));
    if (hit != nullptr || at_end_) {
      const bool last = hit == nullptr;
      if (last && begin_ == end_) {
        ++line_;
        return false;
      }
      const std::size_t stop = last ? end_ : static_cast<std::size_t>(hit - buffer_.data());
      line = {buffer_.data() + begin_, stop - begin_};
      begin_ = last ? end_ : stop + 1;
      ++line_;
      check(line);
      return true;
    }
    const std::size_t unread = end_ - begin_;
    at_end_ = !fill();
    searched = begin_ + unread;
  }
}

// Moves the unread bytes to the front and reads more behind them.
bool LineReader::fill() {
  if (end_ - begin_ > kMaxLine) {
    throw TraceError(path_, line_ + 1, kMaxLine,
                     fmt::format("the line is longer than {} bytes", kMaxLine));
  }
  std::copy(buffer_.begin() + static_cast<std::ptrdiff_t>(begin_),
            buffer_.begin() + static_cast<std::ptrdiff_t>(end_), buffer_.begin());
  end_ -= begin_;
  begin_ = 0;
  try {
    const std::size_t n = source_->read(buffer_.data() + end_, buffer_.size() - end_);
    end_ += n;
    return n > 0;
  } catch (const CorruptData& damage) {
    damaged_ = true;
    throw TraceError(path_, line_ + 1, 1, damage.what());
  }
}

// Reads to the end: what is wrong with the data that was not told yet, or "".
std::string LineReader::damage_ahead() {
  if (damaged_ || !source_->shows_damage()) {
    return "";
  }
  try {
    while (source_->read(buffer_.data(), buffer_.size()) > 0) {
    }
  } catch (const CorruptData& damage) {
    return damage.what();
  }
  return "";
}

void LineReader::throw_with_damage(const TraceError& error) {
  const std::string damage = damage_ahead();
  if (damage.empty()) {
    throw TraceError(error);
  }
  const std::string_view what = error.what();
  const auto place = fmt::formatted_size("{}:{}:{}: ", error.file(), error.line(), error.column());
  throw TraceError(error.file(), error.line(), error.column(),
                   fmt::format("{} (the file is damaged: {})", what.substr(place), damage));
}

void LineReader::check(std::string_view line) const {
  if (line.size() > kMaxLine) {
    place().fail(kMaxLine, fmt::format("the line is longer than {} bytes", kMaxLine));
  }
  bool ascii = true;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const auto byte = static_cast<unsigned char>(line[i]);
    if (byte < 0x20 || byte == 0x7f) {
      place().fail(i + 1, fmt::format("unexpected control byte 0x{:02x}", byte));
    }
    ascii = ascii && byte < 0x80;
  }
  if (!ascii) {
    const std::size_t good = valid_utf8_prefix(line);
    if (good < line.size()) {
      place().fail(good + 1, "the text is not UTF-8");
    }
  }
}

}  // namespace smmulab::workloads

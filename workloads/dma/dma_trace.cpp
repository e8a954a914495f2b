// SPDX-License-Identifier: Apache-2.0
#include "workloads/dma/dma_trace.hpp"

#include <charconv>

#include <fmt/format.h>

#include "workloads/line_reader.hpp"

namespace smmulab::workloads::dma {
namespace {

constexpr std::string_view kHeader = "smmulab-dma 1";
constexpr int kLevel = 9;  // of zstd
constexpr std::uint64_t kAny = ~std::uint64_t{0};
constexpr std::uint64_t kPage = 4096, kSpace = std::uint64_t{1} << 48U;  // of every space

struct Word {
  std::string_view text;
  std::size_t column;  // from 1
};

void split(std::string_view line, std::vector<Word>& words) {
  words.clear();
  std::size_t at = 0;
  while (at < line.size()) {
    if (line[at] == ' ' || line[at] == '\t') {
      ++at;
      continue;
    }
    const std::size_t end = std::min(line.find_first_of(" \t", at), line.size());
    words.push_back({line.substr(at, end - at), at + 1});
    at = end;
  }
}

// Takes the words of one line in order.
class Parser {
 public:
  Parser(const std::vector<Word>& words, const Place& place, std::size_t length)
      : words_(words), place_(place), end_(length + 1) {}

  std::uint64_t number(const char* what, std::uint64_t most) {
    const Word word = next(what);
    const auto value = parse_size(word.text);
    if (!value || *value > most) {
      place_.fail(word.column, fmt::format("'{}' is no {} (a number up to {:#x}, decimal or 0x, "
                                           "k, M and G allowed)",
                                           word.text, what, most));
    }
    return *value;
  }
  bool star() {
    if (at_ < words_.size() && words_[at_].text == "*") {
      ++at_;
      return true;
    }
    return false;
  }
  bool word(std::string_view text) {
    if (at_ < words_.size() && words_[at_].text == text) {
      ++at_;
      return true;
    }
    return false;
  }
  [[nodiscard]] bool more() const { return at_ < words_.size(); }
  void end() const {
    if (more()) {
      place_.fail(words_[at_].column, fmt::format("unexpected '{}'", words_[at_].text));
    }
  }
  // Whole pages within a space: IOVA, then whatever `between` reads, then SIZE.
  template <class Between>
  void area(DmaOp& op, const Between& between) {
    const std::size_t at_iova = at_;
    op.iova = number("IOVA", kAny);
    between();
    const std::size_t at_size = at_;
    op.size = number("size", kAny);
    if (op.iova % kPage != 0) {
      place_.fail(words_[at_iova].column, "IOVA is a multiple of 4096");
    }
    if (op.size == 0 || op.size % kPage != 0) {
      place_.fail(words_[at_size].column, "size is a multiple of 4096, at least 4096");
    }
    if (op.size > kSpace || op.iova > kSpace - op.size) {
      place_.fail(words_[at_size].column, fmt::format("IOVA + size is at most {:#x}", kSpace));
    }
  }
  Word next(const char* what) {
    if (!more()) {
      place_.fail(end_, fmt::format("expected {}", what));
    }
    return words_[at_++];
  }

 private:
  const std::vector<Word>& words_;
  const Place& place_;
  std::size_t end_;
  std::size_t at_ = 0;
};

DmaOp parse_op(Parser& p, const Place& place) {
  using Kind = DmaOp::Kind;
  DmaOp op;
  op.line = place.line;
  const Word verb = p.next("an operation");
  const auto space = [&] { op.space = static_cast<std::uint16_t>(p.number("space", 0xFFFF)); };
  const auto stream = [&] {
    op.stream = static_cast<std::uint32_t>(p.number("StreamID", 0xFFFF'FFFF));
  };
  if (verb.text == "dma") {
    stream();
    space();
    op.iova = p.number("IOVA", kAny);
    op.write = p.word("w");
    if (!op.write) {
      (void)p.word("r");
    }
  } else if (verb.text == "map") {
    op.kind = Kind::kMap;
    space();
    p.area(op, [&] { op.pa = p.number("physical address", kAny); });
    op.read_only = p.word("ro");
    op.contiguous = p.word("contig");
    op.read_only = op.read_only || p.word("ro");  // in either order
  } else if (verb.text == "unmap") {
    op.kind = Kind::kUnmap;
    space();
    p.area(op, [] {});
  } else if (verb.text == "inv") {
    op.kind = Kind::kInvAll;
    if (!p.star()) {
      space();
      op.kind = p.more() ? Kind::kInvRange : Kind::kInvSpace;
      if (p.more()) {
        p.area(op, [] {});
      }
    }
  } else if (verb.text == "cfgi") {
    op.kind = p.star() ? Kind::kCfgiAll : Kind::kCfgi;
    if (op.kind == Kind::kCfgi) {
      stream();
    }
  } else {
    place.fail(verb.column,
               fmt::format("unknown operation '{}'; known: dma, map, unmap, inv, cfgi", verb.text));
  }
  p.end();
  return op;
}

template <class Each>
void for_each_op(const std::string& path, const Each& each) {
  LineReader reader(path);
  std::string_view line;
  if (!reader.next(line) || line != kHeader) {
    throw TraceError(path, 1, 1,
                     fmt::format("a DMA trace begins with '{}' (docs/dma-trace.md)", kHeader));
  }
  std::vector<Word> words;
  while (reader.next(line)) {
    const std::string_view text = line.substr(0, line.find('#'));
    split(text, words);
    if (!words.empty()) {
      const Place place = reader.place();
      Parser parser(words, place, text.size());
      each(parse_op(parser, place));
    }
  }
}

}  // namespace

std::optional<std::uint64_t> parse_size(std::string_view text) {
  const bool hex = text.substr(0, 2) == "0x";
  text.remove_prefix(hex ? 2 : 0);
  unsigned shift = 0;
  if (!text.empty() && !hex) {
    const char unit = text.back();
    shift = unit == 'k' ? 10 : unit == 'M' ? 20 : unit == 'G' ? 30 : 0;
    text.remove_suffix(shift != 0 ? 1 : 0);
  }
  std::uint64_t value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value, hex ? 16 : 10);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size() ||
      (value << shift) >> shift != value) {
    return std::nullopt;
  }
  return value << shift;
}

std::vector<DmaOp> read_dma_trace(const std::string& path) {
  std::vector<DmaOp> ops;
  for_each_op(path, [&ops](const DmaOp& op) { ops.push_back(op); });
  return ops;
}

RecordedDma read_recorded_dma(const std::string& path) {
  RecordedDma recorded{path, {}};
  for_each_op(path, [&recorded](const DmaOp& op) {
    if (op.kind == DmaOp::Kind::kAccess) {
      recorded.accesses.push_back({op.iova, StreamId{op.stream}, op.write});
    }
  });
  return recorded;
}

std::string to_text(const DmaOp& op) {
  using Kind = DmaOp::Kind;
  switch (op.kind) {
    case Kind::kAccess:
      return fmt::format("dma {:#x} {} {:#x}{}", op.stream, op.space, op.iova,
                         op.write ? " w" : "");
    case Kind::kMap:
      return fmt::format("map {} {:#x} {:#x} {:#x}{}{}", op.space, op.iova, op.pa, op.size,
                         op.read_only ? " ro" : "", op.contiguous ? " contig" : "");
    case Kind::kUnmap:
      return fmt::format("unmap {} {:#x} {:#x}", op.space, op.iova, op.size);
    case Kind::kInvAll:
      return "inv *";
    case Kind::kInvSpace:
      return fmt::format("inv {}", op.space);
    case Kind::kInvRange:
      return fmt::format("inv {} {:#x} {:#x}", op.space, op.iova, op.size);
    case Kind::kCfgi:
      return fmt::format("cfgi {:#x}", op.stream);
    case Kind::kCfgiAll:
      return "cfgi *";
  }
  return "";
}

DmaTraceWriter::DmaTraceWriter(const std::string& path) : sink_(open_sink(path, kLevel)) {
  sink_->write(fmt::format("{}\n", kHeader));
}

void DmaTraceWriter::comment(const std::string& text) {
  sink_->write(fmt::format("# {}\n", text));
}

void DmaTraceWriter::write(const DmaOp& op) {
  accesses_ += op.kind == DmaOp::Kind::kAccess ? 1 : 0;
  sink_->write(to_text(op) + "\n");
}

void DmaTraceWriter::commit() {
  sink_->commit();
}

}  // namespace smmulab::workloads::dma

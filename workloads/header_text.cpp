// SPDX-License-Identifier: Apache-2.0
#include "workloads/header_text.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "models/iommufd/limits.hpp"
#include "sim/params.hpp"
#include "workloads/fields.hpp"

namespace smmulab::workloads {
namespace {

using iommufd::kPage;

// The number behind "cpu", "device", ...: they count up from 0.
void take_index(Lexer& lexer, std::string_view what, std::size_t expected) {
  const Token word = lexer.expect(fmt::format("the number of the {}", what));
  const std::uint32_t index = parse_u32(lexer, word, what);
  if (index < expected) {
    lexer.fail(word, fmt::format("duplicate {} {}", what, index));
  }
  if (index != expected) {
    lexer.fail(word, fmt::format("expected {} {}, found {}", what, expected, index));
  }
}

std::string take_name(const Lexer& lexer, const Token& value, std::string_view kind,
                      std::set<std::string, std::less<>>& seen) {
  if (value.text.empty()) {
    lexer.fail(value, fmt::format("name: expected the name of the {}", kind));
  }
  if (!seen.insert(fmt::format("{} {}", kind, value.text)).second) {
    lexer.fail(value, fmt::format("duplicate {} name '{}'", kind, value.text));
  }
  return std::string(value.text);
}

MsiWindow take_msi(const Lexer& lexer, const Token& value) {
  const std::size_t plus = value.text.find('+');
  if (plus == std::string_view::npos) {
    lexer.fail(value, fmt::format("msi: expected BASE+LENGTH, found '{}'", value.text));
  }
  const Token base{value.text.substr(0, plus), value.column};
  const Token length{value.text.substr(plus + 1), value.column + plus + 1};
  constexpr auto kMax = std::numeric_limits<std::uint64_t>::max();
  const MsiWindow window{Iova{parse_number(lexer, base, "msi", kMax)},
                         Bytes{parse_number(lexer, length, "msi", kMax)}};
  if (window.length.value() == 0 || window.base.value() % kPage != 0 ||
      window.length.value() % kPage != 0 ||
      window.base.value() > kMax - (window.length.value() - 1)) {
    lexer.fail(value, "msi: expected whole 4096-byte pages, at least one, below 2^64");
  }
  if (window.base != iommufd::kMsiBase || window.length != iommufd::kMsiLength) {
    lexer.fail(value,
               fmt::format("msi: expected {:#x}+{:#x}, which is what Linux reserves behind "
                           "every SMMUv3, found '{}'",
                           iommufd::kMsiBase.value(), iommufd::kMsiLength.value(), value.text));
  }
  return window;
}

template <class T>
void expect_declared(const Lexer& lexer, const Token& at, const std::set<T>& known, T id,
                     std::string_view what) {
  if (!known.contains(id)) {
    lexer.fail(at, fmt::format("{} {} is not declared above", what, id.value()));
  }
}

}  // namespace

bool HeaderParser::take(std::string_view line, const Place& place) {
  using Handler = void (HeaderParser::*)(Lexer&);
  static constexpr std::array<std::pair<std::string_view, Handler>, 7> kLines{{
      {"meta", &HeaderParser::take_meta},
      {"cpu", &HeaderParser::take_cpu},
      {"smmu", &HeaderParser::take_smmu},
      {"group", &HeaderParser::take_group},
      {"devset", &HeaderParser::take_devset},
      {"device", &HeaderParser::take_device},
      {"thread", &HeaderParser::take_thread},
  }};
  Lexer lexer(line, place);
  if (!seen_version_) {
    take_version(lexer);
    return false;
  }
  const Token word = lexer.expect("a header line");
  if (word.text == "begin") {
    lexer.expect_end();
    return true;
  }
  for (const auto& [name, handler] : kLines) {
    if (name == word.text) {
      (this->*handler)(lexer);
      return false;
    }
  }
  std::vector<std::string> known{"begin"};
  for (const auto& [name, handler] : kLines) {
    known.emplace_back(name);
  }
  const std::string near = nearest_name(word.text, known);
  lexer.fail(word, fmt::format("unknown header line '{}' ({})", word.text,
                               near.empty() ? fmt::format("known: {}", fmt::join(known, ", "))
                                            : fmt::format("did you mean '{}'?", near)));
}

void HeaderParser::take_version(Lexer& lexer) {
  Token word;
  if (!lexer.next(word) || word.text != kTraceMagic) {
    // Whatever comments stood before it: another kind of file may begin with '#'.
    Place{lexer.place().file, 1}.fail(
        1,
        fmt::format("not a trace: the first line should read '{} {}'", kTraceMagic, kTraceVersion));
  }
  const Token version = lexer.expect("the version of the trace format");
  if (parse_u32(lexer, version, "version") != kTraceVersion) {
    lexer.fail(version, fmt::format("trace format version {} is not supported; expected version {}",
                                    version.text, kTraceVersion));
  }
  lexer.expect_end();
  seen_version_ = true;
}

void HeaderParser::take_meta(Lexer& lexer) {
  const Token key = lexer.expect("a meta key");
  const Token value = lexer.rest();
  if (header_.find_meta(std::string(key.text)) != nullptr) {
    lexer.fail(key, fmt::format("duplicate meta key '{}'", key.text));
  }
  header_.meta.push_back({std::string(key.text), std::string(value.text)});
}

void HeaderParser::take_cpu(Lexer& lexer) {
  take_index(lexer, "cpu", header_.cpus.size());
  const Fields fields(lexer, {"socket", "node"}, {});
  header_.cpus.push_back({fields.number("socket"), fields.number("node")});
}

void HeaderParser::take_smmu(Lexer& lexer) {
  take_index(lexer, "smmu", header_.smmu_count);
  lexer.expect_end();
  ++header_.smmu_count;
}

void HeaderParser::take_group(Lexer& lexer) {
  const Token word = lexer.expect("the number of the group");
  const GroupId id{parse_u32(lexer, word, "group")};
  if (!groups_.insert(id).second) {
    lexer.fail(word, fmt::format("duplicate group {}", id.value()));
  }
  lexer.expect_end();
  header_.groups.push_back(id);
}

void HeaderParser::take_devset(Lexer& lexer) {
  const Token word = lexer.expect("the number of the devset");
  const DevSetId id{parse_u32(lexer, word, "devset")};
  if (!devsets_.insert(id).second) {
    lexer.fail(word, fmt::format("duplicate devset {}", id.value()));
  }
  lexer.expect_end();
  header_.devsets.push_back(id);
}

void HeaderParser::take_device(Lexer& lexer) {
  take_index(lexer, "device", header_.devices.size());
  const Fields fields(lexer, {"name", "smmu", "sid", "group", "devset"}, {"ats", "msi"});
  DeviceRecord device;
  device.name = take_name(lexer, fields.get("name"), "device", names_);
  device.smmu = SmmuIndex{fields.number("smmu")};
  if (device.smmu.value() >= header_.smmu_count) {
    lexer.fail(fields.get("smmu"),
               fmt::format("smmu {} is not declared above", device.smmu.value()));
  }
  device.stream_ids = take_stream_ids(lexer, fields.get("sid"), device.smmu);
  device.group = GroupId{fields.number("group")};
  expect_declared(lexer, fields.get("group"), groups_, device.group, "group");
  device.devset = DevSetId{fields.number("devset")};
  expect_declared(lexer, fields.get("devset"), devsets_, device.devset, "devset");
  if (const Token* ats = fields.find("ats")) {
    device.ats = parse_number(lexer, *ats, "ats", 1) == 1;
  }
  if (const Token* msi = fields.find("msi")) {
    device.msi = take_msi(lexer, *msi);
  }
  header_.devices.push_back(std::move(device));
}

// A stream table entry belongs to one device [Linux 6.12 arm_smmu_insert_master: "stream already in
// tree" is an error].
std::vector<StreamId> HeaderParser::take_stream_ids(const Lexer& lexer, const Token& list,
                                                    SmmuIndex smmu) {
  std::vector<StreamId> ids;
  const std::size_t device = header_.devices.size();
  std::size_t begin = 0;
  for (;;) {
    const std::size_t comma = std::min(list.text.find(',', begin), list.text.size());
    const Token one{list.text.substr(begin, comma - begin), list.column + begin};
    const StreamId id{parse_u32(lexer, one, "sid")};
    const auto [known, fresh] = streams_.try_emplace({smmu, id}, device);
    if (!fresh) {
      lexer.fail(one,
                 fmt::format("duplicate stream id {:#x}{}", id.value(),
                             known->second == device ? ""
                                                     : fmt::format(": device {} on smmu {} has it",
                                                                   known->second, smmu.value())));
    }
    ids.push_back(id);
    if (comma == list.text.size()) {
      return ids;
    }
    begin = comma + 1;
  }
}

void HeaderParser::take_thread(Lexer& lexer) {
  take_index(lexer, "thread", header_.threads.size());
  const Fields fields(lexer, {"name", "cpu"}, {});
  ThreadRecord thread;
  thread.name = take_name(lexer, fields.get("name"), "thread", names_);
  const Token& cpu = fields.get("cpu");
  if (cpu.text != "-") {
    thread.cpu = CpuId{parse_u32(lexer, cpu, "cpu")};
    if (thread.cpu->value() >= header_.cpus.size()) {
      lexer.fail(cpu, fmt::format("cpu {} is not declared above", thread.cpu->value()));
    }
  }
  header_.threads.push_back(std::move(thread));
}

}  // namespace smmulab::workloads

// SPDX-License-Identifier: Apache-2.0
// The wire format byte by byte, and a small record decoded again; tests/test_timeline.py has
// Perfetto's own reader on a whole replay.
#include "analysis/perfetto_export.hpp"

#include <map>
#include <sstream>
#include <stdexcept>
#include <vector>

#include <gtest/gtest.h>

#include "analysis/protobuf.hpp"
#include "analysis/record_script_testing.hpp"

namespace smmulab::analysis {
namespace {

using testing::RecordScript;

std::string opcode_text(std::uint8_t opcode) {
  return "op" + std::to_string(opcode);
}

TEST(Protobuf, IsWrittenAsTheSpecificationShows) {
  ProtoMessage inner;
  inner.varint(1, 150);  // the example of the encoding guide: 08 96 01
  EXPECT_EQ(inner.bytes(), "\x08\x96\x01");
  ProtoMessage outer;
  outer.message(3, inner);  // 1a 03 08 96 01
  EXPECT_EQ(outer.bytes(), "\x1a\x03\x08\x96\x01");
  ProtoMessage text;
  text.bytes(2, "testing");
  EXPECT_EQ(text.bytes(), "\x12\x07testing");
  ProtoMessage numbers;
  numbers.signed_varint(1, -1);
  EXPECT_EQ(numbers.bytes(), "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
  numbers.clear();
  numbers.fixed64(16, 0x0102);  // a key of two bytes
  EXPECT_EQ(numbers.bytes(), std::string("\x81\x01\x02\x01\0\0\0\0\0\0", 10));
}

// Enough of a reader for the fields that we write.
struct Message {
  std::multimap<std::uint32_t, std::string> texts;
  std::multimap<std::uint32_t, std::uint64_t> numbers;
  [[nodiscard]] std::uint64_t number(std::uint32_t field) const {
    const auto at = numbers.find(field);
    return at == numbers.end() ? 0 : at->second;
  }
};

std::uint64_t varint(std::string_view& in) {
  std::uint64_t value = 0;
  for (unsigned shift = 0;; shift += 7) {
    const auto byte = static_cast<std::uint8_t>(in.at(0));
    in.remove_prefix(1);
    value |= std::uint64_t{byte & 0x7fU} << shift;
    if (byte < 0x80) {
      return value;
    }
  }
}

Message parse(std::string_view in) {
  Message m;
  while (!in.empty()) {
    const std::uint64_t key = varint(in);
    const auto field = static_cast<std::uint32_t>(key >> 3U);
    switch (key & 7U) {
      case 0:
        m.numbers.emplace(field, varint(in));
        break;
      case 1:
        m.numbers.emplace(field, static_cast<std::uint8_t>(in.at(0)));  // small ones only
        in.remove_prefix(8);
        break;
      case 2: {
        const std::uint64_t size = varint(in);
        m.texts.emplace(field, in.substr(0, size));
        in.remove_prefix(size);
        break;
      }
      default:
        throw std::runtime_error("wire type");
    }
  }
  return m;
}

// "TIME TRACK +NAME" (begin), "TIME TRACK -" (end), "TIME TRACK !NAME >FLOW" or "<FLOW", "TIME
// TRACK =COUNT": every event in order.
std::vector<std::string> events_of(const Record& record) {
  std::ostringstream out;
  write_perfetto(Timelines(record), out, opcode_text);
  std::map<std::uint64_t, std::string> tracks;
  std::map<std::uint64_t, std::string> names;
  std::vector<std::string> events;
  const std::string bytes = out.str();
  const Message trace = parse(bytes);
  for (const auto& [field, text] : trace.texts) {
    const Message packet = parse(text);
    if (const auto about = packet.texts.find(60); about != packet.texts.end()) {
      const Message d = parse(about->second);
      tracks[d.number(1)] = d.texts.find(2)->second;
      continue;
    }
    if (const auto interned = packet.texts.find(12); interned != packet.texts.end()) {
      const Message entries = parse(interned->second);
      for (const auto& [entry_field, entry] : entries.texts) {
        const Message e = parse(entry);
        names[e.number(1)] = e.texts.find(2)->second;
      }
    }
    const Message e = parse(packet.texts.find(11)->second);
    std::string line = std::to_string(packet.number(8)) + " " + tracks.at(e.number(11)) + " ";
    switch (e.number(9)) {
      case 1:
        line += "+" + names.at(e.number(10));
        break;
      case 2:
        line += "-";
        break;
      case 3:
        line += "!" + names.at(e.number(10));
        line += e.number(47) != 0 ? " >" + std::to_string(e.number(47))
                                  : " <" + std::to_string(e.number(48));
        break;
      default:
        line += "=" + std::to_string(e.number(30));
    }
    events.push_back(line);
  }
  return events;
}

constexpr std::uint16_t kContended = record_flag::kContended;

TEST(Perfetto, AContendedLockWithAFlowFromItsRelease) {
  RecordScript s;
  s.at(1000).on("a", "cpu0").on("b", "cpu1").begin("a", "map").begin("b", "unmap");
  s.at(2000).take("a", "mutex").at(3000).ask("b", "mutex");              // events 4, 5 and 6
  s.at(9000).drop("a", "mutex").at(9500).got("b", "mutex", kContended);  // 7 and 8
  s.at(12000).drop("b", "mutex").end("b", "unmap");
  EXPECT_EQ(events_of(s.record),
            (std::vector<std::string>{
                "1 cpu0 +a", "1 cpu1 +b", "1 a +map", "1 b +unmap", "2 mutex#0 +a",
                "3 b +waits for mutex#0", "9 a !releases mutex#0 >9", "9 mutex#0 -", "9 b -",
                "9 b !acquires mutex#0 <9", "9 mutex#0 +b", "12 mutex#0 -", "12 b -"}));
}

TEST(Perfetto, ASleeperIsWokenByAFlow) {
  RecordScript s;
  s.at(1000).on("a", "cpu0").at(2000).off("a", "cpu0");  // events 0 and 1
  s.at(3000).on("b", "cpu1").at(4000).wake("a", "b").at(6000).on("a", "cpu0");
  s.at(7000).off("a", "cpu0", true).at(8000).on("a", "cpu0");
  EXPECT_EQ(events_of(s.record),
            (std::vector<std::string>{"1 cpu0 +a", "2 cpu0 -", "2 a +asleep", "3 cpu1 +b",
                                      "4 b !wakes a >5", "6 cpu0 +a", "6 a -", "6 a !woken <5",
                                      "7 cpu0 -", "7 a +preempted", "8 cpu0 +a", "8 a -"}));
}

TEST(Perfetto, AWaitThatNeverEndsStaysOpen) {
  RecordScript s;
  s.at(1000).take("a", "mutex").at(2000).ask("b", "mutex");
  EXPECT_EQ(events_of(s.record), std::vector<std::string>{"2 b +waits for mutex#0, in vain"});
}

TEST(Perfetto, ReadersAreCounted) {
  RecordScript s;
  constexpr std::uint16_t kRead = record_flag::kRead;
  s.at(1000).read("a", "rwsem").at(2000).read("b", "rwsem").at(3000).ask("c", "rwsem");
  s.at(4000).drop("a", "rwsem", kRead).at(5000).drop("b", "rwsem", kRead);
  s.at(6000).got("c", "rwsem", kContended);
  EXPECT_EQ(events_of(s.record), (std::vector<std::string>{
                                     "1 rwsem#0 +1 reader", "2 rwsem#0 -", "2 rwsem#0 +2 readers",
                                     "3 c +waits for rwsem#0", "4 rwsem#0 -", "4 rwsem#0 +1 reader",
                                     "5 b !releases rwsem#0 >8", "5 rwsem#0 -", "6 c -",
                                     "6 c !acquires rwsem#0 <8", "6 rwsem#0 +c"}));
}

TEST(Perfetto, CommandsAreSlicesFromIssueToKnownConsumption) {
  Record record;
  const RecordThread a = record.intern_thread("a");
  const RecordThread b = record.intern_thread("b");
  const RecordObject queue = record.intern_object("q");
  const auto at = [](std::int64_t ns) { return SimTime{Ps{1000 * ns}}; };
  const auto issue = [&](std::int64_t ns, RecordThread who, std::uint64_t position,
                         std::uint8_t opcode) {
    record.append(record_event::command_issue(at(ns), who, queue, position, opcode));
  };
  issue(1, a, 0, 18);
  issue(1, a, 1, 18);
  issue(1, a, 2, 70);
  issue(2, b, 5, 70);  // its slots come after the next ones, which are written later
  issue(3, a, 3, 18);
  issue(3, a, 4, 70);
  record.append(record_event::command_complete(at(4), queue, 3, 70));
  issue(5, a, 6, 1);  // takes the first track that is free
  record.append(record_event::command_complete(at(6), queue, 6, 70));
  std::vector<std::string> commands;
  for (const std::string& event : events_of(record)) {
    if (event.find("q commands") != std::string::npos) {
      commands.push_back(event);
    }
  }
  EXPECT_EQ(commands, (std::vector<std::string>{
                          "1 q commands 0 +op18 x2", "1 q commands 1 +op70", "2 q commands 2 +op70",
                          "3 q commands 3 +op18", "3 q commands 4 +op70", "4 q commands 0 -",
                          "4 q commands 1 -", "5 q commands 0 +op1", "6 q commands 2 -",
                          "6 q commands 3 -", "6 q commands 4 -"}));
}

TEST(Perfetto, CommandsInFlightAndDarkTimes) {
  Record record;
  const RecordThread a = record.intern_thread("a");
  const RecordObject queue = record.intern_object("cmdq0");
  const RecordObject device = record.intern_object("0000:00:02.0");
  const auto at = [](std::int64_t ns) { return SimTime{Ps{1000 * ns}}; };
  record.append(record_event::dma_dark_begin(at(1), a, device));
  record.append(record_event::command_issue(at(2), a, queue, 0, 0x10));
  record.append(record_event::command_issue(at(2), a, queue, 1, 0x46));
  record.append(record_event::command_complete(at(5), queue, 2, 0x46));
  record.append(record_event::dma_dark_end(at(6), a, device));
  EXPECT_EQ(events_of(record),
            (std::vector<std::string>{"1 0000:00:02.0 +dark", "2 cmdq0 commands 0 +op16",
                                      "2 cmdq0 in flight =1", "2 cmdq0 +busy",
                                      "2 cmdq0 commands 1 +op70", "2 cmdq0 in flight =2",
                                      "5 cmdq0 commands 0 -", "5 cmdq0 commands 1 -",
                                      "5 cmdq0 in flight =0", "5 cmdq0 -", "6 0000:00:02.0 -"}));
}

TEST(Perfetto, SameRecordSameBytes) {
  RecordScript s;
  s.nest("t", "map", {"one", "two"});
  std::ostringstream first;
  std::ostringstream second;
  write_perfetto(Timelines(s.record), first, opcode_text);
  write_perfetto(Timelines(s.record), second, opcode_text);
  EXPECT_EQ(first.str(), second.str());
  EXPECT_FALSE(first.str().empty());
}

}  // namespace
}  // namespace smmulab::analysis

// SPDX-License-Identifier: Apache-2.0
// What a command queue shows of itself in Perfetto: a counter of commands in flight, "busy", and
// below it the commands in as many lanes as need be (perfetto_export.hpp says what is shown).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "analysis/perfetto_export.hpp"
#include "analysis/perfetto_writer.hpp"
#include "sim/record.hpp"

namespace smmulab::analysis {

// A track with at most one slice at a time.
class BusyTrack {
 public:
  explicit BusyTrack(PerfettoWriter::Track track) : track_(track) {}
  [[nodiscard]] PerfettoWriter::Track track() const { return track_; }
  // Nothing, if a slice is open already.
  void open(PerfettoWriter& writer, SimTime time, std::string_view name);
  void close(PerfettoWriter& writer, SimTime time);

 private:
  PerfettoWriter::Track track_;
  bool open_ = false;
};

class PerfettoQueue {
 public:
  // Adds its tracks below `top`. All but the name must outlive it.
  PerfettoQueue(PerfettoWriter& writer, const Record& record, const CommandName& command_name,
                const std::string& name, PerfettoWriter::Track top);

  // Event `i` of the record: an issue to this queue, or a completion.
  void take(std::uint64_t i, const RecordEvent& e);

 private:
  struct Lane {
    PerfettoWriter::Track track;
    std::optional<std::uint64_t> end;  // in flight on it: commands before this position
  };
  void begin_commands(std::uint64_t i, const RecordEvent& e);

  PerfettoWriter* writer_;
  const Record* record_;
  const CommandName* command_name_;
  BusyTrack busy_;
  PerfettoWriter::Track counter_;
  // Positions count up from 0 and do not wrap.
  std::uint64_t issued_ = 0;
  std::uint64_t consumed_ = 0;
  std::uint64_t described_ = 0;  // the event up to which commands have slices
  std::vector<Lane> lanes_;
};

}  // namespace smmulab::analysis

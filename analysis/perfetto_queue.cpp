// SPDX-License-Identifier: Apache-2.0
#include "analysis/perfetto_queue.hpp"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

namespace smmulab::analysis {

void BusyTrack::open(PerfettoWriter& writer, SimTime time, std::string_view name) {
  if (!open_) {
    writer.begin_slice(time, track_, name);
    open_ = true;
  }
}

void BusyTrack::close(PerfettoWriter& writer, SimTime time) {
  if (open_) {
    writer.end_slice(time, track_);
    open_ = false;
  }
}

PerfettoQueue::PerfettoQueue(PerfettoWriter& writer, const Record& record,
                             const CommandName& command_name, const std::string& name,
                             PerfettoWriter::Track top)
    : writer_(&writer),
      record_(&record),
      command_name_(&command_name),
      busy_(writer.add_track(name, top)),
      counter_(writer.add_counter(name + " in flight", top)) {}

void PerfettoQueue::take(std::uint64_t i, const RecordEvent& e) {
  if (e.kind == RecordKind::kCommandIssue) {
    issued_ = std::max(issued_, e.arg + 1);
    if (i >= described_) {
      begin_commands(i, e);
    }
  } else {
    consumed_ = std::max(consumed_, e.arg);
    for (Lane& lane : lanes_) {
      if (lane.end && *lane.end <= consumed_) {
        writer_->end_slice(e.time, lane.track);
        lane.end.reset();
      }
    }
  }
  const std::uint64_t flying = issued_ - std::min(issued_, consumed_);
  writer_->count(e.time, counter_, static_cast<std::int64_t>(flying));
  if (flying != 0) {
    busy_.open(*writer_, e.time, "busy");
  } else {
    busy_.close(*writer_, e.time);
  }
}

// A slice for the command and those issued with it that are like it.
void PerfettoQueue::begin_commands(std::uint64_t i, const RecordEvent& e) {
  std::uint64_t count = 1;
  const auto continues = [&](const RecordEvent& next) {
    return next.kind == e.kind && next.object == e.object && next.thread == e.thread &&
           next.time == e.time && next.detail == e.detail && next.arg == e.arg + count;
  };
  while (i + count < record_->size() && continues((*record_)[i + count])) {
    ++count;
  }
  described_ = i + count;
  auto lane = std::ranges::find_if(lanes_, [](const Lane& each) { return !each.end; });
  if (lane == lanes_.end()) {
    const std::string name =
        fmt::format("{} commands {}", record_->name(RecordObject{e.object}), lanes_.size());
    lanes_.push_back(Lane{writer_->add_track(name, busy_.track()), std::nullopt});
    lane = std::prev(lanes_.end());
  }
  lane->end = e.arg + count;
  const std::string name = (*command_name_)(e.detail);
  writer_->begin_slice(e.time, lane->track, count == 1 ? name : fmt::format("{} x{}", name, count));
}

}  // namespace smmulab::analysis

// SPDX-License-Identifier: Apache-2.0
#include "analysis/perfetto_writer.hpp"

#include <ostream>

namespace smmulab::analysis {
namespace {

// Field numbers of perfetto's protos/perfetto/trace, by message.
namespace trace {
constexpr std::uint32_t kPacket = 1;
}
namespace packet {
constexpr std::uint32_t kTimestamp = 8;
constexpr std::uint32_t kSequenceId = 10;
constexpr std::uint32_t kTrackEvent = 11;
constexpr std::uint32_t kInternedData = 12;
constexpr std::uint32_t kSequenceFlags = 13;
constexpr std::uint32_t kTrackDescriptor = 60;
constexpr std::uint64_t kStateCleared = 1;
constexpr std::uint64_t kNeedsState = 2;
}  // namespace packet
namespace descriptor {
constexpr std::uint32_t kUuid = 1;
constexpr std::uint32_t kName = 2;
constexpr std::uint32_t kParent = 5;
constexpr std::uint32_t kCounter = 8;
constexpr std::uint32_t kChildOrdering = 11;
constexpr std::uint32_t kRank = 12;
constexpr std::uint64_t kExplicit = 3;
}  // namespace descriptor
namespace track_event {
constexpr std::uint32_t kType = 9;
constexpr std::uint32_t kNameId = 10;
constexpr std::uint32_t kTrack = 11;
constexpr std::uint32_t kCounterValue = 30;
constexpr std::uint32_t kFlows = 47;
constexpr std::uint32_t kEndingFlows = 48;
constexpr std::uint32_t kSliceBegin = 1;
constexpr std::uint32_t kSliceEnd = 2;
constexpr std::uint32_t kInstant = 3;
constexpr std::uint32_t kCounter = 4;
}  // namespace track_event
namespace interned {
constexpr std::uint32_t kEventNames = 2;
constexpr std::uint32_t kId = 1;
constexpr std::uint32_t kName = 2;
}  // namespace interned

}  // namespace

void PerfettoWriter::put(const ProtoMessage& packet) {
  framed_.clear();
  framed_.message(trace::kPacket, packet);
  out_.write(framed_.bytes().data(), static_cast<std::streamsize>(framed_.bytes().size()));
}

PerfettoWriter::Track PerfettoWriter::describe(std::string_view name, Track parent, bool counter) {
  ProtoMessage about;
  about.varint(descriptor::kUuid, ++tracks_);
  about.bytes(descriptor::kName, name);
  if (parent != kTop) {
    about.varint(descriptor::kParent, static_cast<std::uint64_t>(parent));
  }
  if (counter) {
    about.message(descriptor::kCounter, {});
  }
  about.varint(descriptor::kChildOrdering, descriptor::kExplicit);
  about.varint(descriptor::kRank, tracks_);
  ProtoMessage whole;
  whole.varint(packet::kSequenceId, 1);
  if (first_) {
    whole.varint(packet::kSequenceFlags, packet::kStateCleared);
    first_ = false;
  }
  whole.message(packet::kTrackDescriptor, about);
  put(whole);
  return Track{tracks_};
}

PerfettoWriter::Track PerfettoWriter::add_track(std::string_view name, Track parent) {
  return describe(name, parent, false);
}

PerfettoWriter::Track PerfettoWriter::add_counter(std::string_view name, Track parent) {
  return describe(name, parent, true);
}

void PerfettoWriter::start(Track track, std::uint32_t type) {
  event_.clear();
  interned_.clear();
  event_.varint(track_event::kType, type);
  event_.varint(track_event::kTrack, static_cast<std::uint64_t>(track));
}

void PerfettoWriter::name(std::string_view text) {
  auto known = names_.find(text);
  if (known == names_.end()) {
    known = names_.emplace(text, names_.size() + 1).first;
    ProtoMessage entry;
    entry.varint(interned::kId, known->second);
    entry.bytes(interned::kName, text);
    interned_.message(interned::kEventNames, entry);
  }
  event_.varint(track_event::kNameId, known->second);
}

void PerfettoWriter::finish(SimTime time) {
  constexpr std::int64_t kPsPerNs = 1000;
  ProtoMessage whole;
  whole.varint(packet::kTimestamp, static_cast<std::uint64_t>(to_ps(time) / kPsPerNs));
  whole.varint(packet::kSequenceId, 1);
  whole.varint(packet::kSequenceFlags, packet::kNeedsState);
  whole.message(packet::kTrackEvent, event_);
  if (!interned_.bytes().empty()) {
    whole.message(packet::kInternedData, interned_);
  }
  put(whole);
}

void PerfettoWriter::begin_slice(SimTime time, Track track, std::string_view text) {
  start(track, track_event::kSliceBegin);
  name(text);
  finish(time);
}

void PerfettoWriter::end_slice(SimTime time, Track track) {
  start(track, track_event::kSliceEnd);
  finish(time);
}

void PerfettoWriter::start_flow(SimTime time, Track track, std::string_view text,
                                std::uint64_t flow) {
  start(track, track_event::kInstant);
  name(text);
  event_.fixed64(track_event::kFlows, flow);
  finish(time);
}

void PerfettoWriter::end_flow(SimTime time, Track track, std::string_view text,
                              std::uint64_t flow) {
  start(track, track_event::kInstant);
  name(text);
  event_.fixed64(track_event::kEndingFlows, flow);
  finish(time);
}

void PerfettoWriter::count(SimTime time, Track track, std::int64_t value) {
  start(track, track_event::kCounter);
  event_.signed_varint(track_event::kCounterValue, value);
  finish(time);
}

}  // namespace smmulab::analysis

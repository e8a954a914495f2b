// SPDX-License-Identifier: Apache-2.0
// PerfettoWriter: a trace in Perfetto's format (perfetto.dev/docs/reference/trace-packet-proto),
// packet by packet into a stream: tracks in groups, slices, instants and counters on them, and
// flows between instants. One packet sequence with interned names. Perfetto's clock counts whole
// nanoseconds, so times are rounded down to one. REQUIRES of a track: slices nest; of all calls:
// times do not decrease.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <map>
#include <string>
#include <string_view>

#include "analysis/protobuf.hpp"
#include "sim/time.hpp"

namespace smmulab::analysis {

class PerfettoWriter {
 public:
  enum class Track : std::uint64_t {};
  static constexpr Track kTop{0};  // no parent

  explicit PerfettoWriter(std::ostream& out) : out_(out) {}

  // Children are shown in the order in which they are made.
  Track add_track(std::string_view name, Track parent);
  Track add_counter(std::string_view name, Track parent);

  void begin_slice(SimTime time, Track track, std::string_view name);
  void end_slice(SimTime time, Track track);
  // A flow (not 0) starts in one instant and ends in another.
  void start_flow(SimTime time, Track track, std::string_view name, std::uint64_t flow);
  void end_flow(SimTime time, Track track, std::string_view name, std::uint64_t flow);
  void count(SimTime time, Track track, std::int64_t value);

 private:
  Track describe(std::string_view name, Track parent, bool counter);
  void start(Track track, std::uint32_t type);  // of event_
  void name(std::string_view text);
  void finish(SimTime time);
  void put(const ProtoMessage& packet);

  std::ostream& out_;
  std::uint64_t tracks_ = 0;
  std::map<std::string, std::uint64_t, std::less<>> names_;  // interned, from 1
  bool first_ = true;
  ProtoMessage event_;
  ProtoMessage interned_;  // names that this packet is the first to use
  ProtoMessage framed_;
};

}  // namespace smmulab::analysis

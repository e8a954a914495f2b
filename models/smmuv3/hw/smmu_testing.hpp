// SPDX-License-Identifier: Apache-2.0
// For tests of a whole SMMU: software and the client of its transactions, with page tables, queues
// and streams.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include <gtest/gtest.h>

#include "models/smmuv3/hw/smmu.hpp"
#include "models/smmuv3/hw/world_testing.hpp"

namespace smmulab::smmu::hw::testing {

inline constexpr std::uint32_t kSid = 3;
inline constexpr std::uint64_t kVa = k2M;

inline SmmuSetup setup_of(World& world, std::uint8_t events_log2, std::uint32_t stall_max) {
  SmmuSetup s;
  s.caches = {{64, 4, Policy::kRoundRobin, 1},
              {8, 0, Policy::kLru, 2},
              {64, 4, Policy::kRandom, 3},
              WalkCaches::Shape::all_alike({16, 4, Policy::kRoundRobin, 4}, false)};
  s.features = world.features;
  s.streams = world.streams.base();
  s.commands = {world.frames.allocate(12), 8};
  s.events = {world.frames.allocate(12), events_log2};
  s.page_requests = {world.frames.allocate(12), 4};
  s.stall_max = stall_max;
  return s;
}

// Software, and the client of the transactions.
class Bench final : public TransactionClient, public AtsDevice {
 public:
  explicit Bench(std::uint8_t events_log2 = 4, std::uint32_t stall_max = 8)
      : table(world.frames, {}),
        smmu(world.memory, setup_of(world, events_log2, stall_max)),
        event_mask_((2U << events_log2) - 1) {
    smmu.set_client(this);
    smmu.add_device(StreamId{kSid}, *this);
    for (std::uint32_t sid = 1; sid <= kSid; ++sid) {
      attach(sid, true);
    }
    smmu.enable({});
  }
  void attach(std::uint32_t sid, bool stall, bool abort = true) {
    Cd cd = World::base_cd();
    cd.stall = stall;
    cd.record = true;
    cd.abort = abort;
    point_cd_at(cd, table);
    ContextTable cds(world.frames, ContextTable::Format::kLinear, 0);
    cds.write(Ssid{0}, cd);
    Ste ste = World::ste_of(Ste::Config::kS1);
    ste.eats = 1;
    cds.point_ste(ste);
    world.streams.write(StreamId{sid}, ste);
  }
  void disable_stream(std::uint32_t sid) {
    world.streams.write(StreamId{sid}, World::ste_of(Ste::Config::kAbort));
    Command cfgi = command(Opcode::kCfgiSte, sid);
    issue(cfgi);
    issue(command(Opcode::kSync));
  }
  static Command command(Opcode opcode, std::uint32_t sid = 0) {
    Command c;
    c.opcode = opcode;
    c.stream = StreamId{sid};
    return c;
  }
  Fate send(std::uint64_t cookie, std::uint64_t va = kVa, std::uint32_t sid = kSid) {
    Request request;
    request.stream = StreamId{sid};
    request.address = va;
    return smmu.transaction(request, cookie).fate;
  }
  void issue(const Command& c) { issue_words(encode(c)); }
  void issue_words(const CommandWords& words) {
    write_command(prod_, words);
    prod_ = (prod_ + 1) & 511U;
    smmu.write_command_prod(prod_);
  }
  void write_command(std::uint32_t index, const CommandWords& words) {
    const std::uint64_t at = smmu.commands().address_of(index);
    world.memory.write64(at, words[0]);
    world.memory.write64(at + 8, words[1]);
  }
  void resume(const EventRecord& event, ResumeAction action) {
    Command c = command(Opcode::kResume, event.stream.value());
    c.stag = event.stag;
    c.response = static_cast<std::uint8_t>(action);
    issue(c);
  }
  std::optional<EventRecord> event() {
    const OutputQueue& queue = smmu.events().queue();
    std::uint32_t cons = queue.read_cons();
    if (((queue.read_prod() ^ cons) & event_mask_) == 0) {
      return std::nullopt;
    }
    EventWords words{};
    for (std::size_t i = 0; i < words.size(); ++i) {
      words[i] = world.memory.peek64(queue.address_of(cons & event_mask_) + 8 * i);
    }
    cons = (cons + 1) & event_mask_;
    smmu.write_event_cons(cons | (queue.read_prod() & kOverflowFlag));
    return decode_event(words);
  }
  void ended(std::uint64_t cookie, const TransactionAnswer& answer) override {
    EXPECT_TRUE(fates.emplace(cookie, answer.fate).second) << cookie << " ended twice";
  }
  bool atc_invalidate(const Command& /*command*/) override { return answers; }
  void page_response(const PageResponse& response) override { responses.push_back(response); }

  World world;
  PageTable table;
  Smmu smmu;
  std::map<std::uint64_t, Fate> fates;  // of those that were stalled
  bool answers = true;
  std::vector<PageResponse> responses;

 private:
  std::uint32_t event_mask_;
  std::uint32_t prod_ = 0;
};

}  // namespace smmulab::smmu::hw::testing

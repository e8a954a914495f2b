// SPDX-License-Identifier: Apache-2.0
// Set-ups for tests: a world with one or two stages, and a client that notes what becomes of its
// requests.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "models/smmuv3/hw/world_testing.hpp"
#include "models/smmuv3/timed/timed_smmu.hpp"

namespace smmulab::smmu::timed::testing {

using hw::testing::k1G;
using hw::testing::k2M;
using hw::testing::k32M;
using hw::testing::k4K;

// Sends requests and notes the passages, by the order of sending.
class Probe final : public Client {
 public:
  Probe(Timers& timers, Tbu& tbu) : timers_(timers), tbu_(tbu) {}

  // Sends now and gives the number under which the passage is found.
  std::uint32_t send(const hw::Request& request) {
    const auto n = static_cast<std::uint32_t>(passages_.size());
    passages_.emplace_back();
    sent_.push_back(timers_.now());
    Passage passage;
    switch (tbu_.translate(request, *this, n, passage)) {
      case Tbu::Accepted::kReady:
        passages_[n] = passage;
        tbu_.finished_at(passage.ready + hold);
        break;
      case Tbu::Accepted::kPending:
        break;
      case Tbu::Accepted::kRefused:
        refused.push_back(n);
        break;
    }
    return n;
  }
  std::uint32_t send(std::uint32_t sid, std::uint64_t address, bool write = false,
                     std::optional<hw::Ssid> ssid = {}) {
    hw::Request request;
    request.stream = StreamId{sid};
    request.address = address;
    request.access.write = write;
    request.substream = ssid;
    return send(request);
  }
  [[nodiscard]] const std::optional<Passage>& passage(std::uint32_t n) const {
    return passages_[n];
  }
  [[nodiscard]] Ps latency(std::uint32_t n) const { return passages_[n]->ready - sent_[n]; }

  SimTime translated(std::uint32_t cookie, const Passage& passage) override {
    passages_[cookie] = passage;
    return passage.ready + hold;
  }
  void slot_free() override { ++slots_freed; }

  Ps hold{0};  // from passage to completion
  std::vector<std::uint32_t> refused;
  std::uint32_t slots_freed = 0;

 private:
  Timers& timers_;
  Tbu& tbu_;
  std::vector<std::optional<Passage>> passages_;
  std::vector<SimTime> sent_;
};

// A nested stream: 4 levels over 4, two-level stream and CD tables, the CD and the stage 1 tables
// behind stage 2. As large as a cold translation gets: 36 reads.
class NestedWorld {
 public:
  static constexpr std::uint32_t kSid = 300;
  static constexpr hw::Ssid kSsid{3};
  static constexpr std::uint64_t kOffset = 1ULL << 36U;

  explicit NestedWorld(std::uint64_t pages = 1, std::uint8_t eats = 0)
      : guest_(world.memory, kOffset + k1G),
        s2_(world.frames, {2, hw::Granule::k4K, 48, 44, false, false, 0}),
        s1_(guest_, {1, hw::Granule::k4K, 48, 40, false, true, kOffset}),
        cds_(guest_, hw::ContextTable::Format::k64KLeaves, 11, kOffset) {
    const std::uint64_t window = 4 * k32M + pages * k4K;
    good = s2_.map_pages(k1G, kOffset + k1G, 12, window / k4K, {}) == hw::MapError::kNone &&
           s1_.map_pages(k2M, k1G + 4 * k32M, 12, pages, {}) == hw::MapError::kNone;
    hw::Cd cd = hw::testing::World::base_cd();
    point_cd_at(cd, s1_);
    cds_.write(kSsid, cd);
    hw::Ste ste = hw::testing::World::ste_of(hw::Ste::Config::kNested);
    ste.s1_default_substream = 0;
    ste.eats = eats;
    cds_.point_ste(ste);
    point_ste_at(ste, s2_);
    world.streams.write(StreamId{kSid}, ste);
  }
  static std::uint64_t intermediate(std::uint64_t va) { return k1G + 4 * k32M + va - k2M; }
  static std::uint64_t physical(std::uint64_t va) { return kOffset + intermediate(va); }

  hw::testing::World world;
  bool good = false;

 private:
  hw::FrameAllocator guest_;
  hw::PageTable s2_;
  hw::PageTable s1_;
  hw::ContextTable cds_;
};

// Software's end of the command queue: writes commands into memory and rings the doorbell.
class Commands final : public CommandListener {
 public:
  // `queues`: the SMMU's own and so many less one others.
  Commands(TimedSmmu& smmu, hw::testing::World& world, QueueNumber queues = 1)
      : smmu_(smmu), memory_(world.memory), queues_(queues) {
    smmu.commands().set_queue({world.frames.allocate(kLog2 + 4), kLog2});
    for (QueueNumber i = 1; i < queues; ++i) {
      smmu.commands().add_queue({world.frames.allocate(kLog2 + 4), kLog2});
    }
    smmu.commands().set_listener(this);
  }
  // One more queue. Gives its number.
  QueueNumber add_queue(CommandProcessor::Interface interface, Vmid vmid,
                        hw::testing::World& world) {
    queues_.emplace_back();
    return smmu_.commands().add_queue({world.frames.allocate(kLog2 + 4), kLog2, interface, vmid});
  }
  // Gives the index of the command.
  std::uint64_t add(const hw::Command& command, QueueNumber queue = 0) {
    return add_words(hw::encode(command), queue);
  }
  std::uint64_t add_words(const hw::CommandWords& words, QueueNumber queue = 0) {
    std::vector<SimTime>& done = queues_[queue];
    const std::uint64_t at = smmu_.commands().address_of(done.size(), queue);
    memory_.write64(at, words[0]);
    memory_.write64(at + 8, words[1]);
    done.push_back(kTimeMax);
    return done.size() - 1;
  }
  std::uint64_t add(hw::Opcode opcode, QueueNumber queue = 0) {
    hw::Command command;
    command.opcode = opcode;
    return add(command, queue);
  }
  void ring(QueueNumber queue = 0) { smmu_.commands().write_prod(queues_[queue].size(), queue); }
  // Has any queue less room than for 8?
  [[nodiscard]] bool full() const {
    bool any = false;
    for (QueueNumber i = 0; i < queues_.size(); ++i) {
      any = any || queues_[i].size() + 8 > smmu_.commands().cons(i) + (1ULL << kLog2);
    }
    return any;
  }
  // When CONS passed it; kTimeMax: not yet.
  [[nodiscard]] SimTime done(std::uint64_t index, QueueNumber queue = 0) const {
    return queues_[queue][index];
  }

  void consumed(QueueNumber queue, std::uint64_t index, const hw::Command& /*command*/) override {
    queues_[queue][index] = smmu_.timers().now();
  }
  void command_error(QueueNumber queue, std::uint64_t index, CommandError error) override {
    errors.push_back({index, error, queue});
  }
  struct Error {
    std::uint64_t index;
    CommandError error;
    QueueNumber queue;
  };
  std::vector<Error> errors;

 private:
  static constexpr std::uint8_t kLog2 = 8;
  TimedSmmu& smmu_;
  hw::Memory& memory_;
  std::vector<std::vector<SimTime>> queues_;  // of each command
};

}  // namespace smmulab::smmu::timed::testing

// SPDX-License-Identifier: Apache-2.0
// Faults in time: a record is a write and an interrupt, a stalled transaction keeps its slots and
// token until it is resumed, a SYNC waits for records and not for stalls.
#include <algorithm>

#include <gtest/gtest.h>

#include "models/smmuv3/timed/bench_testing.hpp"
#include "sim/random.hpp"

namespace smmulab::smmu::timed {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): set-ups
using hw::Opcode;

constexpr std::uint32_t kSid = 5;
constexpr std::uint64_t kUnmapped = k1G;

class FaultTime : public ::testing::Test, public FaultListener {
 protected:
  FaultTime() : table_(world_.frames, {1, hw::Granule::k4K, 48, 48}) {
    EXPECT_EQ(table_.map_pages(k2M, k1G, 12, 16, {}), hw::MapError::kNone);
    attach(kSid, false);
  }
  ~FaultTime() override = default;
  void attach(std::uint32_t sid, bool stall) {
    hw::Cd cd = hw::testing::World::base_cd();
    cd.stall = stall;
    cd.record = true;
    point_cd_at(cd, table_);
    hw::ContextTable cds(world_.frames, hw::ContextTable::Format::kLinear, 0);
    cds.write(hw::Ssid{0}, cd);
    hw::Ste ste = hw::testing::World::ste_of(hw::Ste::Config::kS1);
    cds.point_ste(ste);
    world_.streams.write(StreamId{sid}, ste);
  }
  void build(bool faults = true, std::uint8_t events_log2 = 3) {
    probe_.reset();
    smmu_.emplace(p_, world_.features, world_.streams.base(), world_.memory);
    commands_.emplace(*smmu_, world_);
    probe_.emplace(smmu_->timers(), smmu_->tbu(0));
    mask_ = (2U << events_log2) - 1;
    if (faults) {
      faults_ = &smmu_->enable_faults(
          {{world_.frames.allocate(12), events_log2}, {world_.frames.allocate(12), 3}, {}});
      faults_->set_listener(this);
    }
  }
  void event_interrupt() override { interrupts_.push_back(now()); }
  void page_request_interrupt() override {}
  std::optional<hw::EventRecord> event() {
    const hw::OutputQueue& queue = faults_->events().queue();
    std::uint32_t cons = queue.read_cons();
    if (((queue.read_prod() ^ cons) & mask_) == 0) {
      return std::nullopt;
    }
    hw::EventWords words{};
    for (std::size_t i = 0; i < words.size(); ++i) {
      words[i] = world_.memory.peek64(queue.address_of(cons & mask_) + 8 * i);
    }
    cons = (cons + 1) & mask_;
    faults_->write_event_cons(cons | (queue.read_prod() & hw::kOverflowFlag));
    return hw::decode_event(words);
  }
  std::uint64_t resume(const hw::EventRecord& event, hw::ResumeAction action) {
    hw::Command c;
    c.opcode = Opcode::kResume;
    c.stream = event.stream;
    c.stag = event.stag;
    c.response = static_cast<std::uint8_t>(action);
    const std::uint64_t index = commands_->add(c);
    commands_->ring();
    return index;
  }
  void run() { smmu_->timers().run_to_idle(); }
  [[nodiscard]] SimTime now() { return smmu_->timers().now(); }
  [[nodiscard]] Ps write() const { return p_.memory.burst + p_.memory.latency; }

  hw::testing::World world_;
  hw::PageTable table_;
  TimedParams p_;
  std::optional<TimedSmmu> smmu_;
  std::optional<Commands> commands_;
  std::optional<Probe> probe_;
  FaultUnit* faults_ = nullptr;
  std::vector<SimTime> interrupts_;
  std::uint32_t mask_ = 0;
};

TEST_F(FaultTime, ARecordIsAWriteAndAnInterruptAndDelaysNoResponse) {
  build(false);
  const std::uint32_t n = probe_->send(kSid, kUnmapped);
  run();
  const Ps without = probe_->latency(n);
  build();
  const std::uint32_t m = probe_->send(kSid, kUnmapped);
  run();
  EXPECT_EQ(probe_->passage(m)->verdict, Verdict::kFault);
  EXPECT_EQ(probe_->latency(m), without);
  // The response takes a DTI message; the write begins with it.
  ASSERT_EQ(interrupts_.size(), 1U);
  EXPECT_EQ(interrupts_[0], probe_->passage(m)->ready - p_.link.dti + write() + p_.link.completion);
  const auto e = event();
  ASSERT_TRUE(e);
  EXPECT_EQ(e->event, hw::Event::kTranslation);
  EXPECT_EQ(e->input, kUnmapped);
  EXPECT_FALSE(e->stall);
}

TEST_F(FaultTime, TheRecordOfATerminatedStallSettlesAfterThoseBeforeIt) {
  attach(6, true);
  build();
  probe_->send(kSid, k2M);
  probe_->send(6, k2M);
  run();  // the configurations are there
  probe_->send(kSid, kUnmapped);
  probe_->send(6, kUnmapped + k2M);
  while (faults_->submitted() < 2) {
    smmu_->timers().run_until(smmu_->timers().next());
  }
  ASSERT_EQ(faults_->settled(), 0U);  // the first is being written
  for (std::uint32_t stag = 0; stag < p_.tcu.xlate_slots; ++stag) {
    faults_->forget(static_cast<std::uint16_t>(stag));
  }
  EXPECT_EQ(faults_->settled(), 0U);
  run();
  EXPECT_EQ(faults_->settled(), 2U);
  EXPECT_EQ(faults_->events().recorded(), 1U);
}

// The first two have their responses at once, each of the others when a record before it is
// written.
TEST_F(FaultTime, AFullBufferOfRecordsHoldsResponsesBack) {
  p_.memory.latency = 5_us;
  p_.tcu.event_buffer = 2;
  build();
  probe_->send(kSid, k2M);
  probe_->send(kSid, kUnmapped + 8 * k4K);
  run();  // configuration and walk caches are warm
  event();
  std::vector<std::uint32_t> sent;
  for (std::uint64_t i = 0; i < 5; ++i) {
    sent.push_back(probe_->send(kSid, kUnmapped + i * k4K));
  }
  std::size_t most = 0;
  while (smmu_->timers().next() != kTimeMax) {
    smmu_->timers().run_until(smmu_->timers().next());
    most = std::max(most, faults_->buffered());
  }
  EXPECT_EQ(most, 2U);
  const auto ready = [&](std::size_t i) { return probe_->passage(sent[i])->ready; };
  // A response takes a DTI message; the write of the first record begins with it.
  const SimTime first_write = ready(0) - p_.link.dti + write();
  EXPECT_LT(ready(1), first_write);
  EXPECT_EQ(ready(2), first_write + p_.link.dti);
  EXPECT_EQ(ready(3), ready(2) + write());
  EXPECT_EQ(ready(4), ready(3) + write());
  EXPECT_EQ(faults_->events().recorded(), 6U);
}

TEST_F(FaultTime, OneInterruptForWhatComesWhileTheQueueIsNotEmpty) {
  build();
  for (std::uint64_t i = 0; i < 5; ++i) {
    probe_->send(kSid, kUnmapped + i * k4K);
  }
  run();
  EXPECT_EQ(interrupts_.size(), 1U);
  EXPECT_EQ(faults_->events().recorded(), 5U);
  for (std::uint64_t i = 0; i < 5; ++i) {
    event();
  }
  probe_->send(kSid, kUnmapped);
  run();
  EXPECT_EQ(interrupts_.size(), 2U);
}

TEST_F(FaultTime, AHitWithoutPermissionIsToldToo) {
  hw::Protection read_only;
  read_only.write = false;
  ASSERT_EQ(table_.map(k32M, k1G, k4K, read_only), hw::MapError::kNone);
  build();
  probe_->send(kSid, k32M);
  run();
  const std::uint32_t n = probe_->send(kSid, k32M, true);
  run();
  EXPECT_EQ(probe_->passage(n)->fault, hw::Event::kPermission);
  EXPECT_EQ(event()->event, hw::Event::kPermission);
}

TEST_F(FaultTime, AStalledTransactionGoesOnAfterItsResume) {
  attach(kSid, true);
  build();
  const std::uint32_t n = probe_->send(kSid, kUnmapped);
  run();
  EXPECT_FALSE(probe_->passage(n).has_value());
  EXPECT_EQ(smmu_->tcu().stalled(), 1U);
  EXPECT_EQ(smmu_->tbu(0).tokens_free(), p_.tbu.tokens - 1);
  const auto e = event();
  ASSERT_TRUE(e && e->stall);
  ASSERT_EQ(table_.map(kUnmapped, k2M, k4K, {}), hw::MapError::kNone);
  const std::uint64_t index = resume(*e, hw::ResumeAction::kRetry);
  run();
  EXPECT_EQ(probe_->passage(n)->verdict, Verdict::kTranslated);
  // From the RESUME on as though it had just come to the TCU, where the walk caches know the tables
  // above the descriptor that was missing.
  EXPECT_GT(probe_->passage(n)->ready, commands_->done(index) + p_.tcu.config_lookup);
  EXPECT_EQ(smmu_->tcu().stalled(), 0U);
  EXPECT_EQ(smmu_->tbu(0).tokens_free(), p_.tbu.tokens);
}

TEST_F(FaultTime, TerminationAndStallTermEndWithAFault) {
  attach(kSid, true);
  attach(6, true);
  build();
  const std::uint32_t a = probe_->send(kSid, kUnmapped);
  const std::uint32_t b = probe_->send(6, kUnmapped + k4K);
  const std::uint32_t c = probe_->send(6, kUnmapped + 2 * k4K);
  run();
  hw::EventRecord e = *event();
  while (e.stream != StreamId{kSid}) {
    e = *event();
  }
  resume(e, hw::ResumeAction::kAbort);
  run();
  EXPECT_EQ(probe_->passage(a)->verdict, Verdict::kFault);
  EXPECT_FALSE(probe_->passage(b));
  hw::Command term;
  term.opcode = Opcode::kStallTerm;
  term.stream = StreamId{6};
  commands_->add(term);
  commands_->ring();
  run();
  EXPECT_EQ(probe_->passage(b)->verdict, Verdict::kFault);
  EXPECT_EQ(probe_->passage(c)->verdict, Verdict::kFault);
}

TEST_F(FaultTime, StalledTransactionsTakeTheSlotsOfOthers) {
  p_.tcu.xlate_slots = p_.tcu.ptw_slots = 4;
  attach(kSid, true);
  attach(6, false);
  build();
  for (std::uint64_t i = 0; i < 4; ++i) {
    probe_->send(kSid, kUnmapped + i * k4K);
  }
  run();
  EXPECT_EQ(smmu_->tcu().stalled(), 4U);
  const std::uint32_t other = probe_->send(6, k2M);
  run();
  EXPECT_FALSE(probe_->passage(other));
  resume(*event(), hw::ResumeAction::kAbort);
  run();
  EXPECT_EQ(probe_->passage(other)->verdict, Verdict::kTranslated);
}

TEST_F(FaultTime, ASyncWaitsForRecordsAndNotForStalls) {
  p_.memory.latency = 5_us;
  attach(kSid, true);
  attach(6, false);
  build();
  probe_->send(kSid, kUnmapped);
  run();
  ASSERT_EQ(smmu_->tcu().stalled(), 1U);
  for (std::uint64_t i = 0; i < 4; ++i) {
    probe_->send(6, kUnmapped + i * k4K);
  }
  const auto step_until = [this](const auto& done) {
    while (!done()) {
      smmu_->timers().run_until(smmu_->timers().next());
    }
  };
  step_until([this] { return faults_->submitted() == 5; });
  ASSERT_LT(faults_->settled(), 4U);  // one write at a time
  const std::uint64_t sync = commands_->add(Opcode::kSync);
  commands_->ring();
  step_until([this] { return faults_->settled() == 5; });
  const SimTime written = now();
  run();
  EXPECT_EQ(commands_->done(sync), written + p_.link.completion);
  EXPECT_EQ(smmu_->tcu().stalled(), 1U);
}

TEST_F(FaultTime, AFullQueueHoldsStallsAndDropsOtherRecords) {
  attach(kSid, true);
  attach(6, false);
  build(true, 0);  // one event
  probe_->send(6, kUnmapped);
  run();
  const std::uint32_t n = probe_->send(kSid, kUnmapped + k4K);
  probe_->send(6, kUnmapped + 2 * k4K);
  run();
  EXPECT_TRUE(faults_->events().queue().overflow());
  EXPECT_EQ(faults_->held(), 1U);
  EXPECT_EQ(event()->stream, StreamId{6});
  run();
  EXPECT_EQ(faults_->held(), 0U);
  const auto e = event();  // tried again, it faults again
  ASSERT_TRUE(e && e->stall);
  resume(*e, hw::ResumeAction::kTerminate);
  run();
  EXPECT_TRUE(probe_->passage(n));
}

// A RESUME is not to name it, since no record gave its STAG; if one does, nothing is left behind.
TEST_F(FaultTime, AStallWithoutARecordThatIsResumedIsNotTriedAgain) {
  attach(kSid, true);
  attach(6, false);
  build(true, 0);
  probe_->send(6, kUnmapped);
  run();
  const std::uint32_t n = probe_->send(kSid, kUnmapped + k4K);
  run();
  ASSERT_EQ(faults_->held(), 1U);
  hw::EventRecord guess;
  guess.stream = StreamId{kSid};
  for (std::uint16_t stag = 0; stag < p_.tcu.xlate_slots; ++stag) {
    guess.stag = stag;
    resume(guess, hw::ResumeAction::kAbort);
  }
  run();
  EXPECT_TRUE(probe_->passage(n));
  EXPECT_EQ(faults_->held(), 0U);
}

TEST_F(FaultTime, GerrornRestartsTheCommandQueue) {
  build();
  const std::uint64_t bad = commands_->add_words({0xFF, 0});
  commands_->ring();
  run();
  EXPECT_TRUE(faults_->errors().active(hw::GlobalError::kCmdq));
  const hw::CommandWords words = hw::encode(hw::Command{});
  world_.memory.write64(smmu_->commands().address_of(bad), words[0]);
  smmu_->write_gerrorn(faults_->errors().gerror());
  run();
  EXPECT_TRUE(smmu_->commands().idle());
}

// Random traffic of streams that stall and that do not, with few slots and small queues: every
// transaction ends, once software has answered what it was told.
TEST_F(FaultTime, NoStalledTransactionIsLost) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    RandomStream random(seed, "timed stalls");
    p_.tcu.xlate_slots = 4 + static_cast<std::uint32_t>(random.uniform_int(8));
    p_.tcu.ptw_slots = 4;
    p_.tcu.event_buffer = 1 + static_cast<std::uint32_t>(random.uniform_int(3));
    attach(kSid, true);
    attach(6, false);
    build(true, static_cast<std::uint8_t>(random.uniform_int(3)));
    std::vector<std::uint32_t> sent;
    std::uint64_t stalls = 0;
    for (int i = 0; i < 400; ++i) {
      const std::uint64_t va = random.uniform_int(2) == 0 ? kUnmapped : k2M;
      const std::uint32_t sid = random.uniform_int(3) == 0 ? 6 : kSid;
      if (random.uniform_int(3) != 0 && !commands_->full()) {
        sent.push_back(probe_->send(sid, va + random.uniform_int(16) * k4K));
      }
      smmu_->timers().run_until(now() +
                                Ps{static_cast<std::int64_t>(random.uniform_int(2'000'000))});
      if (const auto e = event(); e && e->stall) {
        ++stalls;
        resume(*e,
               random.uniform_int(2) == 0 ? hw::ResumeAction::kRetry : hw::ResumeAction::kAbort);
      }
    }
    for (int i = 0; i < 2000; ++i) {
      run();
      if (const auto e = event(); e && e->stall) {
        resume(*e, hw::ResumeAction::kAbort);
      }
    }
    EXPECT_GT(stalls, 0U);
    EXPECT_EQ(smmu_->tcu().stalled(), 0U);
    for (const std::uint32_t n : sent) {
      const bool refused = std::ranges::find(probe_->refused, n) != probe_->refused.end();
      EXPECT_EQ(probe_->passage(n).has_value(), !refused) << seed;
    }
    EXPECT_EQ(smmu_->tbu(0).tokens_free(), p_.tbu.tokens);
  }
}

}  // namespace
}  // namespace smmulab::smmu::timed

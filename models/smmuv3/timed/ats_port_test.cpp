// SPDX-License-Identifier: Apache-2.0
// A device with ATC and page requests: it goes on once software has mapped what it asked for, and
// each of its page requests is answered exactly once.
#include "models/smmuv3/timed/ats_port.hpp"

#include <gtest/gtest.h>

#include "models/smmuv3/timed/bench_testing.hpp"

namespace smmulab::smmu::timed {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): set-ups
using hw::Opcode;

constexpr std::uint32_t kSid = 5;
constexpr std::uint8_t kQueueLog2 = 3;
constexpr std::uint32_t kMask = (2U << kQueueLog2) - 1;

// Software answers each page request from its interrupt handler, in no time of its own.
class PriTime : public ::testing::Test, public FaultListener {
 protected:
  PriTime() : table_(world_.frames, {1, hw::Granule::k4K, 48, 48}) {
    hw::Cd cd = hw::testing::World::base_cd();
    point_cd_at(cd, table_);
    hw::ContextTable cds(world_.frames, hw::ContextTable::Format::kLinear, 0);
    cds.write(hw::Ssid{0}, cd);
    hw::Ste ste = hw::testing::World::ste_of(hw::Ste::Config::kS1);
    ste.eats = 1;
    cds.point_ste(ste);
    world_.streams.write(StreamId{kSid}, ste);
    s_.stream = StreamId{kSid};
    s_.pattern = Pattern::kRandom;
    s_.base = k2M;
    s_.span = 16 * k4K;
    s_.outstanding = 8;
    s_.count = 1000;
    s_.link_burst = Ps{0};
    s_.atc_entries = 32;
    s_.page_requests = 32;
  }
  ~PriTime() override = default;
  AtsPort& build() {
    smmu_.emplace(p_, world_.features, world_.streams.base(), world_.memory);
    commands_.emplace(*smmu_, world_);
    faults_ = &smmu_->enable_faults(
        {{world_.frames.allocate(12), 3}, {world_.frames.allocate(12), kQueueLog2}, {}});
    faults_->set_listener(this);
    stream_ = &smmu_->add_stream(s_);
    smmu_->commands().add_atc(StreamId{kSid}, *stream_->ats());
    return *stream_->ats();
  }
  [[nodiscard]] std::uint64_t pages() const { return s_.span / k4K; }
  void map_all() {
    EXPECT_EQ(table_.map_pages(k2M, k1G + k2M, 12, pages(), {}), hw::MapError::kNone);
  }
  std::uint64_t invalidate_atc() {
    hw::Command inv;
    inv.opcode = Opcode::kAtcInv;
    inv.stream = StreamId{kSid};
    inv.size = hw::Atc::kWholeSpace;
    commands_->add(inv);
    const std::uint64_t sync = commands_->add(Opcode::kSync);
    commands_->ring();
    return sync;
  }
  void forget_config() {
    hw::Command cfgi;
    cfgi.opcode = Opcode::kCfgiSte;
    cfgi.stream = StreamId{kSid};
    commands_->add(cfgi);
    commands_->add(Opcode::kSync);
    commands_->ring();
  }
  // Those of the TBU: what it did not answer by itself.
  std::uint64_t tcu_requests() { return smmu_->tbu(0).counters().micro_miss; }
  template <class Done>
  void step_until(const Done& done) {
    while (!done()) {
      smmu_->timers().run_until(smmu_->timers().next());
    }
  }
  void event_interrupt() override { ++events; }
  void page_request_interrupt() override {
    ++interrupts;
    if (!deaf) {
      serve();
    }
  }
  void serve() {
    const hw::OutputQueue& queue = faults_->page_requests().queue();
    std::uint32_t cons = queue.read_cons() & kMask;
    const std::uint32_t prod = queue.read_prod();
    for (; ((prod ^ cons) & kMask) != 0; cons = (cons + 1) & kMask) {
      const std::uint64_t at = queue.address_of(cons);
      const hw::PageRequest r =
          hw::decode_page_request({world_.memory.peek64(at), world_.memory.peek64(at + 8)});
      hw::Command c;
      c.opcode = Opcode::kPriResp;
      c.stream = r.stream;
      c.prg_index = r.prg_index;
      c.response = static_cast<std::uint8_t>(answer(r.address));
      commands_->add(c);
      ++served;
    }
    faults_->write_page_request_cons(cons | (prod & hw::kOverflowFlag));
    commands_->ring();
  }
  hw::PriResult answer(std::uint64_t page) {
    if (page >= k2M + mappable * k4K) {
      return hw::PriResult::kInvalid;
    }
    if (!table_.output_of(page)) {
      EXPECT_EQ(table_.map(page, k1G + page, k4K, {}), hw::MapError::kNone);
    }
    return hw::PriResult::kSuccess;
  }

  hw::testing::World world_;
  hw::PageTable table_;
  TimedParams p_;
  StreamParams s_;
  std::optional<TimedSmmu> smmu_;
  std::optional<Commands> commands_;
  FaultUnit* faults_ = nullptr;
  DmaStream* stream_ = nullptr;
  std::uint64_t mappable = 1000;  // pages
  std::uint32_t events = 0, interrupts = 0, served = 0;
  bool deaf = false;
};

TEST_F(PriTime, EachPageIsAskedForOnceAndThenUsed) {
  AtsPort& device = build();
  smmu_->timers().run_to_idle();
  const AtsStats& s = device.stats();
  EXPECT_EQ(stream_->stats().passed, s_.count);
  EXPECT_EQ(stream_->stats().faulted, 0U);
  EXPECT_EQ(s.page_requests, pages());
  EXPECT_EQ(s.success, pages());
  EXPECT_EQ(served, pages());
  EXPECT_GT(s.atc_hits, s_.count / 2);
  EXPECT_EQ(events, 0U);  // ATS requests raise no events
  EXPECT_EQ(device.open_groups(), 0U);
  const auto counter = [this](const std::string& unit, std::uint32_t id) {
    for (const PmuRow& row : smmu_->pmu()) {
      if (row.unit == unit && row.id == id) {
        return row.value;
      }
    }
    return ~std::uint64_t{0};
  };
  EXPECT_EQ(counter("tbu0", 0x07), s_.count);    // pcie_ats_trans_passed
  EXPECT_GE(counter("tcu", 0x06), 2 * pages());  // each page twice at least: refused, then not
}

TEST_F(PriTime, APageRequestTakesItsWayThereAndBack) {
  s_.outstanding = 1;
  s_.count = 1;
  AtsPort& device = build();
  smmu_->timers().run_to_idle();
  const Ps memory = p_.memory.burst + p_.memory.latency;
  // There, into memory, interrupt; doorbell, fetch, decode; back.
  EXPECT_EQ(device.stats().paging_total, 2 * (p_.link.atc_response / 2) + 2 * memory +
                                             p_.link.completion + p_.link.doorbell +
                                             p_.tcu.command_decode);
}

TEST_F(PriTime, InvalidRequestsEndTheirTransactions) {
  mappable = 8;
  AtsPort& device = build();
  smmu_->timers().run_to_idle();
  const AtsStats& s = device.stats();
  EXPECT_EQ(stream_->stats().passed + stream_->stats().faulted, s_.count);
  EXPECT_GT(stream_->stats().faulted, 0U);
  EXPECT_GT(stream_->stats().passed, 0U);
  EXPECT_EQ(s.success, 8U);
  EXPECT_EQ(s.page_requests, s.success + s.refused);
}

// Software that does not look: the queue overflows and the device is sent away with success, asks
// again, and so on until software wakes up.
TEST_F(PriTime, AnOverflowIsAnsweredAndTheDeviceAsksAgain) {
  s_.outstanding = 16;
  s_.span = 64 * k4K;
  deaf = true;
  AtsPort& device = build();
  smmu_->timers().run_until(kTimeZero + 200_us);
  EXPECT_TRUE(faults_->page_requests().queue().overflow());
  EXPECT_GT(device.stats().success, 0U);  // automatic ones
  EXPECT_EQ(stream_->stats().passed, 0U);
  EXPECT_EQ(served, 0U);
  deaf = false;
  serve();
  smmu_->timers().run_to_idle();
  EXPECT_EQ(stream_->stats().passed, s_.count);
  EXPECT_EQ(device.stats().page_requests, device.stats().success);
  EXPECT_EQ(device.open_groups(), 0U);
}

TEST_F(PriTime, AnAtcInvalidationMakesTheDeviceAskForTheTranslationAgain) {
  s_.count = 100'000;
  AtsPort& device = build();
  smmu_->timers().run_until(kTimeZero + 100_us);
  const std::uint64_t before = device.stats().translation_requests;
  smmu_->timers().run_until(kTimeZero + 120_us);
  ASSERT_EQ(device.stats().translation_requests, before);  // all 16 pages are in the ATC
  const std::uint64_t sync = invalidate_atc();
  smmu_->timers().run_until(kTimeZero + 200_us);
  EXPECT_NE(commands_->done(sync), kTimeMax);
  EXPECT_GE(device.stats().translation_requests, before + pages());
  EXPECT_EQ(device.stats().page_requests, pages());  // the pages are still mapped
}

// Where a translated transaction is, when an ATC_INV comes: on its way to the TCU, for the TBU has
// no configuration of the stream.
TEST_F(PriTime, AnAtcInvalidationIsAnsweredAfterTheTranslatedTransactionsInTheTcu) {
  p_.link.dti = 20_us;
  s_.outstanding = 1;
  s_.count = 2;
  s_.span = k4K;
  s_.interval = 1_ms;
  AtsPort& device = build();
  map_all();
  smmu_->timers().run_until(kTimeZero + 500_us);
  forget_config();
  step_until([&] { return device.stats().atc_hits == 1; });
  ASSERT_EQ(stream_->stats().passed, 1U);
  const std::uint64_t sync = invalidate_atc();
  smmu_->timers().run_to_idle();
  ASSERT_EQ(stream_->stats().passed, 2U);
  const Ps back = p_.link.atc_response - p_.link.atc_response / 2;
  EXPECT_EQ(commands_->done(sync), stream_->stats().last + back + p_.link.completion);
}

TEST_F(PriTime, TranslatedTransactionsPassInTheTbuOnceItHasTheConfiguration) {
  s_.outstanding = 1;
  s_.count = 4;
  s_.span = k4K;
  s_.interval = 1_ms;
  build();
  map_all();
  smmu_->timers().run_until(kTimeZero + 1500_us);
  EXPECT_EQ(tcu_requests(), 1U);  // the translation request's answer holds it
  forget_config();
  smmu_->timers().run_until(kTimeZero + 2500_us);
  EXPECT_EQ(tcu_requests(), 2U);
  smmu_->timers().run_to_idle();
  EXPECT_EQ(tcu_requests(), 2U);
  EXPECT_EQ(stream_->stats().passed, 4U);
}

TEST_F(PriTime, ATranslationThatAnInvalidationOvertookIsAskedForAgain) {
  p_.link.dti = 20_us;
  s_.count = 1;
  AtsPort& device = build();
  map_all();
  step_until([&] { return device.stats().translation_requests == 1; });
  const std::uint64_t sync = invalidate_atc();
  smmu_->timers().run_to_idle();
  EXPECT_EQ(device.stats().translation_requests, 2U);
  EXPECT_EQ(stream_->stats().passed, 1U);
  EXPECT_LT(commands_->done(sync), kTimeZero + 2_us);  // it waits for no request
}

TEST_F(PriTime, WithoutAtsTransactionsAreUntranslated) {
  AtsPort& device = build();
  map_all();
  device.set_enabled(false);
  smmu_->timers().run_to_idle();
  EXPECT_EQ(stream_->stats().passed, s_.count);
  EXPECT_EQ(device.stats(), AtsStats{});
}

// An ATC smaller than what is under way, slots that run out: everything ends, and nothing more than
// once.
TEST_F(PriTime, ASmallAtcAndFewSlots) {
  p_.tbu.xlate_slots = 4;
  s_.atc_entries = 1;
  s_.outstanding = 32;
  AtsPort& device = build();
  map_all();
  smmu_->timers().run_to_idle();
  EXPECT_EQ(stream_->stats().passed, s_.count);
  EXPECT_EQ(device.stats().atc_hits + device.stats().translation_requests, s_.count);
}

// Split-stage ATS: the device has the IPA, and the SMMU the rest of the way. What comes at once
// shares no walk with a request that is answered otherwise.
TEST(SplitAtsTime, EachKindOfRequestGetsItsOwnAddress) {
  constexpr std::uint64_t kVa = k2M + 0x123;
  NestedWorld nested(4, hw::StreamConfig::kSplitAts);
  ASSERT_TRUE(nested.good);
  TimedSmmu smmu({}, nested.world.features, nested.world.streams.base(), nested.world.memory);
  Probe probe(smmu.timers(), smmu.tbu(0));
  const auto send = [&](hw::RequestKind kind, std::uint64_t address) {
    hw::Request request;
    request.stream = StreamId{NestedWorld::kSid};
    request.substream = NestedWorld::kSsid;
    request.address = address;
    request.kind = kind;
    return probe.send(request);
  };
  for (int round = 0; round < 2; ++round) {  // cold, then with the TLBs full
    const std::uint32_t asked = send(hw::RequestKind::kAtsTranslation, kVa);
    const std::uint32_t plain = send(hw::RequestKind::kUntranslated, kVa);
    const std::uint32_t again = send(hw::RequestKind::kAtsTranslation, kVa + 8);
    smmu.timers().run_to_idle();
    ASSERT_EQ(probe.passage(asked)->verdict, Verdict::kTranslated);
    EXPECT_EQ(probe.passage(asked)->pa, NestedWorld::intermediate(kVa));
    EXPECT_EQ(probe.passage(again)->pa, NestedWorld::intermediate(kVa + 8));
    EXPECT_EQ(probe.passage(plain)->pa, NestedWorld::physical(kVa));
    const std::uint32_t translated = send(hw::RequestKind::kTranslated, probe.passage(asked)->pa);
    smmu.timers().run_to_idle();
    EXPECT_EQ(probe.passage(translated)->verdict, Verdict::kTranslated);
    EXPECT_EQ(probe.passage(translated)->pa, NestedWorld::physical(kVa));
  }
}

}  // namespace
}  // namespace smmulab::smmu::timed

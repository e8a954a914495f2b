// SPDX-License-Identifier: Apache-2.0
// DMA streams: addresses of each pattern, latency in open loop, dark time, and that run-ahead
// changes nothing but the number of events.
#include <gtest/gtest.h>

#include "models/smmuv3/timed/bench_testing.hpp"
#include "sim/error.hpp"

namespace smmulab::smmu::timed {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): set-ups
using hw::Opcode;

constexpr std::uint32_t kSid = 5;

class Log final : public StreamObserver {
 public:
  void transaction(const hw::Request& request, const Passage& passage, SimTime issued,
                   SimTime done) override {
    addresses.push_back(request.address);
    streams.push_back(request.stream);
    writes.push_back(request.access.write);
    passes.push_back(passage.passes());
    ready.push_back(passage.ready);
    issues.push_back(issued);
    dones.push_back(done);
  }
  std::vector<std::uint64_t> addresses;
  std::vector<StreamId> streams;
  std::vector<bool> writes, passes;
  std::vector<SimTime> ready, issues, dones;
};

class DmaStreamTest : public ::testing::Test {
 protected:
  DmaStreamTest() : table_(world_.frames, {1, hw::Granule::k4K, 48, 48}) {
    EXPECT_EQ(table_.map_pages(k2M, k1G, 12, 512, {}), hw::MapError::kNone);
    world_.attach_s1(kSid, table_);
    s_.stream = StreamId{kSid};
    s_.base = k2M;
    s_.span = 64 * k4K;
  }
  DmaStream& build(bool run_ahead = true) {
    smmu_.emplace(p_, world_.features, world_.streams.base(), world_.memory, run_ahead);
    commands_.emplace(*smmu_, world_);
    DmaStream& stream = smmu_->add_stream(s_);
    stream.set_observer(&log_);
    return stream;
  }
  // Everything that can be observed of the stream alone. With run-ahead it has no observer, which
  // would keep it from DmaStream::repeat().
  struct Seen {
    std::vector<std::uint64_t> counts;
    StreamStats stats;
    friend bool operator==(const Seen&, const Seen&) = default;
  };
  Seen run_alone(bool run_ahead) {
    DmaStream& stream = build(run_ahead);
    stream.set_observer(run_ahead ? nullptr : &log_);
    smmu_->timers().run_until(kTimeZero + 3_us);  // a time to which it may run ahead
    smmu_->timers().run_to_idle();
    Seen seen;
    for (const PmuRow& row : smmu_->pmu()) {
      seen.counts.push_back(row.value);
    }
    seen.counts.push_back(static_cast<std::uint64_t>(to_ps(smmu_->now())));
    seen.counts.push_back(smmu_->port().bursts());
    seen.stats = stream.stats();
    return seen;
  }
  void write_ste(bool valid) {
    hw::Ste ste = hw::testing::World::ste_of(hw::Ste::Config::kAbort);
    if (valid) {
      world_.attach_s1(kSid, table_);
    } else {
      world_.streams.write(StreamId{kSid}, ste);
    }
    hw::Command cfgi;
    cfgi.opcode = Opcode::kCfgiSte;
    cfgi.stream = StreamId{kSid};
    commands_->add(cfgi);
    sync_ = commands_->add(Opcode::kSync);
    commands_->ring();
  }

  hw::testing::World world_;
  hw::PageTable table_;
  TimedParams p_;
  StreamParams s_;
  std::optional<TimedSmmu> smmu_;
  std::optional<Commands> commands_;
  Log log_;
  std::uint64_t sync_ = 0;
};

TEST_F(DmaStreamTest, SequentialGoesThroughTheRingInOrder) {
  s_.span = 4 * s_.payload;
  s_.outstanding = 1;
  s_.count = 6;
  build();
  smmu_->timers().run_to_idle();
  const std::vector<std::uint64_t> expected = {k2M,       k2M + 256, k2M + 512,
                                               k2M + 768, k2M,       k2M + 256};
  EXPECT_EQ(log_.addresses, expected);
}

TEST_F(DmaStreamTest, StridedVisitsEveryBlockOnce) {
  s_.pattern = Pattern::kStrided;
  s_.span = 4 * k4K;
  s_.payload = 1024;
  s_.outstanding = 1;
  s_.count = 17;
  build();
  smmu_->timers().run_to_idle();
  EXPECT_EQ(log_.addresses[1], k2M + k4K);
  EXPECT_EQ(log_.addresses[4], k2M + 1024);
  EXPECT_EQ(log_.addresses[16], k2M);
  std::vector<std::uint64_t> once(log_.addresses.begin(), log_.addresses.begin() + 16);
  std::ranges::sort(once);
  EXPECT_EQ(std::ranges::adjacent_find(once), once.end());
  EXPECT_EQ(once.back(), k2M + 4 * k4K - 1024);
}

TEST_F(DmaStreamTest, RecordedIsIssuedInItsOrderOverAndOver) {
  const StreamId other{kSid + 1};
  world_.attach_s1(other.value(), table_);
  // The third is not mapped, the last of a stream that no entry is for.
  const std::vector<RecordedAccess> recorded = {{k2M + 0x7A3, s_.stream, false},
                                                {k2M + 5 * k4K, other, true},
                                                {k2M - 1, s_.stream, false},
                                                {k2M, StreamId{kSid + 2}, true}};
  s_.pattern = Pattern::kRecorded;
  s_.recorded = recorded;
  s_.outstanding = 1;
  s_.count = 10;
  const DmaStream& stream = build();
  smmu_->timers().run_to_idle();
  ASSERT_EQ(log_.addresses.size(), 10U);
  for (std::size_t i = 0; i < log_.addresses.size(); ++i) {
    EXPECT_EQ(log_.addresses[i], recorded[i % 4].address) << i;
    EXPECT_EQ(log_.streams[i], recorded[i % 4].stream) << i;
    EXPECT_EQ(log_.writes[i], recorded[i % 4].write) << i;
    EXPECT_EQ(log_.passes[i], i % 4 < 2) << i;
  }
  EXPECT_EQ(stream.stats().passed, 6U);
  EXPECT_EQ(stream.stats().aborted + stream.stats().faulted, 4U);
  EXPECT_EQ(stream.stats().bytes, 6 * s_.payload);
}

TEST_F(DmaStreamTest, NothingRecordedIsRefused) {
  s_.pattern = Pattern::kRecorded;
  EXPECT_THROW(build(), ConfigError);
}

TEST_F(DmaStreamTest, OpenLoopIsIssuedWhenDue) {
  s_.interval = 2_us;
  s_.count = 50;
  const DmaStream& stream = build();
  smmu_->timers().run_to_idle();
  EXPECT_EQ(stream.stats().issued, 50U);
  for (std::size_t i = 0; i < 50; ++i) {
    EXPECT_EQ(log_.issues[i], kTimeZero + i * 2_us);
  }
  // All but the misses: TLB, then four bursts of payload.
  const Ps hit = p_.tbu.micro_lookup + 4 * p_.memory.burst + p_.memory.latency;
  EXPECT_EQ(stream.stats().latency.min(), static_cast<std::uint64_t>(hit.count()));
  EXPECT_EQ(log_.dones[1] - log_.issues[1], hit);
}

TEST_F(DmaStreamTest, DarkFromTheFirstRefusedToTheFirstThatPasses) {
  s_.interval = 100_ns;
  const DmaStream& stream = build();
  smmu_->timers().run_until(kTimeZero + 50_us);
  EXPECT_EQ(stream.stats().aborted, 0U);
  write_ste(false);
  smmu_->timers().run_until(kTimeZero + 60_us);
  const SimTime broken = commands_->done(sync_);
  write_ste(true);
  smmu_->timers().run_until(kTimeZero + 80_us);
  const SimTime mended = commands_->done(sync_);
  EXPECT_EQ(stream.stats().dark_windows, 1U);
  EXPECT_GT(stream.stats().aborted, 50U);
  const auto first = std::ranges::find(log_.passes, false) - log_.passes.begin();
  const auto next =
      std::find(log_.passes.begin() + first, log_.passes.end(), true) - log_.passes.begin();
  EXPECT_EQ(stream.stats().dark_total, log_.ready[static_cast<std::size_t>(next)] -
                                           log_.ready[static_cast<std::size_t>(first)]);
  // Old translations serve until the first CFGI, new ones after the second.
  EXPECT_LT(log_.issues[static_cast<std::size_t>(first)], broken);
  EXPECT_LT(log_.issues[static_cast<std::size_t>(next)], mended);
  EXPECT_GT(stream.stats().dark_total, 9_us);
  EXPECT_LT(stream.stats().dark_total, 12_us);
}

TEST_F(DmaStreamTest, BadParametersNameTheStreamAndTheRule) {
  s_.payload = 300;
  try {
    build();
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_STREQ(error.what(),
                 "DMA stream of StreamID 5: payload = 300 must be a power of 2 of at most 4096 "
                 "bytes");
  }
  p_.tcu.ptw_slots = 128;
  EXPECT_THROW(build(), ConfigError);
}

// Streams of all patterns and commands in between, with and without run-ahead.
class Mixed final : public Timed {
 public:
  Mixed(std::uint64_t seed, bool run_ahead)
      : random_(seed, "mixed"), table_(world_.frames, {1, hw::Granule::k4K, 48, 48}) {
    EXPECT_EQ(table_.map_pages(k2M, k1G, 12, 512, {}), hw::MapError::kNone);
    EXPECT_EQ(table_.map_pages(k1G, k1G, 21, 16, {}), hw::MapError::kNone);
    TimedParams p;
    p.tbus = 2;
    p.tbu.micro.entries = 8;
    p.tbu.main.entries = 64;
    smmu_.emplace(p, world_.features, world_.streams.base(), world_.memory, run_ahead);
    commands_.emplace(*smmu_, world_);
    for (std::uint32_t i = 0; i < 200; ++i) {  // the first is not mapped
      recorded_.push_back(
          {k2M + k4K * (i == 0 ? 600 : i % 8), StreamId{kSid + i / 100}, i % 3 == 0});
    }
    for (std::uint32_t i = 0; i < 4; ++i) {
      world_.attach_s1(kSid + i, table_);
      StreamParams s;
      s.stream = StreamId{kSid + i};
      s.pattern = i == 3 && seed % 2 == 0 ? Pattern::kRecorded : static_cast<Pattern>(i % 3);
      s.recorded = recorded_;
      s.base = i == 3 ? k1G : k2M;
      s.span = i == 3 ? 16 * k2M : 512 * k4K;
      s.payload = 64U << random_.uniform_int(5);
      s.outstanding = static_cast<std::uint32_t>(1 + random_.uniform_int(64));
      s.interval = i % 2 == 0 ? Ps{0} : Ps{static_cast<std::int64_t>(random_.uniform_int(500'000))};
      s.seed = seed;
      streams_.push_back(&smmu_->add_stream(s, i % 2));
    }
    smmu_->timers().at(kTimeZero + 1_us, *this, 0);
  }
  void fire(std::uint32_t /*what*/, std::uint32_t /*index*/) override {
    if (!commands_->full()) {
      hw::Command c;
      c.opcode = random_.bernoulli(0.5) ? Opcode::kTlbiNhAsid : Opcode::kTlbiNhVa;
      c.asid = Asid{1};
      c.address = k2M + k4K * random_.uniform_int(512);
      commands_->add(c);
      syncs_.push_back(commands_->add(Opcode::kSync));
      commands_->ring();
    }
    smmu_->timers().after(Ps{static_cast<std::int64_t>(random_.uniform_int(8'000'000))}, *this, 0);
  }
  // Everything that can be observed.
  std::vector<std::uint64_t> run() {
    for (std::int64_t stop = 1; stop <= 7; ++stop) {
      smmu_->timers().run_until(kTimeZero + stop * 12'345_ns);
    }
    std::vector<std::uint64_t> seen;
    for (const PmuRow& row : smmu_->pmu()) {
      seen.push_back(row.value);
    }
    for (const std::uint64_t sync : syncs_) {
      seen.push_back(static_cast<std::uint64_t>(to_ps(commands_->done(sync))));
    }
    return seen;
  }
  [[nodiscard]] const StreamStats& stats(std::size_t i) const { return streams_[i]->stats(); }
  [[nodiscard]] std::uint64_t events() { return smmu_->timers().fired(); }

 private:
  hw::testing::World world_;
  RandomStream random_;
  hw::PageTable table_;
  std::optional<TimedSmmu> smmu_;
  std::optional<Commands> commands_;
  std::vector<RecordedAccess> recorded_;
  std::vector<DmaStream*> streams_;
  std::vector<std::uint64_t> syncs_;
};

TEST(RunAheadTest, ChangesNothingButTheNumberOfEvents) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Mixed with(seed, true);
    Mixed without(seed, false);
    EXPECT_EQ(with.run(), without.run()) << seed;
    for (std::size_t i = 0; i < 4; ++i) {
      EXPECT_TRUE(with.stats(i) == without.stats(i)) << seed;
      EXPECT_GT(with.stats(i).passed, 100U) << seed;
    }
    EXPECT_LT(with.events(), without.events()) << seed;
  }
}

// One stream alone that mostly hits what it hit last: with run-ahead such transactions follow one
// another by a way of their own (DmaStream::repeat).
TEST_F(DmaStreamTest, HitsInARowAreLikeAnyOthers) {
  s_.payload = 64;
  s_.count = 20'000;
  const auto both_ways = [this](const char* what) {
    const Seen one_by_one = run_alone(false);
    const std::uint64_t events = smmu_->timers().fired();
    const Seen ahead = run_alone(true);
    EXPECT_TRUE(ahead == one_by_one) << what;
    EXPECT_GT(ahead.stats.passed, 5'000U) << what;
    EXPECT_LT(smmu_->timers().fired(), events / 10) << what;
  };
  both_ways("closed loop, memory is the bottleneck");
  s_.link_burst = 5_ns;
  both_ways("closed loop, the link is the bottleneck");
  s_.outstanding = 1;
  both_ways("one at a time");
  s_.outstanding = 64;
  s_.interval = 4_ns;
  both_ways("open loop");
  s_.stop = kTimeZero + 60_us;
  both_ways("until a time");
  s_.pattern = Pattern::kStrided;
  s_.span = 4 * k4K;
  s_.stride = 1024;
  both_ways("strided");
  p_.memory = {Ps{0}, Ps{0}};
  p_.tbu.micro_lookup = s_.interval = Ps{0};
  s_.stop = kTimeMax;
  both_ways("memory that takes no time");
}

// The same of streams at random, most of which come to repeat themselves: to the page that misses,
// to the ring's end, to the last of them or until a time.
TEST_F(DmaStreamTest, HitsOfStreamsAtRandomAreLikeAnyOthers) {
  RandomStream random(1, "streams that repeat themselves");
  const auto up_to = [&random](std::uint64_t most) { return 1 + random.uniform_int(most); };
  const auto ps = [&up_to](std::uint64_t most) {
    return Ps{static_cast<std::int64_t>(up_to(most))};
  };
  for (int i = 0; i < 300; ++i) {
    s_.pattern = static_cast<Pattern>(random.uniform_int(3));
    s_.payload = 64U << random.uniform_int(7);
    s_.span = s_.payload * up_to(random.bernoulli(0.3) ? 40 * k4K / s_.payload : 64);
    s_.stride = s_.payload * up_to(32);
    s_.outstanding = static_cast<std::uint32_t>(up_to(random.bernoulli(0.3) ? 3 : 100));
    s_.link_burst = random.bernoulli(0.2) ? Ps{0} : ps(8'000);
    const Ps link = s_.link_burst * (s_.payload / 64);
    s_.interval = random.bernoulli(0.6) ? Ps{0} : random.bernoulli(0.3) ? link : ps(60'000);
    s_.count = up_to(3'000);
    s_.stop = random.bernoulli(0.3) ? kTimeZero + ps(30'000'000) : kTimeMax;
    s_.seed = static_cast<std::uint64_t>(i);
    p_.memory = {ps(random.bernoulli(0.2) ? 10 : 300'000), ps(4'000)};
    p_.tbu.cycle = ps(20'000);
    EXPECT_TRUE(run_alone(true) == run_alone(false)) << i;
  }
}

}  // namespace
}  // namespace smmulab::smmu::timed

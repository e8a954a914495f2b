// SPDX-License-Identifier: Apache-2.0
// Throughput at full load is that of the bottleneck, within 2 %: PTW slots, translation slots of
// the TBU, translation tokens, the memory channel, the link.
#include <gtest/gtest.h>

#include "models/smmuv3/timed/bench_testing.hpp"

namespace smmulab::smmu::timed {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): set-ups

constexpr std::uint32_t kSid = 5;
constexpr std::uint64_t kPages = 512 * 64;

// Random pages of an area far larger than the TLBs; the tables above the last level are cached, so
// nearly every miss is one read.
class Bottleneck : public ::testing::Test {
 protected:
  Bottleneck() : table_(world_.frames, {1, hw::Granule::k4K, 48, 48}) {
    EXPECT_EQ(table_.map_pages(k1G, 4 * k1G, 12, kPages, {}), hw::MapError::kNone);
    EXPECT_EQ(table_.map_pages(8 * k1G, 8 * k1G, 30, 1, {}), hw::MapError::kNone);
    world_.attach_s1(kSid, table_);
    p_.tbu.main.entries = 0;
    p_.tbu.micro.entries = 4;
    p_.tbu.tokens = 512;
    p_.tbu.xlate_slots = 512;
    p_.tcu.xlate_slots = 512;
    p_.tcu.ptw_slots = 512;
    p_.memory.burst = 10_ps;
    s_.stream = StreamId{kSid};
    s_.pattern = Pattern::kRandom;
    s_.base = k1G;
    s_.span = kPages * k4K;
    s_.payload = 64;
    s_.outstanding = 2048;
    s_.link_burst = Ps{0};
    s_.count = 60'000;
  }
  // All by nanosecond, without those at the beginning.
  struct Rates {
    double passed, misses, reads;
  };
  struct Counts {
    std::uint64_t passed, misses, reads;
  };
  Counts counts(const DmaStream& stream) {
    return {stream.stats().passed, smmu_->tbu(0).counters().tlb_miss,
            smmu_->tcu().counters().trans_table_walk_access};
  }
  Rates run() {
    smmu_.emplace(p_, world_.features, world_.streams.base(), world_.memory);
    DmaStream& stream = smmu_->add_stream(s_);
    smmu_->timers().run_until(kTimeZero + 20_us);
    const Counts begin = counts(stream);
    smmu_->timers().run_until(kTimeZero + 120_us);
    const Counts end = counts(stream);
    EXPECT_LT(stream.stats().issued, s_.count);
    EXPECT_LE(smmu_->tcu().counters().reads_max, p_.tcu.ptw_slots + p_.tcu.ctw_slots + 2);
    const auto rate = [](std::uint64_t from, std::uint64_t to) {
      return static_cast<double>(to - from) / 100'000.0;
    };
    return {rate(begin.passed, end.passed), rate(begin.misses, end.misses),
            rate(begin.reads, end.reads)};
  }
  static void expect_near(double measured, double law) { EXPECT_NEAR(measured, law, 0.02 * law); }
  static double ns(Ps time) { return static_cast<double>(time.count()) / 1000.0; }
  [[nodiscard]] double read_ns() const { return ns(p_.memory.latency + p_.memory.burst); }

  hw::testing::World world_;
  hw::PageTable table_;
  TimedParams p_;
  StreamParams s_;
  std::optional<TimedSmmu> smmu_;
};

TEST_F(Bottleneck, PtwSlots) {
  p_.tcu.ptw_slots = 16;
  const Rates rate = run();
  expect_near(rate.reads, 16 / read_ns());
  EXPECT_GE(smmu_->tcu().counters().reads_max, 16U);
  EXPECT_LE(smmu_->tcu().counters().reads_max, 16U + p_.tcu.ctw_slots);
}

TEST_F(Bottleneck, TranslationSlotsOfTheTbu) {
  p_.tbu.xlate_slots = 32;
  const Rates rate = run();
  // A slot is taken from the look-up to the answer. Some walks find the leaf in a walk cache.
  const double stay =
      ns(p_.tbu.micro_lookup + 2 * p_.link.dti + p_.tcu.config_lookup + p_.tcu.walk_lookup) +
      read_ns() * rate.reads / rate.misses;
  expect_near(rate.misses, 32 / stay);
  EXPECT_GT(smmu_->tbu(0).counters().slots_full, 100_us);
}

TEST_F(Bottleneck, Tokens) {
  p_.tbu.tokens = 8;
  const Rates rate = run();
  const double trip = ns(2 * p_.link.dti + p_.tcu.config_lookup + p_.tcu.walk_lookup) +
                      read_ns() * rate.reads / rate.misses;
  expect_near(rate.misses, 8 / trip);
  EXPECT_GT(smmu_->tbu(0).counters().out_of_tokens, 100_us);
}

// Read in the middle of it: nothing is answered yet.
TEST_F(Bottleneck, AnIntervalThatIsNotOverCountsSoFar) {
  p_.tbu.xlate_slots = 4;
  p_.tbu.tokens = 2;
  p_.memory.latency = 500_us;
  smmu_.emplace(p_, world_.features, world_.streams.base(), world_.memory);
  smmu_->add_stream(s_);
  smmu_->timers().run_until(kTimeZero + 50_us);
  const TbuCounters counters = smmu_->tbu(0).counters();
  EXPECT_GT(counters.slots_full, 49_us);
  EXPECT_LE(counters.slots_full, 50_us);
  EXPECT_GT(counters.out_of_tokens, 49_us);
  EXPECT_LE(counters.out_of_tokens, 50_us);
}

TEST_F(Bottleneck, MemoryChannelSharedByWalksAndPayload) {
  p_.memory.burst = 10_ns;
  const Rates rate = run();
  EXPECT_GT(rate.reads, rate.passed / 2);
  expect_near(rate.passed + rate.reads, 1.0 / 10);
}

TEST_F(Bottleneck, Link) {
  s_.base = 8 * k1G;  // one block: hits
  s_.payload = 512;
  s_.link_burst = 4_ns;
  expect_near(run().passed, 1.0 / 32);
}

TEST_F(Bottleneck, LookUpPipeline) {
  s_.base = 8 * k1G;
  s_.count = 1'000'000;
  expect_near(run().passed, 1.0);  // one a cycle of 1 ns
}

TEST_F(Bottleneck, OutstandingLimitOfTheDevice) {
  s_.base = 8 * k1G;
  s_.outstanding = 16;
  expect_near(run().passed, 16 / (ns(p_.tbu.micro_lookup) + read_ns()));
}

}  // namespace
}  // namespace smmulab::smmu::timed

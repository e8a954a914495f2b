// SPDX-License-Identifier: Apache-2.0
// Faults of DMA as the driver's thread learns of them: the interrupt at its time, the thread's time
// as a sum of its parts, records that are lost, an overflow that is acknowledged.
#include "models/smmuv3/driver/event_thread.hpp"

#include <gtest/gtest.h>

#include "models/smmuv3/driver/testing.hpp"

namespace smmulab::smmu {
namespace {

constexpr std::uint64_t k2M = 2ULL << 20U;

class EventThreadTest : public DriverTest {
 protected:
  EventThreadTest() : DriverTest(DriverVersion::k6_12) { timed_hardware.emplace(); }

  EventThread& events() {
    if (!events_) {
      events_.emplace(machine(), driver_params, *smmu().hardware, limit, "irq");
    }
    return *events_;
  }
  // `count` transactions to where nothing is mapped.
  timed::StreamParams faulting(const Master& m, std::uint64_t count) const {
    timed::StreamParams p;
    p.stream = m.stream_ids.front();
    p.pattern = timed::Pattern::kRandom;
    p.base = k2M;
    p.span = 16 * k2M;
    p.outstanding = 16;
    p.count = count;
    return p;
  }
  void fault(const Master& m, std::uint64_t count) {
    timed([&](lnx::Thread& t) -> Task<void> {
      hardware().add_dma(faulting(m, count));
      co_await t.run(1_ms);
    });
    hardware().advance();
  }
  Ps thread_time() {
    for (const lnx::Thread& t : machine().threads()) {
      if (t.name() == "irq") {
        return t.run_time();
      }
    }
    return Ps{-1};
  }

  PrintLimit limit;

 private:
  std::optional<EventThread> events_;
};

class InterruptLog final : public EventInterrupt, public timed::StreamObserver {
 public:
  explicit InterruptLog(Engine& engine) : engine_(engine) {}
  void event_interrupt() override { interrupts.push_back(engine_.now()); }
  [[nodiscard]] bool anyone_awake() const override { return true; }
  void transaction(const hw::Request& /*request*/, const timed::Passage& passage,
                   SimTime /*issued*/, SimTime /*done*/) override {
    refused.push_back(passage.ready);
  }
  std::vector<SimTime> interrupts, refused;

 private:
  Engine& engine_;
};

// Nobody waits for a SYNC meanwhile; the device's other events do not matter, nor does run-ahead.
TEST_F(EventThreadTest, TheInterruptIsTakenAtItsTime) {
  std::vector<SimTime> times;
  for (const bool run_ahead : {true, false}) {
    timed_hardware->run_ahead = run_ahead;
    Master& m = master(1, false, run_ahead ? 0 : 1);
    TimedHardware& hardware = *m.smmu->hardware;
    InterruptLog seen(engine);
    hardware.enable_events(3, seen);
    timed::StreamParams p = faulting(m, 1);
    p.start = engine.now() + 3_us;
    hardware.dma(hardware.add_dma(p))->tell(seen);
    timed([](lnx::Thread& t) -> Task<void> { co_await t.run(100_us); });
    hardware.advance();
    ASSERT_EQ(seen.refused.size(), 1U);
    ASSERT_EQ(seen.interrupts.size(), 1U);
    const timed::TimedParams& hw = timed_hardware->smmu;
    // The answer takes a DTI message; the record is written meanwhile, and an MSI says so.
    EXPECT_EQ(seen.interrupts[0], seen.refused[0] - hw.link.dti + hw.memory.burst +
                                      hw.memory.latency + hw.link.completion);
    EXPECT_EQ(hardware.events(m.stream_ids.front()).recorded, 1U);
    times.push_back(seen.interrupts[0]);
  }
}

TEST_F(EventThreadTest, TheThreadsTimeIsTheSumOfItsParts) {
  driver_params.evtq_irq = 1_us;
  driver_params.evtq_entry = 200_ns;
  driver_params.evtq_print = 3_us;
  driver_params.mmio_read = 400_ns;
  driver_params.mmio_write = 50_ns;
  driver_params.evtq_log2 = 4;
  events();
  Master& m = master(1);
  fault(m, 1);
  EXPECT_EQ(events().stat().read, 1U);
  EXPECT_EQ(events().stat().printed, 1U);
  // PROD before the record and after it; a header and four words in the log.
  EXPECT_EQ(thread_time(), 1_us + 2 * 400_ns + 200_ns + 50_ns + 5 * 3_us);
  const Ps before = thread_time();
  fault(m, 1);
  EXPECT_EQ(thread_time() - before, before);
}

TEST_F(EventThreadTest, OnlyTenRecordsArePrintedInFiveSeconds) {
  driver_params.evtq_print = 1_us;
  events();
  Master& m = master(1);
  fault(m, 40);
  EXPECT_EQ(events().stat().read, 40U);
  EXPECT_EQ(events().stat().printed, PrintLimit::kBurst);
  EXPECT_EQ(thread_time(), 10 * 5 * 1_us);
  EXPECT_EQ(hardware().events(m.stream_ids.front()).recorded, 40U);
  EXPECT_EQ(hardware().events(m.stream_ids.front()).lost, 0U);
  EXPECT_FALSE(limit.allows(engine.now()));
  EXPECT_TRUE(limit.allows(engine.now() + PrintLimit::kInterval));
}

TEST_F(EventThreadTest, ASlowThreadLosesRecordsAndAcknowledgesTheOverflow) {
  driver_params.evtq_entry = 20_us;
  driver_params.evtq_log2 = 2;
  events();
  Master& m = master(1);
  fault(m, 40);
  const EventCounts counts = hardware().events(m.stream_ids.front());
  EXPECT_EQ(counts.recorded + counts.lost, 40U);
  EXPECT_GE(counts.recorded, 4U);  // what fits
  EXPECT_GE(counts.lost, 30U);
  EXPECT_EQ(events().stat().read, counts.recorded);
  EXPECT_EQ(events().stat().overflows, 1U);
  // Acknowledged: the next overflow is one that can be told from it.
  fault(m, 40);
  EXPECT_EQ(events().stat().overflows, 2U);
}

TEST_F(EventThreadTest, AnAbortEntryRecordsNothingAndAnInvalidOneDoes) {
  events();
  Master& blocked = master(1);
  timed([&](lnx::Thread& t) -> Task<void> { co_await driver().attach_blocked(t, blocked); });
  fault(blocked, 10);
  EXPECT_EQ(hardware().events(blocked.stream_ids.front()).recorded, 0U);
  Master& broken = master(1);
  hardware().store_ste(broken.stream_ids.front(), Entry{});
  fault(broken, 10);
  EXPECT_EQ(hardware().events(broken.stream_ids.front()).recorded, 10U);
  EXPECT_EQ(hardware().events(blocked.stream_ids.front()).recorded, 0U);
}

}  // namespace
}  // namespace smmulab::smmu

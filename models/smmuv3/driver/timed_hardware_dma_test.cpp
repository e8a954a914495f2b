// SPDX-License-Identifier: Apache-2.0
// DMA while the driver works: dark time of a replace and of a detach, and no use of an old
// translation once unmap() or attach() has come back.
#include <algorithm>
#include <array>

#include <gtest/gtest.h>

#include "models/smmuv3/driver/testing.hpp"

namespace smmulab::smmu {
namespace {

constexpr std::uint64_t k4K = 4096;
constexpr std::uint64_t k2M = 2ULL << 20U;
constexpr std::uint64_t kPages = 32;

class TimedDmaTest : public DriverTest {
 protected:
  TimedDmaTest() : DriverTest(DriverVersion::k6_12) { timed_hardware.emplace(); }

  timed::StreamParams stream(const Master& m) const {
    timed::StreamParams p;
    p.stream = m.stream_ids.front();
    p.pattern = timed::Pattern::kRandom;
    p.base = k2M;
    p.span = kPages * k4K;
    p.outstanding = 16;
    return p;
  }
  void map_all(Domain& d) {
    timed([&](lnx::Thread& t) -> Task<void> {
      co_await driver().map(t, d, Iova{k2M}, Bytes{kPages * k4K}, Bytes{k4K});
    });
  }
  // Maps all and attaches; the device has read for 20 us. Gives the number of its DMA.
  std::size_t read_from(Master& m, Domain& d) {
    map_all(d);
    attach(m, d);
    const std::size_t dma = hardware().add_dma(stream(m));
    wait(20_us);
    return dma;
  }
  void wait(Ps time) {
    timed([time](lnx::Thread& t) -> Task<void> { co_await t.run(time); });
    hardware().advance();
  }
};

TEST_F(TimedDmaTest, AReplaceIsDarkFromTheBrokenCdToTheWholeOne) {
  Master& m = master(1);
  Domain& a = used(m);
  Domain& b = used(m);
  map_all(a);
  map_all(b);
  attach(m, a);
  const std::size_t dma = hardware().add_dma(stream(m));
  wait(20_us);
  const std::uint64_t before = hardware().dma(dma)->stats().passed;
  EXPECT_GT(before, 100U);
  EXPECT_EQ(hardware().dma(dma)->stats().dark_windows, 0U);
  const Ps took = attach(m, b);
  wait(20_us);
  const timed::StreamStats& stats = hardware().dma(dma)->stats();
  EXPECT_GT(stats.passed, before + 100U);
  // From a store of the driver's to another: no longer than the operation, and a walk.
  EXPECT_EQ(stats.dark_windows, 1U);
  EXPECT_GT(stats.dark_total, 0_us);
  EXPECT_LT(stats.dark_total, took + 5_us);
  EXPECT_GT(stats.faulted, 0U);
}

TEST_F(TimedDmaTest, DetachIsDarkUntilTheNextAttach) {
  Master& m = master(1);
  Domain& a = used(m);
  const std::size_t dma = read_from(m, a);
  timed([&](lnx::Thread& t) -> Task<void> { co_await driver().attach_blocked(t, m); });
  wait(50_us);
  attach(m, a);
  wait(20_us);
  const timed::StreamStats& stats = hardware().dma(dma)->stats();
  EXPECT_EQ(stats.dark_windows, 1U);
  EXPECT_GT(stats.dark_total, 50_us);
  EXPECT_LT(stats.dark_total, 75_us);
  EXPECT_GT(stats.aborted, 0U);
}

TEST_F(TimedDmaTest, OldTranslationsAreUsedUntilTheInvalidationOnly) {
  Master& m = master(1);
  Domain& a = used(m);
  const std::size_t dma = read_from(m, a);
  const Ps took = timed([&](lnx::Thread& t) -> Task<void> {
    co_await driver().unmap(t, a, Iova{k2M}, Bytes{kPages * k4K});
  });
  const UnmapDmaStat& unmaps = hardware().dma(dma)->unmaps();
  EXPECT_EQ(unmaps.unmaps, 1U);
  EXPECT_GT(unmaps.old_uses, 10U);
  EXPECT_GT(unmaps.last_max, timed_hardware->smmu.link.doorbell);
  EXPECT_LT(unmaps.last_max, took);
}

// Lazy mode: what is queued stays usable for as long as nobody flushes.
TEST_F(TimedDmaTest, AQueuedUnmapIsUsedUntilTheFlush) {
  Master& m = master(1);
  Domain& a = used(m);
  const std::size_t dma = read_from(m, a);
  const auto queue = [&](std::uint64_t page, std::uint64_t pages) {
    timed([&](lnx::Thread& t) -> Task<void> {
      co_await driver().unmap_queued(t, a, Iova{k2M + page * k4K}, Bytes{pages * k4K});
    });
  };
  queue(0, 16);
  wait(40_us);
  queue(16, 8);
  const UnmapDmaStat& unmaps = hardware().dma(dma)->unmaps();
  EXPECT_EQ(unmaps.unmaps, 0U);  // neither window is over
  const Ps took =
      timed([&](lnx::Thread& t) -> Task<void> { co_await driver().flush_iotlb_all(t, a); });
  EXPECT_EQ(unmaps.unmaps, 2U);
  EXPECT_GT(unmaps.last_max, 40_us);
  EXPECT_LT(unmaps.last_max, 41_us + took);
  EXPECT_GT(unmaps.last_total, unmaps.last_max);
  const std::uint64_t uses = unmaps.old_uses;
  EXPECT_GT(uses, 100U);
  const std::uint64_t faulted = hardware().dma(dma)->stats().faulted;
  wait(20_us);
  EXPECT_GT(hardware().dma(dma)->stats().faulted, faulted + 100U);
  EXPECT_EQ(unmaps.old_uses, uses);
}

// The flush may not have seen what was cleared after it began.
TEST_F(TimedDmaTest, AFlushEndsNoWindowThatBeganAfterIt) {
  Master& m = master(1);
  Domain& a = used(m);
  read_from(m, a);
  machine().spawn_thread(
      "flush", 0, [&](lnx::Thread& t) -> Task<void> { co_await driver().flush_iotlb_all(t, a); });
  machine().spawn_thread("unmap", 1, [&](lnx::Thread& t) -> Task<void> {
    co_await t.run(10_ns);
    co_await driver().unmap_queued(t, a, Iova{k2M}, Bytes{16 * k4K});
  });
  engine.run();
  hardware().advance();
  EXPECT_EQ(hardware().dma(0)->unmaps().unmaps, 0U);
  timed([&](lnx::Thread& t) -> Task<void> { co_await driver().flush_iotlb_all(t, a); });
  EXPECT_EQ(hardware().dma(0)->unmaps().unmaps, 1U);
}

// The device asks again what the ATC_INV took from it; the unmap waits for it, over PCIe and back.
TEST_F(TimedDmaTest, AnUnmapEmptiesTheAtc) {
  Master& m = master(1, true);
  Domain& a = used(m);
  map_all(a);
  attach(m, a);
  timed::StreamParams p = stream(m);
  p.atc_entries = kPages;
  const std::size_t dma = hardware().add_dma(p);
  wait(50_us);
  const timed::AtsStats before = *hardware().dma(dma)->ats();
  EXPECT_GT(before.atc_hits, 100U);
  wait(20_us);
  const timed::AtsStats& ats = *hardware().dma(dma)->ats();
  EXPECT_EQ(ats.translation_requests, before.translation_requests);  // all pages are there
  const Ps took = timed([&](lnx::Thread& t) -> Task<void> {
    co_await driver().unmap(t, a, Iova{k2M}, Bytes{kPages * k4K});
  });
  EXPECT_GT(took, timed_hardware->smmu.link.atc_response);
  wait(1_us);
  const std::uint64_t passed = hardware().dma(dma)->stats().passed;
  EXPECT_GT(hardware().dma(dma)->unmaps().old_uses, 10U);
  // They used the ATC long after the TLBs were empty.
  EXPECT_GT(hardware().dma(dma)->unmaps().last_max, timed_hardware->smmu.link.atc_response / 2);
  EXPECT_LE(hardware().dma(dma)->unmaps().last_max, took);
  wait(20_us);
  EXPECT_EQ(hardware().dma(dma)->stats().passed, passed);
  EXPECT_GT(ats.translation_requests, before.translation_requests);
}

// The RID's translations stay where they are while a PASID comes and goes.
TEST_F(TimedDmaTest, AnAtcInvOfAPasidLeavesTheRidsAtcAlone) {
  Master& m = master(1, true);
  Domain& a = used(m);
  Domain& b = used(m);
  map_all(a);
  attach(m, a);
  timed::StreamParams p = stream(m);
  p.atc_entries = kPages;
  const std::size_t dma = hardware().add_dma(p);
  wait(50_us);
  const timed::AtsStats before = *hardware().dma(dma)->ats();
  const std::uint64_t sent = m.smmu->queue.count(Command::kAtcInv);
  timed([&](lnx::Thread& t) -> Task<void> {
    EXPECT_EQ(co_await driver().attach_pasid(t, m, 5, b), 0);
    co_await driver().map(t, b, Iova{k2M}, Bytes{k4K}, Bytes{k4K});
    co_await driver().unmap(t, b, Iova{k2M}, Bytes{k4K});
    co_await driver().detach_pasid(t, m, 5);
  });
  wait(20_us);
  const timed::AtsStats& ats = *hardware().dma(dma)->ats();
  EXPECT_EQ(m.smmu->queue.count(Command::kAtcInv), sent + 3);
  EXPECT_EQ(ats.translation_requests, before.translation_requests);
  EXPECT_GT(ats.atc_hits, before.atc_hits + 100);
}

// Were the PASID's translations still in the ATC, the device would go on with them.
TEST_F(TimedDmaTest, AnUnmapEmptiesTheAtcOfAPasid) {
  driver_params.ssid_bits = 20;
  Master& m = master(1, true);
  Domain& a = used(m);
  map_all(a);
  timed([&](lnx::Thread& t) -> Task<void> {
    EXPECT_EQ(co_await driver().attach_pasid(t, m, 1500, a), 0);
  });
  timed::StreamParams p = stream(m);
  p.substream = hw::Ssid{1500};
  p.atc_entries = kPages;
  const std::size_t dma = hardware().add_dma(p);
  wait(50_us);
  EXPECT_GT(hardware().dma(dma)->ats()->atc_hits, 100U);
  timed([&](lnx::Thread& t) -> Task<void> {
    co_await driver().unmap(t, a, Iova{k2M}, Bytes{kPages * k4K});
  });
  wait(1_us);
  const std::uint64_t passed = hardware().dma(dma)->stats().passed;
  wait(20_us);
  EXPECT_EQ(hardware().dma(dma)->stats().passed, passed);
}

class NoInterrupt final : public EventInterrupt {
 public:
  void event_interrupt() override {}
  [[nodiscard]] bool anyone_awake() const override { return true; }
};

// Neither a translation request nor a translated transaction finds EATS off: no event says so.
TEST_F(TimedDmaTest, ADetachTurnsAtsOffInTheDeviceFirst) {
  Master& m = master(1, true);
  NoInterrupt nobody;
  hardware().enable_events(8, nobody);
  Domain& a = used(m);
  map_all(a);
  attach(m, a);
  timed::StreamParams p = stream(m);
  p.atc_entries = kPages;
  const std::size_t dma = hardware().add_dma(p);
  wait(50_us);
  timed([&](lnx::Thread& t) -> Task<void> { co_await driver().attach_blocked(t, m); });
  const timed::AtsStats before = *hardware().dma(dma)->ats();
  wait(20_us);
  EXPECT_EQ(*hardware().dma(dma)->ats(), before);  // untranslated, and aborted
  EXPECT_GT(hardware().dma(dma)->stats().aborted, 100U);
  attach(m, a);
  wait(50_us);
  EXPECT_GT(hardware().dma(dma)->ats()->atc_hits, before.atc_hits + 100);
  EXPECT_EQ(hardware().events(m.stream_ids.front()).recorded, 0U);
}

// Pages of two domains come and go while a device does DMA and moves between them. What an
// operation ended may not be used by a transaction that completes after it came back.
class StaleUse final : public timed::StreamObserver {
 public:
  StaleUse(TimedHardware& hardware, const Domain& a, const Domain& b)
      : hardware_(hardware), ids_{a.id, b.id} {
    for (auto& row : over_) {
      row.fill(kTimeMax);
    }
  }
  void transaction(const hw::Request& request, const timed::Passage& passage, SimTime /*issued*/,
                   SimTime done) override {
    if (!passage.passes()) {
      ++refused;
      return;
    }
    ++passed;
    const std::uint64_t page = (request.address - k2M) / k4K;
    const std::size_t d = passage.pa == hardware_.domain_pa(ids_[0], request.address) ? 0 : 1;
    EXPECT_EQ(passage.pa, hardware_.domain_pa(ids_[d], request.address));
    EXPECT_LE(done, over_[d][page]) << "domain " << d << " page " << page;
    last_[d][page] = std::max(last_[d][page], done);
  }
  void ends(std::size_t d, std::uint64_t page, SimTime now) {
    EXPECT_LE(last_[d][page], now) << "domain " << d << " page " << page;
    over_[d][page] = now;
  }
  void begins(std::size_t d, std::uint64_t page) { over_[d][page] = kTimeMax; }
  std::uint64_t passed = 0, refused = 0;

 private:
  TimedHardware& hardware_;
  std::array<std::uint32_t, 2> ids_;
  std::array<std::array<SimTime, kPages>, 2> last_{};
  std::array<std::array<SimTime, kPages>, 2> over_;
};

class JoinedStaleUseTest : public TimedDmaTest, public ::testing::WithParamInterface<int> {
 protected:
  // One random step of the only thread.
  Task<void> step(lnx::Thread& t, Master& m) {
    co_await t.run(Ps{static_cast<std::int64_t>(random_.uniform_int(3'000'000))});
    const std::size_t d = random_.uniform_int(2);
    const std::uint64_t page = random_.uniform_int(kPages);
    const Iova iova{k2M + page * k4K};
    if (random_.uniform_int(8) == 0) {
      co_await move(t, m);
    } else if (mapped_[d][page]) {
      mapped_[d][page] = false;
      co_await driver().unmap(t, *domains_[d], iova, Bytes{k4K});
      hardware().advance();
      use_->ends(d, page, engine.now());
    } else {
      mapped_[d][page] = true;
      hardware().advance();
      if (d == at_) {
        use_->begins(d, page);
      }
      EXPECT_EQ(co_await driver().map(t, *domains_[d], iova, Bytes{k4K}, Bytes{k4K}), 0);
    }
  }
  Task<void> move(lnx::Thread& t, Master& m) {
    const std::size_t from = at_;
    at_ = 1 - at_;
    hardware().advance();
    for (std::uint64_t page = 0; page < kPages; ++page) {
      if (mapped_[at_][page]) {
        use_->begins(at_, page);
      }
    }
    EXPECT_EQ(co_await driver().attach_dev(t, m, *domains_[at_]), 0);
    hardware().advance();
    for (std::uint64_t page = 0; page < kPages; ++page) {
      use_->ends(from, page, engine.now());
    }
  }

  RandomStream random_{static_cast<std::uint64_t>(GetParam()), "joined"};
  std::array<Domain*, 2> domains_{};
  std::optional<StaleUse> use_;
  std::size_t at_ = 0;
  std::array<std::array<bool, kPages>, 2> mapped_{};
};

TEST_P(JoinedStaleUseTest, NoUseAfterTheOperationThatEndsIt) {
  const auto seed = static_cast<std::uint64_t>(GetParam());
  timed_hardware->smmu.tbu.micro.entries = 4;
  timed_hardware->smmu.tbu.main.entries = seed % 3 == 0 ? 0 : 32;
  timed_hardware->smmu.tbus = 1 + seed % 2;
  timed_hardware->run_ahead = seed % 2 == 0;
  driver_params.range_inv = seed % 4 != 1;
  driver_params.stage = seed % 5 == 2 ? Stage::kS2 : Stage::kS1;
  driver_params.cmdq_kind = seed % 7 == 3 ? QueueKind::kEcmdq : QueueKind::kSingle;
  driver_params.write_step = driver_params.unmap_call = 100_ns;
  const bool ats = seed % 2 == 1;
  Master& m = master(1, ats);
  domains_ = {&used(m), &used(m)};
  use_.emplace(hardware(), *domains_[0], *domains_[1]);
  for (Domain* domain : domains_) {
    map_all(*domain);
  }
  for (std::uint64_t page = 0; page < kPages; ++page) {
    mapped_[0][page] = mapped_[1][page] = true;
    use_->ends(1, page, kTimeZero);
  }
  attach(m, *domains_[0]);
  timed::StreamParams p = stream(m);
  p.interval = seed % 3 == 1 ? 50_ns : 0_ns;
  p.atc_entries = ats ? 8U : 0U;
  hardware().dma(hardware().add_dma(p))->tell(*use_);
  timed([&](lnx::Thread& t) -> Task<void> {
    for (int i = 0; i < 300 && !HasFailure(); ++i) {
      co_await step(t, m);
    }
  });
  EXPECT_GT(use_->passed, 1000U);
  EXPECT_GT(use_->refused, 100U);
}

INSTANTIATE_TEST_SUITE_P(Seeds, JoinedStaleUseTest, ::testing::Range(0, 40));

}  // namespace
}  // namespace smmulab::smmu

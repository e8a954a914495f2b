// SPDX-License-Identifier: Apache-2.0
// What a translation takes in a DMA study: the look-ups, exactly, where TLBs hold everything; walks
// too where they do not, or after an invalidation.
#include "workloads/dma/dma_latency.hpp"

#include <gtest/gtest.h>

#include "models/smmuv3/driver/stream_params.hpp"
#include "workloads/dma/patterns.hpp"

namespace smmulab::workloads::dma {
namespace {

namespace timed = smmu::timed;

constexpr std::uint64_t kPage = 4096;

smmu::hw::SmmuParams caches(std::uint32_t micro, std::uint32_t main) {
  smmu::hw::SmmuParams params;
  params.utlb_entries = micro;
  params.utlb_policy = smmu::hw::Policy::kLru;
  params.mtlb_entries = main;
  params.mtlb_policy = smmu::hw::Policy::kLru;
  return params;
}

// A ring of `pages`, the first round and more not counted.
Latencies ring(const smmu::hw::SmmuParams& params, std::uint64_t pages,
               std::uint32_t outstanding = 1) {
  DmaStudy study(params, "ring");
  study.measure(smmu::with_caches({}, params), outstanding);
  run_pattern({"ring", pages * kPage, kPage, kPage, 5'000, 1}, study);
  const auto latencies = study.latencies();
  EXPECT_TRUE(latencies.has_value());
  return latencies.value_or(Latencies{});
}

TEST(DmaLatencyTest, WhatTlbsHoldTakesTheirLookUps) {
  const timed::TbuParams tbu;
  const Latencies micro = ring(caches(16, 64), 16);
  EXPECT_EQ(micro.p50, tbu.micro_lookup);
  EXPECT_EQ(micro.p99, tbu.micro_lookup);
  EXPECT_EQ(micro.mean_ps, static_cast<double>(tbu.micro_lookup.count()));
  const Latencies main = ring(caches(16, 64), 32);
  EXPECT_EQ(main.p50, tbu.micro_lookup + tbu.main_lookup);
  EXPECT_EQ(main.p99, main.p50);
}

TEST(DmaLatencyTest, AMissGoesToTheTcuAndBack) {
  smmu::hw::SmmuParams params = caches(16, 64);
  params.wc_entries[3] = 0;  // no leaves: each walk reads the last level
  const timed::TimedParams p;
  EXPECT_EQ(ring(params, 512).p50, p.tbu.micro_lookup + p.tbu.main_lookup + 2 * p.link.dti +
                                       p.tcu.config_lookup + p.tcu.walk_lookup + p.memory.burst +
                                       p.memory.latency);
}

TEST(DmaLatencyTest, MoreUnderWayWaitForEachOther) {
  EXPECT_GT(ring(caches(16, 64), 512, 64).mean_ps, ring(caches(16, 64), 512, 1).mean_ps);
}

DmaOp op(DmaOp::Kind kind, std::uint16_t space = 1) {
  DmaOp o;
  o.kind = kind;
  o.space = space;
  o.stream = 5;
  o.iova = kPage;
  o.pa = 8 * kPage;
  o.size = kPage;
  return o;
}

TEST(DmaLatencyTest, AnInvalidationIsCarriedOutBetweenAccesses) {
  const auto params = caches(16, 64);
  const auto p99 = [&params](DmaOp::Kind between) {
    DmaStudy study(params, "test");
    study.measure(smmu::with_caches({}, params), 1);
    study.run(op(DmaOp::Kind::kMap));
    study.run(op(DmaOp::Kind::kAccess));
    study.reset();
    for (int i = 0; i < 300; ++i) {  // more than the command queue has entries
      study.run(op(between));
      study.run(op(DmaOp::Kind::kAccess));
    }
    return study.latencies()->p99;
  };
  const timed::TimedParams p;
  EXPECT_EQ(p99(DmaOp::Kind::kAccess), p.tbu.micro_lookup);
  for (const auto kind : {DmaOp::Kind::kInvAll, DmaOp::Kind::kInvSpace, DmaOp::Kind::kInvRange}) {
    EXPECT_GT(p99(kind), p.tbu.micro_lookup + 2 * p.link.dti);
  }
}

TEST(DmaLatencyTest, AStreamOfAnotherSpaceIsTranslatedByItsTables) {
  const auto params = caches(16, 64);
  DmaStudy study(params, "test");
  study.measure(smmu::with_caches({}, params), 1);
  EXPECT_FALSE(study.latencies().has_value());
  study.run(op(DmaOp::Kind::kMap, 1));
  study.run(op(DmaOp::Kind::kMap, 2));
  const timed::TimedParams p;
  for (const std::uint16_t space : {std::uint16_t{1}, std::uint16_t{2}, std::uint16_t{1}}) {
    study.reset();
    study.run(op(DmaOp::Kind::kAccess, space));
    // Its configuration is read anew: stream table and CD.
    EXPECT_GT(study.latencies()->p50, 3 * (p.memory.burst + p.memory.latency));
  }
  EXPECT_EQ(study.counts().faults, 0U);
}

TEST(DmaLatencyTest, WithoutMeasureThereIsNone) {
  DmaStudy study(caches(16, 64), "test");
  run_pattern({"ring", 16 * kPage, kPage, kPage, 100, 1}, study);
  EXPECT_FALSE(study.latencies().has_value());
}

}  // namespace
}  // namespace smmulab::workloads::dma

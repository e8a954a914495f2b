// SPDX-License-Identifier: Apache-2.0
#include "bench/smmu_load.hpp"

#include <algorithm>
#include <stdexcept>

#include "models/smmuv3/timed/bench_testing.hpp"

namespace smmulab::bench {
namespace {

namespace hw = smmu::hw;
namespace timed = smmu::timed;
using timed::testing::k2M;
using timed::testing::k4K;

void expect(bool good, const char* what) {
  if (!good) {
    throw std::runtime_error(what);
  }
}

}  // namespace

Sample run_smmu_hits(const PageStream& pages, std::uint64_t transactions) {
  hw::testing::World world;
  hw::PageTable table(world.frames, {1, hw::Granule::k4K, 48, 40, false, true, 0});
  expect(table.map_pages(k2M, k2M, 12, pages.pages, {}) == hw::MapError::kNone, "not mapped");
  world.attach_s1(7, table);
  timed::TimedSmmu smmu({}, world.features, world.streams.base(), world.memory);
  timed::StreamParams p;
  p.stream = StreamId{7};
  p.base = k2M;
  p.span = pages.pages * k4K;
  p.pattern = pages.step == p.payload ? timed::Pattern::kSequential : timed::Pattern::kStrided;
  p.stride = pages.step;
  p.count = transactions;
  const timed::DmaStream& stream = smmu.add_stream(p);
  const Meter meter;
  smmu.timers().run_to_idle();
  const Sample sample = meter.stop(stream.stats().passed);
  expect(sample.count == transactions, "a transaction did not pass");
  return sample;
}

Sample run_smmu_nested_walks(std::uint64_t transactions) {
  constexpr std::uint64_t kPages = 65'536;
  timed::testing::NestedWorld nested(kPages);
  expect(nested.good, "not mapped");
  timed::TimedSmmu smmu({}, nested.world.features, nested.world.streams.base(),
                        nested.world.memory);
  timed::StreamParams p;
  p.stream = StreamId{timed::testing::NestedWorld::kSid};
  p.substream = timed::testing::NestedWorld::kSsid;
  p.pattern = timed::Pattern::kRandom;
  p.base = k2M;
  p.span = kPages * k4K;
  p.count = transactions;
  const timed::DmaStream& stream = smmu.add_stream(p);
  const Meter meter;
  smmu.timers().run_to_idle();
  const Sample sample = meter.stop(smmu.tcu().counters().tlb_miss);
  expect(stream.stats().passed == transactions, "a transaction did not pass");
  return sample;
}

Sample run_smmu_syncs(std::uint64_t pairs) {
  hw::testing::World world;
  timed::TimedSmmu smmu({}, world.features, world.streams.base(), world.memory);
  timed::testing::Commands commands(smmu, world);
  hw::Command tlbi;
  tlbi.opcode = hw::Opcode::kTlbiNhVa;
  const Meter meter;
  std::uint64_t last = 0;
  for (std::uint64_t i = 0; i < pairs; ++i) {
    tlbi.address = i * k4K;
    commands.add(tlbi);
    last = commands.add(hw::Opcode::kSync);
    if (commands.full() || i + 1 == pairs) {
      commands.ring();
      smmu.timers().run_to_idle();
    }
  }
  expect(commands.done(last) != kTimeMax, "the last SYNC is not complete");
  return meter.stop(pairs);
}

}  // namespace smmulab::bench

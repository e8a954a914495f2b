// SPDX-License-Identifier: Apache-2.0
// Speed and memory of models/smmuv3/hw without time: TLB hits beside a bare LRU of a hash map in
// the same binary, cold nested walks, invalidations, and the memory of 1 TiB mapped in 4K pages.
// Rates are by CPU time, the best of five; `smmu_hw --smoke` runs a hundredth, once.
#include <algorithm>
#include <cstdio>
#include <span>
#include <string_view>

#include <fmt/format.h>

#include "bench/bare_lru.hpp"
#include "bench/meter.hpp"
#include "models/smmuv3/hw/page_table.hpp"
#include "models/smmuv3/hw/smmu_caches.hpp"
#include "sim/check.hpp"

namespace smmulab::bench {
namespace {

namespace hw = smmu::hw;

constexpr std::uint64_t kPage = 4096;

template <class F>
double best_rate(int times, const F& run) {
  double best = 0;
  for (int i = 0; i < times; ++i) {
    best = std::max(best, run().per_cpu_second());
  }
  return best;
}

hw::Translation page_at(std::uint64_t output) {
  hw::Translation t;
  t.output = output;
  t.perms = hw::Permissions{hw::Permissions::kAll};
  return t;
}

Sample tlb_hits(std::uint64_t count) {
  hw::Tlb tlb({2048, 4, hw::Policy::kLru, 1});
  for (std::uint64_t i = 0; i < kScattered.pages; ++i) {
    tlb.fill(hw::Tag{}, true, i * kPage, page_at(i * kPage));
  }
  std::uint64_t sum = 0;
  const Meter meter;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t input = kScattered.address(i);
    sum += tlb.lookup(hw::Tag{}, true, input, {}).output(input) >> 12U;
  }
  const Sample sample = meter.stop(count);
  SMMULAB_CHECK(sum > 0 && tlb.stats().misses == 0, "every look-up hits");
  return sample;
}

// Stage 1 over stage 2, 4K pages, four levels each, one linear CD; payload of 64 MiB.
struct Nested {
  hw::Memory memory;
  hw::FrameAllocator frames{memory, 0x1000'0000};
  hw::PageTable s1{frames, {}};
  hw::PageTable s2{frames, {2, hw::Granule::k4K, 48, 48, false, false, 0}};
  hw::StreamConfig config;

  Nested() {
    constexpr std::uint64_t kIpa = 1ULL << 30U, kBytes = 64ULL << 20U;
    SMMULAB_CHECK(s1.map_pages(0, kIpa, 12, kBytes / kPage, {}) == hw::MapError::kNone, "mapped");
    SMMULAB_CHECK(s2.map_pages(0, 0, 12, (kIpa + kBytes) / kPage, {}) == hw::MapError::kNone,
                  "mapped");
    config.kind = hw::StreamConfig::Kind::kTranslate;
    config.s1 = config.s2 = true;
    for (hw::Stage* stage : {&config.tt0, &config.tt2}) {
      const hw::PageTable& table = stage == &config.tt0 ? s1 : s2;
      stage->number = stage == &config.tt0 ? 1 : 2;
      stage->table = table.root();
      stage->start_level = table.start_level();
      stage->enabled = true;
    }
  }
};

Sample nested_walks(Nested& nested, std::uint64_t count) {
  hw::Request request;
  std::uint64_t reads = 0;
  const Meter meter;
  for (std::uint64_t i = 0; i < count; ++i) {
    request.address = (i * 4099) % (16384 * kPage) & ~std::uint64_t{7};
    reads += hw::translate(nested.memory, nested.config, request).counts.reads();
  }
  const Sample sample = meter.stop(count);
  SMMULAB_CHECK(reads == 24 * count, "24 reads each");
  return sample;
}

// TLBI by VA and its SYNC, which without time is a command more to look at.
Sample invalidations(std::uint64_t count) {
  hw::CachesShape shape;
  shape.main = {2048, 4, hw::Policy::kRandom, 1};
  shape.walk = hw::WalkCaches::Shape::all_alike({256, 4, hw::Policy::kRoundRobin, 1}, false);
  hw::SmmuCaches caches(shape, {}, {});
  hw::Command tlbi, sync;
  tlbi.opcode = hw::Opcode::kTlbiNhVa;
  std::uint32_t gone = 0;
  const Meter meter;
  for (std::uint64_t i = 0; i < count; ++i) {
    tlbi.address = kScattered.address(i);
    gone += caches.apply(*hw::decode_command(hw::encode(tlbi)));
    gone += caches.apply(*hw::decode_command(hw::encode(sync)));
  }
  SMMULAB_CHECK(gone == 0, "there was nothing");
  return meter.stop(count);
}

// Bytes of simulated memory for each byte of tables: 1 TiB in 4K pages has 2 GiB of leaf tables.
void memory_of(std::uint64_t bytes) {
  hw::Memory memory;
  hw::FrameAllocator frames(memory, 0x1000'0000);
  hw::PageTable table(frames, {});
  SMMULAB_CHECK(table.map_pages(0, 0, 12, bytes / kPage, {}) == hw::MapError::kNone, "mapped");
  const double mapped_gib = static_cast<double>(bytes) / (1U << 30U);
  const double held = static_cast<double>(memory.pages()) * 4096;
  fmt::print("{:<44} {:>10.1f} MiB for {:.0f} GiB, tables {:.1f} MiB\n",
             "memory of a mapping in 4K pages", held / (1U << 20U), mapped_gib,
             static_cast<double>(frames.allocated_bytes()) / (1U << 20U));
}

void report(bool smoke) {
  const int times = smoke ? 1 : 5;
  const std::uint64_t part = smoke ? 100 : 1;
  const double hits = best_rate(times, [&] { return tlb_hits(20'000'000 / part); });
  const double bare = best_rate(times, [&] { return run_bare_lru(kScattered, 20'000'000 / part); });
  Nested nested;
  const double walks = best_rate(times, [&] { return nested_walks(nested, 1'000'000 / part); });
  const double syncs = best_rate(times, [&] { return invalidations(1'000'000 / part); });
  const auto row = [](std::string_view what, double rate, const char* goal) {
    fmt::print("{:<44} {:>10.2f} M/s   goal {}\n", what, rate / 1e6, goal);
  };
  row("TLB hits", hits, ">= 40 (with run-ahead)");
  row("bare LRU of a hash map", bare, "-");
  fmt::print("{:<44} {:>10.2f} x\n", "TLB hits / bare LRU", hits / bare);
  row("cold nested walks (24 reads)", walks, ">= 2");
  row("TLBI by VA and SYNC", syncs, ">= 1");
  memory_of((smoke ? 1ULL : 1024ULL) << 30U);
}

}  // namespace
}  // namespace smmulab::bench

int main(int argc, char** argv) {
  const std::span<char*> arguments(argv, static_cast<std::size_t>(argc));
  smmulab::bench::report(arguments.size() > 1 && std::string_view(arguments[1]) == "--smoke");
  return 0;
}

// SPDX-License-Identifier: Apache-2.0
// The workloads as Google Benchmarks, for trends and for profiling one of them. The goals are
// ratios: bench/ratios measures those.
#include <benchmark/benchmark.h>

#include "bench/bare_loop.hpp"
#include "bench/bare_lru.hpp"
#include "bench/child.hpp"
#include "bench/engine_load.hpp"
#include "bench/memory_load.hpp"
#include "bench/smmu_load.hpp"
#include "bench/temp_trace.hpp"

namespace smmulab::bench {
namespace {

constexpr std::uint64_t kEvents = 1'000'000;
constexpr std::uint64_t kSimGridEvents = 50'000;
constexpr std::uint64_t kOperations = 100'000;

// Time is the workload's CPU time; setting up and SimGrid's process are not in it.
template <class F>
void repeat(::benchmark::State& state, F workload) {
  std::uint64_t count = 0;
  for ([[maybe_unused]] auto iteration : state) {
    const Sample sample = workload();
    state.SetIterationTime(sample.cpu_s);
    count += sample.count;
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(count));
}

std::uint32_t argument(const ::benchmark::State& state) {
  return static_cast<std::uint32_t>(state.range(0));
}

void bare_loop(::benchmark::State& state) {
  repeat(state, [&] { return run_bare_loop(argument(state), kEvents); });
}
BENCHMARK(bare_loop)->Arg(2)->Arg(16)->Arg(64)->Arg(256)->Arg(4096)->UseManualTime();

void native_timed(::benchmark::State& state) {
  repeat(state, [&] { return run_timed_events(EngineKind::kNative, argument(state), kEvents); });
}
BENCHMARK(native_timed)->Arg(16)->Arg(64)->Arg(256)->Arg(4096)->UseManualTime();

void native_locks(::benchmark::State& state) {
  repeat(state, [&] { return run_locks(EngineKind::kNative, argument(state), kOperations); });
}
BENCHMARK(native_locks)->Arg(16)->Arg(256)->UseManualTime();

void native_mm1(::benchmark::State& state) {
  repeat(state, [] { return run_mm1(EngineKind::kNative, kEvents).sample; });
}
BENCHMARK(native_mm1)->UseManualTime();

void smmu_hits(::benchmark::State& state) {
  repeat(state, [] { return run_smmu_hits(kInOrder, kEvents); });
}
BENCHMARK(smmu_hits)->UseManualTime();

// Beside smmu_hits: an LRU cache that has nothing else to do.
void smmu_bare_lru(::benchmark::State& state) {
  repeat(state, [] { return run_bare_lru(kInOrder, 10 * kEvents); });
}
BENCHMARK(smmu_bare_lru)->UseManualTime();

void smmu_nested_walks(::benchmark::State& state) {
  repeat(state, [] { return run_smmu_nested_walks(kOperations); });
}
BENCHMARK(smmu_nested_walks)->UseManualTime();

void smmu_syncs(::benchmark::State& state) {
  repeat(state, [] { return run_smmu_syncs(kOperations); });
}
BENCHMARK(smmu_syncs)->UseManualTime();

void simgrid_timed(::benchmark::State& state) {
  if (!simgrid_available()) {
    state.SkipWithError("built without SimGrid");
    return;
  }
  repeat(state, [&] {
    return in_child(
        [&] { return run_timed_events(EngineKind::kSimGrid, argument(state), kSimGridEvents); });
  });
}
BENCHMARK(simgrid_timed)->Arg(16)->Arg(256)->UseManualTime();

void simgrid_locks(::benchmark::State& state) {
  if (!simgrid_available()) {
    state.SkipWithError("built without SimGrid");
    return;
  }
  repeat(state, [&] {
    return in_child(
        [&] { return run_locks(EngineKind::kSimGrid, argument(state), kSimGridEvents / 10); });
  });
}
BENCHMARK(simgrid_locks)->Arg(16)->Arg(256)->UseManualTime();

void replay_shared(::benchmark::State& state) {
  const TempTrace trace({argument(state), kOperations, false});
  repeat(state, [&] { return trace.replay(); });
}
BENCHMARK(replay_shared)->Arg(64)->UseManualTime();

void replay_independent(::benchmark::State& state) {
  const TempTrace trace({argument(state), kOperations, true});
  repeat(state, [&] { return trace.replay(); });
}
BENCHMARK(replay_independent)->RangeMultiplier(4)->Range(1, 256)->UseManualTime();

void mapped_areas(::benchmark::State& state) {
  MemorySample memory;
  for ([[maybe_unused]] auto iteration : state) {
    memory = in_child(
        [] { return run_memory({.devices = 1, .areas = kOperations, .stride = 128U << 10U}); });
  }
  state.counters["bytes_per_area"] = memory.bytes_per_area;
}
BENCHMARK(mapped_areas);

}  // namespace
}  // namespace smmulab::bench

BENCHMARK_MAIN();

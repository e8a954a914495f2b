// SPDX-License-Identifier: Apache-2.0
// Workloads for an engine alone, and for the lock models on it.
#pragma once

#include <cstdint>

#include "bench/meter.hpp"
#include "sim/engine_factory.hpp"
#include "sim/time.hpp"

namespace smmulab::bench {

// The program of run_bare_loop() on an engine.
[[nodiscard]] Sample run_timed_events(EngineKind engine, std::uint32_t processes,
                                      std::uint64_t events);

// Simulated threads, each on its own CPU, take and give back mutexes; four threads share one.
// Counts acquisitions.
[[nodiscard]] Sample run_locks(EngineKind engine, std::uint32_t threads,
                               std::uint64_t acquisitions);

struct QueueSample {
  Sample sample;  // counts the engine's events
  Ps mean_stay;   // from a customer's arrival to its departure
};
inline constexpr Ps kArrivalMean{1'000'000};
inline constexpr Ps kServiceMean{800'000};
// An M/M/1 queue: an arrival process puts customers into a store, a server takes them out.
[[nodiscard]] QueueSample run_mm1(EngineKind engine, std::uint64_t customers);

}  // namespace smmulab::bench

// SPDX-License-Identifier: Apache-2.0
// Speed of the SMMU in time beside a bare LRU in the same binary: translations that hit, nested
// walks, invalidations with a SYNC each. The workloads take turns; rates are by CPU time, the best
// of so many rounds (5, or the argument); `smmu_timed --smoke` runs a hundredth, once.
#include <algorithm>
#include <array>
#include <charconv>
#include <span>
#include <string_view>

#include <fmt/format.h>

#include "bench/bare_lru.hpp"
#include "bench/smmu_load.hpp"

namespace smmulab::bench {
namespace {

struct Workload {
  const char* name;
  Sample (*run)(std::uint64_t count);
  std::uint64_t count;
  double goal;  // M/s; 0: none
  double best = 0;
};

template <PageStream kStream>
Sample hits(std::uint64_t count) {
  return run_smmu_hits(kStream, count);
}
template <PageStream kStream>
Sample bare(std::uint64_t count) {
  return run_bare_lru(kStream, count);
}

void report(int rounds, std::uint64_t part) {
  std::array workloads{
      Workload{"hits, 16 pages in order", hits<kInOrder>, 10'000'000, 40},
      Workload{"bare LRU of the same", bare<kInOrder>, 10'000'000, 0},
      Workload{"hits, 16 pages by turns", hits<kByTurns>, 2'000'000, 0},
      Workload{"bare LRU of the same", bare<kByTurns>, 10'000'000, 0},
      Workload{"bare LRU of 512 pages, scattered", bare<kScattered>, 10'000'000, 0},
      Workload{"nested walks, TLBs cold", run_smmu_nested_walks, 400'000, 2},
      Workload{"TLBI by VA and SYNC", run_smmu_syncs, 1'000'000, 1},
  };
  for (int i = 0; i < rounds; ++i) {
    for (Workload& w : workloads) {
      w.best = std::max(w.best, w.run(w.count / part).per_cpu_second() / 1e6);
    }
  }
  const auto row = [](const char* name, double value, const char* unit, double goal) {
    fmt::print("{:<44} {:>10.2f} {:<4}", name, value, unit);
    if (goal != 0) {
      fmt::print(" goal {:>4}  {}", goal, value >= goal ? "met" : "MISSED");
    }
    fmt::print("\n");
  };
  for (const Workload& w : workloads) {
    row(w.name, w.best, "M/s", w.goal);
  }
  row("hits / bare LRU, in order", workloads[0].best / workloads[1].best, "x", 0.5);
  row("hits / bare LRU, by turns", workloads[2].best / workloads[3].best, "x", 0.5);
  row("hits in order / bare LRU, scattered", workloads[0].best / workloads[4].best, "x", 0);
}

}  // namespace
}  // namespace smmulab::bench

int main(int argc, char** argv) {
  const std::span<char*> arguments(argv, static_cast<std::size_t>(argc));
  const std::string_view argument = arguments.size() > 1 ? arguments[1] : "5";
  const bool smoke = argument == "--smoke";
  int rounds = 1;
  if (!smoke) {
    std::from_chars(argument.data(), argument.data() + argument.size(), rounds);
  }
  smmulab::bench::report(rounds, smoke ? 100 : 1);
  return 0;
}

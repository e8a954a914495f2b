// SPDX-License-Identifier: Apache-2.0
// Usage: ratios [--smoke] [--record]
// Measures every goal of speed and memory side by side in this run, and prints goal, measured value
// and verdict. Exit status 1 if a goal is missed. --smoke: tiny sizes that judge nothing. --record:
// only what recording and its analysis cost.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "bench/bare_loop.hpp"
#include "bench/child.hpp"
#include "bench/engine_load.hpp"
#include "bench/memory_load.hpp"
#include "bench/record_load.hpp"
#include "bench/temp_trace.hpp"

namespace smmulab::bench {
namespace {

using Measurement = std::function<Sample()>;

class Table {
 public:
  Table() { print("what", "goal", "measured", "verdict"); }

  void at_least(const std::string& what, double goal, double measured, const char* unit) {
    row(what, fmt::format(">= {:.7g}{}", goal, unit), measured, unit, measured >= goal);
  }
  void at_most(const std::string& what, double goal, double measured, const char* unit) {
    row(what, fmt::format("<= {:.7g}{}", goal, unit), measured, unit, measured <= goal);
  }
  void without_goal(const std::string& what, const std::string& measured) {
    print(what, "", measured, "");
  }
  [[nodiscard]] bool all_met() const { return all_met_; }

 private:
  void row(const std::string& what, const std::string& goal, double measured, const char* unit,
           bool met) {
    all_met_ = all_met_ && met;
    const char* format = measured < 1000 ? "{:.2f}{}" : "{:.0f}{}";
    print(what, goal, fmt::format(fmt::runtime(format), measured, unit), met ? "met" : "MISSED");
  }
  static void print(const std::string& what, const std::string& goal, const std::string& measured,
                    const std::string& verdict) {
    fmt::print("| {:<58} | {:>14} | {:>14} | {:<7} |\n", what, goal, measured, verdict);
    if (what == "what") {
      fmt::print("|{:-<60}|{:->15}:|{:->15}:|{:-<9}|\n", "", "", "", "");
    }
    std::fflush(stdout);
  }
  bool all_met_ = true;
};

class Ratios {
 public:
  explicit Ratios(bool smoke) : scale_(smoke ? 100 : 1), repeats_(smoke ? 1 : 7) {}

  bool run_all() {
    engine_against_bare_loop();
    queue_against_bare_loop();
    if (simgrid_available()) {
      native_against_simgrid();
    }
    replay_speed();
    replay_flatness();
    memory();
    return run_record();
  }

  bool run_record() {
    recording();
    analysis();
    return table_.all_met();
  }

 private:
  static double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
  }
  // The two by turns; the median of the pairs' ratios.
  [[nodiscard]] double ratio(const Measurement& of, const Measurement& to) const {
    std::vector<double> ratios;
    for (int i = 0; i < repeats_; ++i) {
      const double below = to().per_cpu_second();
      ratios.push_back(of().per_cpu_second() / below);
    }
    return median(std::move(ratios));
  }

  void engine_against_bare_loop() {
    for (const std::uint32_t processes : {64U, 4096U}) {
      const double measured =
          ratio([&] { return run_timed_events(EngineKind::kNative, processes, events()); },
                [&] { return run_bare_loop(processes, events()); });
      table_.at_least(fmt::format("native engine / bare loop, {} processes", processes), 60,
                      100 * measured, " %");
    }
  }

  void queue_against_bare_loop() {
    constexpr std::uint64_t kCustomers = 1'000'000;
    Ps stay{0};
    const Measurement queue = [&] {
      const QueueSample result = run_mm1(EngineKind::kNative, kCustomers / scale_);
      stay = result.mean_stay;
      return result.sample;
    };
    for (const std::uint32_t processes : {2U, 64U}) {
      table_.at_least(fmt::format("M/M/1 events/s / bare loop of {} processes", processes), 50,
                      100 * ratio(queue, [&] { return run_bare_loop(processes, events()); }), " %");
    }
    // The law of M/M/1: 1 / (service rate - arrival rate).
    const double expected = 1 / (1 / static_cast<double>(kServiceMean.count()) -
                                 1 / static_cast<double>(kArrivalMean.count()));
    table_.without_goal("  its mean stay / that of the law",
                        fmt::format("{:.3f}", static_cast<double>(stay.count()) / expected));
  }

  void native_against_simgrid() {
    for (const std::uint32_t n : {16U, 256U}) {
      const std::uint64_t count = 300'000 / scale_ + n;
      const auto timed = [&](EngineKind kind) {
        return in_child([&] { return run_timed_events(kind, n, count); });
      };
      const auto locks = [&](EngineKind kind) {
        return in_child([&] { return run_locks(kind, n, count / 10 + n); });
      };
      table_.at_least(fmt::format("native / SimGrid, timed events, {} processes", n), 10,
                      ratio([&] { return timed(EngineKind::kNative); },
                            [&] { return timed(EngineKind::kSimGrid); }),
                      " x");
      table_.at_least(fmt::format("native / SimGrid, locks, {} threads", n), 10,
                      ratio([&] { return locks(EngineKind::kNative); },
                            [&] { return locks(EngineKind::kSimGrid); }),
                      " x");
    }
  }

  void replay_speed() {
    for (const bool independent : {false, true}) {
      const TempTrace trace({64, 192'000 / scale_, independent});
      double wall = 0;
      double cpu = 0;
      for (int i = 0; i < repeats_; ++i) {
        const Sample sample = trace.replay();
        wall = std::max(wall, sample.per_wall_second());
        cpu = std::max(cpu, sample.per_cpu_second());
      }
      const char* kind = independent ? "independent" : "one SMMU and IOAS";
      table_.at_least(fmt::format("igroup replay, 64 threads, {}, wall", kind), 250'000, wall,
                      " op/s");
      table_.without_goal("  the same by CPU time", fmt::format("{:.0f} op/s", cpu));
      const TempTrace timed({64, 192'000 / scale_, independent, smmu::HardwareKind::kTimed});
      double timed_cpu = 0;
      for (int i = 0; i < repeats_; ++i) {
        timed_cpu = std::max(timed_cpu, timed.replay().per_cpu_second());
      }
      table_.without_goal("  on timed hardware, by CPU time",
                          fmt::format("{:.0f} op/s", timed_cpu));
    }
  }

  // Highest over lowest cost: each is the least of several runs, taken by turns.
  void replay_flatness() {
    const std::vector<std::uint32_t> counts = {1, 4, 16, 64, 256};
    std::vector<double> cost(counts.size(), 1e9);
    std::vector<std::unique_ptr<TempTrace>> traces;
    for (const std::uint32_t threads : counts) {
      traces.push_back(std::make_unique<TempTrace>(
          ReplayShape{threads, std::max<std::uint64_t>(153'600 / scale_, 3 * threads), true}));
    }
    for (int i = 0; i < repeats_; ++i) {
      for (std::size_t c = 0; c < counts.size(); ++c) {
        cost[c] = std::min(cost[c], 1 / traces[c]->replay().per_cpu_second());
      }
    }
    for (std::size_t c = 0; c < counts.size(); ++c) {
      table_.without_goal(fmt::format("  cost of an operation, {} threads", counts[c]),
                          fmt::format("{:.2f} us", cost[c] * 1e6));
    }
    const auto [least, most] = std::minmax_element(cost.begin(), cost.end());
    table_.at_most("igroup replay, cost of an operation, 1 to 256 threads", 1.5, *most / *least,
                   " x");
  }

  void memory() {
    const std::uint64_t areas = 1'000'000 / scale_;
    for (const std::uint64_t kib : {64U, 128U, 2048U}) {
      const auto one = in_child(
          [&] { return run_memory({.devices = 1, .areas = areas, .stride = kib << 10U}); });
      table_.at_most(fmt::format("memory of a mapped area, one each {} KiB", kib), 200,
                     one.bytes_per_area, " B");
      const auto stored =
          in_child([&] { return run_memory({1, areas, kib << 10U, smmu::HardwareKind::kTimed}); });
      table_.without_goal("  on timed hardware, which stores its tables",
                          fmt::format("{:.0f} B", stored.bytes_per_area));
    }
    for (const auto kind : {smmu::HardwareKind::kCounted, smmu::HardwareKind::kTimed}) {
      const auto many = in_child([&] { return run_memory({4096, areas, 128U << 10U, kind}); });
      table_.at_most(kind == smmu::HardwareKind::kCounted
                         ? "memory of 4096 devices and a million areas, peak"
                         : "  on timed hardware",
                     1024, many.peak_bytes / (1 << 20), " MiB");
    }
  }

  void recording() {
    const TempTrace trace({64, 96'000 / scale_, false});
    const double cost = ratio([&] { return trace.replay(); },
                              [&] {
                                Record record;
                                return trace.replay(&record);
                              });
    table_.at_most("igroup replay, 64 threads, recording on / off, CPU time", 1.5, cost, " x");
  }

  void analysis() {
    const std::uint64_t events = 10'000'000 / scale_;
    const TempTrace trace({64, 240'000 / scale_, false});
    const auto sample = in_child([&] { return run_analysis(trace, events); });
    const std::string what = fmt::format("all analyses of {:.1f} M events", sample.events / 1e6);
    table_.at_most(what + ", CPU time", 30, sample.cpu_s, " s");
    table_.without_goal("  the same by wall clock", fmt::format("{:.2f} s", sample.wall_s));
    table_.without_goal(
        fmt::format("  of that writing {:.0f} MB for Perfetto", sample.timeline_bytes / 1e6),
        fmt::format("{:.2f} s", sample.perfetto_s));
    table_.at_most(what + ", peak with the record", 2048, sample.peak_bytes / (1 << 20), " MiB");
  }

  [[nodiscard]] std::uint64_t events() const { return 2'000'000 / scale_; }

  std::uint64_t scale_;
  int repeats_;
  Table table_;
};

}  // namespace
}  // namespace smmulab::bench

int main(int argc, char** argv) {
  bool smoke = false;
  bool only_record = false;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--smoke") == 0) {
      smoke = true;
    } else if (std::strcmp(argv[i], "--record") == 0) {
      only_record = true;
    } else {
      fmt::print(stderr, "usage: {} [--smoke] [--record]\n", argv[0]);
      return 2;
    }
  }
  try {
    smmulab::bench::Ratios ratios(smoke);
    const bool met = only_record ? ratios.run_record() : ratios.run_all();
    return met || smoke ? 0 : 1;
  } catch (const std::exception& e) {
    fmt::print(stderr, "ratios: {}\n", e.what());
    return 2;
  }
}

// SPDX-License-Identifier: Apache-2.0
// Usage: explore [--smoke] [--cases] [PROTOCOL...]
// Schedules a second of `smmulab explore`, by CPU time of one thread: of the built-in case
// `replace` for each protocol, beside the yardstick (bare_loop.hpp). The two are measured by turns,
// seven times; the best of the rates and the median of the seven ratios count. What stands before
// the first schedule (settings, the case) is not in it. --cases: all built-in cases that the
// protocol does not leave out, one after another. --smoke: once, and judges nothing. Exit status 1
// if a protocol that is clean in the case misses the goal.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <exception>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "bench/bare_loop.hpp"
#include "bench/meter.hpp"
#include "workloads/explore/explorer.hpp"
#include "workloads/explore/protocol_program.hpp"

namespace smmulab::bench {
namespace {

constexpr double kGoal = 50'000;  // schedules/s, of every protocol that is clean
constexpr std::uint64_t kSchedules = 5'000;
constexpr std::uint32_t kProcesses = 2;  // of the bare loop: as many as a case has threads
constexpr std::uint64_t kResumes = 500'000;

// The cases of one protocol, ready to be explored.
class Load {
 public:
  Load(const std::string& protocol, bool all_cases) {
    const iommufd::ProtocolInfo& info = iommufd::find_protocol(protocol);
    const workloads::Settings free = explore::free_of_cost({});
    for (explore::Case& c : explore::cases()) {
      workloads::Settings settings = explore::settings_for(c, free);
      if (all_cases ? explore::left_out(c, info, settings).empty() : c.name == "replace") {
        parts_.push_back(std::make_unique<Part>(Part{std::move(c), std::move(settings), {}}));
        Part& part = *parts_.back();
        part.program = explore::protocol_program(part.c, info, part.settings);
      }
    }
  }

  // Again and again until that many schedules were run; those cut short count.
  Sample run(std::uint64_t schedules) {
    std::uint64_t run = 0;
    steps_ = 0;
    const Meter meter;
    while (run < schedules) {
      for (const auto& part : parts_) {
        const explore::ExploreResult result = explore::explore(part->program, {});
        run += result.schedules + result.cut;
        steps_ += result.steps;
        clean_ = clean_ && result.failures.empty();
      }
    }
    return meter.stop(run);
  }
  [[nodiscard]] std::uint64_t steps() const { return steps_; }  // of the last run
  [[nodiscard]] bool clean() const { return clean_; }

 private:
  struct Part {
    explore::Case c;
    workloads::Settings settings;
    explore::Program program;
  };
  std::vector<std::unique_ptr<Part>> parts_;
  std::uint64_t steps_ = 0;
  bool clean_ = true;
};

struct Row {
  double rate = 0;     // schedules/s, the best
  double resumes = 0;  // of the bare loop, in the time of one schedule
  double steps = 0;    // of one schedule
};

Row measure(Load& load, bool smoke) {
  const int repeats = smoke ? 1 : 7;
  const std::uint64_t part = smoke ? 1000 : 1;
  Row row;
  std::vector<double> resumes;
  for (int i = 0; i < repeats; ++i) {
    const double bare = run_bare_loop(kProcesses, kResumes / part).per_cpu_second();
    const Sample explored = load.run(kSchedules / part);
    row.rate = std::max(row.rate, explored.per_cpu_second());
    row.steps = static_cast<double>(load.steps()) / static_cast<double>(explored.count);
    resumes.push_back(bare / explored.per_cpu_second());
  }
  std::ranges::sort(resumes);
  row.resumes = resumes[resumes.size() / 2];
  return row;
}

void print(const std::string& protocol, const std::string& steps, const std::string& goal,
           const std::string& rate, const std::string& resumes, const std::string& verdict) {
  fmt::print("| {:<16} | {:>14} | {:>10} | {:>11} | {:>26} | {:<7} |\n", protocol, steps, goal,
             rate, resumes, verdict);
  std::fflush(stdout);
}

// True: every goal is met.
bool report(const std::vector<std::string>& protocols, bool all_cases, bool smoke) {
  print("protocol", "steps/schedule", "goal", "schedules/s", "bare loop resumes/schedule",
        "verdict");
  fmt::print("|{:-<18}|{:->15}:|{:->11}:|{:->12}:|{:->27}:|{:-<9}|\n", "", "", "", "", "", "");
  bool all_met = true;
  for (const std::string& name : protocols) {
    Load load(name, all_cases);
    const Row row = measure(load, smoke);
    const bool goal = !all_cases && load.clean();
    const bool met = row.rate >= kGoal;
    all_met = all_met && (met || !goal);
    print(name, fmt::format("{:.1f}", row.steps), goal ? fmt::format(">= {}", kGoal) : "",
          fmt::format("{:.0f}", row.rate), fmt::format("{:.0f}", row.resumes),
          !goal ? ""
          : met ? "met"
                : "MISSED");
  }
  return all_met;
}

}  // namespace
}  // namespace smmulab::bench

int main(int argc, char** argv) {
  bool smoke = false;
  bool all_cases = false;
  std::vector<std::string> protocols;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--smoke") == 0) {
      smoke = true;
    } else if (std::strcmp(argv[i], "--cases") == 0) {
      all_cases = true;
    } else {
      protocols.emplace_back(argv[i]);
    }
  }
  try {
    if (protocols.empty()) {
      for (const smmulab::iommufd::ProtocolInfo& info : smmulab::iommufd::protocols()) {
        protocols.emplace_back(info.name);
      }
    }
    return smmulab::bench::report(protocols, all_cases, smoke) || smoke ? 0 : 1;
  } catch (const std::exception& e) {
    fmt::print(stderr, "explore: {}\n", e.what());
    return 2;
  }
}

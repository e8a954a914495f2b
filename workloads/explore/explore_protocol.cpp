// SPDX-License-Identifier: Apache-2.0
#include "workloads/explore/explore_protocol.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include <fmt/format.h>

#include "sim/error.hpp"
#include "workloads/explore/protocol_program.hpp"

namespace smmulab::explore {
namespace {

// Throws ConfigError with the nearest name.
Case case_named(const std::string& name) {
  std::vector<std::string> names;
  for (Case& c : cases()) {
    if (c.name == name) {
      return std::move(c);
    }
    names.push_back(c.name);
  }
  const std::string near = nearest_name(name, names);
  throw ConfigError(fmt::format("unknown case '{}'{}; known: {}", name,
                                near.empty() ? "" : fmt::format(", did you mean '{}'?", near),
                                fmt::join(names, ", ")));
}

std::vector<Case> chosen(const ExploreRequest& request) {
  if (request.trace) {
    if (!request.cases.empty()) {
      throw ConfigError("explore: a trace and built-in cases at once");
    }
    return {case_of_trace(*request.trace)};
  }
  if (request.cases.empty()) {
    return cases();
  }
  std::vector<Case> some;
  for (const std::string& name : request.cases) {
    some.push_back(case_named(name));
  }
  return some;
}

// `settings`: those for the case.
CaseReport explore_case(const Case& c, const iommufd::ProtocolInfo& protocol,
                        const workloads::Settings& settings, const ExploreRequest& request) {
  const Program program = protocol_program(c, protocol, settings);
  CaseReport report{c.name, c.summary, c.threads, {}, 0, {}, {}};
  ExploreOptions options;
  options.max_schedules = request.max_schedules;
  options.progress = request.progress;
  const auto start = std::chrono::steady_clock::now();
  report.result = explore(program, options);
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (!report.result.failures.empty()) {
    report.shortest = replay_schedule(program, report.result.failures.front().schedule);
  }
  return report;
}

}  // namespace

Report explore_protocol(const ExploreRequest& request, const workloads::Settings& given) {
  const iommufd::ProtocolInfo& protocol = iommufd::find_protocol(request.protocol);
  const workloads::Settings settings = free_of_cost(given);
  Report report{std::string(protocol.name), {}};
  for (const Case& c : chosen(request)) {
    const workloads::Settings own = settings_for(c, settings);
    std::string why = left_out(c, protocol, own);
    if (!why.empty() && request.cases.empty()) {
      report.cases.push_back({c.name, c.summary, c.threads, {}, 0, {}, std::move(why)});
    } else {
      report.cases.push_back(explore_case(c, protocol, own, request));
    }
  }
  return report;
}

Shown show_schedule(const ExploreRequest& request, const std::string& schedule,
                    const workloads::Settings& given) {
  const workloads::Settings settings = free_of_cost(given);
  const std::size_t colon = schedule.rfind(':');
  if (colon == std::string::npos && !request.trace) {
    throw ConfigError(fmt::format("schedule '{}': expected CASE:THREAD*STEPS,...", schedule));
  }
  const std::string steps = colon == std::string::npos ? schedule : schedule.substr(colon + 1);
  const Case c =
      request.trace ? case_of_trace(*request.trace) : case_named(schedule.substr(0, colon));
  const workloads::Settings own = settings_for(c, settings);
  const Program program = protocol_program(c, iommufd::find_protocol(request.protocol), own);
  ReplayedSchedule replayed = replay_schedule(program, parse_schedule(steps, c.threads.size()));
  return {time_line(c.threads, replayed), std::move(replayed.failures)};
}

}  // namespace smmulab::explore

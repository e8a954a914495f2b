// SPDX-License-Identifier: Apache-2.0
#include "workloads/explore/report.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace smmulab::explore {
namespace {

using nlohmann::ordered_json;

std::string plural(std::uint64_t n, std::string_view word) {
  return fmt::format("{} {}{}", n, word, n == 1 ? "" : "s");
}

std::string orders_text(double orders) {
  constexpr double kPlain = 1e6;
  return orders < kPlain ? fmt::format("{:.0f}", orders) : fmt::format("{:.1e}", orders);
}

std::string counts_text(const ExploreResult& r) {
  return fmt::format(
      "{}{} run; skipped {} and cut {} short that only repeat them (a run of {} has {} orders)",
      r.exhaustive ? "" : "not exhaustive: ", plural(r.schedules, "schedule"),
      fmt::format("{} branch{}", r.skipped, r.skipped == 1 ? "" : "es"), plural(r.cut, "run"),
      plural(r.longest, "step"), orders_text(r.orders));
}

std::string verdict(const CaseReport& c) {
  if (!c.left_out.empty()) {
    return fmt::format("left out ({}); run it by its name", c.left_out);
  }
  if (c.result.failures.empty()) {
    return c.result.exhaustive ? "clean: no deadlock, no lost wake-up, no wrong state"
                               : "nothing found so far";
  }
  return std::string(failure_name(c.result.failures.front().kind));
}

ordered_json json_of(const CaseReport& c) {
  ordered_json failures = ordered_json::array();
  for (const Failure& f : c.result.failures) {
    failures.push_back({{"kind", failure_name(f.kind)},
                        {"of", f.id},
                        {"message", f.message},
                        {"schedules", f.schedules},
                        {"schedule", schedule_text(f.schedule)}});
  }
  ordered_json lines = ordered_json::array();
  for (const LogLine& line : c.shortest.lines) {
    lines.push_back({{"step", line.step}, {"thread", line.thread}, {"what", line.text}});
  }
  return {{"case", c.name},
          {"left_out", c.left_out},
          {"threads", c.threads},
          {"schedules", c.result.schedules},
          {"cut", c.result.cut},
          {"skipped", c.result.skipped},
          {"steps", c.result.steps},
          {"longest", c.result.longest},
          {"orders", c.result.orders},
          {"exhaustive", c.result.exhaustive},
          {"seconds", c.seconds},
          {"failures", std::move(failures)},
          {"time_line", std::move(lines)}};
}

}  // namespace

bool Report::failed() const {
  return std::ranges::any_of(cases, [](const CaseReport& c) { return !c.result.failures.empty(); });
}

bool Report::exhaustive() const {
  return std::ranges::all_of(cases, [](const CaseReport& c) { return c.result.exhaustive; });
}

std::string time_line(const std::vector<std::string>& threads, const ReplayedSchedule& replayed) {
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < threads.size(); ++i) {
    std::size_t width = threads[i].size();
    for (const LogLine& line : replayed.lines) {
      width = std::max(width, line.thread == i ? line.text.size() : 0);
    }
    widths.push_back(width);
  }
  const auto row = [&](std::string_view step, std::size_t thread, std::string_view text) {
    std::string line = fmt::format("{:>6}", step);
    for (std::size_t i = 0; i <= thread; ++i) {
      line += fmt::format("  {:<{}}", i == thread ? text : "", widths[i]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    return line + '\n';
  };
  std::string text = fmt::format("{:>6}", "step");
  for (std::size_t i = 0; i < threads.size(); ++i) {
    text += fmt::format("  {:<{}}", threads[i], widths[i]);
  }
  text.erase(text.find_last_not_of(' ') + 1);
  text += '\n';
  std::size_t last = 0;
  bool gaps = false;
  for (const LogLine& line : replayed.lines) {
    text += row(line.step == last ? "" : std::to_string(line.step), line.thread, line.text);
    gaps = gaps || line.step > last + 1;
    last = line.step;
  }
  if (gaps) {
    text += "  (a step without a row takes no lock: it reads or writes shared state, or sleeps)\n";
  }
  for (const Failure& failure : replayed.failures) {
    text += fmt::format("  {}: {}\n", failure_name(failure.kind), failure.message);
  }
  return text;
}

std::string to_text(const Report& report) {
  std::string text = fmt::format("explore {}\n", report.protocol);
  for (const CaseReport& c : report.cases) {
    text += fmt::format("\n{}{}{}\n  {}\n", c.name, c.summary.empty() ? "" : ": ", c.summary,
                        verdict(c));
    if (!c.left_out.empty()) {
      continue;
    }
    text += fmt::format("  {}\n", counts_text(c.result));
    for (const Failure& f : c.result.failures) {
      text += fmt::format("  {} in {}: {}\n", failure_name(f.kind), plural(f.schedules, "schedule"),
                          f.message);
    }
    if (!c.result.failures.empty()) {
      text += fmt::format("  the shortest, --replay {}:{}\n{}", c.name,
                          schedule_text(c.result.failures.front().schedule),
                          time_line(c.threads, c.shortest));
    }
  }
  return text;
}

std::string to_json(const Report& report) {
  ordered_json cases = ordered_json::array();
  for (const CaseReport& c : report.cases) {
    cases.push_back(json_of(c));
  }
  return ordered_json{{"protocol", report.protocol},
                      {"failed", report.failed()},
                      {"exhaustive", report.exhaustive()},
                      {"cases", std::move(cases)}}
      .dump(2);
}

}  // namespace smmulab::explore

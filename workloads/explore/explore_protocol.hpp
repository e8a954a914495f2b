// SPDX-License-Identifier: Apache-2.0
// `smmulab explore`: cases under a protocol, explored or one schedule of one shown again.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "workloads/explore/report.hpp"
#include "workloads/settings.hpp"

namespace smmulab::explore {

struct ExploreRequest {
  std::string protocol;
  std::optional<std::string> trace;         // instead of the built-in cases
  std::vector<std::string> cases;           // built-in ones; empty: all but those left out
  std::uint64_t max_schedules = 1'000'000;  // of each case
  std::function<bool(std::uint64_t)> progress;
};

// Throws ConfigError, TraceError, Interrupted.
[[nodiscard]] Report explore_protocol(const ExploreRequest& request,
                                      const workloads::Settings& settings);

// "CASE:0*5,1*3"; with a trace, what stands before the last colon is not looked at.
struct Shown {
  std::string text;
  std::vector<Failure> failures;
};
[[nodiscard]] Shown show_schedule(const ExploreRequest& request, const std::string& schedule,
                                  const workloads::Settings& settings);

}  // namespace smmulab::explore

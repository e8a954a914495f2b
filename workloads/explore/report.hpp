// SPDX-License-Identifier: Apache-2.0
// What explorations found, for readers: text with time lines, or JSON.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "workloads/explore/explorer.hpp"

namespace smmulab::explore {

struct CaseReport {
  std::string name;
  std::string summary;
  std::vector<std::string> threads;
  ExploreResult result;
  double seconds = 0;
  ReplayedSchedule shortest;  // of the first failure; empty if there is none
  std::string left_out;       // why the case was not run
};

struct Report {
  std::string protocol;
  std::vector<CaseReport> cases;

  [[nodiscard]] bool failed() const;
  [[nodiscard]] bool exhaustive() const;
};

[[nodiscard]] std::string to_text(const Report& report);
[[nodiscard]] std::string to_json(const Report& report);
// A column for each thread, a row for each step with something to tell; a line says what the others
// are, if there are any between them.
[[nodiscard]] std::string time_line(const std::vector<std::string>& threads,
                                    const ReplayedSchedule& replayed);

}  // namespace smmulab::explore

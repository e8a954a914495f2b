// SPDX-License-Identifier: Apache-2.0
// OpProblem: what is wrong with an operation, and which of its words says so.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "workloads/op_spec.hpp"

namespace smmulab::workloads {

struct OpProblem {
  enum class At : std::uint8_t { kLine, kIssue, kThread, kKey };

  std::uint64_t line = 0;  // of the operation at fault: this one or an earlier one
  std::string message;
  At at = At::kLine;
  Key key = Key::kDev;  // if at is kKey
};

using MaybeProblem = std::optional<OpProblem>;

[[nodiscard]] inline OpProblem problem_at(std::uint64_t line, Key key, std::string message) {
  return {line, std::move(message), OpProblem::At::kKey, key};
}

}  // namespace smmulab::workloads

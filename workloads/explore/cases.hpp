// SPDX-License-Identifier: Apache-2.0
// What of iommufd is explored: operations of a set-up, then a few threads with a few each.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "models/iommufd/protocol.hpp"
#include "workloads/op.hpp"
#include "workloads/trace_header.hpp"

namespace smmulab::explore {

struct CaseOp {
  workloads::Op op;
  std::uint32_t number = 0;          // among those of the threads
  std::vector<std::uint32_t> after;  // numbers that must have ended before
};

struct Case {
  std::string name;
  std::string summary;
  workloads::TraceHeader header;
  std::vector<workloads::Op> set_up;
  std::vector<std::string> threads;
  std::vector<std::vector<CaseOp>> ops;  // by thread
};

// The built-in ones: two threads each.
[[nodiscard]] std::vector<Case> cases();
// The hazard, in the registry, that makes the case fail however its operations are ordered among
// protocols that have it; empty: none.
[[nodiscard]] std::string_view known_to_fail(const Case& c, const iommufd::ProtocolInfo& protocol);

// A trace: leading phases in which one thread acts alone are the set-up. Of the recorded order only
// what the objects ask for is kept (dependency_tracker.hpp), and phases. Dma is left out.
// Throws ConfigError (too large to explore), TraceError.
[[nodiscard]] Case case_of_trace(const std::string& path);

}  // namespace smmulab::explore

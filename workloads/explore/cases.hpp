// SPDX-License-Identifier: Apache-2.0
// What of iommufd is explored: operations of a set-up, then a few threads with a few each.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "models/iommufd/protocol.hpp"
#include "workloads/op.hpp"
#include "workloads/settings.hpp"
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
  std::vector<std::string> needs = {};   // settings, "KEY=VALUE", on top of the user's
  iommufd::KernelVersion since = 0;      // an older protocol refuses its operations
};

// The built-in ones: two threads each.
[[nodiscard]] std::vector<Case> cases();
// With what the case needs.
[[nodiscard]] workloads::Settings settings_for(const Case& c, const workloads::Settings& settings);
// Why the case says nothing about the protocol: it fails by design ("hazard group-move", of the
// registry), or the protocol's kernel lacks an operation ("needs Linux 6.15"). Empty: it does.
// `settings`: those for the case.
[[nodiscard]] std::string left_out(const Case& c, const iommufd::ProtocolInfo& protocol,
                                   const workloads::Settings& settings);

// A trace: leading phases in which one thread acts alone are the set-up. Of the recorded order only
// what the objects ask for is kept (dependency_tracker.hpp), and phases. Dma is left out.
// Throws ConfigError (too large to explore), TraceError.
[[nodiscard]] Case case_of_trace(const std::string& path);

}  // namespace smmulab::explore

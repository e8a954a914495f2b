// SPDX-License-Identifier: Apache-2.0
// Usage: covering_set
// Runs the covering set under every protocol with every setting that changes which locks are taken,
// and keeps nothing: for scripts/coverage, which counts the lines that ran.
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "models/iommufd/protocol.hpp"
#include "sim/error.hpp"
#include "workloads/covering_set.hpp"

namespace smmulab::workloads {
namespace {

using Assignments = std::vector<std::string>;

// What a protocol or driver does not have is refused, or changes nothing.
const std::vector<Assignments>& settings_of_locks() {
  static const std::vector<Assignments> kSettings = {
      {},
      {"driver.version=6.2"},
      {"driver.version=newest"},
      {"driver.version=newest", "protocol.reset_hooks=true"},
      {"driver.version=newest", "protocol.reset_hooks=true", "protocol.mend_reset_detach=true"},
      {"driver.stage=s2"},
      {"driver.cmdq_insertion=spinlock"},
      {"iommufd.vfio=false"},
      {"protocol.fill_before=true"},
      {"protocol.detach_race=true"},
      {"protocol.destroy_rwsem=true"},
      {"protocol.core_group_ioas_mutex=true"},
      {"protocol.mend_h1=true"},
      {"protocol.mend_h2=true"},
      {"protocol.mend_h2=true", "protocol.mend_h3=true"},
      {"protocol.mend_h4=true"},
      {"protocol.mend_h5=true"},
      {"protocol.mend_h9=true"},
      {"protocol.mend_stale_domain=true"},
      {"protocol.mend_leaked_reference=true"},
  };
  return kSettings;
}

void run_all() {
  for (const iommufd::ProtocolInfo& protocol : iommufd::protocols()) {
    std::uint64_t runs = 0;
    for (const Assignments& assignments : settings_of_locks()) {
      Settings settings;
      for (const std::string& assignment : assignments) {
        apply_assignment(assignment, settings);
      }
      try {
        record_covering_set(settings, std::string(protocol.name),
                            [&runs](const RecordedRun& /*run*/) { ++runs; });
      } catch (const ConfigError& e) {
        fmt::print("{}: {}\n", protocol.name, e.what());
      }
    }
    fmt::print("{}: {} runs\n", protocol.name, runs);
  }
}

}  // namespace
}  // namespace smmulab::workloads

int main() {
  try {
    smmulab::workloads::run_all();
    return 0;
  } catch (const std::exception& e) {
    fmt::print(stderr, "covering_set: {}\n", e.what());
    return 2;
  }
}

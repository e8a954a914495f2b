// SPDX-License-Identifier: Apache-2.0
#include "workloads/qemu_smmu/run_log.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "workloads/qemu_smmu/log_reader.hpp"
#include "workloads/qemu_smmu/log_replay.hpp"

namespace smmulab::workloads::qemu {
namespace {

constexpr std::uint64_t kLinesBetweenProgress = 1U << 16U;
constexpr std::uint64_t kFewDamaged = 10, kDamagedPart = 100;

// A damaged compressed file ends as a log that was cut: what came before it counts.
bool next_line(LogReader& reader, std::string_view& line, const std::string& name) {
  try {
    return reader.next(line);
  } catch (const CorruptData& error) {
    throw TraceError(name, reader.line_number() + 1, 1, error.what());
  }
}

}  // namespace

bool looks_like_qemu_log(const std::string& path) {
  LogReader reader(path);
  std::string_view line;
  while (next_line(reader, line, path)) {
    if (reader.line_number() == 1 && (line.starts_with("smmulab-") || line.starts_with("# "))) {
      return false;  // a trace, or an operation log: need not be read to its end
    }
    const LogKind kind = parse_log_line(line).kind;
    if (kind != LogKind::kNoise && kind != LogKind::kDamaged) {
      return true;
    }
  }
  return false;
}

Report run_log(const std::string& path, const std::string& name, LogSink* sink,
               const LogProgress& progress) {
  LogReader reader(path);
  LogReplay replay(name, sink);
  std::string_view line;
  while (next_line(reader, line, name)) {
    const LogEvent event = parse_log_line(line);
    if (event.kind == LogKind::kNoise) {
      replay.noise();
    } else if (reader.ended()) {
      replay.feed(event, reader.line_number());
    } else {
      replay.cut_off();
    }
    if (progress && reader.line_number() % kLinesBetweenProgress == 0 &&
        !progress(reader.line_number())) {
      throw Interrupted("the log was not read to its end");
    }
  }
  Report report = replay.finish();
  report.lines = reader.line_number();
  if (report.events == 0) {
    throw TraceError(name, 1, 1,
                     "no SMMU trace event in this log (QEMU's -trace 'smmu*' writes lines like "
                     "'PID@TIME:smmuv3_translate_success ...')");
  }
  if (report.damaged > kFewDamaged && report.damaged * kDamagedPart > report.events) {
    throw TraceError(name, report.first_damaged, 1,
                     fmt::format("{} of {} events lack fields they must have; this is the first",
                                 report.damaged, report.events));
  }
  const Tally& addresses = report.tallies[static_cast<std::size_t>(Check::kAddress)];
  if (report.translations > 0 && addresses.agree + addresses.miss + report.adopted_entries == 0) {
    throw TraceError(name, 1, 1,
                     "translations without their IOTLB look-ups: nothing can be compared; record "
                     "with -trace 'smmu*'");
  }
  return report;
}

std::string to_json(const Report& r) {
  nlohmann::json checks = nlohmann::json::array();
  for (std::size_t i = 0; i < kChecks; ++i) {
    checks.push_back({{"check", check_name(static_cast<Check>(i))},
                      {"agree", r.tallies[i].agree},
                      {"miss", r.tallies[i].miss}});
  }
  nlohmann::json misses = nlohmann::json::array();
  for (const Miss& miss : r.misses) {
    misses.push_back({{"line", miss.line},
                      {"check", check_name(miss.check)},
                      {"recorded", miss.recorded},
                      {"model", miss.model}});
  }
  const nlohmann::json all = {{"checks", checks},
                              {"misses", misses},
                              {"lines", r.lines},
                              {"events", r.events},
                              {"noise", r.noise},
                              {"damaged", r.damaged},
                              {"first_damaged", r.first_damaged},
                              {"translations", r.translations},
                              {"hits", r.hits},
                              {"walks", r.walks},
                              {"pages", r.pages},
                              {"blocks", r.blocks},
                              {"reads", r.reads},
                              {"faults", r.faults},
                              {"faults_not_judged", r.faults_not_judged},
                              {"bypassed", r.bypassed},
                              {"aborted", r.aborted},
                              {"disabled", r.disabled},
                              {"commands", r.commands},
                              {"invalidations", r.invalidations},
                              {"streams", r.streams},
                              {"adopted_configs", r.adopted_configs},
                              {"adopted_entries", r.adopted_entries},
                              {"incomplete", r.incomplete}};
  return all.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace smmulab::workloads::qemu

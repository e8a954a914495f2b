// SPDX-License-Identifier: Apache-2.0
#include "workloads/report_json.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "sim/engine_factory.hpp"

#include "build_info.hpp"

namespace smmulab::workloads {
namespace {

using Json = nlohmann::ordered_json;

Json histogram_json(const Histogram& h) {
  Json rows = Json::array();
  for (const Histogram::Bucket b : h) {
    rows.push_back({b.lower, b.upper, b.count});
  }
  return {{"count", h.count()},
          {"mean_ps", h.mean()},
          {"min_ps", h.min()},
          {"p50_ps", h.value_at_quantile(0.5)},
          {"p99_ps", h.value_at_quantile(0.99)},
          {"p999_ps", h.value_at_quantile(0.999)},
          {"max_ps", h.max()},
          {"buckets", std::move(rows)}};
}

Json mode_json(const LockModeStat& s) {
  return {{"con_bounces", s.con_bounces},
          {"contentions", s.contentions},
          {"waits", s.waittime.nr},
          {"waittime_min_ps", s.waittime.min.count()},
          {"waittime_max_ps", s.waittime.max.count()},
          {"waittime_total_ps", s.waittime.total.count()},
          {"waittime_avg_ps", s.waittime.avg().count()},
          {"wait_spin_ps", s.wait_spin.count()},
          {"acq_bounces", s.acq_bounces},
          {"acquisitions", s.acquisitions},
          {"holdtime_min_ps", s.holdtime.min.count()},
          {"holdtime_max_ps", s.holdtime.max.count()},
          {"holdtime_total_ps", s.holdtime.total.count()},
          {"holdtime_avg_ps", s.holdtime.avg().count()}};
}

Json broken_json(const ReplayResult& r) {
  Json rows = Json::array();
  for (const BrokenInvariant& b : r.broken_invariants) {
    rows.push_back({{"invariant", b.invariant}, {"detail", b.detail}, {"time_ps", to_ps(b.when)}});
  }
  return rows;
}

Json kinds_json(const ReplayResult& r) {
  Json kinds = Json::array();
  for (std::size_t i = 0; i < kOpKinds; ++i) {
    const KindResult& k = r.kinds[i];
    if (k.count != 0) {
      kinds.push_back({{"kind", op_name(static_cast<OpKind>(i))},
                       {"errors", k.errors},
                       {"different_result", k.different},
                       {"latency", histogram_json(k.latency)}});
    }
  }
  return kinds;
}

Json locks_json(const ReplayResult& r) {
  Json locks = Json::array();
  for (const LockResult& l : r.locks) {
    locks.push_back({{"class", l.name},
                     {"type", l.kind},
                     {"instances", l.instances},
                     {"write", mode_json(l.stat.write())},
                     {"read", mode_json(l.stat.read())}});
  }
  return locks;
}

void add_dma(Json& device, const DmaResult& dma) {
  const smmu::timed::StreamStats& s = dma.stream;
  device["dma_transactions"] = s.issued;
  device["dma_bytes_per_s"] = s.bytes_per_second();
  device["dma_passed"] = s.passed;
  device["dma_aborted"] = s.aborted;
  device["dma_faulted"] = s.faulted;
  device["dma_translation_p50_ps"] = s.translation.value_at_quantile(0.5);
  device["dma_translation_p99_ps"] = s.translation.value_at_quantile(0.99);
  device["dma_translation_p999_ps"] = s.translation.value_at_quantile(0.999);
  device["dma_translation_max_ps"] = s.translation.max();
  device["dma_tlb_reach_mean_bytes"] = dma.reach.mean();
  device["dma_tlb_reach_max_bytes"] = dma.reach.max;
  device["dma_dark_windows"] = s.dark_windows;
  device["dma_dark_total_ps"] = s.dark_total.count();
  device["dma_dark_max_ps"] = s.dark_max.count();
  device["dma_unmaps_used"] = dma.unmaps.unmaps;
  device["dma_old_uses"] = dma.unmaps.old_uses;
  device["dma_old_use_total_ps"] = dma.unmaps.last_total.count();
  device["dma_old_use_max_ps"] = dma.unmaps.last_max.count();
  if (dma.events) {
    device["dma_events"] = dma.events->recorded;
    device["dma_events_lost"] = dma.events->lost;
  }
  if (dma.ats) {
    device["dma_atc_hits"] = dma.ats->atc_hits;
    device["dma_translation_requests"] = dma.ats->translation_requests;
  }
}

Json devices_json(const ReplayResult& r) {
  Json devices = Json::array();
  for (const DeviceResult& d : r.devices) {
    devices.push_back({{"device", d.name},
                       {"dark_windows", d.dark_windows},
                       {"dark_total_ps", d.dark_total.count()},
                       {"dark_max_ps", d.dark_max.count()},
                       {"replaces", d.replaces},
                       {"replace_dark_total_ps", d.replace_dark.count()},
                       {"replace_dark_max_ps", d.replace_dark_max.count()}});
    if (d.dma) {
      add_dma(devices.back(), *d.dma);
    }
  }
  return devices;
}

Json queues_json(const ReplayResult& r) {
  Json queues = Json::array();
  for (const smmu::CommandQueueStat& q : r.queues) {
    queues.push_back({{"submissions", q.submissions},
                      {"commands", q.commands},
                      {"syncs", q.syncs},
                      {"cmpxchg_failures", q.cmpxchg_failures},
                      {"doorbells", q.doorbells},
                      {"full_waits", q.full_waits},
                      {"sync_wait_ps", q.sync_wait.count()}});
  }
  return queues;
}

Json pmu_json(const ReplayResult& r) {
  Json rows = Json::array();
  for (std::size_t i = 0; i < r.pmu.size(); ++i) {
    for (const smmu::timed::PmuRow& row : r.pmu[i]) {
      rows.push_back({{"smmu", i},
                      {"unit", row.unit},
                      {"event", row.name},
                      {"id", row.id},
                      {"count", row.value}});
    }
  }
  return rows;
}

}  // namespace

std::string to_json(const ReplayResult& r) {
  Json threads = Json::array();
  for (const ThreadResult& t : r.threads) {
    threads.push_back({{"thread", t.name},
                       {"run_ps", t.run.count()},
                       {"spin_ps", t.spin.count()},
                       {"ready_ps", t.ready.count()}});
  }
  Json commands = Json::object();
  for (std::size_t i = 0; i < smmu::kCommandKinds; ++i) {
    commands[std::string(command_name(static_cast<smmu::Command>(i)))] = r.commands[i];
  }
  const Json document = {{"protocol", r.protocol},
                         {"status", r.status},
                         {"message", r.message},
                         {"deadlock_cycle", r.deadlock_cycle},
                         {"broken_invariants", broken_json(r)},
                         {"end_ps", to_ps(r.end)},
                         {"events", r.events},
                         {"operations", r.operations},
                         {"main_phase", r.main_phase},
                         {"main_operations", r.main_operations},
                         {"main_errors", r.main_errors},
                         {"main_span_ps", r.main_span.count()},
                         {"kinds", kinds_json(r)},
                         {"locks", locks_json(r)},
                         {"devices", devices_json(r)},
                         {"threads", std::move(threads)},
                         {"queues", queues_json(r)},
                         {"commands", std::move(commands)},
                         {"pmu", pmu_json(r)},
                         {"final_state", r.final_state},
                         {"warnings", r.warnings}};
  return document.dump();
}

std::string settings_json(const Settings& settings) {
  Settings copy = settings;
  ParamTable table;
  describe(table, copy);
  return table.to_json();
}

std::string json_string(std::string_view text) {
  return Json(text).dump();
}

std::string version_text() {
  return fmt::format("smmulab {} (compiler {}; engines: native{})", build_info::kVersion,
                     build_info::kCompiler,
                     simgrid_available() ? ", simgrid (SimGrid " + simgrid_version() + ")"
                                         : "; built without SimGrid");
}

}  // namespace smmulab::workloads

// SPDX-License-Identifier: Apache-2.0
#include "workloads/map_bench_json.hpp"

#include <optional>

#include <nlohmann/json.hpp>

#include "models/linux/topology.hpp"
#include "sim/error.hpp"

namespace smmulab::workloads {
namespace {

using Json = nlohmann::ordered_json;

Json line_json(const lnx::LineStat& line) {
  return {{"reads", line.reads},
          {"writes", line.writes},
          {"misses", line.misses},
          {"missing_ps", line.missing.count()}};
}

Json queue_json(const smmu::CommandQueueStat& queue) {
  return {{"submissions", queue.submissions},
          {"commands", queue.commands},
          {"syncs", queue.syncs},
          {"cmpxchg_failures", queue.cmpxchg_failures},
          {"doorbells", queue.doorbells},
          {"full_waits", queue.full_waits},
          {"reserving_ps", queue.reserving.count()},
          {"writing_ps", queue.writing.count()},
          {"publishing_ps", queue.publishing.count()},
          {"sync_wait_ps", queue.sync_wait.count()},
          {"releasing_ps", queue.releasing.count()}};
}

Json dma_json(const dma_iommu::MapBenchDma& dma) {
  const auto ps_at = [&dma](double q) { return dma.stream.translation.value_at_quantile(q); };
  return {{"passed", dma.stream.passed},
          {"refused", dma.stream.aborted + dma.stream.faulted},
          {"bytes", dma.stream.bytes},
          {"translation_p50_ps", ps_at(0.5)},
          {"translation_p99_ps", ps_at(0.99)},
          {"unmaps_used_after", dma.unmaps.unmaps},
          {"uses_after_unmap", dma.unmaps.old_uses},
          {"use_after_unmap_total_ps", dma.unmaps.last_total.count()},
          {"use_after_unmap_max_ps", dma.unmaps.last_max.count()}};
}

// Nothing: the hardware is counted.
std::optional<dma_iommu::MapBenchHardware> hardware_of(const Settings& settings,
                                                       const smmu::DriverParams& probed) {
  smmu::check(settings.hardware);
  smmu::check_counted_costs(settings.hardware, settings.driver);
  if (settings.driver.events) {
    throw ConfigError("driver.events: the map+unmap loop has no event thread");
  }
  if (settings.hardware.stream.ats && settings.machine.ats != AtsDevices::kAll) {
    throw ConfigError("stream.ats: the device has no ATS (machine.ats = all: it has)");
  }
  if (settings.hardware.kind == smmu::HardwareKind::kCounted) {
    return std::nullopt;
  }
  return dma_iommu::MapBenchHardware{
      smmu::timed_hardware_params(settings.hardware, settings.smmuv3, probed),
      settings.hardware.stream};
}

}  // namespace

std::string map_bench_json(const Settings& settings, const dma_iommu::MapBenchOptions& options) {
  const MachineShape& shape = settings.machine;
  if (shape.cpus == 0) {
    throw ConfigError(
        "the map+unmap loop needs a machine: machine.cpus is not set (presets d06 and d06-timed "
        "are such)");
  }
  const lnx::Topology topology = lnx::uniform_topology(
      shape.cpus, shape.sockets, shape.nodes_per_socket, shape.cpus_per_cluster);
  const smmu::DriverParams probed =
      smmu::as_probed(settings.driver, settings.hardware, settings.smmuv3);
  const auto hardware = hardware_of(settings, probed);
  dma_iommu::MapBenchOptions all = options;
  all.ats = settings.machine.ats == AtsDevices::kAll;
  all.locks = [&settings](lnx::LockRegistry& locks) {
    make_free(locks, settings.free);
    split(locks, settings.split);
  };
  const dma_iommu::MapBenchResult r = dma_iommu::run_map_bench(
      settings.linux_kernel, probed, settings.dma, topology, all, hardware ? &*hardware : nullptr);
  Json json = {{"cpus", all.cpus},
               {"rounds", r.rounds},
               {"elapsed_ps", r.elapsed.count()},
               {"slowest_rounds", r.slowest},
               {"fastest_rounds", r.fastest},
               {"mapping_ps", r.mapping.count()},
               {"unmapping_ps", r.unmapping.count()},
               {"tlbi", r.tlbi},
               {"queue", queue_json(r.queue)},
               {"llq", line_json(r.llq)},
               {"lock_and_owner", line_json(r.lock_and_owner)},
               {"valid_map", line_json(r.valid_map)},
               {"iova_from_tree", r.iova.from_tree},
               {"iova_from_depot", r.iova.from_depot},
               {"full_flushes", r.flush_queue.full_flushes},
               {"timeout_flushes", r.flush_queue.timeout_flushes},
               {"stale_windows", r.stale.windows},
               {"stale_total_ps", r.stale.total.count()},
               {"stale_max_ps", r.stale.max.count()},
               {"events", r.events}};
  if (r.dma) {
    json["dma"] = dma_json(*r.dma);
  }
  return json.dump();
}

}  // namespace smmulab::workloads

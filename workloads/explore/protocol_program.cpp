// SPDX-License-Identifier: Apache-2.0
#include "workloads/explore/protocol_program.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "sim/error.hpp"
#include "workloads/explore/scheduler.hpp"
#include "workloads/op_text.hpp"
#include "workloads/perform.hpp"
#include "workloads/system.hpp"

namespace smmulab::explore {
namespace {

using iommufd::Hwpt;
using iommufd::Ioas;
using workloads::OpKind;

class ProtocolRun final : public Run {
 public:
  ProtocolRun(Engine& engine, Scheduler& scheduler, const Case& c,
              const workloads::TraceHeader& header, const iommufd::ProtocolInfo& protocol,
              const workloads::Settings& settings)
      : case_(c),
        scheduler_(scheduler),
        system_(engine, header, settings, protocol, nullptr, &scheduler) {}

  lnx::Machine& machine() override { return system_.machine(); }
  Task<void> set_up(lnx::Thread& t) override {
    for (const workloads::Op& op : case_.set_up) {
      co_await workloads::perform(system_.iommufd(), t, op);
    }
  }
  Task<void> body(lnx::Thread& t, std::size_t thread) override {
    for (const CaseOp& each : case_.ops[thread]) {
      co_await scheduler_.begin(t, &each.after);
      if (scheduler_.logging()) {
        scheduler_.say(workloads::op_label(each.op));
      }
      int rc = 0;
      if (each.op.kind != OpKind::kDma) {
        rc = co_await workloads::perform(system_.iommufd(), t, each.op);
      }
      scheduler_.ended(each.number);
      if (scheduler_.logging()) {
        scheduler_.say(fmt::format("= {}", rc));
      }
    }
  }
  std::vector<Breach> check_end() override {
    if (scheduler_.end() == Scheduler::End::kFinished) {
      system_.invariants().check_end();
    }
    std::vector<Breach> breaches;
    for (const iommufd::BrokenInvariant& broken : system_.invariants().broken()) {
      breaches.push_back({std::string(invariant_text(broken.invariant)), broken.detail});
    }
    return breaches;
  }
  [[nodiscard]] std::string lock_name(const lnx::LockBase& lock) const override;

 private:
  const Case& case_;
  Scheduler& scheduler_;
  workloads::System system_;
};

// The object the lock is in, where that is known: "hwpt->devices_lock(11)".
std::string ProtocolRun::lock_name(const lnx::LockBase& lock) const {
  const auto named = [&lock](std::uint32_t id) {
    return fmt::format("{}({})", lock.lock_class().name, id);
  };
  const auto among = [&lock](const auto& locks) {
    return std::ranges::any_of(locks, [&lock](const auto& own) { return own.get() == &lock; });
  };
  for (const Hwpt* hwpt : system_.context().all_hwpts()) {
    if (&hwpt->devices_lock == &lock || hwpt->destroy_rwsem.get() == &lock ||
        among(hwpt->script_locks)) {
      return named(hwpt->id.value());
    }
  }
  for (const Ioas* ioas : system_.context().all_ioas()) {
    if (&ioas->mutex == &lock || ioas->destroy_rwsem.get() == &lock || among(ioas->script_locks)) {
      return named(ioas->id.value());
    }
  }
  for (const iommufd::Device& device : system_.devices()) {
    if (device.object != nullptr && device.object->destroy_rwsem.get() == &lock) {
      return fmt::format("{}(device {})", lock.lock_class().name, device.object->number());
    }
    if (&device.dev_set->lock == &lock) {
      return named(device.dev_set->id.value());
    }
    if (&device.group->mutex == &lock ||
        (device.igroup != nullptr &&
         (&device.igroup->lock == &lock || among(device.igroup->script_locks)))) {
      return named(device.group->id.value());
    }
  }
  return lock.wait_name();
}

}  // namespace

workloads::Settings free_of_cost(workloads::Settings settings) {
  if (!settings.iommufd.vfio) {
    throw ConfigError(
        "explore: iommufd.vfio=false: nothing keeps two operations of one device apart");
  }
  ParamTable table;
  workloads::describe(table, settings);
  for (const ParamInfo& info : table.describe()) {
    // The DMA API and timed hardware take no part, and some of their times may not be 0.
    if (info.unit == "ps" && info.key != "sched.tick" && info.key != "sched.slice" &&
        !info.key.starts_with("dma.") && !info.key.starts_with("smmuv3.")) {
      table.set(info.key, "0");
    }
  }
  settings.linux_kernel.sched.multiplexed = false;
  settings.linux_kernel.sched.preempt = lnx::Preempt::kNone;
  settings.driver.sync_mode = smmu::SyncMode::kMsi;
  settings.hardware.kind = smmu::HardwareKind::kCounted;  // orders are explored, not times
  settings.hardware.stream = {};
  settings.driver.events = false;
  settings.machine = {};
  settings.replay = {};
  return settings;
}

Program protocol_program(const Case& c, const iommufd::ProtocolInfo& protocol,
                         const workloads::Settings& settings) {
  Program program;
  program.threads = c.threads;
  auto header = std::make_shared<workloads::TraceHeader>(c.header);
  header->cpus.assign(std::max<std::size_t>(c.ops.size(), 1), {0, 0});
  program.start = [&c, &protocol, &settings, header](Engine& engine, Scheduler& scheduler) {
    return std::make_unique<ProtocolRun>(engine, scheduler, c, *header, protocol, settings);
  };
  return program;
}

}  // namespace smmulab::explore

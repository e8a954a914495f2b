// SPDX-License-Identifier: Apache-2.0
#include "workloads/system.hpp"

#include <algorithm>
#include <bit>
#include <map>
#include <set>
#include <string_view>

#include <fmt/format.h>

#include "models/iommufd/access.hpp"

namespace smmulab::workloads {
namespace {

lnx::Topology topology_of(const TraceHeader& header, const MachineShape& shape) {
  if (shape.cpus != 0) {
    return lnx::uniform_topology(shape.cpus, shape.sockets, shape.nodes_per_socket,
                                 shape.cpus_per_cluster);
  }
  lnx::Topology topology;
  for (const CpuRecord& cpu : header.cpus) {
    topology.push_back({cpu.socket, cpu.node, lnx::kNoCluster});
  }
  if (topology.empty()) {
    throw ConfigError("the trace declares no CPU and machine.cpus is not set");
  }
  return topology;
}

std::string attached_to(const iommufd::Hwpt* hwpt) {
  if (hwpt == nullptr) {
    return "nothing";
  }
  return hwpt->auto_domain ? fmt::format("automatic domain of ioas {}", hwpt->ioas->id.value())
                           : fmt::format("hwpt {}", hwpt->id.value());
}

}  // namespace

System::System(Engine& engine, const TraceHeader& header, const Settings& settings,
               const iommufd::ProtocolInfo& protocol, Record* record, lnx::StepControl* control,
               const RecordedDma* recorded)
    : settings_(settings),
      driver_params_(smmu::as_probed(settings.driver, settings.hardware, settings.smmuv3)),
      machine_(engine, settings.linux_kernel, topology_of(header, settings.machine), control),
      driver_(smmu::make_counted_driver(machine_, driver_params_)),
      core_(machine_, *driver_, settings.iommufd),
      context_(machine_, core_, settings.iommufd),
      protocol_(protocol.make(context_, settings.protocol)),
      iommufd_(context_, *protocol_, devices_) {
  if (settings.protocol.fill_before && !driver_->finalises_at_alloc()) {
    throw ConfigError(
        "protocol.fill_before needs a driver that finalises domains at allocation "
        "(driver.version 6.12)");
  }
  machine_.set_record(record);
  make_free(machine_.locks(), settings.free);
  split(machine_.locks(), settings.split);
  smmu::check(settings.hardware, recorded != nullptr);
  smmu::check_counted_costs(settings.hardware, settings.driver);
  if (settings.driver.events && settings.hardware.kind == smmu::HardwareKind::kCounted) {
    throw ConfigError("driver.events needs smmuv3.hardware = timed");
  }
  if (settings.hardware.kind == smmu::HardwareKind::kTimed) {
    build_hardware(engine, header);
  }
  build_devices(header);
  check_ats();
  if (!hardware_.empty() && settings.hardware.stream.pattern != smmu::StreamPattern::kNone) {
    build_dma();
  }
  if (!hardware_.empty() && recorded != nullptr) {
    build_recorded_dma(header, *recorded);
  }
}

void System::build_hardware(Engine& engine, const TraceHeader& header) {
  smmu::TimedHardwareParams params =
      smmu::timed_hardware_params(settings_.hardware, settings_.smmuv3, driver_params_);
  std::uint32_t largest = 0;
  for (const DeviceRecord& device : header.devices) {
    largest = std::max(largest, std::ranges::max(device.stream_ids).value());
  }
  params.stream_bits = static_cast<std::uint8_t>(std::bit_width(largest));
  if (params.stream_bits > params.features.sid_bits) {
    throw ConfigError(fmt::format(
        "the trace has StreamID {:#x}: an SMMU of this smmuv3.part has StreamIDs of {} bits",
        largest, params.features.sid_bits));
  }
  for (std::uint32_t i = 0; i < std::max(header.smmu_count, 1U); ++i) {
    hardware_.push_back(
        std::make_unique<smmu::TimedHardware>(engine, params, fmt::format("smmu{}", i)));
    if (driver_params_.events) {
      event_threads_.emplace_back(machine_, driver_params_, *hardware_.back(), event_prints_,
                                  fmt::format("irq/smmu{}-evtq", i));
    }
  }
}

void System::check_ats() const {
  if (settings_.hardware.stream.ats &&
      std::ranges::none_of(masters_, &smmu::Master::ats_supported)) {
    throw ConfigError(
        "stream.ats: no device of the trace has ATS (machine.ats = all: all have it)");
  }
}

std::uint32_t System::atc_entries(const smmu::Master& master) const {
  const smmu::DmaStreamParams& p = settings_.hardware.stream;
  return p.ats && master.ats_supported ? p.atc_entries : 0;
}

void System::build_dma() {
  constexpr std::uint64_t kKiB = 1024;
  const smmu::DmaStreamParams& p = settings_.hardware.stream;
  const std::size_t most = p.devices == 0 ? masters_.size() : p.devices;
  for (std::size_t i = 0; i < std::min(most, masters_.size()); ++i) {
    const smmu::Master& master = masters_[i];
    smmu::timed::StreamParams stream = smmu::stream_of(
        p, master.stream_ids.front(), p.base_mib * kKiB * kKiB, p.footprint_kib * kKiB);
    stream.atc_entries = atc_entries(master);
    dma_.emplace_back(stream.span != 0 ? master.smmu->hardware->add_dma(stream)
                                       : master.smmu->hardware->add_dma_at_first_map(stream));
  }
}

void System::build_recorded_dma(const TraceHeader& header, const RecordedDma& recorded) {
  recorded_ = by_device(recorded, header);
  for (std::size_t i = 0; i < masters_.size(); ++i) {
    std::optional<std::size_t>& number = dma_.emplace_back();
    if (!recorded_.devices[i].empty()) {
      const smmu::Master& master = masters_[i];
      smmu::timed::StreamParams stream = smmu::stream_of(
          settings_.hardware.stream, master.stream_ids.front(), recorded_.devices[i]);
      stream.atc_entries = atc_entries(master);
      number = master.smmu->hardware->add_dma(stream);
    }
  }
}

const smmu::DmaWatch* System::dma(DeviceIndex device) {
  if (device.value() >= dma_.size() || !dma_[device.value()]) {
    return nullptr;
  }
  smmu::TimedHardware& hardware = *masters_[device.value()].smmu->hardware;
  hardware.advance();
  return hardware.dma(*dma_[device.value()]);
}

std::optional<smmu::EventCounts> System::events(DeviceIndex device) const {
  const smmu::Master& master = masters_[device.value()];
  const smmu::TimedHardware* const hardware = master.smmu->hardware;
  if (hardware == nullptr || !hardware->has_events()) {
    return std::nullopt;
  }
  smmu::EventCounts counts;
  for (const StreamId stream : master.stream_ids) {
    counts += hardware->events(stream);
  }
  return counts;
}

std::vector<smmu::timed::PmuRow> System::pmu(SmmuIndex smmu) {
  if (hardware_.empty()) {
    return {};
  }
  hardware_[smmu.value()]->advance();
  return hardware_[smmu.value()]->smmu().pmu();
}

void System::build_devices(const TraceHeader& header) {
  for (std::uint32_t i = 0; i < std::max(header.smmu_count, 1U); ++i) {
    smmus_.emplace_back(machine_, driver_params_, SmmuIndex{i},
                        hardware_.empty() ? nullptr : hardware_[i].get());
  }
  lnx::LockClass& group_class = machine_.locks().get("group->mutex", lnx::LockKind::kMutex);
  std::map<GroupId, iommufd::IommuGroup*> groups;
  for (const GroupId id : header.groups) {
    groups[id] = &groups_.emplace_back(machine_, group_class, id);
  }
  std::map<DevSetId, iommufd::DevSet*> dev_sets;
  for (const DevSetId id : header.devsets) {
    dev_sets[id] = &dev_sets_.emplace_back(machine_, id);
  }
  for (const DeviceRecord& record : header.devices) {
    smmu::Master& master = masters_.emplace_back();
    master.name = record.name;
    master.smmu = &smmus_[record.smmu.value()];
    master.stream_ids = record.stream_ids;
    master.ats_supported = record.ats || settings_.machine.ats == AtsDevices::kAll;
    iommufd::IommuGroup& group = *groups.at(record.group);
    if (group.default_domain == nullptr) {
      group.default_domain = &driver_->boot_domain(*master.smmu);
      group.domain = group.default_domain;
    }
    driver_->boot_attach(master, *group.default_domain);
    group.devices.push_back(&master);
    iommufd::Device& device = devices_.emplace_back();
    device.master = &master;
    device.group = &group;
    device.dev_set = dev_sets.at(record.devset);
  }
}

std::uint32_t System::affinity(const TraceHeader& header, std::uint32_t thread) const {
  const auto cpus = static_cast<std::uint32_t>(machine_.cpu_count());
  switch (settings_.machine.pinning) {
    case Pinning::kNone:
      return lnx::kAnyCpu;
    case Pinning::kSpread:
      return thread % cpus;
    case Pinning::kTrace:
      break;
  }
  const auto& cpu = header.threads[thread].cpu;
  return cpu ? cpu->value() % cpus : lnx::kAnyCpu;
}

std::vector<std::string> System::placement_warnings(const TraceHeader& header) const {
  const std::size_t cpus = machine_.cpu_count();
  const std::size_t threads = header.threads.size();
  std::set<std::uint32_t> used;
  std::size_t pinned = 0;
  for (std::uint32_t i = 0; i < threads; ++i) {
    if (const std::uint32_t cpu = affinity(header, i); cpu != lnx::kAnyCpu) {
      used.insert(cpu);
      ++pinned;
    }
  }
  std::vector<std::string> warnings;
  if (used.size() + (threads - pinned) < std::min(cpus, threads)) {
    warnings.push_back(
        fmt::format("{} of {} CPUs are left to no pinned thread: {} threads are pinned to {} "
                    "(machine.pinning=spread shares them out)",
                    cpus - used.size(), cpus, pinned, used.size()));
  }
  if (threads > cpus) {
    warnings.push_back(fmt::format("{} threads share {} CPU{}: latencies include waiting for a CPU",
                                   threads, cpus, cpus == 1 ? "" : "s"));
  }
  return warnings;
}

std::string System::think_warning(const TraceHeader& header) const {
  constexpr std::string_view kOption = " --think ";
  const std::string* source = header.find_meta("source");
  const ReplayParams& replay = settings_.replay;
  if (source == nullptr || !source->starts_with("smmulab generate ") ||
      replay.mode != ReplayMode::kClosed || replay.think != Think::kZero) {
    return "";
  }
  const auto at = source->find(kOption);
  if (at == std::string::npos) {
    return "";
  }
  const auto from = at + kOption.size();
  const std::string think = source->substr(from, source->find(' ', from) - from);
  return think == "0" ? ""
                      : fmt::format(
                            "the trace has think times ({}), and the replay leaves them out "
                            "(-s replay.think=recorded keeps them)",
                            think);
}

std::vector<std::string> System::final_state() const {
  std::vector<std::string> lines;
  for (const iommufd::Ioas* ioas : context_.all_ioas()) {
    for (const auto& [start, area] : ioas->iopt.areas()) {
      lines.push_back(fmt::format("ioas {} area {:#x}-{:#x}{}", ioas->id.value(), start, area.last,
                                  area.published ? "" : " (unfinished)"));
    }
  }
  for (const iommufd::Hwpt* hwpt : context_.all_hwpts()) {
    if (!hwpt->auto_domain) {
      lines.push_back(
          hwpt->parent == nullptr
              ? fmt::format("hwpt {} of ioas {}", hwpt->id.value(), hwpt->ioas->id.value())
              : fmt::format("hwpt {} of hwpt {}", hwpt->id.value(), hwpt->parent->id.value()));
    }
  }
  for (const iommufd::Access* access : context_.all_accesses()) {
    lines.push_back(
        access->ioas == nullptr
            ? fmt::format("access {} to nothing", access->id.value())
            : fmt::format("access {} to ioas {}", access->id.value(), access->ioas->id.value()));
    for (const iommufd::Access::Pin& pin : access->pins) {
      lines.push_back(fmt::format("access {} pins {:#x}-{:#x}", access->id.value(),
                                  pin.iova.value(), pin.iova.value() + (pin.length.value() - 1)));
    }
  }
  for (const iommufd::Device& device : devices_) {
    lines.push_back(fmt::format("device {} {} to {}", device.master->name,
                                device.object != nullptr ? "bound," : "unbound,",
                                attached_to(protocol_->attached_hwpt(device))));
    for (const std::uint32_t pasid : device.pasids) {
      lines.push_back(fmt::format("device {} PASID {} to hwpt {}", device.master->name, pasid,
                                  device.igroup->find(pasid)->hwpt->id.value()));
    }
  }
  return lines;
}

}  // namespace smmulab::workloads

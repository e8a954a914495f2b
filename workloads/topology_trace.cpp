// SPDX-License-Identifier: Apache-2.0
#include "workloads/topology_trace.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include <fmt/format.h>

#include "sim/error.hpp"
#include "workloads/trace_writer.hpp"

namespace smmulab::workloads {
namespace {

using pcie::FunctionIndex;

// "", or why vfio-pci cannot take it.
std::string why_not(const pcie::Host& host, FunctionIndex index) {
  const pcie::Function& f = host.topology().functions()[index];
  const pcie::Assignment& mine = host.assignments()[index];
  constexpr std::uint32_t kBridgeClass = 0x06;
  if (f.bridge || f.class_code >> 16U == kBridgeClass) {
    return "it is a bridge";
  }
  if (!mine.dev_set) {
    return "its VFs are enabled";
  }
  return mine.group ? "" : fmt::format("it has no iommu group: {}", mine.why_not);
}

std::vector<FunctionIndex> chosen(const pcie::Host& host, const std::vector<std::string>& names) {
  std::vector<FunctionIndex> found;
  for (const std::string& name : names) {
    const auto address = pcie::parse_address(name);
    const auto index = address ? host.topology().find(*address) : std::nullopt;
    if (!index) {
      throw ConfigError(fmt::format("{}: no device '{}'", host.source(), name));
    }
    if (const std::string why = why_not(host, *index); !why.empty()) {
      throw ConfigError(
          fmt::format("{}: {} cannot be given to VFIO: {}", host.source(), name, why));
    }
    if (std::find(found.begin(), found.end(), *index) != found.end()) {
      throw ConfigError(fmt::format("device {} is given twice", name));
    }
    found.push_back(*index);
  }
  if (names.empty()) {
    for (FunctionIndex f = 0; f < host.assignments().size(); ++f) {
      if (why_not(host, f).empty()) {
        found.push_back(f);
      }
    }
  }
  if (found.empty()) {
    throw ConfigError(fmt::format("{}: no device can be given to VFIO", host.source()));
  }
  return found;
}

// Operations without recorded times: file order decides.
class ReplaceTrace {
 public:
  ReplaceTrace(const std::string& path, const TraceHeader& header,
               const std::function<bool(std::uint64_t)>& progress)
      : header_(header), progress_(progress), writer_(path, header) {}

  void write(std::uint64_t replaces) {
    writer_.phase("setup");
    for (std::uint32_t d = 0; d < header_.devices.size(); ++d) {
      op(d, OpKind::kBind, {}, {});
    }
    op(0, OpKind::kIoasAlloc, kIoas, {});
    for (std::uint32_t d = 0; d < header_.devices.size(); ++d) {
      alloc_hwpts(d);
      op(d, OpKind::kAttach, {}, hwpts_.at(header_.devices[d].smmu)[0]);
    }
    writer_.phase("run");
    for (std::uint64_t i = 0; i < replaces; ++i) {
      for (std::uint32_t d = 0; d < header_.devices.size(); ++d) {
        op(d, OpKind::kReplace, {}, hwpts_.at(header_.devices[d].smmu).at((i + 1) % 2));
      }
    }
    writer_.finish();
  }

 private:
  static constexpr ObjectId kIoas{1};

  // An hwpt belongs to one SMMU: the first device of each makes two.
  void alloc_hwpts(std::uint32_t device) {
    const auto [at, fresh] = hwpts_.try_emplace(header_.devices[device].smmu);
    if (fresh) {
      for (ObjectId& hwpt : at->second) {
        hwpt = ObjectId{++last_object_};
        op(device, OpKind::kHwptAlloc, hwpt, kIoas);
      }
    }
  }
  void op(std::uint32_t device, OpKind kind, ObjectId object, ObjectId pt) {
    Op op;
    op.kind = kind;
    op.thread = ThreadIndex{device};
    op.device = DeviceIndex{device};
    op.object = object;
    op.pt = pt;
    writer_.write(op);
    constexpr std::uint64_t kLookEvery = 65536;
    if (++written_ % kLookEvery == 0 && progress_ && !progress_(written_)) {
      throw Interrupted("interrupted");
    }
  }

  const TraceHeader& header_;
  const std::function<bool(std::uint64_t)>& progress_;
  TraceWriter writer_;
  std::uint64_t written_ = 0;
  std::map<SmmuIndex, std::array<ObjectId, 2>> hwpts_;
  std::uint32_t last_object_ = kIoas.value();
};

}  // namespace

TraceHeader header_of(const pcie::Host& host, const TopologyTraceOptions& options) {
  if (options.cpus > kMaxTraceCpus) {
    throw ConfigError(fmt::format("{} CPUs: expected at most {}", options.cpus, kMaxTraceCpus));
  }
  const std::vector<FunctionIndex> devices = chosen(host, options.devices);
  TraceHeader header;
  header.meta.push_back({"source", host.source()});
  header.smmu_count = host.smmu_count();
  const std::uint32_t cpus =
      options.cpus == 0 ? static_cast<std::uint32_t>(devices.size()) : options.cpus;
  header.cpus.resize(cpus);
  std::set<GroupId> groups;
  std::set<DevSetId> sets;
  for (const FunctionIndex f : devices) {
    const pcie::Function& function = host.topology().functions()[f];
    const pcie::Assignment& mine = host.assignments()[f];
    DeviceRecord device;
    device.name = pcie::to_string(function.address);
    device.smmu = mine.streams->smmu;
    device.stream_ids = mine.streams->ids;
    device.group = *mine.group;
    device.devset = *mine.dev_set;
    device.ats = function.ats;
    groups.insert(device.group);
    sets.insert(device.devset);
    const auto number = static_cast<std::uint32_t>(header.threads.size());
    header.threads.push_back({fmt::format("dev{}", number), CpuId{number % cpus}});
    header.devices.push_back(std::move(device));
  }
  header.groups.assign(groups.begin(), groups.end());
  header.devsets.assign(sets.begin(), sets.end());
  return header;
}

void write_replace_trace(const std::string& path, const TraceHeader& header, std::uint64_t replaces,
                         const std::function<bool(std::uint64_t)>& progress) {
  ReplaceTrace(path, header, progress).write(replaces);
}

}  // namespace smmulab::workloads

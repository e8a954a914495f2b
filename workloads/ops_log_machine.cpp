// SPDX-License-Identifier: Apache-2.0
#include "workloads/ops_log_machine.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <set>
#include <string_view>

#include <fmt/format.h>

#include "sim/error.hpp"

namespace smmulab::workloads {
namespace {

constexpr std::uint32_t kMaxCpus = 4096;

// Reads `digits` hexadecimal digits off the front.
bool take_hex(std::string_view& text, std::size_t digits, std::uint32_t& value) {
  if (text.size() < digits) {
    return false;
  }
  const char* end = text.data() + digits;
  const auto [stop, error] = std::from_chars(text.data(), end, value, 16);
  text.remove_prefix(digits);
  return error == std::errc{} && stop == end;
}

bool take_char(std::string_view& text, char c) {
  if (!text.starts_with(c)) {
    return false;
  }
  text.remove_prefix(1);
  return true;
}

// A root-bus device is a set of its own; else all of one bus are.
class DeviceSets {
 public:
  DevSetId of(const PciAddress& address) {
    if (address.bus == 0) {
      return DevSetId{next_++};
    }
    const auto [it, fresh] = of_bus_.try_emplace(address.bus, next_);
    next_ += fresh ? 1U : 0U;
    return DevSetId{it->second};
  }

 private:
  std::map<std::uint32_t, std::uint32_t> of_bus_;
  std::uint32_t next_ = 0;
};

}  // namespace

std::optional<PciAddress> parse_pci_address(std::string_view text) {
  PciAddress a;
  const bool good = take_hex(text, 4, a.domain) && take_char(text, ':') &&
                    take_hex(text, 2, a.bus) && take_char(text, ':') &&
                    take_hex(text, 2, a.device) && take_char(text, '.') &&
                    take_hex(text, 1, a.function) && text.empty();
  if (!good || a.device > 31 || a.function > 7) {
    return std::nullopt;
  }
  return a;
}

std::uint32_t choose_cpus(std::optional<std::uint32_t> wanted, std::uint32_t seen,
                          std::string_view log_path) {
  if (wanted) {
    if (*wanted < seen || *wanted == 0 || *wanted > kMaxCpus) {
      throw ConfigError(fmt::format("{} CPUs: expected {}..{} (the log shows CPU {})", *wanted,
                                    std::max(seen, 1U), kMaxCpus, seen == 0 ? 0 : seen - 1));
    }
    return *wanted;
  }
  std::uint32_t named = 1;
  const std::size_t at = log_path.rfind("smp");
  if (at != std::string_view::npos) {
    std::from_chars(log_path.data() + at + 3, log_path.data() + log_path.size(), named);
  }
  return std::min(std::max({named, seen, 1U}), kMaxCpus);
}

std::uint32_t OpsLogMachine::device_threads() const {
  return log_->shape == "maponly" ? 0 : static_cast<std::uint32_t>(log_->devices.size());
}

std::optional<ThreadIndex> OpsLogMachine::thread(std::int32_t log_thread) const {
  const std::uint32_t workers = device_threads() + log_->map_threads;
  if (log_thread == OpsLogRecord::kMain) {
    return ThreadIndex{workers};
  }
  const auto number = static_cast<std::uint32_t>(log_thread);
  // Map threads are numbered behind the devices, whether or not these have threads.
  const std::uint32_t skipped = static_cast<std::uint32_t>(log_->devices.size()) - device_threads();
  if (number < skipped || number - skipped >= workers) {
    return std::nullopt;
  }
  return ThreadIndex{number - skipped};
}

TraceHeader OpsLogMachine::trace_header(const std::string& log_path) const {
  TraceHeader header;
  header.cpus.resize(cpus_);
  header.smmu_count = 1;
  std::set<GroupId> groups;
  std::set<DevSetId> devsets;
  DeviceSets sets;
  for (const OpsLogDevice& from : log_->devices) {
    const std::optional<PciAddress> address = parse_pci_address(from.bdf);
    if (!address || address->domain != 0) {
      throw TraceError(log_path, 1, 1,
                       fmt::format("bdf: expected a PCI address of domain 0000, such as "
                                   "0000:00:02.0, found '{}'",
                                   from.bdf));
    }
    DeviceRecord device;
    device.name = from.bdf;
    device.stream_ids = {address->requester_id()};
    device.group = GroupId{from.group};
    device.devset = sets.of(*address);
    groups.insert(device.group);
    devsets.insert(device.devset);
    header.devices.push_back(std::move(device));
  }
  header.groups.assign(groups.begin(), groups.end());
  header.devsets.assign(devsets.begin(), devsets.end());
  const std::uint32_t workers = device_threads() + log_->map_threads;
  for (std::uint32_t i = 0; i < workers; ++i) {
    const bool maps = i >= device_threads();
    const std::uint32_t pin =  // by the number of the log
        maps ? static_cast<std::uint32_t>(log_->devices.size()) + (i - device_threads()) : i;
    ThreadRecord thread{fmt::format("{}{}", maps ? "map" : "dev", maps ? i - device_threads() : i),
                        std::nullopt};
    if (log_->pinned) {
      thread.cpu = CpuId{pin % cpus_};
    }
    header.threads.push_back(std::move(thread));
  }
  header.threads.push_back({"main", std::nullopt});
  return header;
}

}  // namespace smmulab::workloads

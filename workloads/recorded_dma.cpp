// SPDX-License-Identifier: Apache-2.0
#include "workloads/recorded_dma.hpp"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "sim/error.hpp"

namespace smmulab::workloads {
namespace {

using Owners = std::map<StreamId, std::vector<std::size_t>>;

std::string list_of(const Owners& owners) {
  constexpr std::size_t kShown = 8;
  std::string text;
  std::size_t n = 0;
  for (const auto& [stream, devices] : owners) {
    if (n == kShown) {
      return fmt::format("{}, ... ({})", text, owners.size());
    }
    text += fmt::format("{}{:#x}", n++ == 0 ? "" : ", ", stream.value());
  }
  return text;
}

}  // namespace

DeviceAccesses by_device(const RecordedDma& recorded, const TraceHeader& header) {
  Owners owners;
  for (std::size_t i = 0; i < header.devices.size(); ++i) {
    for (const StreamId stream : header.devices[i].stream_ids) {
      owners[stream].push_back(i);
    }
  }
  DeviceAccesses found;
  found.devices.resize(header.devices.size());
  Owners others;  // of no device
  std::size_t missed = 0;
  for (const smmu::timed::RecordedAccess& access : recorded.accesses) {
    const auto owner = owners.find(access.stream);
    if (owner == owners.end()) {
      others.try_emplace(access.stream);
      ++missed;
      continue;
    }
    for (const std::size_t device : owner->second) {
      found.devices[device].push_back(access);
    }
  }
  if (recorded.accesses.empty()) {
    throw ConfigError(
        fmt::format("{}: no transaction (a line 'dma STREAM SPACE IOVA') is in it", recorded.file));
  }
  if (missed == recorded.accesses.size()) {
    throw ConfigError(
        fmt::format("{}: no transaction is of a device of the replayed trace: StreamIDs {}, and "
                    "the devices have {}",
                    recorded.file, list_of(others), list_of(owners)));
  }
  if (missed != 0) {
    found.warning =
        fmt::format("{}: {} of {} transactions are left out, of StreamIDs that no device has: {}",
                    recorded.file, missed, recorded.accesses.size(), list_of(others));
  }
  return found;
}

}  // namespace smmulab::workloads

// SPDX-License-Identifier: Apache-2.0
// TraceHeader: the machine and threads a trace speaks of: CPUs, SMMUs, iommu groups, VFIO device
// sets, devices with their stream ids, threads. Reading and writing: header_text.hpp.
// Not modelled here: costs, SMMU features, kernel version (those are the machine description's).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/ids.hpp"
#include "workloads/op.hpp"

namespace smmulab::workloads {

struct MetaRecord {
  std::string key;
  std::string value;
  friend bool operator==(const MetaRecord&, const MetaRecord&) = default;
};

struct CpuRecord {
  std::uint32_t socket = 0;
  std::uint32_t node = 0;
  friend bool operator==(const CpuRecord&, const CpuRecord&) = default;
};

// The device's software MSI window: IOVAs that the IOAS reserves.
struct MsiWindow {
  Iova base{};
  Bytes length{};
  friend bool operator==(const MsiWindow&, const MsiWindow&) = default;
};

struct DeviceRecord {
  std::string name;  // "0000:00:02.0"
  SmmuIndex smmu{};
  std::vector<StreamId> stream_ids;  // at least one; several when requester ids alias
  GroupId group{};
  DevSetId devset{};
  bool ats = false;
  std::optional<MsiWindow> msi;
  friend bool operator==(const DeviceRecord&, const DeviceRecord&) = default;
};

struct ThreadRecord {
  std::string name;
  std::optional<CpuId> cpu;  // the CPU it is pinned to
  friend bool operator==(const ThreadRecord&, const ThreadRecord&) = default;
};

// cpus, devices and threads are indexed by their number in the file; SMMUs are 0..smmu_count-1.
// Groups and device sets keep the numbers of the recorded machine.
struct TraceHeader {
  std::vector<MetaRecord> meta;
  std::vector<CpuRecord> cpus;
  std::uint32_t smmu_count = 0;
  std::vector<GroupId> groups;
  std::vector<DevSetId> devsets;
  std::vector<DeviceRecord> devices;
  std::vector<ThreadRecord> threads;

  // The value of a meta line, or nullptr.
  [[nodiscard]] const std::string* find_meta(const std::string& key) const {
    for (const MetaRecord& m : meta) {
      if (m.key == key) {
        return &m.value;
      }
    }
    return nullptr;
  }
  friend bool operator==(const TraceHeader&, const TraceHeader&) = default;
};

}  // namespace smmulab::workloads

// SPDX-License-Identifier: Apache-2.0
#include "workloads/covering_script.hpp"

#include <vector>

#include <fmt/format.h>

namespace smmulab::workloads::covering {

TraceHeader header() {
  TraceHeader h;
  h.cpus = {{0, 0}, {0, 0}, {0, 0}};
  h.smmu_count = 2;
  const std::vector<std::uint32_t> groups = {0, 1, 2, 2, 3, 4, 5, 5};
  for (std::uint32_t i = 0; i < groups.size(); ++i) {
    h.devsets.emplace_back(i);
    if (h.groups.empty() || h.groups.back() != GroupId{groups[i]}) {
      h.groups.emplace_back(groups[i]);
    }
    DeviceRecord device;
    device.name = fmt::format("0000:00:{:02x}.0", i + 2);
    device.stream_ids = {StreamId{0x10 + 8 * i}};
    device.group = GroupId{groups[i]};
    device.devset = DevSetId{i};
    device.ats = DeviceIndex{i} == kAts || DeviceIndex{i} == kGroupAts;
    device.smmu = SmmuIndex{DeviceIndex{i} == kFar ? 1U : 0U};
    h.devices.push_back(std::move(device));
  }
  for (std::uint32_t t = 0; t < kThreads; ++t) {
    h.threads.push_back({fmt::format("t{}", t), CpuId{t}});
  }
  return h;
}

Op Script::make(OpKind kind) const {
  Op op;
  op.kind = kind;
  op.issue = SimTime{Ps{static_cast<std::int64_t>(workload_.ops.size()) * 1'000'000}};
  op.thread = ThreadIndex{static_cast<std::uint32_t>(workload_.ops.size()) % kThreads};
  return op;
}

Script& Script::two_hwpts(DeviceIndex dev, ObjectId ioas_of_y) {
  ioas(kIoas);
  if (ioas_of_y != kIoas) {
    ioas(ioas_of_y).map(ioas_of_y);
  }
  return map(kIoas).hwpt(kX, dev, kIoas).hwpt(kY, dev, ioas_of_y);
}

}  // namespace smmulab::workloads::covering

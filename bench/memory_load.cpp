// SPDX-License-Identifier: Apache-2.0
#include "bench/memory_load.hpp"

#include <stdexcept>
#include <string>

#include <malloc.h>
#include <sys/resource.h>

#include "workloads/system.hpp"

namespace smmulab::bench {
namespace {

constexpr ObjectId kIoas{1};
constexpr ObjectId kHwpt{2};
constexpr std::uint64_t kFirstIova = 1ULL << 32U;
constexpr Bytes kAreaSize{64U << 10U};

std::uint64_t heap_in_use() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

workloads::TraceHeader header_of(const MemoryShape& shape) {
  workloads::TraceHeader header;
  header.cpus.push_back({0, 0});
  header.smmu_count = 1;
  for (std::uint32_t i = 0; i < shape.devices; ++i) {
    header.groups.push_back(GroupId{i});
    header.devsets.push_back(DevSetId{i});
    header.devices.push_back({.name = "device" + std::to_string(i),
                              .smmu = SmmuIndex{0},
                              .stream_ids = {StreamId{i}},
                              .group = GroupId{i},
                              .devset = DevSetId{i},
                              .msi = std::nullopt});
  }
  return header;
}

void expect_success(int rc) {
  if (rc != 0) {
    throw std::runtime_error("an operation of the memory workload failed");
  }
}

Task<void> fill(lnx::Thread& t, iommufd::Iommufd& io, const MemoryShape& shape,
                std::uint64_t& heap_growth) {
  expect_success(co_await io.ioas_alloc(t, kIoas));
  for (std::uint32_t i = 0; i < shape.devices; ++i) {
    expect_success(co_await io.bind(t, DeviceIndex{i}));
    if (i == 0) {
      expect_success(co_await io.hwpt_alloc(t, kHwpt, DeviceIndex{i}, kIoas, 0, ObjectId{}));
    }
    expect_success(co_await io.attach(t, DeviceIndex{i}, kHwpt));
  }
  const std::uint64_t before = heap_in_use();
  for (std::uint64_t i = 0; i < shape.areas; ++i) {
    expect_success(co_await io.map(t, kIoas, Iova{kFirstIova + i * shape.stride}, kAreaSize));
  }
  heap_growth = heap_in_use() - before;
}

}  // namespace

MemorySample run_memory(const MemoryShape& shape) {
  Engine engine;
  workloads::Settings settings;
  settings.hardware.kind = shape.hardware;
  const workloads::TraceHeader header = header_of(shape);
  workloads::System system(engine, header, settings, iommufd::find_protocol("igroup"), nullptr);
  std::uint64_t heap_growth = 0;
  system.machine().spawn_thread(
      "mapper", 0, [&](lnx::Thread& t) { return fill(t, system.iommufd(), shape, heap_growth); });
  engine.run();
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return {static_cast<double>(heap_growth) / static_cast<double>(shape.areas),
          static_cast<double>(usage.ru_maxrss) * 1024};
}

}  // namespace smmulab::bench

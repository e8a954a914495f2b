// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <iterator>
#include <string>

#include <fmt/format.h>

#include "workloads/header_text.hpp"

namespace smmulab::workloads {
namespace {

void append_device(std::string& out, std::size_t index, const DeviceRecord& device) {
  auto to = std::back_inserter(out);
  fmt::format_to(to, "device {} name={} smmu={} sid=", index, device.name, device.smmu.value());
  for (std::size_t i = 0; i < device.stream_ids.size(); ++i) {
    fmt::format_to(to, "{}{:#x}", i == 0 ? "" : ",", device.stream_ids[i].value());
  }
  fmt::format_to(to, " group={} devset={}", device.group.value(), device.devset.value());
  if (device.ats) {
    out += " ats=1";
  }
  if (device.msi) {
    fmt::format_to(to, " msi={:#x}+{:#x}", device.msi->base.value(), device.msi->length.value());
  }
  out += '\n';
}

}  // namespace

std::string format_header(const TraceHeader& header) {
  std::string out = fmt::format("{} {}\n", kTraceMagic, kTraceVersion);
  auto to = std::back_inserter(out);
  for (const MetaRecord& meta : header.meta) {
    fmt::format_to(to, "meta {}{}{}\n", meta.key, meta.value.empty() ? "" : " ", meta.value);
  }
  for (std::size_t i = 0; i < header.cpus.size(); ++i) {
    fmt::format_to(to, "cpu {} socket={} node={}\n", i, header.cpus[i].socket, header.cpus[i].node);
  }
  for (std::uint32_t i = 0; i < header.smmu_count; ++i) {
    fmt::format_to(to, "smmu {}\n", i);
  }
  for (const GroupId id : header.groups) {
    fmt::format_to(to, "group {}\n", id.value());
  }
  for (const DevSetId id : header.devsets) {
    fmt::format_to(to, "devset {}\n", id.value());
  }
  for (std::size_t i = 0; i < header.devices.size(); ++i) {
    append_device(out, i, header.devices[i]);
  }
  for (std::size_t i = 0; i < header.threads.size(); ++i) {
    const ThreadRecord& thread = header.threads[i];
    fmt::format_to(to, "thread {} name={} cpu={}\n", i, thread.name,
                   thread.cpu ? fmt::format("{}", thread.cpu->value()) : "-");
  }
  return out += "begin\n";
}

}  // namespace smmulab::workloads

// SPDX-License-Identifier: Apache-2.0
#include "workloads/topology_trace.hpp"

#include <gtest/gtest.h>

#include "models/pcie/testing.hpp"
#include "sim/error.hpp"
#include "workloads/header_text.hpp"

namespace smmulab::workloads {
namespace {

constexpr const char* kTwoSmmus = R"(
[[iommu_map]]
length = 0x100
[[iommu_map]]
rid = 0x100
length = 0x100
smmu = 1
stream_id = 0x40
[[device]]
address = "00:01.0"
type = "root port"
bus = 1
acs = "SV+ RR+ CR+ UF+"
[[device]]
address = "00:02.0"
type = "root complex endpoint"
ats = true
[[device]]
address = "01:00.0"
type = "endpoint"
[[device]]
address = "01:00.1"
type = "endpoint"
)";

TEST(TopologyTrace, HeaderHasWhatVfioCanTake) {
  const TraceHeader header = header_of(pcie::host_of(kTwoSmmus), {});
  EXPECT_EQ(format_header(header),
            "smmulab-trace 1\n"
            "meta source t.toml\n"
            "cpu 0 socket=0 node=0\ncpu 1 socket=0 node=0\ncpu 2 socket=0 node=0\n"
            "smmu 0\nsmmu 1\n"
            "group 1\ngroup 2\n"
            "devset 0\ndevset 1\n"
            "device 0 name=0000:00:02.0 smmu=0 sid=0x10 group=1 devset=0 ats=1\n"
            "device 1 name=0000:01:00.0 smmu=1 sid=0x40 group=2 devset=1\n"
            "device 2 name=0000:01:00.1 smmu=1 sid=0x41 group=2 devset=1\n"
            "thread 0 name=dev0 cpu=0\nthread 1 name=dev1 cpu=1\nthread 2 name=dev2 cpu=2\n"
            "begin\n");
}

TEST(TopologyTrace, HeaderOfChosenDevices) {
  const pcie::Host host = pcie::host_of(kTwoSmmus);
  const TraceHeader header = header_of(host, {{"01:00.1", "0000:00:02.0"}, 1});
  ASSERT_EQ(header.devices.size(), 2U);
  EXPECT_EQ(header.devices[0].name, "0000:01:00.1");
  EXPECT_EQ(header.cpus.size(), 1U);
  EXPECT_EQ(header.threads[1].cpu, CpuId{0});
  const auto error = [&host](const std::string& device) {
    try {
      (void)header_of(host, {{device, "00:02.0"}, 0});
    } catch (const ConfigError& e) {
      return std::string(e.what());
    }
    return std::string("no error");
  };
  EXPECT_EQ(error("00:01.0"), "t.toml: 00:01.0 cannot be given to VFIO: it is a bridge");
  EXPECT_EQ(error("00:09.0"), "t.toml: no device '00:09.0'");
  EXPECT_EQ(error("0000:00:02.0"), "device 00:02.0 is given twice");
}

}  // namespace
}  // namespace smmulab::workloads

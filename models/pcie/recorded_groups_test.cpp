// SPDX-License-Identifier: Apache-2.0
// The oracle: groups that Linux 6.12.117 formed on emulated machines, with their very numbers.
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "models/pcie/testing.hpp"

namespace smmulab::pcie {
namespace {

HostDescription recorded(const std::string& name) {
  const std::string path = std::string(SMMULAB_SOURCE_DIR) + "/models/pcie/testdata/" + name;
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  return read_toml(text.str(), path);
}

class RecordedGroups : public ::testing::TestWithParam<const char*> {};

TEST_P(RecordedGroups, AreNumberedAsTheKernelNumberedThem) {
  const Host host(recorded(GetParam()));
  const std::vector<Function>& functions = host.topology().functions();
  ASSERT_GT(functions.size(), 10U);
  for (FunctionIndex f = 0; f < functions.size(); ++f) {
    std::optional<std::uint32_t> group;
    if (host.assignments()[f].group) {
      group = host.assignments()[f].group->value();
    }
    EXPECT_EQ(group, functions[f].recorded_group) << to_string(functions[f].address);
  }
  EXPECT_TRUE(host.unlike_recorded().empty());
}
INSTANTIATE_TEST_SUITE_P(Runs, RecordedGroups,
                         ::testing::Values("recorded_a.toml", "recorded_stock.toml"));

// There a driver took the endpoint 03:00.0 before its ports had been probed: the kernel gave it a
// group of its own, though no ACS keeps it from its neighbours.
TEST(RecordedGroup, OneIsApartOnlyByTheOrderOfProbing) {
  const Host host(recorded("recorded_a.toml"));
  EXPECT_EQ(host.split_components(), (std::vector<Split>{{{GroupId{1}, GroupId{5}}, {}}}));
  EXPECT_EQ(at(host, "05:02.0").why_not, "stream id 0x500 belongs to 0000:05:01.0");

  HostDescription in_order = recorded("recorded_a.toml");
  in_order.probe_order.reset();
  const Host newer(std::move(in_order));
  EXPECT_TRUE(newer.split_components().empty());
  EXPECT_EQ(at(newer, "03:00.0").group, at(newer, "00:0d.0").group);
  const auto unlike = newer.unlike_recorded();
  ASSERT_EQ(unlike.size(), 1U);
  EXPECT_EQ(to_string(newer.topology().functions()[unlike[0].second].address), "0000:03:00.0");
}

}  // namespace
}  // namespace smmulab::pcie

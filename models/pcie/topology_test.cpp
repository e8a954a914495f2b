// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "models/pcie/isolation.hpp"
#include "models/pcie/testing.hpp"
#include "sim/error.hpp"
#include "sim/random.hpp"

namespace smmulab::pcie {
namespace {

std::string error_of(std::string_view toml) {
  try {
    (void)host_of(toml);
  } catch (const ConfigError& e) {
    return e.what();
  }
  return "no error";
}

TEST(TopologyErrors, NameFileLineAndWhatWasExpected) {
  EXPECT_EQ(error_of("[[device]]\naddress = \"00:20.0\"\n"),
            "t.toml:2:11: address: expected a PCI address such as \"0000:01:00.0\"");
  EXPECT_EQ(error_of("[[device]]\naddress = \"00:01.0\"\ntype = \"endpoint\"\nbuss = 3\n"),
            "t.toml:4:1: unknown key 'buss'; did you mean 'bus'?");
  EXPECT_EQ(error_of("[[device]]\naddress = \"00:01.0\"\ntype = \"root port\"\n").substr(0, 41),
            "t.toml:1:1: bus is missing: the number of");
  EXPECT_EQ(error_of("[[device]]\naddress = \"00:01.0\"\ntype = \"endpoint\"\nacs = \"SV\"\n")
                .substr(0, 31),
            "t.toml:4:7: acs: expected flags");
  EXPECT_EQ(error_of("probe_order = [\"00:02.0\"]\n[[device]]\naddress = \"00:01.0\"\n"
                     "type = \"endpoint\"\n"),
            "t.toml:1:16: probe_order: there is no device 0000:00:02.0");
  EXPECT_EQ(error_of("x = [\n").substr(0, 7), "t.toml:");
  EXPECT_EQ(error_of(""), "t.toml:1: no [[device]] is described");
}

constexpr const char* kPort = "[[device]]\naddress = \"00:01.0\"\ntype = \"root port\"\nbus = 1\n";

TEST(TopologyErrors, BusesThatCanNotBe) {
  const std::string port = kPort;
  EXPECT_EQ(error_of(port + port), "t.toml:6: 0000:00:01.0 a second time: before at line 2");
  EXPECT_EQ(error_of(port + "[[device]]\naddress = \"00:02.0\"\ntype = \"root port\"\nbus = 1\n"),
            "t.toml:6: 0000:00:02.0 leads to bus 01, and so does 0000:00:01.0");
  EXPECT_EQ(error_of(port + "subordinate = 3\n[[device]]\naddress = \"02:00.0\"\n"
                            "type = \"endpoint\"\n"),
            "t.toml:7: no bridge leads to bus 02 of 0000:02:00.0, though 0000:00:01.0 spans it");
  EXPECT_EQ(error_of("[[device]]\naddress = \"05:00.0\"\ntype = \"upstream port\"\nbus = 5\n"),
            "t.toml:2: 0000:05:00.0: expected a secondary bus above 05 and a subordinate bus not "
            "below it, found 05 and 05");
}

std::string bridge(const std::string& address, const std::string& buses) {
  return "[[device]]\naddress = \"" + address + "\"\ntype = \"conventional\"\n" + buses + "\n";
}

TEST(TopologyErrors, BusesOfTwoBridgesAreApartOrOneHoldsTheOther) {
  const std::string first = bridge("00:01.0", "bus = 1\nsubordinate = 4");
  EXPECT_EQ(error_of(first + bridge("00:02.0", "bus = 4")),
            "t.toml:7: buses 04 to 04 of 0000:00:02.0 overlap buses 01 to 04 of 0000:00:01.0, and "
            "it is not behind that");
  EXPECT_EQ(error_of(first + bridge("01:02.0", "bus = 3\nsubordinate = 5")),
            "t.toml:7: buses 03 to 05 of 0000:01:02.0 reach beyond buses 01 to 04 of 0000:00:01.0, "
            "and it is behind that");
  EXPECT_EQ(error_of(bridge("00:01.0", "bus = 3\nsubordinate = 2")),
            "t.toml:2: 0000:00:01.0: expected a secondary bus above 00 and a subordinate bus not "
            "below it, found 03 and 02");
  EXPECT_EQ(error_of(first + bridge("01:02.0", "bus = 3\nsubordinate = 4") +
                     bridge("00:02.0", "bus = 5") + bridge("0001:00:02.0", "bus = 4")),
            "no error");
}

Function function_at(std::string_view address, std::size_t line) {
  Function f;
  f.address = parse_address(address).value();
  f.type = Type::kEndpoint;
  f.line = line;
  return f;
}

std::string error_of(std::vector<Function> functions) {
  try {
    const Topology topology(std::move(functions), "host");
  } catch (const ConfigError& e) {
    return e.what();
  }
  return "no error";
}

// As a copy of sysfs says it, by the link physfn.
TEST(TopologyErrors, AVfWhosePfIsMissingOrCannotBe) {
  Function port = function_at("00:01.0", 1);
  port.type = Type::kRootPort;
  port.bridge = Bridge{1, 1, false};
  Function vf = function_at("01:00.1", 2);
  vf.physfn = parse_address("01:00.0");
  EXPECT_EQ(error_of({port, vf}), "host:2: the PF 0000:01:00.0 of 0000:01:00.1 is missing");
  EXPECT_EQ(error_of({port, function_at("01:00.0", 3), vf}), "no error");
  vf.physfn = parse_address("01:00.2");
  EXPECT_EQ(error_of({port, vf, function_at("01:00.2", 3)}),
            "host:2: 0000:01:00.1 cannot be a VF of 0000:01:00.2: expected a PF below it in its "
            "domain");
}

TEST(Topology, VfsOfAPfOnTheRootBusLieOnItAndBeyond) {
  const Host host = host_of(R"(
[[device]]
address = "00:02.0"
type = "endpoint"
sriov = { vfs = 2, offset = 1, stride = 255 }
)");
  const Topology& topology = host.topology();
  ASSERT_EQ(topology.functions().size(), 3U);  // 00:02.1 and 01:02.0
  EXPECT_FALSE(topology.bus_of(1).parent);
  EXPECT_EQ(topology.bus_of(2).parent, BusIndex{0});
  EXPECT_TRUE(topology.bridges_above(2).empty());
  EXPECT_EQ(topology.enumeration_order().size(), 3U);
  EXPECT_EQ(groups_of(host), (std::set<std::string>{"00:02.0", "00:02.1", "01:02.0"}));
}

// virtfn_add_bus takes the bus that is there.
TEST(Topology, ARootBusWithVfsOfAnotherBusIsStillARootBus) {
  const Host host = host_of(R"(
[[device]]
address = "00:02.0"
type = "endpoint"
sriov = { vfs = 1, offset = 256, stride = 1 }
[[device]]
address = "01:00.0"
type = "endpoint"
)");
  EXPECT_FALSE(host.topology().bus_of(1).parent);
  EXPECT_EQ(groups_of(host), (std::set<std::string>{"00:02.0", "01:00.0", "01:02.0"}));
}

TEST(Topology, IsEnumeratedBusByBusWithVfsLast) {
  const Host host = host_of(R"(
[[device]]
address = "00:02.0"
type = "root port"
bus = 1
[[device]]
address = "01:00.0"
type = "endpoint"
sriov = { vfs = 1, offset = 1, stride = 1 }
[[device]]
address = "00:03.0"
type = "root port"
bus = 2
[[device]]
address = "02:00.0"
type = "endpoint"
)");
  std::string order;
  for (const FunctionIndex f : host.topology().enumeration_order()) {
    order += to_string(host.topology().functions()[f].address).substr(5) + " ";
  }
  EXPECT_EQ(order, "00:02.0 00:03.0 01:00.0 02:00.0 01:00.1 ");
}

// A random tree: ports with and without ACS, several functions, conventional bridges, aliases.
class RandomHost {
 public:
  explicit RandomHost(std::uint64_t seed) : random_(seed, "topology") {}

  std::vector<Function> functions() {
    fill(0, 4);
    return std::move(functions_);
  }

 private:
  bool chance(std::uint32_t percent) { return random_.uniform_int(100) < percent; }

  void fill(unsigned bus, int depth) {
    const unsigned slots = 1 + static_cast<unsigned>(random_.uniform_int(3));
    for (unsigned slot = 0; slot < slots; ++slot) {
      const unsigned count = chance(40) ? 2 : 1;
      for (unsigned function = 0; function < count; ++function) {
        add(bus, slot << 3U | function, depth);
      }
    }
  }

  void add(unsigned bus, unsigned devfn, int depth) {
    Function f;
    f.address = {0, static_cast<std::uint8_t>(bus), static_cast<std::uint8_t>(devfn)};
    const bool bridge = depth > 0 && next_bus_ < 250 && chance(50);
    constexpr std::array kBridges{Type::kRootPort, Type::kDownstreamPort, Type::kUpstreamPort,
                                  Type::kPcieToPciBridge, Type::kConventional};
    constexpr std::array kLeaves{Type::kEndpoint, Type::kRootComplexEndpoint, Type::kConventional};
    f.type = bridge ? kBridges.at(random_.uniform_int(kBridges.size()))
                    : kLeaves.at(random_.uniform_int(kLeaves.size()));
    if (chance(60)) {
      f.acs = Acs{acs::kIsolation, chance(70) ? acs::kIsolation : acs::kSourceValidation};
    }
    if (chance(10)) {
      f.dma_aliases.set(random_.uniform_int(24));
    }
    const std::size_t at = functions_.size();
    functions_.push_back(f);
    if (bridge) {
      const auto secondary = static_cast<std::uint8_t>(++next_bus_);
      fill(secondary, depth - 1);
      functions_[at].bridge = Bridge{secondary, static_cast<std::uint8_t>(next_bus_), false};
    }
  }

  RandomStream random_;
  std::vector<Function> functions_;
  unsigned next_bus_ = 0;
};

// In the kernel's own order no group is split: two functions are in one group exactly if the rules
// cannot tell them apart.
TEST(Groups, InEnumerationOrderAreTheComponentsOfIsolation) {
  std::size_t several = 0;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    const Topology topology(RandomHost(seed).functions(), "random");
    IommuGroups groups(topology);
    for (const FunctionIndex f : topology.enumeration_order()) {
      groups.probe(f);
    }
    const auto components = isolation_components(topology);
    std::map<GroupId, std::size_t> component_of;
    std::map<std::size_t, GroupId> group_of;
    for (FunctionIndex f = 0; f < components.size(); ++f) {
      const GroupId group = groups.group_of(f).value();
      EXPECT_EQ(component_of.try_emplace(group, components[f]).first->second, components[f])
          << "seed " << seed << ": " << to_string(topology.functions()[f].address);
      EXPECT_EQ(group_of.try_emplace(components[f], group).first->second, group)
          << "seed " << seed << ": " << to_string(topology.functions()[f].address);
    }
    several += component_of.size() > 1 && component_of.size() < components.size() ? 1 : 0;
  }
  EXPECT_GT(several, 200U);  // of the 300 most have groups of several, and several groups
}

}  // namespace
}  // namespace smmulab::pcie

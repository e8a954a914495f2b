// SPDX-License-Identifier: Apache-2.0
// Small topologies whose groups, device sets and stream ids were worked out by hand from the rules.
#include <gtest/gtest.h>

#include "models/pcie/dev_sets.hpp"
#include "models/pcie/isolation.hpp"
#include "models/pcie/report.hpp"
#include "models/pcie/testing.hpp"
#include "sim/error.hpp"

namespace smmulab::pcie {
namespace {

using Groups = std::set<std::string>;

constexpr const char* kOn = "SV+ RR+ CR+ UF+";

// Two endpoints, each behind a port of a switch behind one root port.
std::string with_switch(std::string_view root, std::string_view first, std::string_view second) {
  const auto acs = [](std::string_view bits) {
    return bits.empty() ? std::string() : "acs = \"" + std::string(bits) + "\"\n";
  };
  return "[[device]]\naddress = \"00:01.0\"\ntype = \"root port\"\nbus = 1\nsubordinate = 4\n" +
         acs(root) +
         "[[device]]\naddress = \"01:00.0\"\ntype = \"upstream port\"\nbus = 2\nsubordinate = 4\n"
         "[[device]]\naddress = \"02:00.0\"\ntype = \"downstream port\"\nbus = 3\n" +
         acs(first) + "[[device]]\naddress = \"02:01.0\"\ntype = \"downstream port\"\nbus = 4\n" +
         acs(second) +
         "[[device]]\naddress = \"03:00.0\"\ntype = \"endpoint\"\n"
         "[[device]]\naddress = \"04:00.0\"\ntype = \"endpoint\"\n";
}

TEST(Groups, AcsAllTheWayUpSetsEveryFunctionApart) {
  EXPECT_EQ(groups_of(host_of(with_switch(kOn, kOn, kOn))),
            (Groups{"00:01.0", "01:00.0", "02:00.0", "02:01.0", "03:00.0", "04:00.0"}));
}

TEST(Groups, OneDownstreamPortWithoutAcsHoldsOnlyWhatIsBelowIt) {
  // 03:00.0 reaches 02:00.0, which redirects nothing; from there on the path is not isolated
  // either, so it is together with that port, but 02:00.0's own path up is.
  EXPECT_EQ(groups_of(host_of(with_switch(kOn, "", kOn))),
            (Groups{"00:01.0", "01:00.0", "02:00.0 03:00.0", "02:01.0", "04:00.0"}));
}

TEST(Groups, ARootPortWithoutAcsHoldsAllBelowIt) {
  EXPECT_EQ(groups_of(host_of(with_switch("", kOn, kOn))),
            (Groups{"00:01.0 01:00.0 02:00.0 02:01.0 03:00.0 04:00.0"}));
}

// Each of the four bits is needed where the capability has it.
class EachAcsBit : public ::testing::TestWithParam<const char*> {};
TEST_P(EachAcsBit, SwitchedOffJoinsThePortAndWhatIsBelow) {
  std::string bits = kOn;
  bits[bits.find(GetParam()) + 2] = '-';
  EXPECT_EQ(groups_of(host_of(with_switch(kOn, bits, kOn))).count("02:00.0 03:00.0"), 1U) << bits;
}
TEST_P(EachAcsBit, AbsentFromTheCapabilityIsTakenForHardWired) {
  std::string bits = kOn;
  bits.replace(bits.find(GetParam()), 3, "");
  EXPECT_EQ(groups_of(host_of(with_switch(kOn, bits, kOn))).count("03:00.0"), 1U) << bits;
}
INSTANTIATE_TEST_SUITE_P(Acs, EachAcsBit, ::testing::Values("SV", "RR", "CR", "UF"));

TEST(Groups, BitsThatIsolationDoesNotNeedAreNotAskedFor) {
  const std::string bits = std::string(kOn) + " TB- EC- DT-";
  EXPECT_EQ(groups_of(host_of(with_switch(kOn, bits, kOn))).count("03:00.0"), 1U);
}

constexpr const char* kTwoFunctions = R"(
[[device]]
address = "00:01.0"
type = "root port"
bus = 1
acs = "SV+ RR+ CR+ UF+"
[[device]]
address = "01:00.0"
type = "endpoint"
ACS0
[[device]]
address = "01:00.1"
type = "endpoint"
ACS1
[[device]]
address = "01:00.2"
type = "endpoint"
)";

std::string two_functions(const std::string& first, const std::string& second) {
  std::string text = kTwoFunctions;
  text.replace(text.find("ACS0"), 4, first);
  text.replace(text.find("ACS1"), 4, second);
  return text;
}

TEST(Groups, FunctionsOfOneDeviceWithoutAcsAreTogether) {
  EXPECT_EQ(groups_of(host_of(two_functions("", ""))),
            (Groups{"00:01.0", "01:00.0 01:00.1 01:00.2"}));
}

TEST(Groups, AFunctionWithAcsIsApartFromItsSiblings) {
  // An endpoint's capability has no SV and UF.
  EXPECT_EQ(groups_of(host_of(two_functions("acs = \"RR+ CR+ DT-\"", ""))),
            (Groups{"00:01.0", "01:00.0", "01:00.1 01:00.2"}));
}

TEST(Groups, AMultiFunctionDeviceKnownToBeIsolatedNeedsNoAcs) {
  const std::string known = "vendor = 0x8086\ndevice = 0x1521";
  EXPECT_EQ(groups_of(host_of(two_functions(known, known))),
            (Groups{"00:01.0", "01:00.0", "01:00.1", "01:00.2"}));
}

TEST(Groups, RootPortsOfOneSlotWithoutAcsAreTogetherWithAllBelow) {
  EXPECT_EQ(groups_of(host_of(R"(
[[device]]
address = "00:02.0"
type = "root port"
bus = 1
[[device]]
address = "00:02.1"
type = "root port"
bus = 2
[[device]]
address = "00:03.0"
type = "root port"
bus = 3
acs = "SV+ RR+ CR+ UF+"
[[device]]
address = "01:00.0"
type = "endpoint"
[[device]]
address = "02:00.0"
type = "endpoint"
[[device]]
address = "03:00.0"
type = "endpoint"
)")),
            (Groups{"00:02.0 00:02.1 01:00.0 02:00.0", "00:03.0", "03:00.0"}));
}

// The endpoint of bus 1, with two VFs on the same bus and two on the next one, to which no bridge
// leads: 01:00.0 + 0xff is 01:1f.7, + 0x100 is 02:00.0.
constexpr const char* kVfs = R"(
[[device]]
address = "00:01.0"
type = "root port"
bus = 1
subordinate = 2
acs = "ACS"
[[device]]
address = "01:00.0"
type = "endpoint"
sriov = { vfs = 4, offset = 0xfe, stride = 1 }
[[device]]
address = "01:00.1"
type = "endpoint"
)";

std::string vfs(const std::string& acs) {
  std::string text = kVfs;
  return text.replace(text.find("ACS"), 3, acs);
}

TEST(Groups, VfsBelowAnIsolatedPortAreEachApart) {
  EXPECT_EQ(groups_of(host_of(vfs(kOn))),
            (Groups{"00:01.0", "01:00.0 01:00.1", "01:1f.6", "01:1f.7", "02:00.0", "02:00.1"}));
}

TEST(Groups, VfsBelowAnOpenPortAreAllInItsGroup) {
  EXPECT_EQ(groups_of(host_of(vfs("SV+ RR- CR- UF+"))),
            (Groups{"00:01.0 01:00.0 01:00.1 01:1f.6 01:1f.7 02:00.0 02:00.1"}));
}

TEST(DevSets, VfsAreAloneAndAPfWithVfsIsRefused) {
  const Host host = host_of(vfs(kOn));
  EXPECT_FALSE(at(host, "00:01.0").dev_set);
  EXPECT_FALSE(at(host, "01:00.0").dev_set);  // vfio-pci does not bind while VFs are enabled
  std::set<DevSetId> sets;
  for (const char* f : {"01:00.1", "01:1f.6", "01:1f.7", "02:00.0", "02:00.1"}) {
    sets.insert(at(host, f).dev_set.value());
  }
  EXPECT_EQ(sets.size(), 5U);
}

constexpr const char* kConventional = R"(
[[device]]
address = "00:01.0"
type = "root port"
bus = 1
subordinate = 2
acs = "SV+ RR+ CR+ UF+"
[[device]]
address = "01:00.0"
type = "pcie-to-pci bridge"
bus = 2
[[device]]
address = "02:03.0"
type = "conventional"
[[device]]
address = "02:04.0"
type = "conventional"
)";

TEST(Groups, BehindAPcieToPciBridgeOnlyTheFirstFunctionHasAnSmmu) {
  const Host host = host_of(kConventional);
  EXPECT_EQ(groups_of(host), (Groups{"00:01.0", "01:00.0 02:03.0"}));
  // Its own id, and bus 2, device 0, function 0 for what the bridge takes over.
  EXPECT_EQ(at(host, "02:03.0").streams->ids, (std::vector{StreamId{0x218}, StreamId{0x200}}));
  EXPECT_EQ(at(host, "02:04.0").group, std::nullopt);
  EXPECT_EQ(at(host, "02:04.0").why_not, "stream id 0x200 belongs to 0000:02:03.0");
}

TEST(Groups, AConventionalBridgeIsSeenAsItself) {
  std::string text = kConventional;
  const std::string type = "pcie-to-pci bridge";
  text.replace(text.find(type), type.size(), "conventional");
  EXPECT_EQ(at(host_of(text), "02:03.0").streams->ids,
            (std::vector{StreamId{0x218}, StreamId{0x100}}));
  // A known PCIe-to-PCI bridge that does not say what it is.
  text.replace(text.find("bus = 2"), 7, "bus = 2\nvendor = 0x1b21\ndevice = 0x1080");
  EXPECT_EQ(at(host_of(text), "02:03.0").streams->ids,
            (std::vector{StreamId{0x218}, StreamId{0x200}}));
}

TEST(Groups, ABridgeAtWhichRequestsAreTranslatedEndsTheAliases) {
  std::string text = kConventional;
  text.replace(text.find("bus = 2"), 7, "bus = 2\ntranslation_root = true");
  const Host host = host_of(text);
  EXPECT_EQ(at(host, "02:03.0").streams->ids, std::vector{StreamId{0x218}});
  EXPECT_EQ(at(host, "02:04.0").streams->ids, std::vector{StreamId{0x220}});
  EXPECT_EQ(groups_of(host), (Groups{"00:01.0", "01:00.0 02:03.0 02:04.0"}));
}

TEST(DevSets, AllOfABusThatIsResetTogether) {
  const Host host = host_of(kConventional);
  EXPECT_EQ(at(host, "02:03.0").dev_set, at(host, "02:04.0").dev_set);
  const Host functions = host_of(two_functions("acs = \"RR+ CR+\"", ""));
  EXPECT_NE(at(functions, "01:00.0").group, at(functions, "01:00.1").group);
  EXPECT_EQ(at(functions, "01:00.0").dev_set, at(functions, "01:00.1").dev_set);
}

// An ARI function above 7 has the address of "device 1", which pciehp's slot does not hold.
std::string ari(const std::string& more) {
  return R"(
[[device]]
address = "00:01.0"
type = "root port"
bus = 1
)" + more +
         R"(
[[device]]
address = "01:00.0"
type = "endpoint"
[[device]]
address = "01:00.1"
type = "endpoint"
[[device]]
address = "01:01.0"
type = "endpoint"
)";
}

TEST(DevSets, AHotplugSlotIsASetOfItsOwn) {
  const Host bus = host_of(ari(""));
  EXPECT_EQ(at(bus, "01:00.0").dev_set, at(bus, "01:01.0").dev_set);
  const Host slot = host_of(ari("hotplug = true"));
  EXPECT_EQ(at(slot, "01:00.0").dev_set, at(slot, "01:00.1").dev_set);
  EXPECT_NE(at(slot, "01:00.0").dev_set, at(slot, "01:01.0").dev_set);
  const Host stuck = host_of(ari("hotplug = true\nno_bus_reset = true"));
  EXPECT_EQ(at(stuck, "01:00.0").dev_set, at(stuck, "01:01.0").dev_set);
}

TEST(DevSets, FunctionsOfARootBusAreAlone) {
  const Host host = host_of(R"(
[[device]]
address = "00:0c.0"
type = "conventional"
[[device]]
address = "00:0c.1"
type = "conventional"
)");
  EXPECT_EQ(at(host, "00:0c.0").group, at(host, "00:0c.1").group);
  EXPECT_NE(at(host, "00:0c.0").dev_set, at(host, "00:0c.1").dev_set);
}

TEST(DmaAliases, AQuirkJoinsTheTwoFunctions) {
  const std::string text = R"(
[[device]]
address = "00:01.0"
type = "root port"
bus = 1
acs = "SV+ RR+ CR+ UF+"
[[device]]
address = "01:00.0"
type = "endpoint"
acs = "RR+ CR+"
QUIRK
[[device]]
address = "01:00.1"
type = "endpoint"
acs = "RR+ CR+"
)";
  const auto with = [&text](const std::string& quirk) {
    std::string all = text;
    return host_of(all.replace(all.find("QUIRK"), 5, quirk));
  };
  EXPECT_EQ(groups_of(with("")), (Groups{"00:01.0", "01:00.0", "01:00.1"}));
  for (const char* quirk : {"dma_aliases = [\"00.1\"]", "vendor = 0x1b4b\ndevice = 0x9230"}) {
    const Host host = with(quirk);
    EXPECT_EQ(isolation_components(host.topology()), (std::vector<std::size_t>{0, 1, 1})) << quirk;
    IommuGroups groups(host.topology());
    EXPECT_EQ(groups.probe(1), groups.probe(2)) << quirk;
    // But an SMMU has one owner for the id they share, so the second stays without.
    EXPECT_EQ(at(host, "01:00.0").streams->ids, (std::vector{StreamId{0x100}, StreamId{0x101}}));
    EXPECT_EQ(at(host, "01:00.1").why_not, "stream id 0x101 belongs to 0000:01:00.0");
  }
}

TEST(Streams, RangesMapRequesterIdsToSmmus) {
  const Host host = host_of(R"(
[[iommu_map]]
rid = 0x0
length = 0x100
smmu = 1
stream_id = 0x4000
[[iommu_map]]
rid = 0x100
length = 0x100
stream_id = 0x10
[[device]]
address = "00:01.0"
type = "root port"
bus = 1
[[device]]
address = "00:02.0"
type = "root port"
bus = 2
[[device]]
address = "01:00.0"
type = "endpoint"
[[device]]
address = "02:00.0"
type = "endpoint"
)");
  EXPECT_EQ(host.smmu_count(), 2U);
  EXPECT_EQ(at(host, "00:01.0").streams->smmu, SmmuIndex{1});
  EXPECT_EQ(at(host, "00:01.0").streams->ids, std::vector{StreamId{0x4008}});
  EXPECT_EQ(at(host, "01:00.0").streams->smmu, SmmuIndex{0});
  EXPECT_EQ(at(host, "01:00.0").streams->ids, std::vector{StreamId{0x10}});
  EXPECT_EQ(at(host, "02:00.0").why_not, "no SMMU translates all of its requester ids");
}

TEST(Streams, AMaskFoldsRequesterIds) {
  const Host host = host_of(R"(
iommu_map_mask = 0xff
[[iommu_map]]
length = 0x100
[[device]]
address = "03:02.0"
type = "root complex endpoint"
)");
  EXPECT_EQ(at(host, "03:02.0").streams->ids, std::vector{StreamId{0x10}});
}

TEST(ProbeOrder, AnEndpointBeforeItsPortGetsAGroupOfItsOwn) {
  std::string text = "probe_order = [\"03:00.0\", \"00:01.0\", \"01:00.0\", \"04:00.0\"]\n";
  text += with_switch("", "", "");
  const Host host = host_of(text);
  EXPECT_EQ(groups_of(host), (Groups{"00:01.0 01:00.0 04:00.0", "03:00.0"}));
  EXPECT_EQ(host.split_components(), (std::vector<Split>{{{GroupId{0}, GroupId{1}}, {}}}));
  EXPECT_EQ(at(host, "02:00.0").why_not, "not probed");
  EXPECT_TRUE(host_of(with_switch("", "", "")).split_components().empty());
}

// The port joins what is below it only if it has a group itself, and for that it needs an SMMU.
TEST(Groups, APortWithoutSmmuJoinsNothingTogether) {
  const Host host =
      host_of(with_switch("", "", "") + "[[iommu_map]]\nrid = 0x300\nlength = 0x200\n");
  EXPECT_EQ(groups_of(host), (Groups{"03:00.0", "04:00.0"}));
  const auto port = [&host](const char* address) {
    return host.topology().find(parse_address(address).value()).value();
  };
  EXPECT_EQ(
      host.split_components(),
      (std::vector<Split>{{{GroupId{0}, GroupId{1}},
                           {port("00:01.0"), port("01:00.0"), port("02:00.0"), port("02:01.0")}}}));
  const std::string text = to_text(host);
  EXPECT_NE(
      text.find("groups 0, 1: nothing keeps them apart but the order in which they were probed, "
                "or that 00:01.0, 01:00.0, 02:00.0, 02:01.0 has no group\n"),
      std::string::npos)
      << text;
}

}  // namespace
}  // namespace smmulab::pcie

// SPDX-License-Identifier: Apache-2.0
// Text in lspci's form, written for these tests; the groups in it were worked out by hand.
#include "models/pcie/read_lspci.hpp"

#include <gtest/gtest.h>

#include "models/pcie/report.hpp"
#include "models/pcie/testing.hpp"
#include "sim/error.hpp"

namespace smmulab::pcie {
namespace {

constexpr const char* kServer =
    R"(0000:00:00.0 Host bridge [0600]: Example Host Bridge [1def:e100]
	Control: I/O- Mem- BusMaster- SpecCycle- MemWINV- VGASnoop- ParErr- Stepping-

0000:00:01.0 PCI bridge [0604]: Example Root Port [1234:0001] (rev 02) (prog-if 00 [Normal decode])
	Bus: primary=00, secondary=01, subordinate=02, sec-latency=0
	Secondary status: 66MHz- FastB2B- ParErr- DEVSEL=fast >TAbort- <TAbort- <MAbort- <SERR- <PERR-
	Capabilities: [40] Express (v2) Root Port (Slot+), MSI 00
		DevCap:	MaxPayload 512 bytes, PhantFunc 0
			ExtTag+ RBE+
		SltCap:	AttnBtn+ PwrCtrl+ MRL- AttnInd+ PwrInd+ HotPlug+ Surprise-
	Capabilities: [70] MSI: Enable+ Count=1/1 Maskable+ 64bit+
	Capabilities: [148 v1] Access Control Services
		ACSCap:	SrcValid+ TransBlk+ ReqRedir+ CmpltRedir+ UpstreamFwd+ EgressCtrl- DirectTrans+
		ACSCtl:	SrcValid+ TransBlk- ReqRedir+ CmpltRedir+ UpstreamFwd+ EgressCtrl- DirectTrans-
	Kernel driver in use: pcieport
	IOMMU group: 4

0000:00:02.0 PCI bridge [0604]: Example Root Port [1234:0001] (rev 02)
	Bus: primary=00, secondary=03, subordinate=04, sec-latency=0
	Capabilities: [40] Express (v2) Root Port (Slot-), MSI 00
	Capabilities: [148 v1] Access Control Services
		ACSCap:	SrcValid+ TransBlk+ ReqRedir+ CmpltRedir+ UpstreamFwd+ EgressCtrl- DirectTrans+
		ACSCtl:	SrcValid+ TransBlk- ReqRedir- CmpltRedir- UpstreamFwd+ EgressCtrl- DirectTrans-
	IOMMU group: 5

0000:01:00.0 Ethernet controller [0200]: Example Two-Port Adapter [8086:1521] (rev 01)
	Capabilities: [a0] Express (v2) Endpoint, MSI 00
	Capabilities: [160 v1] Single Root I/O Virtualization (SR-IOV)
		IOVCap:	Migration-, Interrupt Message Number: 000
		IOVCtl:	Enable+ Migration- Interrupt- MSE+ ARIHierarchy+
		Initial VFs: 8, Total VFs: 8, Number of VFs: 2, Function Dependency Link: 00
		VF offset: 128, stride: 4, Device ID: 1520
	Capabilities: [1a0 v1] Address Translation Service (ATS)
		ATSCap:	Invalidate Queue Depth: 00
		ATSCtl:	Enable+, Smallest Translation Unit: 00
	Kernel driver in use: igb
	IOMMU group: 6

0000:01:00.1 Ethernet controller [0200]: Example Two-Port Adapter [8086:1521] (rev 01)
	Capabilities: [a0] Express (v2) Endpoint, MSI 00
	Capabilities: [160 v1] Single Root I/O Virtualization (SR-IOV)
		IOVCtl:	Enable- Migration- Interrupt- MSE- ARIHierarchy-
		Initial VFs: 8, Total VFs: 8, Number of VFs: 0, Function Dependency Link: 01
		VF offset: 128, stride: 4, Device ID: 1520
	Kernel driver in use: vfio-pci
	IOMMU group: 7

0000:01:10.0 Ethernet controller [0200]: Example Virtual Function [8086:1520] (rev 01)
	Capabilities: [a0] Express (v2) Endpoint, MSI 00
	IOMMU group: 10

0000:01:10.4 Ethernet controller [0200]: Example Virtual Function [8086:1520] (rev 01)
	Capabilities: [a0] Express (v2) Endpoint, MSI 00
	IOMMU group: 11

0000:03:00.0 PCI bridge [0604]: Example PCIe-to-PCI Bridge [12d8:e111]
	Bus: primary=03, secondary=04, subordinate=04, sec-latency=64
	Capabilities: [80] Express (v1) PCI-Express to PCI/PCI-X Bridge, MSI 00
	IOMMU group: 5

0000:04:05.0 Multimedia audio controller [0401]: Example Sound Card [1274:5880]
	Capabilities: [dc] Power Management version 1
	Kernel driver in use: vfio-pci
	IOMMU group: 5

-[0000:00]-+-00.0
           +-01.0-[01-02]--+-00.0
           |               \-00.1
           \-02.0-[03-04]----00.0-[04]----05.0
)";

TEST(Lspci, GivesTheGroupsThatTheRulesGive) {
  const Host host(read_lspci(kServer, "host.txt"));
  EXPECT_EQ(groups_of(host), (std::set<std::string>{"00:00.0", "00:01.0", "00:02.0 03:00.0 04:05.0",
                                                    "01:00.0", "01:00.1", "01:10.0", "01:10.4"}));
  EXPECT_TRUE(host.has_recorded_groups());
  EXPECT_TRUE(host.unlike_recorded().empty());
}

TEST(Lspci, ReadsWhatADeviceSaysOfItself) {
  const HostDescription host = read_lspci(kServer, "host.txt");
  const auto function = [&host](std::string_view address) {
    return host.topology.functions().at(host.topology.find(parse_address(address).value()).value());
  };
  const Function port = function("00:01.0");
  EXPECT_EQ(port.type, Type::kRootPort);
  EXPECT_EQ(port.name, "Example Root Port");
  EXPECT_EQ(port.class_code, 0x060400U);
  EXPECT_EQ(port.driver, "pcieport");
  EXPECT_TRUE(port.bridge->hotplug_slot);
  EXPECT_FALSE(function("00:02.0").bridge->hotplug_slot);
  EXPECT_EQ(port.acs, (Acs{0x5f, acs::kIsolation}));
  EXPECT_EQ(function("00:02.0").acs,
            (Acs{0x5f, acs::kSourceValidation | acs::kUpstreamForwarding}));
  const Function nic = function("01:00.0");
  EXPECT_EQ(nic.vendor, 0x8086);
  EXPECT_EQ(nic.device, 0x1521);
  EXPECT_TRUE(nic.multifunction);
  EXPECT_TRUE(nic.ats);
  EXPECT_EQ(nic.recorded_group, 6U);
  EXPECT_EQ(function("01:10.4").physfn, nic.address);
  EXPECT_FALSE(function("01:10.4").multifunction);
  EXPECT_EQ(function("03:00.0").type, Type::kPcieToPciBridge);
  EXPECT_EQ(function("04:05.0").type, Type::kConventional);
}

TEST(Lspci, TellsWhereTheHostHadOtherGroups) {
  std::string text = kServer;
  text.replace(text.find("IOMMU group: 7"), 14, "IOMMU group: 6");
  const Host host(read_lspci(text, "host.txt"));
  EXPECT_NE(to_text(host).find(
                "not as recorded: 01:00.0 and 01:00.1 are apart, the host had them together"),
            std::string::npos);
}

std::string error_of(std::string_view text) {
  try {
    (void)read_lspci(text, "host.txt");
  } catch (const ConfigError& e) {
    return e.what();
  }
  return "no error";
}

TEST(LspciErrors, NameFileAndLine) {
  EXPECT_EQ(error_of(""), "host.txt:1: no device: expected the output of lspci -vvv -nn -D");
  EXPECT_EQ(error_of("hello world\n"),
            "host.txt:1: expected a device such as \"0000:01:00.0 ...\", found 'hello'");
  EXPECT_EQ(error_of("00:01.0 Ethernet controller: Intel Corporation I350 (rev 01)\n"),
            "host.txt:1: expected \"CLASS [0200]: NAME [8086:1521]\": run lspci with -nn");
  EXPECT_EQ(error_of("00:01.0 A [0200]: B [1234:0001]\n\tCapabilities: <access denied>\n"),
            "host.txt:2: capabilities are hidden (access denied): run lspci as root");
  EXPECT_EQ(
      error_of(
          "00:01.0 A [0200]: B [1234:0001]\n\tCapabilities: [40] Express (v9) Wormhole, MSI 00\n"),
      "host.txt:2: unknown type of PCI Express device: 'Wormhole, MSI 00'");
  EXPECT_EQ(error_of("00:01.0 A [0200]: B [1234:0001]\n\tBus: primary=00, secondary=zz\n"),
            "host.txt:2: Bus: expected primary=XX, secondary=XX, subordinate=XX");
  const std::string port = "00:01.0 A [0604]: B [1234:0001]\n\tBus: primary=";
  EXPECT_EQ(error_of(port + "02, secondary=03, subordinate=03\n"),
            "host.txt:2: Bus: 0000:00:01.0 lies on bus 00, and its primary bus is 02");
  EXPECT_EQ(error_of(port + "00, secondary=00, subordinate=03\n"),
            "host.txt:2: Bus: 0000:00:01.0 leads to bus 00, which nothing can lead to");
  EXPECT_EQ(error_of(port + "00, secondary=03, subordinate=02\n").substr(0, 25),
            "host.txt:1: 0000:00:01.0:");
  EXPECT_EQ(error_of("00:01.0 A [0200]: B [1234:0001]\n\n00:01.0 A [0200]: B [1234:0001]\n"),
            "host.txt:3: 0000:00:01.0 a second time: before at line 1");
}

TEST(Report, IsATreeWithGroupsAndDeviceSets) {
  const std::string text = to_text(Host(read_lspci(kServer, "host.txt")));
  EXPECT_EQ(text.substr(0, text.find('\n')),
            "host.txt: 9 functions, 7 iommu groups, 5 VFIO device sets, 1 SMMUs");
  EXPECT_NE(text.find("└─ 00:02.0 root port, Example Root Port [ACS SV+ TB- RR- CR- UF+ DT-]: "
                      "group 2, smmu 0 sid 0x10\n"
                      "   └─ 03:00.0 pcie-to-pci bridge, Example PCIe-to-PCI Bridge: group 2, smmu "
                      "0 sid 0x300\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("groups are those that the host recorded"), std::string::npos);
}

}  // namespace
}  // namespace smmulab::pcie

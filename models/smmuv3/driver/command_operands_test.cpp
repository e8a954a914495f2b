// SPDX-License-Identifier: Apache-2.0
// What the driver's commands say, read back from the queue of the timed SMMU: which PASID an
// ATC_INV is for, whether a CFGI_CD is of a leaf alone.
#include "models/smmuv3/driver/testing.hpp"

namespace smmulab::smmu {
namespace {

constexpr std::uint64_t k4K = 4096;
constexpr std::uint64_t k2M = 2ULL << 20U;

class AtcOperandsTest : public DriverTest, public ::testing::WithParamInterface<DriverVersion> {
 protected:
  AtcOperandsTest() : DriverTest(GetParam()) { timed_hardware.emplace(); }

  void set(Master& m, std::uint32_t pasid, Domain& d) {
    timed([&, pasid](lnx::Thread& t) -> Task<void> {
      EXPECT_EQ(co_await driver().attach_pasid(t, m, pasid, d), 0);
    });
  }
  void remove(Master& m, std::uint32_t pasid) {
    timed(
        [&, pasid](lnx::Thread& t) -> Task<void> { co_await driver().detach_pasid(t, m, pasid); });
  }
  void map_and_unmap(Domain& d) {
    timed([&](lnx::Thread& t) -> Task<void> {
      EXPECT_EQ(co_await driver().map(t, d, Iova{k2M}, Bytes{k4K}, Bytes{k4K}), 0);
      co_await driver().unmap(t, d, Iova{k2M}, Bytes{k4K});
    });
  }
  // The ATC_INVs since the last call: "0x100 all, 0x100/5 2^0": StreamID, PASID, log2 of pages.
  std::string atc_invs() {
    std::string text;
    const CommandQueueStat& stat = smmu().queue.stat();
    for (const std::uint64_t end = stat.commands + stat.syncs; seen_ < end; ++seen_) {
      const auto c = hw::decode_command(hardware().command(0, seen_));
      if (!c || c->opcode != hw::Opcode::kAtcInv) {
        continue;
      }
      text += fmt::format("{}{:#x}", text.empty() ? "" : ", ", c->stream.value());
      text += c->substream_valid ? fmt::format("/{}", c->substream.value()) : "";
      text += c->size == hw::Atc::kWholeSpace ? " all" : fmt::format(" 2^{}", c->size);
    }
    return text;
  }

 private:
  std::uint64_t seen_ = 0;
};

TEST_P(AtcOperandsTest, APasidsSayWhichPasid) {
  Master& m = master(2, true);
  Domain& a = used(m);
  Domain& b = used(m);
  EXPECT_EQ(atc_invs(), "");
  set(m, 5, a);
  EXPECT_EQ(atc_invs(), "0x100/5 all, 0x101/5 all");
  set(m, 5, b);
  EXPECT_EQ(atc_invs(), "0x100/5 all, 0x101/5 all");
  map_and_unmap(b);
  EXPECT_EQ(atc_invs(), "0x100/5 2^0, 0x101/5 2^0");
  remove(m, 5);
  EXPECT_EQ(atc_invs(), "0x100/5 all, 0x101/5 all");
}

// One entry of the domain's list for each, and commands for each.
TEST_P(AtcOperandsTest, ADomainOfTwoPasidsAndTheRid) {
  Master& m = master(1, true);
  Domain& d = used(m);
  set(m, 5, d);
  set(m, 7, d);
  attach(m, d);
  EXPECT_EQ(d.masters, (std::vector<MasterDomain>{{&m, 5}, {&m, 7}, {&m, 0}}));
  EXPECT_EQ(atc_invs(), "0x100/5 all, 0x100/7 all, 0x100 all");
  map_and_unmap(d);
  EXPECT_EQ(atc_invs(), "0x100/5 2^0, 0x100/7 2^0, 0x100 2^0");
  remove(m, 5);
  EXPECT_EQ(d.masters, (std::vector<MasterDomain>{{&m, 7}, {&m, 0}}));
  EXPECT_EQ(atc_invs(), "0x100/5 all");
  map_and_unmap(d);
  EXPECT_EQ(atc_invs(), "0x100/7 2^0, 0x100 2^0");
}

// arm_smmu_enable_ats() empties the ATC of everything, whosever translation brings ATS on.
TEST_P(AtcOperandsTest, BeforeAtsComesOnAllIsEmptied) {
  Master& m = master(1, true);
  timed([&](lnx::Thread& t) -> Task<void> { co_await driver().attach_blocked(t, m); });
  Domain& d = used(m);
  EXPECT_EQ(atc_invs(), "0x100 all");
  set(m, 5, d);
  set(m, 6, d);
  EXPECT_EQ(atc_invs(), "0x100 all, 0x100/6 all");
}

INSTANTIATE_TEST_SUITE_P(Drivers, AtcOperandsTest,
                         ::testing::Values(DriverVersion::k6_12, DriverVersion::kNewest));

// The first command of a leaf's first use says leaf=0, those of the CDs leaf=1.
TEST(CdTables, OfALeafTheL1CdIsInvalidatedFirst) {
  class FirstUse : public DriverTest {
   public:
    FirstUse() : DriverTest(DriverVersion::k6_12) {
      driver_params.ssid_bits = 20;
      timed_hardware.emplace();
    }
    void TestBody() override {}
    std::vector<std::string> commands() {
      Master& m = master(2);
      Domain& d = used(m);
      const CommandQueueStat before = smmu().queue.stat();
      timed([&](lnx::Thread& t) -> Task<void> {
        EXPECT_EQ(co_await driver().attach_pasid(t, m, 1500, d), 0);
      });
      const CommandQueueStat after = smmu().queue.stat();
      std::vector<std::string> lines;
      for (auto i = before.commands + before.syncs; i < after.commands + after.syncs; ++i) {
        const hw::Command c = hw::decode_command(hardware().command(0, i)).value();
        lines.push_back(c.opcode == hw::Opcode::kSync
                            ? "SYNC"
                            : fmt::format("{:#x} {:#x}/{} leaf={:d}",
                                          static_cast<unsigned>(c.opcode), c.stream.value(),
                                          c.substream.value(), c.leaf));
      }
      return lines;
    }
  };
  const std::vector<std::string> of_cd = {"0x5 0x100/1500 leaf=1", "0x5 0x101/1500 leaf=1", "SYNC"};
  std::vector<std::string> expected = {"0x5 0x100/1500 leaf=0", "0x5 0x101/1500 leaf=0", "SYNC"};
  for (int step = 0; step < 2; ++step) {
    expected.insert(expected.end(), of_cd.begin(), of_cd.end());
  }
  EXPECT_EQ(FirstUse().commands(), expected);
}

}  // namespace
}  // namespace smmulab::smmu

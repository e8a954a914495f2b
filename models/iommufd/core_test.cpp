// SPDX-License-Identifier: Apache-2.0
// What the iommu core does when a device of a group refuses a domain: Linux 6.2 brings the whole
// group back, later ones the devices they tried (drivers/iommu/iommu.c of each).
#include <cerrno>
#include <deque>
#include <memory>
#include <string>
#include <utility>

#include "models/iommufd/ioctl_testing.hpp"

namespace smmulab::iommufd {
namespace {

using namespace testing;

// An attach takes 10 us and is refused for one device and domain.
class PickyDriver final : public smmu::CountedDriver {
 public:
  using CountedDriver::CountedDriver;

  Task<int> attach_dev(lnx::Thread& t, smmu::Master& master, smmu::Domain& domain) override {
    co_await t.run(10_us);
    const bool refused = &master == refused_master && &domain == refused_domain;
    if (!refused) {
      master.domain = &domain;
    }
    attaches.push_back(fmt::format("{} to {}", master.name, domain.id));
    co_return refused ? -EINVAL : 0;
  }
  Task<void> attach_blocked(lnx::Thread& /*t*/, smmu::Master& /*master*/) override { co_return; }
  [[nodiscard]] bool has_blocked_domain() const override { return true; }
  [[nodiscard]] bool finalises_at_alloc() const override { return true; }

  const smmu::Master* refused_master = nullptr;
  const smmu::Domain* refused_domain = nullptr;
  std::vector<std::string> attaches;
};

// Three devices on domain 1; the second one refuses domain 2.
class RevertTest : public lnx::LinuxTest {
 protected:
  RevertTest() {
    for (const char* name : {"a", "b", "c"}) {
      masters_.emplace_back().name = name;
      masters_.back().domain = &old_;
      group_.devices.push_back(&masters_.back());
    }
    group_.domain = group_.default_domain = &old_;
    driver.refused_master = &masters_[1];
    driver.refused_domain = &next_;
  }
  // Its result, with the time it takes.
  std::pair<int, Ps> attach() { return result_of(&IommuCore::attach_group); }
  std::pair<int, Ps> replace() { return result_of(&IommuCore::replace_group); }
  [[nodiscard]] bool all_on_old() const {
    return group_.domain == &old_ && std::ranges::all_of(masters_, [this](const auto& master) {
             return master.domain == &old_;
           });
  }

  smmu::DriverParams driver_params;
  IommufdParams iommufd_params = iommufd_params_without_costs();
  PickyDriver driver{machine(), driver_params};
  IommuCore core{machine(), driver, iommufd_params};

 private:
  std::pair<int, Ps> result_of(Task<int> (IommuCore::*op)(lnx::Thread&, IommuGroup&,
                                                          smmu::Domain&)) {
    std::pair<int, Ps> result;
    thread("T", 0, [&](lnx::Thread& t) -> Task<void> {
      co_await until(t, 0_us);
      result.first = co_await (core.*op)(t, group_, next_);
      result.second = engine.now() - kStart;
    });
    engine.run();
    return result;
  }
  smmu::Domain make_domain(std::uint32_t number) {
    return {machine(), lock_class("init_mutex"),
            lock_class("devices_lock", lnx::LockKind::kSpinlock), number};
  }

  smmu::Domain old_ = make_domain(1);
  smmu::Domain next_ = make_domain(2);
  std::deque<smmu::Master> masters_;
  IommuGroup group_{machine(), lock_class("group->mutex"), GroupId{0}};
};

// a: 10, b: 20, refused; back: a 30, b 40, and c, which never left, 50.
TEST_F(RevertTest, TheWholeGroupAsIn62) {
  core.set_reverts_whole_group(true);
  EXPECT_EQ(attach(), (std::pair{-EINVAL, Ps{50_us}}));
  EXPECT_EQ(driver.attaches, (Lines{"a to 2", "b to 2", "a to 1", "b to 1", "c to 1"}));
  EXPECT_TRUE(all_on_old());
}

// The drafts' replace of that time is on the same core.
TEST_F(RevertTest, TheWholeGroupAfterAReplaceOf62) {
  core.set_reverts_whole_group(true);
  EXPECT_EQ(replace(), (std::pair{-EINVAL, Ps{50_us}}));
  EXPECT_EQ(driver.attaches.size(), 5U);
  EXPECT_TRUE(all_on_old());
}

// a: 10, b: 20, refused; back: a 30, b 40.
TEST_F(RevertTest, ThoseTriedLaterOn) {
  EXPECT_EQ(attach(), (std::pair{-EINVAL, Ps{40_us}}));
  EXPECT_EQ(driver.attaches, (Lines{"a to 2", "b to 2", "a to 1", "b to 1"}));
  EXPECT_TRUE(all_on_old());
}

class RevertRuleTest : public ProtocolTest {};

TEST_P(RevertRuleTest, GoesByTheKernelVersion) {
  boot(GetParam());
  EXPECT_EQ(context().core().reverts_whole_group(),
            context().protocol().kernel() <= linux_version(6, 2));
}

INSTANTIATE_TEST_SUITE_P(Protocols, RevertRuleTest,
                         ::testing::Values("v6.2", "v6.4", "seed-lock-both", "igroup",
                                           "igroup-pasid"),
                         test_name);

}  // namespace
}  // namespace smmulab::iommufd

// SPDX-License-Identifier: Apache-2.0
// Fixture for tests: four devices, two IOASes, and every ioctl as a call that returns its errno; or
// several at once, of which it is known when each returned what.
#pragma once

#include <algorithm>
#include <cerrno>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "models/iommufd/iommufd.hpp"
#include "models/linux/testing.hpp"
#include "models/smmuv3/driver/counted_driver.hpp"

namespace smmulab::iommufd::testing {

inline constexpr std::uint64_t kMsi = kMsiBase.value();  // a device's reserved region, 1 MiB
inline constexpr ObjectId kIoas{1};
inline constexpr ObjectId kOther{2};
inline constexpr ObjectId kHwpt{11};
inline constexpr ObjectId kHwpt2{12};
inline constexpr ObjectId kAccess{21};
inline constexpr ObjectId kUnknown{99};
// Devices 0 and 1 share a group, 2 has its own, 3 is behind another SMMU.
inline constexpr DeviceIndex kDev{0};
inline constexpr DeviceIndex kPeer{1};
inline constexpr DeviceIndex kAlone{2};
inline constexpr DeviceIndex kElsewhere{3};

// Nothing costs time, but for what a test says.
[[nodiscard]] inline IommufdParams iommufd_params_without_costs() {
  IommufdParams params;
  ParamTable table;
  describe(table, params);
  for (const ParamInfo& info : table.describe()) {
    if (info.unit == "ps") {
      table.set(info.key, "0");
    }
  }
  return params;
}

class IoctlTest : public lnx::LinuxTest {
 protected:
  // On the driver of the protocol's own time.
  void boot(const std::string& protocol) {
    const bool old = protocol == "v6.2" || protocol == "seed-lock-both";
    boot(protocol, old ? smmu::DriverVersion::k6_2 : smmu::DriverVersion::k6_12);
  }
  void boot(const std::string& protocol, smmu::DriverVersion driver) {
    driver_params.version = driver;
    driver_ = smmu::make_counted_driver(machine(), driver_params);
    for (std::uint32_t i = 0; i < 2; ++i) {
      smmus_.emplace_back(machine(), driver_params, SmmuIndex{i});
    }
    for (std::uint32_t i = 0; i < 3; ++i) {
      groups_.emplace_back(machine(), lock_class("group->mutex"), GroupId{i});
    }
    dev_set_.emplace(machine(), DevSetId{0});
    add_device(0, 0);
    add_device(0, 0);
    add_device(1, 0);
    add_device(2, 1);
    core_.emplace(machine(), *driver_, iommufd_params);
    context_.emplace(machine(), *core_, iommufd_params);
    protocol_ = find_protocol(protocol).make(*context_, protocol_params);
    iommufd_.emplace(*context_, *protocol_, devices_);
  }
  void boot_with_ioas(const std::string& protocol) {
    boot(protocol);
    make_ioas();
  }
  void boot_with_ioas(const std::string& protocol, smmu::DriverVersion driver) {
    boot(protocol, driver);
    make_ioas();
  }
  void make_ioas() {
    EXPECT_EQ(ioas_alloc(kIoas), 0);
    EXPECT_EQ(ioas_alloc(kOther), 0);
    for (const DeviceIndex d : {kDev, kPeer, kAlone, kElsewhere}) {
      EXPECT_EQ(bind(d), 0);
    }
  }

  int bind(DeviceIndex d) { return result_of(&Iommufd::bind, d); }
  int unbind(DeviceIndex d) { return result_of(&Iommufd::unbind, d); }
  int ioas_alloc(ObjectId id) { return result_of(&Iommufd::ioas_alloc, id); }
  int ioas_destroy(ObjectId id) { return result_of(&Iommufd::ioas_destroy, id); }
  int hwpt_alloc(ObjectId id, DeviceIndex d, ObjectId pt, std::uint32_t flags = 0,
                 ObjectId fault = ObjectId{0}) {
    return result_of(&Iommufd::hwpt_alloc, id, d, pt, flags, fault);
  }
  int hwpt_invalidate(ObjectId id, std::uint64_t count) {
    return result_of(&Iommufd::hwpt_invalidate, id, count);
  }
  int set_dirty(ObjectId id, std::uint32_t flags) {
    return result_of(&Iommufd::set_dirty_tracking, id, flags);
  }
  int get_dirty(ObjectId id, std::uint64_t iova, std::uint64_t size, std::uint32_t flags = 0) {
    return result_of(&Iommufd::get_dirty_bitmap, id, Iova{iova}, Bytes{size}, flags);
  }
  int fault_alloc(ObjectId id) { return result_of(&Iommufd::fault_alloc, id); }
  int fault_destroy(ObjectId id) { return result_of(&Iommufd::fault_destroy, id); }
  int attach_pasid(DeviceIndex d, std::uint32_t pasid, ObjectId pt) {
    return result_of(&Iommufd::attach_pasid, d, pasid, pt);
  }
  int detach_pasid(DeviceIndex d, std::uint32_t pasid) {
    return result_of(&Iommufd::detach_pasid, d, pasid);
  }
  int msi_prepare(DeviceIndex d) { return result_of(&Iommufd::msi_prepare, d); }
  int reset_begin(DeviceIndex d) { return result_of(&Iommufd::reset_begin, d); }
  int reset_done(DeviceIndex d) { return result_of(&Iommufd::reset_done, d); }
  int hwpt_destroy(ObjectId id) { return result_of(&Iommufd::hwpt_destroy, id); }
  int attach(DeviceIndex d, ObjectId pt) { return result_of(&Iommufd::attach, d, pt); }
  int replace(DeviceIndex d, ObjectId pt) { return result_of(&Iommufd::replace, d, pt); }
  int detach(DeviceIndex d) { return result_of(&Iommufd::detach, d); }
  int unmap_all(ObjectId ioas) { return result_of(&Iommufd::unmap_all, ioas); }
  int allow_iovas(ObjectId ioas, std::uint64_t iova, std::uint64_t size) {
    return result_of(&Iommufd::allow_iovas, ioas, Iova{iova}, Bytes{size});
  }
  int map(ObjectId ioas, std::uint64_t iova, std::uint64_t size) {
    return result_of(&Iommufd::map, ioas, Iova{iova}, Bytes{size});
  }
  int unmap(ObjectId ioas, std::uint64_t iova, std::uint64_t size) {
    return result_of(&Iommufd::unmap, ioas, Iova{iova}, Bytes{size});
  }

  int copy(ObjectId from, std::uint64_t from_iova, ObjectId to, std::uint64_t to_iova,
           std::uint64_t size) {
    return result_of(&Iommufd::copy, Iommufd::CopyRange{from, Iova{from_iova}},
                     Iommufd::CopyRange{to, Iova{to_iova}}, Bytes{size});
  }
  int access_create(ObjectId id, bool deaf = false) {
    return result_of(&Iommufd::access_create, id, deaf);
  }
  int access_destroy(ObjectId id) { return result_of(&Iommufd::access_destroy, id); }
  int access_attach(ObjectId id, ObjectId ioas) {
    return result_of(&Iommufd::access_attach, id, ioas);
  }
  int access_detach(ObjectId id) { return result_of(&Iommufd::access_detach, id); }
  int pin(ObjectId access, std::uint64_t iova, std::uint64_t size) {
    return result_of(&Iommufd::pin, access, Iova{iova}, Bytes{size});
  }
  int unpin(ObjectId access, std::uint64_t iova, std::uint64_t size) {
    return result_of(&Iommufd::unpin, access, Iova{iova}, Bytes{size});
  }

  // One of several ioctls at once: in a thread of its own, on a CPU of its own, from that time on.
  template <class... Args>
  void ioctl_at(Ps from, const std::string& name, Task<int> (Iommufd::*op)(lnx::Thread&, Args...),
                std::type_identity_t<Args>... args) {
    if (at_once_ == 0) {
      line_ = engine.now() + (kStart - SimTime{});
    }
    thread(name, at_once_++,
           [=, this](lnx::Thread& t) { return perform(t, line_ + from, op, args...); });
  }
  // What each returned, and when.
  struct Return {
    int rc = 1;
    Ps at{0};
    friend bool operator==(const Return&, const Return&) = default;
    friend void PrintTo(const Return& r, std::ostream* out) {
      *out << fmt::format("{} at {}", r.rc, format_duration(r.at));
    }
  };
  using Returned = std::map<std::string, Return>;
  static Return returns(int rc, Ps at) { return {rc, at}; }
  Returned run_ioctls() {
    engine.run();
    at_once_ = 0;
    return std::exchange(returned_, {});
  }

  // What broke, after all operations; empty: nothing.
  std::string broken() {
    context_->invariants().check_end();
    std::string text;
    for (const BrokenInvariant& b : context_->invariants().broken()) {
      text += b.detail + "; ";
    }
    return text;
  }
  [[nodiscard]] Context& context() { return *context_; }

  // What the hardware translates the device with.
  [[nodiscard]] const smmu::Domain* domain_of(DeviceIndex d) const {
    return devices_[d.value()].master->domain;
  }
  [[nodiscard]] smmu::Master* master(DeviceIndex d) const { return devices_[d.value()].master; }
  [[nodiscard]] bool attached(DeviceIndex d) const { return devices_[d.value()].attached; }
  [[nodiscard]] std::uint32_t iopf_enabled(DeviceIndex d) const {
    return devices_[d.value()].iopf_enabled;
  }

  IommufdParams iommufd_params;
  ProtocolParams protocol_params;
  smmu::DriverParams driver_params;

 private:
  template <class... Args>
  int result_of(Task<int> (Iommufd::*op)(lnx::Thread&, Args...), Args... args) {
    int rc = 1;
    thread("T", 0,
           [&](lnx::Thread& t) -> Task<void> { rc = co_await ((*iommufd_).*op)(t, args...); });
    engine.run();
    return rc;
  }
  template <class... Args>
  Task<void> perform(lnx::Thread& t, SimTime from, Task<int> (Iommufd::*op)(lnx::Thread&, Args...),
                     Args... args) {
    co_await t.run(from - engine.now());
    const int rc = co_await ((*iommufd_).*op)(t, args...);
    returned_[t.name()] = {rc, engine.now() - line_};
  }
  void add_device(std::uint32_t group, std::uint32_t smmu) {
    smmu::Master& m = masters_.emplace_back();
    m.name = "dev" + std::to_string(masters_.size() - 1);
    m.smmu = &smmus_[smmu];
    m.stream_ids = {StreamId{static_cast<std::uint32_t>(masters_.size())}};
    IommuGroup& g = groups_[group];
    if (g.default_domain == nullptr) {
      g.domain = g.default_domain = &driver_->boot_domain(*m.smmu);
    }
    driver_->boot_attach(m, *g.default_domain);
    g.devices.push_back(&m);
    Device& d = devices_.emplace_back();
    d.master = &m;
    d.group = &g;
    d.dev_set = &*dev_set_;
  }

  std::unique_ptr<smmu::CountedDriver> driver_;
  std::deque<smmu::Smmu> smmus_;
  std::deque<smmu::Master> masters_;
  std::deque<IommuGroup> groups_;
  std::optional<DevSet> dev_set_;
  std::deque<Device> devices_;
  std::optional<IommuCore> core_;
  std::optional<Context> context_;
  std::unique_ptr<Protocol> protocol_;
  std::optional<Iommufd> iommufd_;
  SimTime line_{};  // of ioctl_at()
  std::uint32_t at_once_ = 0;
  Returned returned_;
};

// All but those that exclude nobody.
inline std::vector<std::string> protocols_with_locks() {
  std::vector<std::string> names;
  for (const ProtocolInfo& info : protocols()) {
    if (std::ranges::find(info.hazards, "unlocked") == info.hazards.end()) {
      names.emplace_back(info.name);
    }
  }
  return names;
}

inline std::string test_name(const ::testing::TestParamInfo<std::string>& test) {
  std::string name = test.param;
  std::erase_if(name, [](char c) { return c == '-' || c == '.'; });
  return name;
}

class ProtocolTest : public IoctlTest, public ::testing::WithParamInterface<std::string> {};

}  // namespace smmulab::iommufd::testing

// SPDX-License-Identifier: Apache-2.0
#include "workloads/covering_set.hpp"

#include <cerrno>
#include <utility>

#include <fmt/format.h>

#include "models/iommufd/limits.hpp"
#include "workloads/trace_writer.hpp"

namespace smmulab::workloads {
namespace {

// Devices: two alone, two that share a group (in device sets of their own, else VFIO lets them meet
// never), one with ATS, one behind another SMMU, whose hwpts the others can not use.
constexpr DeviceIndex kAlone{0};
constexpr DeviceIndex kOther{1};
constexpr DeviceIndex kGroupA{2};
constexpr DeviceIndex kGroupB{3};
constexpr DeviceIndex kAts{4};
constexpr DeviceIndex kFar{5};
constexpr std::uint32_t kThreads = 3;

// IOASes and hwpts, as most workloads have them.
constexpr ObjectId kIoas{1};
constexpr ObjectId kIoas2{2};
constexpr ObjectId kX{11};
constexpr ObjectId kY{12};
constexpr ObjectId kFarHwpt{15};
constexpr ObjectId kAccess{21};
constexpr ObjectId kFault{31};
constexpr std::uint32_t kNestParent = iommufd::HwptFlag::kNestParent;
constexpr std::uint32_t kDirtyTracking = iommufd::HwptFlag::kDirtyTracking;
constexpr std::uint32_t kFaultIdValid = iommufd::HwptFlag::kFaultIdValid;
constexpr std::uint32_t kForPasids = iommufd::HwptFlag::kPasid;
constexpr Iova kArea{0x100000};
constexpr Bytes kSize{0x4000};
constexpr Iova kMsiWindow = iommufd::kMsiBase;

TraceHeader header() {
  TraceHeader h;
  h.cpus = {{0, 0}, {0, 0}, {0, 0}};
  h.smmu_count = 2;
  const std::vector<std::uint32_t> groups = {0, 1, 2, 2, 3, 4};
  for (std::uint32_t i = 0; i < groups.size(); ++i) {
    h.devsets.emplace_back(i);
    if (h.groups.empty() || h.groups.back() != GroupId{groups[i]}) {
      h.groups.emplace_back(groups[i]);
    }
    DeviceRecord device;
    device.name = fmt::format("0000:00:{:02x}.0", i + 2);
    device.stream_ids = {StreamId{0x10 + 8 * i}};
    device.group = GroupId{groups[i]};
    device.devset = DevSetId{i};
    device.ats = DeviceIndex{i} == kAts;
    device.smmu = SmmuIndex{DeviceIndex{i} == kFar ? 1U : 0U};
    h.devices.push_back(std::move(device));
  }
  for (std::uint32_t t = 0; t < kThreads; ++t) {
    h.threads.push_back({fmt::format("t{}", t), CpuId{t}});
  }
  return h;
}

// Writes operations down, each by the next thread.
class Script {
 public:
  explicit Script(std::string name) : workload_{std::move(name), header(), {}} {}

  Script& bind(DeviceIndex dev) { return on_device(OpKind::kBind, dev, kNoObject); }
  Script& unbind(DeviceIndex dev) { return on_device(OpKind::kUnbind, dev, kNoObject); }
  Script& ioas(ObjectId id) { return on_object(OpKind::kIoasAlloc, id); }
  Script& ioas_destroy(ObjectId id) { return on_object(OpKind::kIoasDestroy, id); }
  Script& hwpt(ObjectId id, DeviceIndex dev, ObjectId ioas) {
    Op op = make(OpKind::kHwptAlloc);
    op.object = id;
    op.device = dev;
    op.pt = ioas;
    return add(op);
  }
  Script& hwpt_destroy(ObjectId id) { return on_object(OpKind::kHwptDestroy, id); }
  Script& attach(DeviceIndex dev, ObjectId pt) { return on_device(OpKind::kAttach, dev, pt); }
  Script& replace(DeviceIndex dev, ObjectId pt) { return on_device(OpKind::kReplace, dev, pt); }
  Script& detach(DeviceIndex dev) { return on_device(OpKind::kDetach, dev, kNoObject); }
  Script& map(ObjectId ioas, Iova iova = kArea) { return on_range(OpKind::kMap, ioas, iova); }
  Script& unmap(ObjectId ioas, Iova iova = kArea) { return on_range(OpKind::kUnmap, ioas, iova); }
  Script& copy(ObjectId from, ObjectId to, Iova iova) {
    on_range(OpKind::kCopy, to, iova);
    workload_.ops.back().pt = from;
    workload_.ops.back().source = kArea;
    return *this;
  }
  Script& length(Bytes length) {
    workload_.ops.back().length = length;
    return *this;
  }
  Script& flags(std::uint32_t flags) {
    workload_.ops.back().flags = flags;
    return *this;
  }
  Script& number(std::uint32_t number) {
    workload_.ops.back().number = number;
    return *this;
  }
  Script& with_fault(ObjectId fault) {
    workload_.ops.back().got = fault;
    return flags(kFaultIdValid);
  }
  Script& fault(OpKind kind) { return on_object(kind, kFault); }
  Script& set_dirty(ObjectId hwpt) {
    return on_object(OpKind::kSetDirty, hwpt).flags(iommufd::kDirtyEnable);
  }
  Script& get_dirty(ObjectId hwpt) { return on_range(OpKind::kGetDirty, hwpt, kArea); }
  Script& invalidate(ObjectId hwpt) { return on_object(OpKind::kHwptInvalidate, hwpt).number(100); }
  Script& pasid(DeviceIndex dev, std::uint32_t number, ObjectId pt) {
    return on_device(OpKind::kAttachPasid, dev, pt).number(number);
  }
  Script& no_pasid(DeviceIndex dev, std::uint32_t pasid) {
    return on_device(OpKind::kDetachPasid, dev, kNoObject).number(pasid);
  }
  Script& of_device(OpKind kind, DeviceIndex dev) { return on_device(kind, dev, kNoObject); }
  Script& access(OpKind kind, ObjectId id = kAccess) { return on_object(kind, id); }
  Script& access_attach(ObjectId ioas, ObjectId id = kAccess) {
    on_object(OpKind::kAccessAttach, id);
    workload_.ops.back().pt = ioas;
    return *this;
  }
  Script& pin(ObjectId id = kAccess) { return on_range(OpKind::kPin, id, kArea); }
  Script& unpin(ObjectId id = kAccess) { return on_range(OpKind::kUnpin, id, kArea); }
  Script& unmap_all(ObjectId ioas) { return on_object(OpKind::kUnmapAll, ioas); }
  // The last operation fails in a real kernel.
  Script& fails(int error) {
    workload_.ops.back().ret = static_cast<std::int16_t>(-error);
    return *this;
  }
  // X and Y in one IOAS, or X in the first and Y in the second.
  Script& two_hwpts(DeviceIndex dev, ObjectId ioas_of_y) {
    ioas(kIoas);
    if (ioas_of_y != kIoas) {
      ioas(ioas_of_y).map(ioas_of_y);
    }
    return map(kIoas).hwpt(kX, dev, kIoas).hwpt(kY, dev, ioas_of_y);
  }

  CoveringWorkload done() { return std::move(workload_); }

 private:
  Op make(OpKind kind) {
    Op op;
    op.kind = kind;
    op.issue = SimTime{Ps{static_cast<std::int64_t>(workload_.ops.size()) * 1'000'000}};
    op.thread = ThreadIndex{static_cast<std::uint32_t>(workload_.ops.size()) % kThreads};
    return op;
  }
  Script& add(const Op& op) {
    workload_.ops.push_back(op);
    return *this;
  }
  Script& on_device(OpKind kind, DeviceIndex dev, ObjectId pt) {
    Op op = make(kind);
    op.device = dev;
    op.pt = pt;
    return add(op);
  }
  Script& on_object(OpKind kind, ObjectId id) {
    Op op = make(kind);
    op.object = id;
    return add(op);
  }
  Script& on_range(OpKind kind, ObjectId ioas, Iova iova) {
    Op op = make(kind);
    op.object = ioas;
    op.iova = iova;
    op.length = kSize;
    return add(op);
  }

  CoveringWorkload workload_;
};

CoveringWorkload one_hwpt() {
  Script s("one-hwpt");
  s.bind(kAlone).two_hwpts(kAlone, kIoas).attach(kAlone, kX);
  s.map(kIoas, Iova{0x200000}).unmap(kIoas, Iova{0x200000});
  s.replace(kAlone, kY).replace(kAlone, kX).replace(kAlone, kX).detach(kAlone);
  s.hwpt_destroy(kY).hwpt_destroy(kX).unmap_all(kIoas).map(kIoas).ioas_destroy(kIoas);
  return s.unbind(kAlone).done();
}

// Each hwpt empties at times and at times keeps its other device.
CoveringWorkload both_directions(std::string name, ObjectId ioas_of_y) {
  Script s(std::move(name));
  s.bind(kAlone).bind(kOther).two_hwpts(kAlone, ioas_of_y);
  s.attach(kAlone, kX).attach(kOther, kY);
  s.replace(kAlone, kY).replace(kOther, kX).replace(kAlone, kX).replace(kOther, kY);
  s.map(kIoas, Iova{0x200000}).unmap(kIoas).detach(kAlone).attach(kAlone, kY);
  return s.detach(kOther).detach(kAlone).hwpt_destroy(kX).hwpt_destroy(kY).done();
}

// The same with a device on each hwpt that stays, so that no replace fills or empties one.
CoveringWorkload shared(std::string name, ObjectId ioas_of_y) {
  Script s(std::move(name));
  s.bind(kAlone).bind(kOther).bind(kGroupA).bind(kAts).two_hwpts(kAlone, ioas_of_y);
  s.attach(kGroupA, kX).attach(kAts, kY).attach(kAlone, kX).attach(kOther, kY);
  s.replace(kAlone, kY).replace(kOther, kX).replace(kAlone, kX).replace(kOther, kY);
  return s.detach(kAlone).detach(kOther).detach(kGroupA).detach(kAts).done();
}

// Across two IOASes between different pairs of hwpts: no lock of an hwpt is common to both ways.
CoveringWorkload crossing() {
  constexpr ObjectId kX2{13};
  constexpr ObjectId kY2{14};
  Script s("crossing-two-ioases");
  s.bind(kAlone).bind(kOther).two_hwpts(kAlone, kIoas2);
  s.hwpt(kX2, kOther, kIoas).hwpt(kY2, kOther, kIoas2).attach(kAlone, kX).attach(kOther, kY2);
  s.replace(kAlone, kY).replace(kOther, kX2).replace(kAlone, kX).replace(kOther, kY2);
  return s.detach(kAlone).detach(kOther).hwpt_destroy(kX2).hwpt_destroy(kY2).done();
}

// By IOAS id: the kernel finds or makes an hwpt, and destroys it with its last device.
CoveringWorkload automatic() {
  Script s("automatic");
  s.bind(kAlone).bind(kOther).ioas(kIoas).ioas(kIoas2).map(kIoas).map(kIoas2);
  s.hwpt(kX, kAlone, kIoas).hwpt(kY, kAlone, kIoas2);
  s.attach(kAlone, kIoas).attach(kOther, kIoas).replace(kAlone, kIoas);
  s.bind(kFar).attach(kFar, kIoas).detach(kFar);      // finds one that it can not use
  s.replace(kAlone, kIoas2).replace(kOther, kIoas2);  // shared, then its last
  s.replace(kAlone, kIoas).replace(kOther, kIoas);    // and back
  s.replace(kAlone, kX).replace(kOther, kY);          // to hwpts of either IOAS
  s.replace(kAlone, kIoas2).replace(kOther, kIoas);   // and to the other's
  s.map(kIoas, Iova{0x200000}).unmap(kIoas2);
  s.detach(kAlone).detach(kOther).hwpt_destroy(kX).hwpt_destroy(kY);
  return s.ioas_destroy(kIoas).ioas_destroy(kIoas2).unbind(kOther).unbind(kAlone).done();
}

CoveringWorkload group() {
  Script s("group-of-two");
  s.bind(kGroupA).bind(kGroupB).bind(kAlone).two_hwpts(kGroupA, kIoas2);
  s.attach(kGroupA, kX).attach(kGroupB, kX).replace(kGroupA, kY).replace(kGroupB, kY);
  s.replace(kGroupB, kX).replace(kGroupA, kX).detach(kGroupA).detach(kGroupB);
  s.attach(kAlone, kY).attach(kGroupA, kIoas2).attach(kGroupB, kIoas2);
  s.replace(kGroupA, kIoas).replace(kGroupB, kIoas).detach(kGroupB).detach(kGroupA);
  return s.unbind(kGroupA).unbind(kGroupB).unbind(kAlone).done();  // unbinds an attached one, too
}

CoveringWorkload ats() {
  Script s("ats");
  s.bind(kAts).bind(kAlone).two_hwpts(kAts, kIoas).attach(kAts, kX).attach(kAlone, kX);
  s.map(kIoas, Iova{0x200000}).unmap(kIoas).replace(kAts, kY).replace(kAlone, kY);
  s.unmap_all(kIoas).detach(kAts).detach(kAlone);
  return s.hwpt_destroy(kX).hwpt_destroy(kY).done();
}

// An area in the MSI window keeps a device from its IOAS; objects in use are not destroyed.
CoveringWorkload failures() {
  Script s("failures");
  s.bind(kAlone).bind(kOther).ioas(kIoas).ioas(kIoas2).map(kIoas2, kMsiWindow);
  s.hwpt(kX, kAlone, kIoas).hwpt(kY, kAlone, kIoas2);
  s.attach(kAlone, kY).fails(EADDRINUSE).attach(kAlone, kIoas2).fails(EADDRINUSE);
  s.attach(kAlone, kX).replace(kAlone, kY).fails(EADDRINUSE);
  s.replace(kAlone, kIoas2).fails(EADDRINUSE);
  s.bind(kFar).hwpt(kFarHwpt, kFar, kIoas).attach(kFar, kFarHwpt);
  s.attach(kOther, kFarHwpt).fails(EINVAL).replace(kAlone, kFarHwpt).fails(EINVAL);
  s.hwpt_destroy(kX).fails(EBUSY).ioas_destroy(kIoas).fails(EBUSY);
  s.unmap(kIoas).fails(ENOENT).map(kIoas).map(kIoas).fails(EEXIST);
  s.map(kIoas, kMsiWindow).fails(EINVAL);
  s.detach(kFar).hwpt_destroy(kFarHwpt);
  return s.detach(kAlone).unbind(kOther).hwpt_destroy(kY).ioas_destroy(kIoas2).done();
}

// Memory that two IOASes share, each with a domain, filled and emptied in either order.
CoveringWorkload copies() {
  Script s("copies");
  s.bind(kAlone).bind(kOther).two_hwpts(kAlone, kIoas2).attach(kAlone, kX).attach(kOther, kY);
  s.copy(kIoas, kIoas2, Iova{0x200000}).copy(kIoas, kIoas, Iova{0x200000}).unmap(kIoas);
  s.copy(kIoas2, kIoas, kArea).unmap(kIoas2, Iova{0x200000}).unmap(kIoas2);
  s.copy(kIoas2, kIoas, Iova{0x300000}).fails(ENOENT).copy(kIoas, kIoas, kArea).fails(EEXIST);
  s.detach(kAlone).detach(kOther).hwpt_destroy(kX).hwpt_destroy(kY);
  return s.ioas_destroy(kIoas2).ioas_destroy(kIoas).done();
}

// Pins with and without a domain; unmaps that take them away; two accesses of one ioas.
CoveringWorkload accesses() {
  constexpr ObjectId kSecond{22};
  Script s("accesses");
  s.bind(kAlone).two_hwpts(kAlone, kIoas2);
  s.access(OpKind::kAccessCreate).access_attach(kIoas).pin().unpin().attach(kAlone, kX).pin();
  s.access(OpKind::kAccessCreate, kSecond).access_attach(kIoas, kSecond).pin(kSecond);
  s.unmap(kIoas).map(kIoas).pin().detach(kAlone).hwpt_destroy(kX).unpin().pin(kSecond);
  s.access_attach(kIoas2).pin().access(OpKind::kAccessDetach).pin().fails(ENOENT);
  s.access_attach(kIoas2).map(kIoas2, Iova{kArea.value() + kSize.value()});
  s.pin().length(Bytes{3 * kSize.value()}).fails(ENOENT);  // gives two areas back
  s.access(OpKind::kAccessDestroy).access(OpKind::kAccessDestroy, kSecond);
  return s.hwpt_destroy(kY).ioas_destroy(kIoas).ioas_destroy(kIoas2).done();
}

// Hazard H10: its owner keeps what user space unmaps, until it lets go by itself.
CoveringWorkload deaf_access() {
  Script s("deaf-access");
  s.bind(kAlone).two_hwpts(kAlone, kIoas).attach(kAlone, kX);
  s.access(OpKind::kAccessCreate).flags(kAccessIgnoresUnmap).access_attach(kIoas).pin();
  s.unmap(kIoas).fails(EDEADLOCK).unpin().unmap(kIoas).access(OpKind::kAccessDestroy);
  return s.detach(kAlone).hwpt_destroy(kX).hwpt_destroy(kY).ioas_destroy(kIoas).done();
}

// Younger than some protocols and drivers, which refuse them.
CoveringWorkload nesting() {
  constexpr ObjectId kParent{13};
  Script s("nesting");
  s.bind(kAlone).bind(kOther).ioas(kIoas).map(kIoas).fault(OpKind::kFaultAlloc);
  s.hwpt(kParent, kAlone, kIoas).flags(kNestParent).hwpt(kX, kAlone, kParent);
  s.hwpt(kY, kAlone, kParent).with_fault(kFault).attach(kAlone, kX).attach(kOther, kY);
  s.invalidate(kX).replace(kAlone, kY).replace(kAlone, kX).replace(kAlone, kParent);
  s.unmap(kIoas).map(kIoas).detach(kOther).replace(kAlone, kX).detach(kAlone);
  s.hwpt_destroy(kX).hwpt_destroy(kY).hwpt_destroy(kParent);
  return s.fault(OpKind::kFaultDestroy).ioas_destroy(kIoas).done();
}

CoveringWorkload dirty_tracking() {
  Script s("dirty-tracking");
  s.bind(kAlone).ioas(kIoas).map(kIoas).hwpt(kX, kAlone, kIoas).flags(kDirtyTracking);
  s.attach(kAlone, kX).set_dirty(kX).get_dirty(kX).unmap(kIoas).get_dirty(kX);
  return s.detach(kAlone).hwpt_destroy(kX).ioas_destroy(kIoas).done();
}

CoveringWorkload faults() {
  Script s("faults");
  s.bind(kAlone).bind(kGroupA).bind(kGroupB).ioas(kIoas).fault(OpKind::kFaultAlloc);
  s.hwpt(kX, kAlone, kIoas).with_fault(kFault).hwpt(kY, kAlone, kIoas);
  s.attach(kAlone, kX).replace(kAlone, kY).replace(kAlone, kX).detach(kAlone);
  s.attach(kGroupA, kX).attach(kGroupB, kX).replace(kGroupB, kY).detach(kGroupA).detach(kGroupB);
  s.hwpt_destroy(kX).hwpt_destroy(kY);
  return s.fault(OpKind::kFaultDestroy).ioas_destroy(kIoas).done();
}

CoveringWorkload pasids() {
  Script s("pasids");
  s.bind(kAlone).bind(kGroupA).bind(kGroupB).ioas(kIoas).ioas(kIoas2).map(kIoas);
  s.hwpt(kX, kAlone, kIoas).flags(kForPasids).hwpt(kY, kAlone, kIoas2).flags(kForPasids);
  s.pasid(kAlone, 1, kX).attach(kAlone, kX).pasid(kAlone, 1, kY).pasid(kAlone, 2, kX);
  s.pasid(kGroupA, 1, kX).pasid(kGroupB, 1, kX).pasid(kGroupA, 1, kY).no_pasid(kGroupA, 1);
  s.no_pasid(kGroupB, 1).replace(kAlone, kY).detach(kAlone).no_pasid(kAlone, 1).unbind(kAlone);
  s.hwpt_destroy(kX).hwpt_destroy(kY).ioas_destroy(kIoas2);
  return s.ioas_destroy(kIoas).done();
}

CoveringWorkload device_events() {
  Script s("device-events");
  s.bind(kAlone).of_device(OpKind::kMsiPrepare, kAlone).two_hwpts(kAlone, kIoas);
  s.attach(kAlone, kX).of_device(OpKind::kMsiPrepare, kAlone).replace(kAlone, kY);
  s.of_device(OpKind::kMsiPrepare, kAlone).detach(kAlone).hwpt_destroy(kX).hwpt_destroy(kY);
  return s.ioas_destroy(kIoas).unbind(kAlone).done();
}

// Of a device with ATS; attach and replace have to wait for its end (hazard H13).
CoveringWorkload resets() {
  Script s("resets");
  s.bind(kAts).ioas(kIoas).ioas(kIoas2).map(kIoas);
  s.hwpt(kX, kAts, kIoas).flags(kForPasids).hwpt(kY, kAts, kIoas2).flags(kForPasids);
  s.of_device(OpKind::kResetBegin, kAts)
      .attach(kAts, kX)
      .fails(EBUSY)
      .of_device(OpKind::kResetDone, kAts)
      .attach(kAts, kX);
  s.pasid(kAts, 1, kY).of_device(OpKind::kResetBegin, kAts).replace(kAts, kY).fails(EBUSY);
  s.of_device(OpKind::kResetDone, kAts).replace(kAts, kY).no_pasid(kAts, 1).detach(kAts);
  return s.hwpt_destroy(kX).hwpt_destroy(kY).ioas_destroy(kIoas2).ioas_destroy(kIoas).done();
}

}  // namespace

std::vector<CoveringWorkload> covering_set() {
  std::vector<CoveringWorkload> set;
  set.push_back(one_hwpt());
  set.push_back(both_directions("both-directions", kIoas));
  set.push_back(both_directions("two-ioases", kIoas2));
  set.push_back(shared("shared-hwpts", kIoas));
  set.push_back(shared("shared-hwpts-two-ioases", kIoas2));
  set.push_back(crossing());
  set.push_back(automatic());
  set.push_back(group());
  set.push_back(ats());
  set.push_back(failures());
  set.push_back(copies());
  set.push_back(accesses());
  set.push_back(deaf_access());
  set.push_back(nesting());
  set.push_back(dirty_tracking());
  set.push_back(faults());
  set.push_back(pasids());
  set.push_back(device_events());
  set.push_back(resets());
  return set;
}

void write_workload(const CoveringWorkload& workload, const std::string& path) {
  TraceWriter writer(path, workload.header);
  for (std::size_t i = 0; i < workload.ops.size(); ++i) {
    writer.phase(fmt::format("step{}", i));
    writer.write(workload.ops[i]);
  }
  writer.finish();
}

}  // namespace smmulab::workloads

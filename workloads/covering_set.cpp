// SPDX-License-Identifier: Apache-2.0
#include "workloads/covering_set.hpp"

#include <cerrno>
#include <utility>

#include <fmt/format.h>

#include "workloads/covering_script.hpp"
#include "workloads/trace_writer.hpp"

namespace smmulab::workloads {
namespace {

using namespace covering;  // NOLINT(google-build-using-namespace): the words of the scripts

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

// The second device asks for another ioas than its group is on, which is refused but for hazard H5;
// then the first one's automatic hwpt goes with the group still on its domain.
CoveringWorkload group_with_ats() {
  Script s("group-with-ats");
  s.bind(kGroupAts).bind(kGroupMate).ioas(kIoas).ioas(kIoas2).map(kIoas).map(kIoas2);
  s.attach(kGroupAts, kIoas).attach(kGroupMate, kIoas).unmap(kIoas).map(kIoas);
  s.detach(kGroupMate).attach(kGroupMate, kIoas2).fails(EINVAL).detach(kGroupAts);
  return s.unbind(kGroupMate).unbind(kGroupAts).ioas_destroy(kIoas).ioas_destroy(kIoas2).done();
}

// An area in the MSI window keeps a device from its IOAS; objects in use are not destroyed; driver
// 6.2 maps into no domain that nothing was ever attached to.
CoveringWorkload failures() {
  constexpr ObjectId kIoas3{3};
  constexpr ObjectId kNeverAttached{16};
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
  s.ioas(kIoas3).hwpt(kNeverAttached, kAlone, kIoas3).map(kIoas3).hwpt_destroy(kNeverAttached);
  s.ioas_destroy(kIoas3);
  s.detach(kAlone).unbind(kOther).hwpt_destroy(kY).allow_iovas(kIoas);
  return s.ioas_destroy(kIoas2).done();
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
  set.push_back(group_with_ats());
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

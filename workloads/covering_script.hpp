// SPDX-License-Identifier: Apache-2.0
// How the workloads of the covering set (covering_set.hpp) are written down, and the machine, the
// devices and the objects that they share.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "models/iommufd/limits.hpp"
#include "workloads/covering_set.hpp"

namespace smmulab::workloads::covering {

// Devices: two alone, two that share a group (in device sets of their own, else VFIO lets them meet
// never), one with ATS, one behind another SMMU, whose hwpts the others can not use, two that share
// a group, one of them with ATS.
inline constexpr DeviceIndex kAlone{0};
inline constexpr DeviceIndex kOther{1};
inline constexpr DeviceIndex kGroupA{2};
inline constexpr DeviceIndex kGroupB{3};
inline constexpr DeviceIndex kAts{4};
inline constexpr DeviceIndex kFar{5};
inline constexpr DeviceIndex kGroupAts{6};
inline constexpr DeviceIndex kGroupMate{7};
inline constexpr std::uint32_t kThreads = 3;

// IOASes and hwpts, as most workloads have them.
inline constexpr ObjectId kIoas{1};
inline constexpr ObjectId kIoas2{2};
inline constexpr ObjectId kX{11};
inline constexpr ObjectId kY{12};
inline constexpr ObjectId kFarHwpt{15};
inline constexpr ObjectId kAccess{21};
inline constexpr ObjectId kFault{31};
inline constexpr std::uint32_t kNestParent = iommufd::HwptFlag::kNestParent;
inline constexpr std::uint32_t kDirtyTracking = iommufd::HwptFlag::kDirtyTracking;
inline constexpr std::uint32_t kFaultIdValid = iommufd::HwptFlag::kFaultIdValid;
inline constexpr std::uint32_t kForPasids = iommufd::HwptFlag::kPasid;
inline constexpr Iova kArea{0x100000};
inline constexpr Bytes kSize{0x4000};
inline constexpr Iova kMsiWindow = iommufd::kMsiBase;

// The machine: a CPU for each thread, two SMMUs, the devices above.
[[nodiscard]] TraceHeader header();

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
  Script& allow_iovas(ObjectId ioas) { return on_range(OpKind::kAllowIovas, ioas, kArea); }
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
  Script& two_hwpts(DeviceIndex dev, ObjectId ioas_of_y);

  CoveringWorkload done() { return std::move(workload_); }

 private:
  [[nodiscard]] Op make(OpKind kind) const;
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

}  // namespace smmulab::workloads::covering

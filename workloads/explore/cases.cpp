// SPDX-License-Identifier: Apache-2.0
#include "workloads/explore/cases.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "models/iommufd/limits.hpp"
#include "workloads/op_text.hpp"
#include "workloads/system.hpp"

namespace smmulab::explore {
namespace {

using workloads::Op;
using workloads::OpKind;

constexpr ObjectId kIoas{1};
constexpr ObjectId kIoas2{2};
constexpr ObjectId kX{11};
constexpr ObjectId kY{12};
constexpr ObjectId kParent{13};
constexpr ObjectId kNested{14};
constexpr ObjectId kAccess{21};
constexpr std::uint64_t kArea = 0x100000;
constexpr std::uint64_t kSize = 0x4000;

// Two devices, each in a device set of its own: in groups of their own, or in one.
workloads::TraceHeader header(bool one_group) {
  workloads::TraceHeader h;
  h.cpus = {{0, 0}, {0, 0}};
  h.smmu_count = 1;
  h.groups.emplace_back(0);
  if (!one_group) {
    h.groups.emplace_back(1);
  }
  for (std::uint32_t i = 0; i < 2; ++i) {
    h.devsets.emplace_back(i);
    workloads::DeviceRecord device;
    device.name = fmt::format("d{}", i);
    device.stream_ids = {StreamId{0x10 + i}};
    device.group = GroupId{one_group ? 0 : i};
    device.devset = DevSetId{i};
    h.devices.push_back(std::move(device));
    h.threads.push_back({fmt::format("t{}", i), CpuId{i}});
  }
  return h;
}

Op on_device(OpKind kind, std::uint32_t device, ObjectId pt = workloads::kNoObject) {
  Op op;
  op.kind = kind;
  op.device = DeviceIndex{device};
  op.pt = pt;
  return op;
}

Op on_object(OpKind kind, ObjectId object) {
  Op op;
  op.kind = kind;
  op.object = object;
  op.iova = Iova{kArea};
  op.length = Bytes{kSize};
  return op;
}

Op hwpt_alloc(ObjectId hwpt, ObjectId pt, std::uint32_t flags = 0) {
  Op op = on_device(OpKind::kHwptAlloc, 0, pt);
  op.object = hwpt;
  op.flags = flags;
  return op;
}

Op access_attach(ObjectId access, ObjectId ioas) {
  Op op = on_object(OpKind::kAccessAttach, access);
  op.pt = ioas;
  return op;
}

Op pasid(std::uint32_t device, ObjectId hwpt) {
  Op op = on_device(OpKind::kAttachPasid, device, hwpt);
  op.number = 1;
  return op;
}

// Both devices bound; X in the first ioas, Y in that of `ioas_of_y`; an area in each ioas.
Case make(std::string name, std::string summary, bool one_group, ObjectId ioas_of_y) {
  Case c{std::move(name), std::move(summary), header(one_group), {}, {"t0", "t1"}, {}};
  c.set_up = {on_device(OpKind::kBind, 0), on_device(OpKind::kBind, 1),
              on_object(OpKind::kIoasAlloc, kIoas), on_object(OpKind::kMap, kIoas)};
  if (ioas_of_y != kIoas) {
    c.set_up.push_back(on_object(OpKind::kIoasAlloc, ioas_of_y));
    c.set_up.push_back(on_object(OpKind::kMap, ioas_of_y));
  }
  c.set_up.push_back(hwpt_alloc(kX, kIoas));
  c.set_up.push_back(hwpt_alloc(kY, ioas_of_y));
  return c;
}

Case crossing(std::string name, std::string summary, ObjectId ioas_of_y) {
  Case c = make(std::move(name), std::move(summary), false, ioas_of_y);
  c.set_up.push_back(on_device(OpKind::kAttach, 0, kX));
  c.set_up.push_back(on_device(OpKind::kAttach, 1, kY));
  c.ops = {{{on_device(OpKind::kReplace, 0, kY), 0, {}}},
           {{on_device(OpKind::kReplace, 1, kX), 1, {}}}};
  return c;
}

Case attach_detach() {
  Case c = make("attach-detach", "one attached to X is detached, another one attached to X", false,
                kIoas);
  c.set_up.push_back(on_device(OpKind::kAttach, 0, kX));
  c.ops = {{{on_device(OpKind::kDetach, 0), 0, {}}}, {{on_device(OpKind::kAttach, 1, kX), 1, {}}}};
  return c;
}

// By IOAS id: ioas->mutex is outermost where one is attached, and taken where the automatic hwpt
// goes with its last device, who finds it there or not.
Case automatic(std::string name, std::string summary, bool one_group) {
  Case c = make(std::move(name), std::move(summary), one_group, kIoas);
  c.set_up.push_back(on_device(OpKind::kAttach, 0, kIoas));
  c.ops = {{{on_device(OpKind::kDetach, 0), 0, {}}},
           {{on_device(OpKind::kAttach, 1, kIoas), 1, {}}}};
  return c;
}

Case group(std::string name, std::string summary, const Op& second) {
  Case c = make(std::move(name), std::move(summary), true, kIoas);
  c.set_up.push_back(on_device(OpKind::kAttach, 0, kX));
  c.set_up.push_back(on_device(OpKind::kAttach, 1, kX));
  c.ops = {{{on_device(OpKind::kDetach, 0), 0, {}}}, {{second, 1, {}}}};
  return c;
}

// The pin may come before the unmap, be taken away by it, or find that it has begun.
Case unmap_pin() {
  Case c = make("unmap-pin", "an area is unmapped, an access pins it", false, kIoas);
  c.set_up.push_back(on_device(OpKind::kAttach, 0, kX));
  c.set_up.push_back(on_object(OpKind::kAccessCreate, kAccess));
  c.set_up.push_back(access_attach(kAccess, kIoas));
  c.ops = {{{on_object(OpKind::kUnmap, kIoas), 0, {}}},
           {{on_object(OpKind::kPin, kAccess), 1, {}}}};
  return c;
}

// The copy shares the memory of what is unmapped.
Case copy_unmap() {
  Case c = make("copy-unmap", "an area is copied to another ioas and unmapped", false, kIoas2);
  c.set_up.push_back(on_device(OpKind::kAttach, 0, kX));
  c.set_up.push_back(on_device(OpKind::kAttach, 1, kY));
  Op copy = on_object(OpKind::kCopy, kIoas2);
  copy.pt = kIoas;
  copy.source = Iova{kArea};
  copy.iova = Iova{kArea + kSize};
  c.ops = {{{copy, 0, {}}}, {{on_object(OpKind::kUnmap, kIoas), 1, {}}}};
  return c;
}

// Of a group: PASID 1 goes from X to Y while the other device joins it, and attaches its RID.
Case pasid_replace() {
  Case c = make("pasid-replace", "of a group, one replaces its PASID, the other attaches to it",
                true, kIoas);
  for (Op& op : c.set_up) {
    op.flags = op.kind == OpKind::kHwptAlloc ? iommufd::HwptFlag::kPasid : op.flags;
  }
  c.set_up.push_back(pasid(0, kX));
  c.ops = {{{pasid(0, kY), 0, {}}},
           {{on_device(OpKind::kAttach, 1, kX), 1, {}}, {pasid(1, kX), 2, {}}}};
  c.since = iommufd::linux_version(6, 15);
  return c;
}

// Either the attach finds it, and the destroy is refused, or the other way round.
Case nested_destroy() {
  Case c =
      make("nested-destroy", "a nested hwpt is destroyed, a device attached to it", false, kIoas);
  c.set_up.push_back(hwpt_alloc(kParent, kIoas, iommufd::HwptFlag::kNestParent));
  c.set_up.push_back(hwpt_alloc(kNested, kParent));
  c.ops = {{{on_object(OpKind::kHwptDestroy, kNested), 0, {}}},
           {{on_device(OpKind::kAttach, 1, kNested), 1, {}}}};
  c.needs = {"driver.version=newest"};
  c.since = iommufd::linux_version(6, 7);
  return c;
}

// Of a group: one device is reset while the other one, which alone is attached, is detached.
Case reset_detach() {
  Case c =
      make("reset-detach", "of a group, one device is reset, the other one detached", true, kIoas);
  c.header.devices[0].ats = true;
  c.set_up.push_back(on_device(OpKind::kAttach, 1, kX));
  c.ops = {{{on_device(OpKind::kResetBegin, 0), 0, {}}, {on_device(OpKind::kResetDone, 0), 1, {}}},
           {{on_device(OpKind::kDetach, 1), 2, {}}}};
  c.needs = {"protocol.reset_hooks=true"};
  c.since = iommufd::linux_version(7, 0);
  return c;
}

bool has_hazard(const iommufd::ProtocolInfo& protocol, std::string_view hazard) {
  return std::ranges::find(protocol.hazards, hazard) != protocol.hazards.end();
}

// The hazard that makes the case fail whoever comes first.
std::string_view known_to_fail(const Case& c, const iommufd::ProtocolInfo& protocol,
                               const workloads::Settings& settings) {
  if (c.name == "group-replace" && has_hazard(protocol, "group-move")) {
    return "group-move";
  }
  if (c.name == "reset-detach" && has_hazard(protocol, "reset-detach") &&
      !settings.protocol.mend_reset_detach) {
    return "reset-detach";
  }
  return {};
}

}  // namespace

std::vector<Case> cases() {
  std::vector<Case> all;
  all.push_back(crossing("replace", "X->Y against Y->X, in one ioas", kIoas));
  all.push_back(crossing("replace-ioas", "X->Y against Y->X, in two ioases", kIoas2));
  all.push_back(attach_detach());
  all.push_back(
      automatic("automatic", "one is detached from an ioas, another one attached to it", false));
  all.push_back(
      group("group-detach", "both devices of a group are detached", on_device(OpKind::kDetach, 1)));
  all.push_back(group("group-replace", "of a group, one device is detached, one replaced",
                      on_device(OpKind::kReplace, 1, kY)));
  all.push_back(automatic("group-automatic",
                          "of a group, one is detached from an ioas, the other attached to it",
                          true));
  all.push_back(unmap_pin());
  all.push_back(copy_unmap());
  all.push_back(pasid_replace());
  all.push_back(nested_destroy());
  all.push_back(reset_detach());
  return all;
}

workloads::Settings settings_for(const Case& c, const workloads::Settings& settings) {
  workloads::Settings own = settings;
  for (const std::string& assignment : c.needs) {
    workloads::apply_assignment(assignment, own);
  }
  return own;
}

std::string left_out(const Case& c, const iommufd::ProtocolInfo& protocol,
                     const workloads::Settings& settings) {
  if (c.since != 0) {
    Engine engine;
    const workloads::System system(engine, c.header, settings, protocol, nullptr);
    if (system.context().protocol().kernel() < c.since) {
      return fmt::format("needs Linux {}.{}", c.since / 1000, c.since % 1000);
    }
  }
  const std::string_view hazard = known_to_fail(c, protocol, settings);
  return hazard.empty() ? "" : fmt::format("hazard {}", hazard);
}

}  // namespace smmulab::explore

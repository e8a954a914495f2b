// SPDX-License-Identifier: Apache-2.0
#include "workloads/explore/cases.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "workloads/op_text.hpp"

namespace smmulab::explore {
namespace {

using workloads::Op;
using workloads::OpKind;

constexpr ObjectId kIoas{1};
constexpr ObjectId kIoas2{2};
constexpr ObjectId kX{11};
constexpr ObjectId kY{12};
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

Op hwpt_alloc(ObjectId hwpt, ObjectId ioas) {
  Op op = on_device(OpKind::kHwptAlloc, 0, ioas);
  op.object = hwpt;
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

Case group(std::string name, std::string summary, const Op& second) {
  Case c = make(std::move(name), std::move(summary), true, kIoas);
  c.set_up.push_back(on_device(OpKind::kAttach, 0, kX));
  c.set_up.push_back(on_device(OpKind::kAttach, 1, kX));
  c.ops = {{{on_device(OpKind::kDetach, 0), 0, {}}}, {{second, 1, {}}}};
  return c;
}

}  // namespace

std::vector<Case> cases() {
  std::vector<Case> all;
  all.push_back(crossing("replace", "X->Y against Y->X, in one ioas", kIoas));
  all.push_back(crossing("replace-ioas", "X->Y against Y->X, in two ioases", kIoas2));
  all.push_back(attach_detach());
  all.push_back(
      group("group-detach", "both devices of a group are detached", on_device(OpKind::kDetach, 1)));
  all.push_back(group("group-replace", "of a group, one device is detached, one replaced",
                      on_device(OpKind::kReplace, 1, kY)));
  return all;
}

std::string_view known_to_fail(const Case& c, const iommufd::ProtocolInfo& protocol) {
  constexpr std::string_view kMove = "group-move";
  const bool moves = std::ranges::find(protocol.hazards, kMove) != protocol.hazards.end();
  return c.name == "group-replace" && moves ? kMove : std::string_view{};
}

}  // namespace smmulab::explore

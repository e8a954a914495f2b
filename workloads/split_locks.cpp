// SPDX-License-Identifier: Apache-2.0
#include "workloads/split_locks.hpp"

#include <fmt/format.h>

#include "workloads/op_spec.hpp"

namespace smmulab::workloads {
namespace {

using lnx::SplitBy;

std::uint32_t& number_of(lnx::Subject& subject, SplitBy by) {
  return subject[static_cast<std::size_t>(by)];
}

void take_object(lnx::Subject& subject, const iommufd::Object* object) {
  if (object == nullptr) {
    return;
  }
  if (object->type == iommufd::ObjectType::kIoas) {
    number_of(subject, SplitBy::kIoas) = object->id.value();
  } else if (object->type == iommufd::ObjectType::kHwpt) {
    const auto& hwpt = static_cast<const iommufd::Hwpt&>(*object);
    number_of(subject, SplitBy::kHwpt) = hwpt.id.value();
    number_of(subject, SplitBy::kIoas) = hwpt.ioas->id.value();
    if (hwpt.domain != nullptr && hwpt.domain->smmu != nullptr) {
      number_of(subject, SplitBy::kSmmu) = hwpt.domain->smmu->index.value();
    }
  }
}

const iommufd::Hwpt* attached_to(const iommufd::Device& device) {
  return device.hwpt != nullptr || device.igroup == nullptr ? device.hwpt : device.igroup->hwpt;
}

}  // namespace

void describe(ParamTable& table, SplitLocks& split) {
  for (std::size_t i = 0; i < kFreeableClasses.size(); ++i) {
    table.add_enum(
        split_key(kFreeableClasses[i]), &split.classes[i],
        {"nothing", "device", "group", "hwpt", "ioas", "smmu"},
        fmt::format("what if each {} were a lock for each of these", kFreeableClasses[i]),
        {"user's choice"});
  }
}

void split(lnx::LockRegistry& locks, const SplitLocks& split) {
  for (std::size_t i = 0; i < kFreeableClasses.size(); ++i) {
    if (split.classes[i] != SplitBy::kNothing) {
      locks.split(kFreeableClasses[i], split.classes[i]);
    }
  }
}

lnx::Subject subject_of(const Op& op, const iommufd::Context& context,
                        const std::deque<iommufd::Device>& devices) {
  lnx::Subject subject;
  subject.fill(lnx::kNoSubject);
  const bool on_device = (op_spec(op.kind).required & bit(Key::kDev)) != 0;
  if (op.object != kNoObject) {
    take_object(subject, context.peek(op.object));
  }
  if (op.pt != kNoObject) {
    take_object(subject, context.peek(op.pt));
  } else if (on_device) {
    take_object(subject, attached_to(devices[op.device.value()]));
  }
  if (on_device) {
    const iommufd::Device& device = devices[op.device.value()];
    number_of(subject, SplitBy::kDevice) = op.device.value();
    number_of(subject, SplitBy::kGroup) = device.group->id.value();
    number_of(subject, SplitBy::kSmmu) = device.master->smmu->index.value();
  }
  return subject;
}

}  // namespace smmulab::workloads

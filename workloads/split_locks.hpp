// SPDX-License-Identifier: Apache-2.0
// What if a lock were several? split.CLASS=group makes each lock of a class as many locks as there
// are iommu groups, and an operation takes the one of the group it works upon; so by device, hwpt,
// ioas and SMMU. An operation works upon what its line names: the device with its group and SMMU;
// the hwpt with its ioas and SMMU, or the ioas (attach, replace: the one asked for; detach: the one
// attached). Operations that name none of a kind share one part.
// A bound, as free locks are: the parts exclude each other no more, whatever order the lock exists
// for. Only the time is meant.
#pragma once

#include <array>
#include <deque>
#include <string>
#include <string_view>

#include "models/iommufd/context.hpp"
#include "workloads/free_locks.hpp"
#include "workloads/op.hpp"

namespace smmulab::workloads {

// In the order of kFreeableClasses.
struct SplitLocks {
  std::array<lnx::SplitBy, kFreeableClasses.size()> classes{};
};

void describe(ParamTable& table, SplitLocks& split);
void split(lnx::LockRegistry& locks, const SplitLocks& split);

// What the operation works upon, by the state before it.
[[nodiscard]] lnx::Subject subject_of(const Op& op, const iommufd::Context& context,
                                      const std::deque<iommufd::Device>& devices);

}  // namespace smmulab::workloads

// SPDX-License-Identifier: Apache-2.0
// An operation of a trace, done. A dma occupies its thread in user mode for the recorded duration.
#pragma once

#include "models/iommufd/iommufd.hpp"
#include "workloads/op.hpp"

namespace smmulab::workloads {

// Gives 0 or -errno. REQUIRES: `op` is no phase, and lives until the task is awaited.
[[nodiscard]] Task<int> perform(iommufd::Iommufd& io, lnx::Thread& t, const Op& op);

}  // namespace smmulab::workloads

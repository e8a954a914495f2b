// SPDX-License-Identifier: Apache-2.0
// Shared state of iommufd that has no lock of its own, or is looked at without it, as a step
// control is told of it (models/linux/step_control.hpp).
#pragma once

#include <cstdint>

#include "models/linux/step_control.hpp"
#include "models/smmuv3/driver/smmu.hpp"

namespace smmulab::iommufd {

enum class Shared : std::uint32_t {
  kId,      // an entry of the id table
  kUsers,   // an object's reference counts
  kGroup,   // which devices of an iommu group are bound, and being moved
  kLinked,  // is a domain one of its ioas?
};

[[nodiscard]] inline lnx::SharedObject shared(Shared kind, std::uint32_t id) {
  return {static_cast<std::uint32_t>(kind), id};
}
[[nodiscard]] inline lnx::SharedObject linked(const smmu::Domain& domain) {
  return shared(Shared::kLinked, domain.init_mutex.step_id());
}

}  // namespace smmulab::iommufd

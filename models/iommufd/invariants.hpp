// SPDX-License-Identifier: Apache-2.0
// Invariants: what must hold of iommufd's and the iommu core's state under any locking protocol.
// A group is looked at whenever none of its devices is being moved, an hwpt when it is destroyed,
// everything once the last operation has ended. The first breach of each kind is kept. Looking
// takes no simulated time.
// Not checked: protocols that promise nothing (Protocol::keeps_invariants); which area is in which
// domain (only how many bytes are); state in the middle of an operation.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "models/iommufd/objects.hpp"

namespace smmulab::iommufd {

class Context;
struct Access;

enum class Invariant : std::uint8_t {
  kOneHwpt,      // a device is attached to at most one hwpt
  kAreas,        // each area is in every domain of its ioas, and in no other
  kUsers,        // users of an object are its own and those of what still refers to it
  kGroupDomain,  // every device of a group has the group's domain, that of its hwpt
  kCoreDomain,   // a device that iommufd believes attached has a domain in the core
  kLinkedOnce,   // a domain is linked to its ioas once
  kReserved,     // the reserved regions of an attached device are in its ioas
  kFreed,        // an hwpt that is destroyed is not in use
  kPins,         // what an access has pinned is mapped in its ioas, and counted there
};
// A sentence.
[[nodiscard]] std::string_view invariant_text(Invariant invariant);

struct BrokenInvariant {
  Invariant invariant;
  std::string detail;
  SimTime when;
};

class Invariants {
 public:
  explicit Invariants(const Context& context) : context_(context) {}

  // REQUIRES: no device of the group is being moved.
  void check_group(const IommufdGroup& group);
  // The hwpt is being destroyed. False: it is in use, so what refers to it would dangle.
  bool check_unused(const Hwpt& hwpt);
  // After the last operation.
  void check_end();
  // A breach that the caller has seen.
  void note(Invariant invariant, std::string detail);

  [[nodiscard]] const std::vector<BrokenInvariant>& broken() const { return broken_; }

 private:
  void check_device(const IommuGroup& group, const Device& device, const Hwpt& hwpt);
  void check_pasids(const IommufdGroup& igroup, const smmu::Master& master);
  void check_idle(const IommuGroup& group);
  void check_domain(const Hwpt& hwpt, std::uint64_t area_bytes);
  void check_users(const Object& object, std::string_view name, std::int64_t expected);
  // Beside them all hwpts and all accesses of the context.
  void check_hwpt(const Hwpt& hwpt, const std::vector<const Hwpt*>& all);
  void check_pins(const Ioas& ioas, const std::vector<const Access*>& accesses);
  [[nodiscard]] std::string user_of(const Hwpt& hwpt) const;

  const Context& context_;
  std::vector<BrokenInvariant> broken_;
};

}  // namespace smmulab::iommufd

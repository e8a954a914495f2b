// SPDX-License-Identifier: Apache-2.0
#include "models/iommufd/invariants.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "models/iommufd/access.hpp"
#include "models/iommufd/context.hpp"
#include "models/iommufd/protocol.hpp"

namespace smmulab::iommufd {
namespace {

std::string domain_name(const smmu::Domain* domain) {
  return domain == nullptr ? "the blocked domain" : fmt::format("domain {}", domain->id);
}

std::string hwpt_name(const Hwpt& hwpt) {
  return hwpt.auto_domain ? fmt::format("the automatic hwpt of ioas {}", hwpt.ioas->id.value())
                          : fmt::format("hwpt {}", hwpt.id.value());
}

}  // namespace

std::string_view invariant_text(Invariant invariant) {
  switch (invariant) {
    case Invariant::kOneHwpt:
      return "a device is attached to at most one hwpt";
    case Invariant::kAreas:
      return "each area is in every domain of its ioas and in no other";
    case Invariant::kUsers:
      return "users of an object are those that refer to it";
    case Invariant::kGroupDomain:
      return "every device of a group has the same domain, that of its hwpt";
    case Invariant::kCoreDomain:
      return "a device that iommufd believes attached has a domain in the core";
    case Invariant::kLinkedOnce:
      return "a domain is linked to its ioas once";
    case Invariant::kReserved:
      return "the reserved regions of an attached device are in its ioas";
    case Invariant::kFreed:
      return "an hwpt that is destroyed is not in use";
    case Invariant::kPins:
      return "what an access has pinned is mapped in its ioas and counted there";
  }
  return "";
}

void Invariants::note(Invariant invariant, std::string detail) {
  const bool known = std::any_of(broken_.begin(), broken_.end(),
                                 [invariant](const auto& b) { return b.invariant == invariant; });
  if (!known && context_.protocol().keeps_invariants()) {
    broken_.push_back({invariant, std::move(detail), context_.machine().now()});
  }
}

void Invariants::check_device(const IommuGroup& group, const Device& device, const Hwpt& hwpt) {
  const std::string& name = device.master->name;
  if (group.domain == context_.core().idle_domain(group)) {
    note(Invariant::kCoreDomain, fmt::format("device {} is attached to {}, but its group is on {}",
                                             name, hwpt_name(hwpt), domain_name(group.domain)));
  } else if (group.domain != hwpt.domain) {
    note(Invariant::kGroupDomain,
         fmt::format("device {} is attached to {} ({}), but its group is on {}", name,
                     hwpt_name(hwpt), domain_name(hwpt.domain), domain_name(group.domain)));
  }
  if (!hwpt.ioas->iopt.has_domain(*hwpt.paging().domain)) {
    note(Invariant::kAreas,
         fmt::format("device {} is attached to {}, whose domain is not one of ioas {}", name,
                     hwpt_name(hwpt), hwpt.ioas->id.value()));
  }
  if (!hwpt.ioas->iopt.has_reserved(*device.master)) {
    note(Invariant::kReserved,
         fmt::format("device {} is attached to {}, but ioas {} does not reserve its regions", name,
                     hwpt_name(hwpt), hwpt.ioas->id.value()));
  }
}

void Invariants::check_idle(const IommuGroup& group) {
  if (group.domain != context_.core().idle_domain(group)) {
    note(Invariant::kGroupDomain,
         fmt::format("no device of group {} is attached, but the group is on {}", group.id.value(),
                     domain_name(group.domain)));
  }
}

// Hardware and iommufd agree on which domain each PASID has.
void Invariants::check_pasids(const IommufdGroup& igroup, const smmu::Master& master) {
  std::size_t matching = 0;
  for (const smmu::Master::PasidUse& use : master.pasids) {
    matching += static_cast<std::size_t>(
        std::ranges::count_if(igroup.pasids, [&use](const IommufdGroup::PasidAttach& entry) {
          return entry.pasid == use.pasid && entry.hwpt->domain == use.domain;
        }));
  }
  if (matching != igroup.pasids.size() || matching != master.pasids.size()) {
    note(Invariant::kGroupDomain,
         fmt::format("device {} has {} PASIDs, of which {} are as its group's {}", master.name,
                     master.pasids.size(), matching, igroup.pasids.size()));
  }
}

void Invariants::check_group(const IommufdGroup& igroup) {
  const IommuGroup& group = *igroup.group;
  bool attached = false;
  for (const Device* device : igroup.bound) {
    if (const Hwpt* hwpt = context_.protocol().attached_hwpt(*device)) {
      attached = true;
      check_device(group, *device, *hwpt);
    }
  }
  if (!attached) {
    check_idle(group);
  }
  for (const smmu::Master* master : group.devices) {
    if (master == group.resetting) {
      continue;  // blocked
    }
    check_pasids(igroup, *master);
    if (master->domain != group.domain) {
      note(Invariant::kGroupDomain,
           fmt::format("device {} is on {}, but its group is on {}", master->name,
                       domain_name(master->domain), domain_name(group.domain)));
    }
  }
}

// What still refers to it; empty if nothing does.
std::string Invariants::user_of(const Hwpt& hwpt) const {
  if (hwpt.ioas->iopt.has_domain(*hwpt.domain)) {
    return fmt::format("its domain is one of ioas {}", hwpt.ioas->id.value());
  }
  if (std::ranges::find(hwpt.ioas->hwpt_list, &hwpt) != hwpt.ioas->hwpt_list.end()) {
    return fmt::format("it is in the hwpt_list of ioas {}", hwpt.ioas->id.value());
  }
  for (const auto& igroup : context_.groups()) {
    if (igroup->group->domain == hwpt.domain) {
      return fmt::format("group {} is on its domain", igroup->group->id.value());
    }
    for (const Device* device : igroup->bound) {
      if (context_.protocol().attached_hwpt(*device) == &hwpt) {
        return fmt::format("device {} is attached to it", device->master->name);
      }
    }
    for (const IommufdGroup::PasidAttach& entry : igroup->pasids) {
      if (entry.hwpt == &hwpt) {
        return fmt::format("PASID {} of group {} is attached to it", entry.pasid,
                           igroup->group->id.value());
      }
    }
  }
  return "";
}

bool Invariants::check_unused(const Hwpt& hwpt) {
  const std::string user = user_of(hwpt);
  if (user.empty()) {
    return true;
  }
  note(Invariant::kFreed, fmt::format("{} is destroyed, but {}", hwpt_name(hwpt), user));
  return false;
}

void Invariants::check_domain(const Hwpt& hwpt, std::uint64_t area_bytes) {
  const bool linked = hwpt.ioas->iopt.has_domain(*hwpt.domain);
  const std::uint64_t expected = (linked ? area_bytes : 0) + hwpt.sw_msi_bytes;
  if (hwpt.domain->mapped != expected) {
    note(Invariant::kAreas,
         fmt::format("the domain of {} maps {:#x} bytes, not {:#x} (ioas {})", hwpt_name(hwpt),
                     hwpt.domain->mapped, expected, hwpt.ioas->id.value()));
  }
}

void Invariants::check_users(const Object& object, std::string_view name, std::int64_t expected) {
  if (object.users != expected) {
    note(Invariant::kUsers,
         fmt::format("{} has {} users at the end, not {}", name, object.users, expected));
  }
}

void Invariants::check_hwpt(const Hwpt& hwpt, const std::vector<const Hwpt*>& all) {
  std::int64_t expected = 1;
  for (const auto& igroup : context_.groups()) {
    expected += std::ranges::count_if(igroup->bound, [&](const Device* device) {
      return context_.protocol().attached_hwpt(*device) == &hwpt;
    });
    for (const IommufdGroup::PasidAttach& entry : igroup->pasids) {
      expected += entry.hwpt == &hwpt ? static_cast<std::int64_t>(entry.devices.size()) : 0;
    }
  }
  for (const Hwpt* other : all) {
    expected += other->parent == &hwpt ? 1 : 0;
  }
  check_users(hwpt, hwpt_name(hwpt), expected);
  for (const Device* device : hwpt.devices) {
    if (device->hwpt != &hwpt) {
      note(Invariant::kOneHwpt,
           fmt::format("device {} is in the list of {}, but not attached to it",
                       device->master->name, hwpt_name(hwpt)));
    }
  }
}

void Invariants::check_pins(const Ioas& ioas, const std::vector<const Access*>& accesses) {
  std::uint64_t counted = 0;
  for (const auto& [start, area] : ioas.iopt.areas()) {
    counted += area.num_accesses;
  }
  std::uint64_t pinned = 0;  // once for each area a pin is in
  for (const Access* access : accesses) {
    for (std::size_t i = 0; access->ioas == &ioas && i < access->pins.size(); ++i) {
      const Access::Pin& pin = access->pins[i];
      const std::uint64_t first = pin.iova.value();
      const std::uint64_t last = first + (pin.length.value() - 1);
      std::uint64_t covered = 0;
      for (const auto& [start, area] : ioas.iopt.areas()) {
        if (start <= last && first <= area.last) {
          ++pinned;
          covered += std::min(last, area.last) - std::max(first, start) + 1;
        }
      }
      if (covered != pin.length.value()) {
        note(Invariant::kPins, fmt::format("access {} has {:#x}..{:#x} of ioas {} pinned, but not "
                                           "all of it is mapped",
                                           access->id.value(), first, last, ioas.id.value()));
      }
    }
  }
  if (pinned != counted) {
    note(Invariant::kPins, fmt::format("ioas {} counts {} accesses of its areas, not {}",
                                       ioas.id.value(), counted, pinned));
  }
}

void Invariants::check_end() {
  for (const auto& igroup : context_.groups()) {
    check_group(*igroup);
    for (const Device* device : igroup->bound) {
      check_users(
          *device->object, fmt::format("device {}", device->master->name),
          2 + (device->attached ? 1 : 0) + static_cast<std::int64_t>(device->pasids.size()));
    }
  }
  struct Seen {
    std::uint64_t area_bytes = 0;
    std::int64_t hwpts = 0;
  };
  std::map<ObjectId, Seen> seen;
  for (const Ioas* ioas : context_.all_ioas()) {
    for (const auto& [start, area] : ioas->iopt.areas()) {
      seen[ioas->id].area_bytes += area.last - start + 1;
    }
  }
  const std::vector<const Hwpt*> hwpts = context_.all_hwpts();
  for (const Hwpt* hwpt : hwpts) {
    Seen& of_ioas = seen[hwpt->ioas->id];
    if (hwpt->parent == nullptr) {
      ++of_ioas.hwpts;
      check_domain(*hwpt, of_ioas.area_bytes);
    }
    check_hwpt(*hwpt, hwpts);
  }
  std::map<ObjectId, std::int64_t> attached_accesses;
  const std::vector<const Access*> accesses = context_.all_accesses();
  for (const Access* access : accesses) {
    check_users(*access, fmt::format("access {}", access->id.value()), 2);
    if (access->ioas != nullptr) {
      ++attached_accesses[access->ioas->id];
    }
  }
  for (const Ioas* ioas : context_.all_ioas()) {
    check_users(*ioas, fmt::format("ioas {}", ioas->id.value()),
                1 + seen[ioas->id].hwpts + attached_accesses[ioas->id]);
    check_pins(*ioas, accesses);
  }
}

}  // namespace smmulab::iommufd

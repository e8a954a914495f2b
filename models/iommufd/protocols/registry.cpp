// SPDX-License-Identifier: Apache-2.0
#include "models/iommufd/protocols/registry.hpp"

#include <string>

#include <fmt/format.h>

#include "sim/error.hpp"

namespace smmulab::iommufd {

const std::vector<ProtocolInfo>& protocols() {
  static const std::vector<ProtocolInfo> kProtocols = {
      {"v6.2", "v6.2", "a lock per hwpt (hwpt->devices_lock); replace is detach and attach",
       make_v6_2},
      {"seed-lock-both", "draft, Feb 2023",
       "a lock per hwpt; replace takes both in order, and both ioas->mutex where needed",
       make_seed_lock_both},
      {"igroup", "v6.8-6.12", "a lock per iommu group (igroup->lock)", make_igroup},
      {"no-locks", "bound", "igroup without any mutex: the floor of the cost; order may break",
       make_no_locks},
      {"one-lock", "bound", "igroup with a single mutex for everything", make_one_lock},
  };
  return kProtocols;
}

const ProtocolInfo& find_protocol(std::string_view name) {
  std::vector<std::string> names;
  for (const ProtocolInfo& info : protocols()) {
    if (info.name == name) {
      return info;
    }
    names.emplace_back(info.name);
  }
  const std::string near = nearest_name(name, names);
  throw ConfigError(fmt::format("unknown protocol '{}'{}; known: {}", name,
                                near.empty() ? "" : fmt::format(", did you mean '{}'?", near),
                                fmt::join(names, ", ")));
}

}  // namespace smmulab::iommufd

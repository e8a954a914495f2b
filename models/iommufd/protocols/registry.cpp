// SPDX-License-Identifier: Apache-2.0
#include "models/iommufd/protocols/registry.hpp"

#include <deque>
#include <mutex>
#include <string>

#include <fmt/format.h>

#include "sim/error.hpp"

namespace smmulab::iommufd {

namespace {

constexpr std::string_view kDraft = "draft, Feb 2023";

// Throws ConfigError with the nearest name.
template <class T>
const T& find_named(std::string_view what, std::string_view name, const std::vector<T>& all) {
  std::vector<std::string> names;
  for (const T& each : all) {
    if (each.name == name) {
      return each;
    }
    names.emplace_back(each.name);
  }
  const std::string near = nearest_name(name, names);
  throw ConfigError(fmt::format("unknown {} '{}'{}; known: {}", what, name,
                                near.empty() ? "" : fmt::format(", did you mean '{}'?", near),
                                fmt::join(names, ", ")));
}

}  // namespace

const std::vector<ProtocolInfo>& protocols() {
  static const std::vector<ProtocolInfo> kProtocols = {
      {"v6.2",
       "v6.2",
       "a lock per hwpt (hwpt->devices_lock); replace is detach and attach",
       "The first released iommufd (December 2022). Each hwpt has a list of its devices "
       "under devices_lock; whether a group is attached already is found by a walk of that "
       "list. There is no replace: user space detaches, and attaches again.",
       {"H10"},
       make_v6_2},
      {"v6.4",
       "v6.4-6.5",
       "v6.2 with hwpts filled when made; attach and detach take hwpt->devices_lock only",
       "The lifetime of hwpts was reworked before the group lock came: a domain joins its "
       "ioas when the hwpt is made and leaves when it is destroyed, so that attach and "
       "detach no longer fill or empty it.",
       {"H10"},
       make_v6_4},
      {"seed-unordered",
       kDraft,
       "a lock per hwpt; replace takes the old one's, then the new one's",
       "N. Chen's own sketch of a replace in the thread of \"[PATCH v2 1/3] iommufd: Add "
       "devices_users to track the hw_pagetable usage by device\": the old hwpt's "
       "devices_lock, then the new one's, in no order.",
       {"H1", "H10", "group-move"},
       make_seed_unordered},
      {"seed-lock-both",
       kDraft,
       "a lock per hwpt; replace takes both in order, and both ioas->mutex where needed",
       "J. Gunthorpe's answer in that thread: hold both devices_locks, the lower address "
       "first. He adds that the group lock in the iommu core is the right way to fix it.",
       {"H10", "group-move"},
       make_seed_lock_both},
      {"ioas-pair",
       kDraft,
       "a lock per hwpt; replace takes both ioas->mutex, then both hwpts' locks, in order",
       "The closing question of that thread: if detach needs ioas->mutex and the two hwpts "
       "need not share an ioas, does a replace need two ioas->mutex besides the two "
       "devices_locks? Never posted.",
       {"H10", "group-move"},
       make_ioas_pair},
      {"posted-v1",
       "PATCH v1 7/8, 2 Feb 2023",
       "a lock per hwpt; replace takes the new one's, then the old one's",
       "\"iommufd/device: Use iommu_group_replace_domain()\", patch 7/8 of the first replace "
       "series. Attaching is replacing by nothing; the old hwpt's devices_lock is nested in "
       "the new one's, and the old domain is never taken out of its ioas.",
       {"H1", "H10", "stale-domain", "group-move"},
       make_posted_v1},
      {"posted-v2",
       "PATCH v2 08/10, 7 Feb 2023",
       "attach takes ioas->mutex, then the hwpt's lock; detach the other way round",
       "The second replace series, patch 08/10. ioas->mutex now covers a replace, and plain "
       "detach shares its helper, which takes the locks the other way round. Its text calls "
       "the locking overcomplicated.",
       {"H2", "H3", "H10", "leaked-reference", "refused-automatic", "group-move"},
       make_posted_v2},
      {"devices-users-1",
       "PATCH v2 1/3, 28 Jan 2023",
       "v6.2's locks with a count of devices per hwpt; replace as in ioas-pair",
       "\"iommufd: Add devices_users to track the hw_pagetable usage by device\": a "
       "reference count per hwpt in place of the test for an empty list. Replace is not part "
       "of the series; here it takes the locks as ioas-pair does.",
       {"H10", "group-move"},
       make_devices_users_1},
      {"devices-users-2",
       "PATCH v2 2/3, 28 Jan 2023",
       "devices-users-1 with ioas->mutex around every attach",
       "\"iommufd/device: Make hwpt_list list_add/del symmetric\": a domain enters and "
       "leaves the list of its ioas where it is filled and emptied, so ioas->mutex goes "
       "around attach and detach.",
       {"H10", "group-move"},
       make_devices_users_2},
      {"devices-users-3",
       "PATCH v2 3/3, 28 Jan 2023",
       "only ioas->mutex; the core's domain of a device tells whether it is attached",
       "\"iommufd/device: Change iommufd_hw_pagetable_has_group to device centric\": "
       "devices_lock and the list are gone; asking the core for the domain of a device "
       "replaces the walk. K. Tian found that detaching one device then detaches its group.",
       {"H4", "H10", "group-move"},
       make_devices_users_3},
      {"core-group",
       kDraft,
       "no lock of iommufd: devices are counted under the core's group->mutex",
       "Drafts of N. Chen and Baolu Lu (\"iommu: Extend iommu_at[de]tach_device() for "
       "multi-device groups\") that count the attached devices of a group in the iommu core. "
       "Not merged in that form.",
       {"H5", "H10", "group-move"},
       make_core_group},
      {"igroup",
       "v6.6-6.12",
       "a lock per iommu group (igroup->lock)",
       "What was merged: \"Add iommufd physical device operations for replace and alloc "
       "hwpt\" (v6.6). A struct iommufd_group holds the hwpt and the devices of a group "
       "under igroup->lock, and a replace moves the whole group. The reference rules are "
       "those of 6.8 and later, or with protocol.destroy_rwsem those of 6.6 and 6.7.",
       {"H9", "H10"},
       make_igroup},
      {"igroup-pasid",
       "v6.15 and later",
       "igroup with attachments by PASID, and MSI pages listed under ictx->sw_msi_lock",
       "igroup as reworked for PASIDs in v6.15: the group has an array of attachments by "
       "PASID under the same igroup->lock, and MSI pages are listed under ictx->sw_msi_lock "
       "in place of the core's msi_prepare_lock.",
       {"H9", "H10", "H13", "reset-detach"},
       make_igroup_pasid},
      {"no-locks",
       "bound",
       "igroup without any mutex: the floor of the cost; order may break",
       "No kernel: igroup with its mutexes taken away, the least that the work itself costs.",
       {"H10", "unlocked"},
       make_no_locks},
      {"one-lock",
       "bound",
       "igroup with a single mutex for everything",
       "No kernel: igroup with one mutex for everything, the least concurrency.",
       {"H9", "H10"},
       make_one_lock},
  };
  return kProtocols;
}

const std::vector<Hazard>& hazards() {
  using enum HazardNeeds;
  static const std::vector<Hazard> kHazards = {
      {"H1", "X->Y deadlocks with Y->X: two devices_locks in no order", "protocol.mend_h1",
       kThreads},
      {"H2", "detach deadlocks with attach: devices_lock and ioas->mutex in both orders",
       "protocol.mend_h2", kThreads},
      {"H3", "replaces across two IOASes deadlock: two ioas->mutex in no order", "protocol.mend_h3",
       kThreads},
      {"H4", "the first detach detaches the whole group", "protocol.mend_h4", kGroups},
      {"H5", "a device is taken for attached to a domain its group is not on", "protocol.mend_h5",
       kGroups},
      {"H9", "a failed replace within an ioas drops the reservations in use", "protocol.mend_h9",
       kFailedReplace},
      {"H10", "an unmap gives up (-EDEADLOCK) on an access whose owner keeps its pins", "",
       kDeafAccess},
      {"H13", "attach and replace give -EBUSY while a device of the group is reset: try again", "",
       kReset},
      {"reset-detach", "a detach during a reset is lost: the group stays on a domain that is freed",
       "protocol.mend_reset_detach", kReset},
      {"stale-domain", "the domain of an hwpt without devices stays in its ioas",
       "protocol.mend_stale_domain", kThreads},
      {"leaked-reference", "destroying the ioas waits for ever after a refused attach",
       "protocol.mend_leaked_reference", kAutomatic},
      {"refused-automatic", "-EBUSY: no replace to an ioas or away from an automatic domain", "",
       kAutomatic},
      {"unlocked", "nothing excludes anybody: whatever can break may", "", kThreads},
      {"group-move", "a replace moves the group's domain, but one device's bookkeeping", "",
       kGroups},
  };
  return kHazards;
}

const Hazard& find_hazard(std::string_view name) {
  return find_named("hazard", name, hazards());
}

namespace {

// Protocols that were added, the newest last: older ones may still run. The texts are what the
// views of `info` look at.
struct Added {
  std::string key;
  std::string name;
  std::string description;
  ProtocolInfo info;
};
struct AddedProtocols {
  std::mutex lock;
  std::deque<Added> all;
  ProtocolLoader loader;
};
AddedProtocols& added() {
  static AddedProtocols the;
  return the;
}

const ProtocolInfo* find_added(std::string_view key) {
  AddedProtocols& a = added();
  const std::lock_guard guard(a.lock);
  for (auto it = a.all.rbegin(); it != a.all.rend(); ++it) {
    if (it->key == key) {
      return &it->info;
    }
  }
  return nullptr;
}

}  // namespace

void add_protocol(const std::string& key, std::string name, std::string description,
                  std::string_view base, MakeProtocol make) {
  const std::string_view kernel = find_protocol(base).kernel;
  AddedProtocols& a = added();
  const std::lock_guard guard(a.lock);
  Added& one = a.all.emplace_back(Added{key, std::move(name), std::move(description), {}});
  one.info = {one.name, kernel, one.description, "", {}, std::move(make)};
}

void set_protocol_loader(ProtocolLoader loader) {
  AddedProtocols& a = added();
  const std::lock_guard guard(a.lock);
  a.loader = std::move(loader);
}

const ProtocolInfo& find_protocol(std::string_view name) {
  if (const ProtocolInfo* found = find_added(name)) {
    return *found;
  }
  ProtocolLoader loader;
  if (name.find(':') != std::string_view::npos) {
    AddedProtocols& a = added();
    const std::lock_guard guard(a.lock);
    loader = a.loader;
  }
  if (loader) {
    loader(std::string(name));
    if (const ProtocolInfo* found = find_added(name)) {
      return *found;
    }
  }
  return find_named("protocol", name, protocols());
}

}  // namespace smmulab::iommufd

// SPDX-License-Identifier: Apache-2.0
// What if a lock were not there? free.CLASS makes all locks of a class free: they exclude nobody,
// so nobody waits for them, and taking or releasing one costs nothing. What the lock protected may
// break, as with protocol no-locks; the invariants are checked as ever, and a broken one is the
// run's status "wrong state". The key is the class's name with "->" as "_".
// Not here: destroy_rwsem. It counts references rather than excludes: without it an object is freed
// while an ioctl uses it, which is a crash and no number.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "models/linux/lock.hpp"
#include "sim/params.hpp"

namespace smmulab::workloads {

inline constexpr std::array<std::string_view, 19> kFreeableClasses = {
    "dev_set->lock",   "ioas->mutex",  "igroup->lock", "hwpt->devices_lock", "group->mutex",
    "domains_rwsem",   "iova_rwsem",   "pages->mutex", "ictx->sw_msi_lock",  "init_mutex",
    "asid_lock",       "devices_lock", "one_lock",     "access->ioas_lock",  "access->pins_lock",
    "idev->iopf_lock", "fault->mutex", "fault->lock",  "msi_prepare_lock"};

// In the order of kFreeableClasses.
struct FreeLocks {
  std::array<bool, kFreeableClasses.size()> classes{};
};

// The parameter that makes the class free: "free.ioas_mutex" for "ioas->mutex".
[[nodiscard]] std::string free_key(std::string_view lock_class);
// That of split_locks.hpp: "split.ioas_mutex".
[[nodiscard]] std::string split_key(std::string_view lock_class);
void describe(ParamTable& table, FreeLocks& free);
void make_free(lnx::LockRegistry& locks, const FreeLocks& free);

}  // namespace smmulab::workloads

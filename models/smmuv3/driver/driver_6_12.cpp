// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cerrno>

#include "models/smmuv3/driver/counted_driver.hpp"

namespace smmulab::smmu {

// arm_smmu_attach_prepare(): from here on the new domain's invalidations reach this master too.
Task<void> Driver612::prepare(lnx::Thread& t, const Master& master, Domain* domain, bool ats) {
  if (domain != nullptr) {
    t.charge(params().master_domain);
    co_await domain->devices_lock.lock(t);
    if (ats) {
      ++domain->nr_ats_masters;
    }
    domain->masters.push_back(const_cast<Master*>(&master));
    co_await domain->devices_lock.unlock(t);
  }
  if (master.ats_enabled && !ats) {
    t.charge(params().pci_config);
  }
}

// arm_smmu_attach_commit(): ATS on, or an ATC invalidation; the old domain forgets the master.
Task<void> Driver612::commit(lnx::Thread& t, Master& master, bool ats) {
  if (ats || master.ats_enabled) {
    co_await invalidate_atc(t, master);
  }
  if (ats && !master.ats_enabled) {
    t.charge(params().pci_config);
  }
  Domain* old = master.domain;
  if (old != nullptr) {
    co_await old->devices_lock.lock(t);
    // Only one entry: after a failed replace the core attaches the same domain again, and the
    // master is in its list twice until here.
    const auto entry = std::find(old->masters.begin(), old->masters.end(), &master);
    SMMULAB_CHECK(entry != old->masters.end() || !serialised(),
                  "master is not in its domain's list");
    if (entry != old->masters.end()) {
      old->masters.erase(entry);
    }
    if (master.ats_enabled) {
      --old->nr_ats_masters;
    }
    t.charge(params().master_domain);
    co_await old->devices_lock.unlock(t);
  }
  master.ats_enabled = ats;
}

Task<int> Driver612::attach_dev(lnx::Thread& t, Master& master, Domain& domain) {
  t.charge(params().attach_base);
  co_await domain.init_mutex.lock(t);
  int rc = 0;
  if (domain.smmu == nullptr) {
    co_await finalise(t, domain, *master.smmu);
  } else if (domain.smmu != master.smmu) {
    rc = -EINVAL;
  }
  co_await domain.init_mutex.unlock(t);
  if (rc != 0) {
    co_return rc;
  }
  if (domain.stage == Stage::kS1 && !master.cd_table_allocated) {
    t.charge(params().cd_table_alloc);
    master.cd_table_allocated = true;
  }
  co_await asid_lock().lock(t);
  const bool ats = master.ats_supported;
  co_await prepare(t, master, &domain, ats);
  if (domain.stage == Stage::kS1) {
    co_await write_cd(t, master, cd_of(domain));
    co_await write_ste(t, master, ste_of(master, domain));
  } else {
    co_await write_ste(t, master, ste_of(master, domain));
    if (cd_valid(master.cd)) {
      co_await write_cd(t, master, Entry{});
    }
  }
  co_await commit(t, master, ats);
  master.domain = &domain;
  co_await asid_lock().unlock(t);
  co_return 0;
}

// arm_smmu_attach_dev_ste() with the blocked domain; the CD is cleared outside the lock.
Task<void> Driver612::attach_blocked(lnx::Thread& t, Master& master) {
  t.charge(params().attach_base);
  co_await asid_lock().lock(t);
  co_await prepare(t, master, nullptr, false);
  co_await write_ste(t, master, make_abort_ste());
  co_await commit(t, master, false);
  master.domain = nullptr;
  co_await asid_lock().unlock(t);
  if (cd_valid(master.cd)) {
    co_await write_cd(t, master, Entry{});
  }
}

}  // namespace smmulab::smmu

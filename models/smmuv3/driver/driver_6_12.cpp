// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cerrno>

#include "models/smmuv3/driver/counted_driver.hpp"
#include "models/smmuv3/driver/timed_hardware.hpp"

namespace smmulab::smmu {
namespace {

// The host's, not a guest's.
bool uses_cd_table(const Domain& domain) {
  return domain.stage == Stage::kS1 && domain.parent == nullptr;
}

}  // namespace

Task<void> Driver612::join(lnx::Thread& t, MasterDomain entry, Domain& domain, bool ats) {
  t.charge(params().master_domain);
  co_await domain.devices_lock.lock(t);
  if (ats) {
    ++domain.nr_ats_masters;
  }
  domain.masters.push_back(entry);
  co_await domain.devices_lock.unlock(t);
}

Task<void> Driver612::leave(lnx::Thread& t, MasterDomain entry, Domain& domain, bool ats) {
  co_await domain.devices_lock.lock(t);
  // Only one entry: after a failed replace the core attaches the same domain again, and the
  // master is in its list twice until here.
  const auto at = std::find(domain.masters.begin(), domain.masters.end(), entry);
  SMMULAB_CHECK(at != domain.masters.end() || !serialised(), "master is not in its domain's list");
  if (at != domain.masters.end()) {
    domain.masters.erase(at);
  }
  if (ats) {
    --domain.nr_ats_masters;
  }
  t.charge(params().master_domain);
  co_await domain.devices_lock.unlock(t);
}

// arm_smmu_attach_prepare(): from here on the new domain's invalidations reach this master too.
Task<void> Driver612::prepare(lnx::Thread& t, Master& master, Domain* domain, bool ats) {
  if (domain != nullptr) {
    co_await join(t, {&master}, domain->invalidated(), ats);
  }
  if (master.ats_enabled && !ats) {
    co_await set_pci_ats(t, master, false);
  }
}

// arm_smmu_attach_commit(): ATS on, or an ATC invalidation; the old domain forgets the master.
Task<void> Driver612::commit(lnx::Thread& t, Master& master, bool ats) {
  if (ats || master.ats_enabled) {
    co_await invalidate_atc(t, master);
  }
  if (ats && !master.ats_enabled) {
    co_await set_pci_ats(t, master, true);
  }
  if (master.domain != nullptr) {
    co_await leave(t, {&master}, master.domain->invalidated(), master.ats_enabled);
  }
  master.ats_enabled = ats;
}

// Stage 1: CD, then STE; stage 2 and nested: STE, then the CD is cleared (a guest has its own).
Task<void> Driver612::write_entries(lnx::Thread& t, Master& master, Domain& domain) {
  if (uses_cd_table(domain)) {
    co_await write_cd(t, master, cd_of(domain));
    co_await write_ste(t, master, ste_of(master, domain));
    co_return;
  }
  co_await write_ste(t, master, ste_of(master, domain));
  if (cd_valid(master.cd)) {
    co_await write_cd(t, master, Entry{});
  }
}

// A leaf stays for as long as its master. An invalid L1CD may be cached: hence the invalidation.
Task<void> Driver612::alloc_cd_ptr(lnx::Thread& t, Master& master, std::uint32_t ssid) {
  if (!master.cd_table_allocated) {
    t.charge(params().cd_table_alloc);
    master.cd_table_allocated = true;
  }
  const std::uint32_t leaf = Ssids::leaf_of(ssid);
  if (!ssids().two_levels() ||
      std::find(master.cd_leaves.begin(), master.cd_leaves.end(), leaf) != master.cd_leaves.end()) {
    co_return;
  }
  master.cd_leaves.push_back(leaf);
  t.charge(params().cd_table_alloc);
  co_await t.run(params().write_step);
  if (master.cd_table != 0) {
    master.smmu->hardware->store_cd_leaf(master.cd_table, ssid);
  }
  co_await sync_cd(t, master, ssid, false);
}

Task<int> Driver612::attach_dev(lnx::Thread& t, Master& master, Domain& domain) {
  t.charge(params().attach_base);
  int rc = 0;
  if (domain.parent == nullptr) {
    co_await domain.init_mutex.lock(t);
    if (domain.smmu == nullptr) {
      rc = co_await finalise(t, domain, *master.smmu);
    } else if (domain.smmu != master.smmu) {
      rc = -EINVAL;
    }
    co_await domain.init_mutex.unlock(t);
  } else if (domain.smmu != master.smmu) {
    rc = -EINVAL;
  }
  const bool stage1 = uses_cd_table(domain);
  if (rc == 0 && !stage1 && !master.pasids.empty()) {
    rc = -EBUSY;  // the CD table is in use
  }
  if (rc != 0) {
    co_return rc;
  }
  if (stage1) {
    co_await alloc_cd_ptr(t, master, 0);
  }
  co_await asid_lock().lock(t);
  const bool ats = master.ats_supported;
  co_await prepare(t, master, &domain, ats);
  co_await write_entries(t, master, domain);
  co_await commit(t, master, ats);
  master.domain = &domain;
  co_await asid_lock().unlock(t);
  co_return 0;
}

// arm_smmu_attach_dev_ste() with the blocked domain; the CD is cleared outside the lock. PASIDs in
// use keep the CD table in the STE, and ATS on.
Task<void> Driver612::attach_blocked(lnx::Thread& t, Master& master) {
  const bool in_use = !master.pasids.empty();
  t.charge(params().attach_base);
  co_await asid_lock().lock(t);
  const bool ats = in_use && master.ats_supported;
  co_await prepare(t, master, nullptr, ats);
  co_await write_ste(t, master,
                     in_use ? cd_table_ste(master, S1Dss::kTerminate) : make_abort_ste());
  co_await commit(t, master, ats);
  master.domain = nullptr;
  co_await asid_lock().unlock(t);
  if (cd_valid(master.cd)) {
    co_await write_cd(t, master, Entry{});
  }
}

// arm_smmu_set_pasid(): a CD of its own; the STE changes only if it does not use the CD table yet.
Task<int> Driver612::attach_pasid(lnx::Thread& t, Master& master, std::uint32_t pasid,
                                  Domain& domain) {
  t.charge(params().attach_base);
  if (!ssids().has(pasid) || !uses_cd_table(domain) || domain.smmu != master.smmu ||
      (master.domain != nullptr && !uses_cd_table(*master.domain))) {
    co_return -EINVAL;
  }
  co_await alloc_cd_ptr(t, master, pasid);
  co_await asid_lock().lock(t);
  auto use = std::find_if(master.pasids.begin(), master.pasids.end(),
                          [pasid](const Master::PasidUse& u) { return u.pasid == pasid; });
  Domain* old = use == master.pasids.end() ? nullptr : use->domain;
  co_await join(t, {&master, pasid}, domain, master.ats_supported);
  Entry cd = old == nullptr ? Entry{} : use->cd;
  co_await write_pasid_cd(t, master, pasid, cd, cd_of(domain));
  if (old == nullptr) {
    master.pasids.push_back({pasid, &domain, cd});
    if (master.domain == nullptr && master.pasids.size() == 1) {
      co_await write_ste(t, master, cd_table_ste(master, S1Dss::kTerminate));
    }
  } else {
    *use = {pasid, &domain, cd};
  }
  if (master.ats_supported) {  // arm_smmu_enable_ats() empties all before ATS comes on
    co_await invalidate_atc(t, master, master.ats_enabled ? pasid : 0);
    if (!master.ats_enabled) {
      co_await set_pci_ats(t, master, true);
    }
    master.ats_enabled = true;
  }
  if (old != nullptr) {
    co_await leave(t, {&master, pasid}, *old, master.ats_supported);
  }
  co_await asid_lock().unlock(t);
  co_return 0;
}

// arm_smmu_remove_dev_pasid(); with the last one the STE of a blocked master says abort again.
Task<void> Driver612::detach_pasid(lnx::Thread& t, Master& master, std::uint32_t pasid) {
  const auto use = std::find_if(master.pasids.begin(), master.pasids.end(),
                                [pasid](const Master::PasidUse& u) { return u.pasid == pasid; });
  SMMULAB_CHECK(use != master.pasids.end(), "a PASID that is not attached is detached");
  Master::PasidUse gone = *use;
  co_await asid_lock().lock(t);
  co_await write_pasid_cd(t, master, pasid, gone.cd, Entry{});
  if (master.ats_enabled) {
    co_await invalidate_atc(t, master, pasid);
  }
  co_await leave(t, {&master, pasid}, *gone.domain, master.ats_enabled);
  std::erase_if(master.pasids, [pasid](const Master::PasidUse& u) { return u.pasid == pasid; });
  co_await asid_lock().unlock(t);
  if (master.domain == nullptr && master.pasids.empty()) {
    co_await attach_blocked(t, master);
  }
}

}  // namespace smmulab::smmu

// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cerrno>

#include "models/smmuv3/driver/counted_driver.hpp"
#include "models/smmuv3/driver/timed_hardware.hpp"

namespace smmulab::smmu {

// arm_smmu_detach_dev(): under no mutex of the driver. The STE goes to abort with one sync.
Task<void> Driver62::detach_dev(lnx::Thread& t, Master& master) {
  Domain* old = master.domain;
  if (old == nullptr) {
    co_return;
  }
  if (master.ats_enabled) {
    co_await set_pci_ats(t, master, false);
    co_await invalidate_atc(t, master);
    --old->nr_ats_masters;
    master.ats_enabled = false;
  }
  co_await old->devices_lock.lock(t);
  std::erase(old->masters, MasterDomain{&master});
  co_await old->devices_lock.unlock(t);
  master.domain = nullptr;
  for (std::size_t sid = 0; sid < master.stream_ids.size(); ++sid) {
    co_await t.run(params().write_entry + params().write_step);
    master.ste = make_abort_ste();
    update_dark(t, master, false);
    store_ste(master, master.stream_ids[sid], master.ste);
    co_await sync_ste(t, master, master.stream_ids[sid]);
  }
}

// The domain's CD table is made and its CD written with no master in the list yet: two bare SYNCs,
// and before them one for the L1CD of a table with two levels.
Task<void> Driver62::write_first_cd(lnx::Thread& t, Smmu& smmu, Domain& domain) {
  t.charge(params().cd_table_alloc);
  if (ssids().two_levels()) {
    t.charge(params().cd_table_alloc);
    co_await t.run(params().write_step);
    if (domain.cd_table != 0) {
      smmu.hardware->store_cd_leaf(domain.cd_table, 0);
    }
    co_await smmu.queue.issue(t, CommandBatch{}, true);
  }
  Entry cd = cd_of(domain);
  for (const bool whole : {false, true}) {
    co_await t.run(params().write_step);
    if (domain.cd_table != 0) {  // word 0, with V, last
      cd[0] = whole ? cd_of(domain)[0] : 0;
      smmu.hardware->store_cd(first_cd(domain), cd);
    }
    co_await smmu.queue.issue(t, CommandBatch{}, true);
  }
}

// arm_smmu_attach_dev() of 6.2: never hitless. init_mutex is held to the end; a domain of another
// SMMU is found out only after the detach.
Task<int> Driver62::attach_dev(lnx::Thread& t, Master& master, Domain& domain) {
  t.charge(params().attach_base);
  co_await detach_dev(t, master);
  co_await domain.init_mutex.lock(t);
  int rc = 0;
  if (domain.smmu == nullptr) {
    rc = co_await finalise(t, domain, *master.smmu);
  } else if (domain.smmu != master.smmu) {
    rc = -EINVAL;
  }
  if (rc != 0) {
    co_await domain.init_mutex.unlock(t);
    co_return rc;
  }
  const Entry target = ste_of(master, domain);
  for (std::size_t sid = 0; sid < master.stream_ids.size(); ++sid) {
    const bool last = sid + 1 == master.stream_ids.size();
    const StreamId stream = master.stream_ids[sid];
    co_await t.run(params().write_entry + params().write_step);
    Entry first = target;
    first[0] = make_abort_ste()[0];
    store_ste(master, stream, first);
    co_await sync_ste(t, master, stream);
    co_await t.run(params().write_step);
    store_ste(master, stream, target);
    if (last) {
      master.ste = target;
      master.cd = domain.stage == Stage::kS1 ? cd_of(domain) : Entry{};
    }
    co_await sync_ste(t, master, stream);
    update_dark(t, master, true);
    co_await prefetch(t, master, stream);
  }
  t.charge(params().master_domain);
  co_await domain.devices_lock.lock(t);
  domain.masters.push_back({&master});
  co_await domain.devices_lock.unlock(t);
  master.domain = &domain;
  if (master.ats_supported) {
    // arm_smmu_enable_ats() empties the ATCs of the whole domain.
    master.ats_enabled = true;
    ++domain.nr_ats_masters;
    co_await invalidate_domain_atc(t, domain);
    co_await set_pci_ats(t, master, true);
  }
  co_await domain.init_mutex.unlock(t);
  co_return 0;
}

Task<void> Driver62::attach_blocked(lnx::Thread& /*t*/, Master& master) {
  throw ModelError("driver 6.2 has no blocked domain (master " + master.name + ")");
  co_return;
}

}  // namespace smmulab::smmu

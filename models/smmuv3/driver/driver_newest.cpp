// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "models/smmuv3/driver/counted_driver.hpp"

namespace smmulab::smmu {
namespace {

constexpr std::uint64_t kPage = 4096;
// CMDQ_MAX_TLBI_OPS of 4 KiB granules.
constexpr std::uint64_t kMaxTlbiOps = kPage >> 3U;

}  // namespace

// arm_smmu_invs_merge() or _purge() into a new array, then its exchange.
void DriverNewest::charge_array(lnx::Thread& t, const Domain& domain) const {
  t.charge(params().master_domain +
           params().invs_entry * static_cast<std::int64_t>(domain.masters.size() + 1));
}

Task<void> DriverNewest::join(lnx::Thread& t, MasterDomain entry, Domain& domain, bool ats) {
  domain.nr_ats_masters += ats ? 1U : 0U;
  domain.masters.push_back(entry);
  charge_array(t, domain);
  co_return;
}

Task<void> DriverNewest::leave(lnx::Thread& t, MasterDomain entry, Domain& domain, bool ats) {
  const auto at = std::find(domain.masters.begin(), domain.masters.end(), entry);
  SMMULAB_CHECK(at != domain.masters.end() || !serialised(), "master is not in its domain's array");
  if (at != domain.masters.end()) {
    domain.masters.erase(at);
  }
  domain.nr_ats_masters -= ats ? 1U : 0U;
  charge_array(t, domain);
  if (domain.masters.empty()) {  // the last user of its ASID or VMID
    CommandBatch batch;
    co_await add(t, domain.smmu->queue, batch, tlbi_whole(domain));
    co_await domain.smmu->queue.issue(t, batch, true);
  }
}

Task<void> DriverNewest::invalidate(lnx::Thread& t, Domain& domain, const PageTable::Flush& flush) {
  co_await t.run(machine().params().lock.atomic);  // smp_mb(), rcu_read_lock()
  t.charge(params().invs_entry * static_cast<std::int64_t>(domain.masters.size()));
  if (domain.masters.empty()) {
    co_return;  // nobody's TLB has anything of it
  }
  CommandQueues& queue = domain.smmu->queue;
  const bool whole = !params().range_inv && flush.size >= kMaxTlbiOps * flush.granule;
  CommandBatch batch;
  if (whole) {
    co_await add(t, queue, batch, tlbi_whole(domain));
  } else {
    co_await add(t, queue, batch, tlbi_range(domain, flush));
    if (domain.nest_parent) {
      co_await add(t, queue, batch, CommandSeries::tlbi_nh_all(domain.vmid));
    }
  }
  co_await queue.issue(t, batch, true);
  if (domain.nr_ats_masters == 0) {
    co_return;
  }
  batch.clear();
  for (std::size_t i = 0; i < domain.masters.size(); ++i) {
    const auto [master, ssid] = domain.masters[i];
    if (master->ats_enabled) {
      co_await add(
          t, queue, batch,
          CommandSeries::atc_inv(master->stream_ids, atc_span(flush.iova, flush.size), ssid));
    }
  }
  co_await queue.issue(t, batch, true);
}

}  // namespace smmulab::smmu

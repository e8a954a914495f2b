// SPDX-License-Identifier: Apache-2.0
// Domains of the driver: made, finalised with an ASID or VMID and tables, freed; and the state
// after boot.
#include <cerrno>

#include <fmt/format.h>

#include "models/smmuv3/driver/counted_driver.hpp"
#include "models/smmuv3/driver/timed_hardware.hpp"
#include "sim/error.hpp"

namespace smmulab::smmu {

Domain& CountedDriver::new_domain() {
  // Under a step control each is its own: which one comes back depends on the order.
  if (!free_domains_.empty() && machine_.control() == nullptr) {
    Domain& domain = *free_domains_.back();
    free_domains_.pop_back();
    domain.smmu = nullptr;
    domain.masters.clear();
    domain.nr_ats_masters = 0;
    domain.mapped = 0;
    domain.nest_parent = false;
    domain.dirty_tracking = false;
    domain.parent = nullptr;
    domain.table = {};
    domain.stored.reset();
    return domain;
  }
  return domains_.emplace_back(machine_, init_class_, devices_class_,
                               static_cast<std::uint32_t>(domains_.size()));
}

Task<Domain*> CountedDriver::domain_alloc(lnx::Thread& t, const Master& master,
                                          DomainRequest request) {
  Domain& domain = new_domain();
  t.charge(params_.domain_alloc);
  domain.nest_parent = request.nest_parent;
  domain.dirty_tracking = request.dirty_tracking;
  if (finalises_at_alloc()) {
    static_cast<void>(co_await finalise(t, domain, *master.smmu));
  }
  co_return &domain;
}

bool CountedDriver::take_asid(Domain& domain) {
  const std::optional<std::uint32_t> id = asids_.take(params_.asid_bits);
  domain.asid = Asid{static_cast<std::uint16_t>(id.value_or(0))};
  return id.has_value();
}

bool CountedDriver::take_vmid(Domain& domain, Smmu& smmu) const {
  const std::optional<std::uint32_t> id = smmu.vmids.take(params_.vmid_bits);
  domain.vmid = Vmid{static_cast<std::uint16_t>(id.value_or(0))};
  return id.has_value();
}

// alloc_io_pgtable_ops, then an ASID (S1, under the lock) or VMID (S2).
Task<int> CountedDriver::finalise(lnx::Thread& t, Domain& domain, Smmu& smmu) {
  domain.stage = domain.nest_parent ? Stage::kS2 : params_.stage;
  t.charge(params_.finalise);
  if (domain.stage == Stage::kS1) {
    co_await asid_lock_.lock(t);
    t.charge(machine_.params().lock.atomic);
    if (!take_asid(domain)) {
      co_await asid_lock_.unlock(t);
      co_return -EBUSY;
    }
    make_tables(domain, smmu);
    co_await write_first_cd(t, smmu, domain);
    co_await asid_lock_.unlock(t);
  } else {
    t.charge(machine_.params().lock.atomic);
    if (!take_vmid(domain, smmu)) {
      co_return -ENOSPC;
    }
    make_tables(domain, smmu);
  }
  domain.smmu = &smmu;
  co_return 0;
}

Task<void> CountedDriver::write_first_cd(lnx::Thread& /*t*/, Smmu& /*smmu*/, Domain& /*domain*/) {
  co_return;
}

void CountedDriver::make_tables(Domain& domain, Smmu& smmu) {
  if (smmu.hardware == nullptr) {
    return;
  }
  domain.stored = smmu.hardware->new_page_table(domain.stage == Stage::kS1 ? 1 : 2);
  if (params_.version == DriverVersion::k6_2 && domain.stage == Stage::kS1 &&
      domain.cd_table_of != &smmu) {
    domain.cd_table = smmu.hardware->new_cd_table(ssids());
    domain.cd_table_of = &smmu;
  }
}

Task<void> CountedDriver::domain_free(lnx::Thread& t, Domain& domain) {
  SMMULAB_CHECK(domain.masters.empty() || !serialised(), "a domain with masters is freed");
  t.charge(params_.domain_free +
           params_.table_free * static_cast<std::int64_t>(domain.table.table_pages() - 1));
  if (domain.smmu != nullptr && domain.parent == nullptr) {
    // free_io_pgtable_ops(): walk caches may have its tables. In newest kernels the flush goes by
    // the domain's array, which is empty: the last detach flushed the ASID or VMID.
    if (params_.version != DriverVersion::kNewest) {
      co_await flush_iotlb_all(t, domain);
    }
    domain.stored.reset();
  }
  // What it was known by is free after its flush.
  if (domain.smmu != nullptr && domain.parent == nullptr) {
    if (domain.stage == Stage::kS1) {
      co_await asid_lock_.lock(t);
      t.charge(machine_.params().lock.atomic);
      asids_.give_back(domain.asid.value());
      co_await asid_lock_.unlock(t);
    } else {
      t.charge(machine_.params().lock.atomic);
      domain.smmu->vmids.give_back(domain.vmid.value());
    }
  }
  free_domains_.push_back(&domain);
}

Domain& CountedDriver::boot_domain(Smmu& smmu) {
  Domain& domain = new_domain();
  domain.stage = params_.stage;
  const bool stage1 = domain.stage == Stage::kS1;
  if (!(stage1 ? take_asid(domain) : take_vmid(domain, smmu))) {
    throw ConfigError(fmt::format("driver.{} = {}: too few {} for a default domain of each group",
                                  stage1 ? "asid_bits" : "vmid_bits",
                                  stage1 ? params_.asid_bits : params_.vmid_bits,
                                  stage1 ? "ASIDs" : "VMIDs"));
  }
  domain.smmu = &smmu;
  make_tables(domain, smmu);
  if (domain.cd_table != 0) {
    if (ssids().two_levels()) {
      smmu.hardware->store_cd_leaf(domain.cd_table, 0);
    }
    smmu.hardware->store_cd(first_cd(domain), cd_of(domain));
  }
  return domain;
}

void CountedDriver::boot_attach(Master& master, Domain& domain) {
  master.cd_table_allocated = true;
  TimedHardware* const hardware = master.smmu->hardware;
  if (hardware != nullptr && params_.version != DriverVersion::k6_2) {
    master.cd_table = hardware->new_cd_table(ssids());
  }
  if (domain.stage == Stage::kS1) {
    if (ssids().two_levels()) {
      master.cd_leaves = {Ssids::leaf_of(0)};
      if (master.cd_table != 0) {
        hardware->store_cd_leaf(master.cd_table, 0);
      }
    }
    master.cd = cd_of(domain);
    store_cd(master, master.cd);
  }
  master.ste = ste_of(master, domain);
  for (std::size_t i = 0; hardware != nullptr && i < master.stream_ids.size(); ++i) {
    hardware->add_stream(master.stream_ids[i], master.ats_supported);
    hardware->store_ste(master.stream_ids[i], master.ste);
  }
  master.domain = &domain;
  master.dark = false;
  master.ats_enabled = master.ats_supported;
  domain.nr_ats_masters += master.ats_enabled ? 1U : 0U;
  domain.masters.push_back({&master});
}

}  // namespace smmulab::smmu

// SPDX-License-Identifier: Apache-2.0
#include "models/smmuv3/driver/counted_driver.hpp"

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

#include "models/smmuv3/driver/timed_hardware.hpp"
#include "sim/error.hpp"

namespace smmulab::smmu {

CountedDriver::CountedDriver(lnx::Machine& machine, const DriverParams& params)
    : machine_(machine),
      params_(params),
      init_class_(machine.locks().get("init_mutex", lnx::LockKind::kMutex)),
      devices_class_(machine.locks().get("devices_lock", lnx::LockKind::kSpinlock)),
      asid_lock_(machine, machine.locks().get("asid_lock", lnx::LockKind::kMutex)) {
  if (!params.global_asid_lock) {
    asid_lock_.lock_class().elided = true;
  }
  init_class_.leaf = devices_class_.leaf = asid_lock_.lock_class().leaf = true;
}

// False: a bound without locks, or a what-if, lets two attaches of one master overlap.
bool CountedDriver::serialised() const {
  return !machine_.locks().freed() &&
         !machine_.locks().get("group->mutex", lnx::LockKind::kMutex).elided;
}

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

// Nest parents are of stage 2, dirty bits of stage 1 only (6.12 arm_smmu_domain_finalise()).
int CountedDriver::check_request(DomainRequest request) const {
  const bool unsupported = (request.nest_parent && (!nests() || request.dirty_tracking)) ||
                           (request.dirty_tracking && (params_.version == DriverVersion::k6_2 ||
                                                       params_.stage == Stage::kS2));
  return unsupported ? -EOPNOTSUPP : 0;
}

Task<Domain*> CountedDriver::nested_alloc(lnx::Thread& t, Domain& parent) {
  t.charge(params_.domain_alloc);
  Domain& domain = new_domain();
  domain.parent = &parent;
  domain.smmu = parent.smmu;
  domain.stage = Stage::kS1;
  co_return &domain;
}

// arm_vsmmu_cache_invalidate(): batches of one less than the most, always in the main queue.
Task<void> CountedDriver::invalidate_user(lnx::Thread& t, Domain& nested, std::uint64_t count) {
  CommandBatch batch;
  for (std::uint64_t i = 0; i < count; ++i) {
    t.charge(params_.user_command);
    batch.add(Command::kTlbiNhVa, CommandSeries::tlbi_guest(nested.parent->vmid).next());
    if (i + 1 == count || batch.size() == kBatchEntries - 1) {
      co_await nested.smmu->queue.issue_in_main(t, batch, true);
      batch.clear();
    }
  }
}

void CountedDriver::read_and_clear_dirty(lnx::Thread& t, const Domain& /*domain*/, Iova iova,
                                         Bytes size, Bytes run, bool clear) {
  const Ps each = clear ? params_.dirty_pte : params_.dirty_pte_read;
  t.charge(params_.iova_to_phys +
           each * static_cast<std::int64_t>(PageTable::leaves(iova, size, run)));
}

Task<int> CountedDriver::attach_pasid(lnx::Thread& /*t*/, Master& /*master*/,
                                      std::uint32_t /*pasid*/, Domain& /*domain*/) {
  co_return -EOPNOTSUPP;
}

Task<void> CountedDriver::detach_pasid(lnx::Thread& /*t*/, Master& master,
                                       std::uint32_t /*pasid*/) {
  throw ModelError("this driver attaches no PASIDs (master " + master.name + ")");
  co_return;
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

// arm_smmu_cmdq_batch_add() for each: a full batch goes without a SYNC.
Task<void> CountedDriver::add(lnx::Thread& t, CommandQueues& queue, CommandBatch& batch,
                              CommandSeries series) {
  for (std::uint64_t i = 0; i < series.count(); ++i) {
    if (batch.full()) {
      co_await queue.issue(t, batch, false);
      batch.clear();
    }
    batch.add(series.kind(), queue.timed() ? series.next() : CommandWords{});
    t.charge(params_.cmd_build);
  }
}

Task<void> CountedDriver::invalidate_atc(lnx::Thread& t, Master& master, std::uint32_t ssid) {
  CommandBatch batch;
  co_await add(t, master.smmu->queue, batch, CommandSeries::atc_inv(master.stream_ids, {}, ssid));
  co_await master.smmu->queue.issue(t, batch, true);
}

Task<void> CountedDriver::set_pci_ats(lnx::Thread& t, Master& master, bool on) {
  t.charge(params_.pci_config);
  TimedHardware* const hardware = master.smmu->hardware;
  if (hardware == nullptr) {
    co_return;
  }
  if (hardware->has_atcs()) {
    co_await t.run();  // the store is when that is paid
  }
  for (const StreamId stream : master.stream_ids) {
    hardware->set_ats(stream, on);
  }
}

Task<int> CountedDriver::map(lnx::Thread& t, Domain& domain, Iova iova, Bytes size, Bytes run) {
  if (domain.smmu == nullptr) {
    co_return -ENODEV;  // 6.2: no pgtbl_ops before the first attach
  }
  const PageTable::Work work = domain.table.map(iova, size, run);
  domain.mapped += size.value();
  const std::uint64_t calls = (size.value() + run.value() - 1) / run.value();
  t.charge(params_.map_call * static_cast<std::int64_t>(calls) +
           params_.map_pte * static_cast<std::int64_t>(work.ptes) +
           params_.table_page * static_cast<std::int64_t>(work.tables));
  hw::FrameAllocator::Held dropped;
  TimedHardware* const hardware = domain.stored ? domain.smmu->hardware : nullptr;
  if (hardware != nullptr) {
    co_await t.run();  // the stores are when that is paid
    dropped = hardware->map(*domain.stored, domain.id, iova, size, run);
  }
  for (const PageTable::Flush& flush : work.flushes) {
    co_await invalidate(t, domain, flush);
  }
  if (hardware != nullptr) {
    hardware->release(dropped);
  }
  co_return 0;
}

Task<void> CountedDriver::unmap(lnx::Thread& t, Domain& domain, Iova iova, Bytes size) {
  return unmap_and_flush(t, domain, iova, size, true);
}

Task<void> CountedDriver::unmap_queued(lnx::Thread& t, Domain& domain, Iova iova, Bytes size) {
  return unmap_and_flush(t, domain, iova, size, false);
}

// `leaves`: flush what held leaf entries, too.
Task<void> CountedDriver::unmap_and_flush(lnx::Thread& t, Domain& domain, Iova iova, Bytes size,
                                          bool leaves) {
  if (domain.smmu == nullptr) {
    co_return;  // 6.2: no pgtbl_ops before the first attach, nothing was mapped
  }
  const PageTable::UnmapWork work = domain.table.unmap(iova, size);
  domain.mapped -= size.value();
  t.charge(params_.unmap_call + params_.unmap_pte * static_cast<std::int64_t>(work.ptes) +
           params_.table_free * static_cast<std::int64_t>(work.tables));
  hw::FrameAllocator::Held dropped;
  std::uint64_t number = 0;
  TimedHardware* const hardware = domain.stored ? domain.smmu->hardware : nullptr;
  if (hardware != nullptr) {
    co_await t.run();  // the stores are when that is paid
    dropped = hardware->unmap(*domain.stored, iova, size);
    if (leaves) {
      number = hardware->unmap_begins(domain.id, iova, size);
    } else {
      hardware->unmap_queued(domain.id, iova, size);
    }
  }
  for (const PageTable::Flush& flush : work.flushes) {
    if (flush.leaf && !leaves) {
      continue;
    }
    t.charge(params_.iotlb_sync);
    co_await invalidate(t, domain, flush);
  }
  if (hardware != nullptr) {
    if (leaves) {
      hardware->unmap_ended(number);
    }
    hardware->release(dropped);
  }
}

// arm_smmu_tlb_inv_context(): by ASID or VMID, then ATC.
Task<void> CountedDriver::flush_iotlb_all(lnx::Thread& t, Domain& domain) {
  CommandBatch batch;
  CommandSeries series = tlbi_whole(domain);
  batch.add(series.kind(), series.next());
  t.charge(params_.iotlb_sync + params_.cmd_build);
  TimedHardware* const hardware = domain.smmu->hardware;
  const std::uint64_t unmaps = hardware != nullptr ? hardware->unmaps() : 0;
  co_await domain.smmu->queue.issue(t, batch, true);
  co_await invalidate_domain_atc(t, domain);
  if (hardware != nullptr) {
    hardware->flush_ended(domain.id, unmaps);
  }
}

Task<void> CountedDriver::invalidate(lnx::Thread& t, Domain& domain,
                                     const PageTable::Flush& flush) {
  co_await invalidate_range(t, domain, flush);
  co_await invalidate_domain_atc(t, domain, atc_span(flush.iova, flush.size));
}

CommandSeries CountedDriver::tlbi_range(const Domain& domain, const PageTable::Flush& flush) const {
  const CommandSeries::Range range{flush.iova, flush.size, flush.granule, flush.leaf,
                                   params_.range_inv};
  return domain.stage == Stage::kS1 ? CommandSeries::tlbi_va(domain.asid, range)
                                    : CommandSeries::tlbi_ipa(domain.vmid, range);
}

CommandSeries CountedDriver::tlbi_whole(const Domain& domain) {
  return domain.stage == Stage::kS1 ? CommandSeries::tlbi_asid(domain.asid)
                                    : CommandSeries::tlbi_vmid(domain.vmid);
}

void CountedDriver::read_back(lnx::Thread& t, Pages pages) {
  t.charge(params_.iova_to_phys * static_cast<std::int64_t>(pages.value()));
}

Task<void> CountedDriver::invalidate_range(lnx::Thread& t, Domain& domain,
                                           const PageTable::Flush& flush) {
  CommandQueues& queue = domain.smmu->queue;
  CommandBatch batch;
  co_await add(t, queue, batch, tlbi_range(domain, flush));
  co_await queue.issue(t, batch, true);
}

Task<void> CountedDriver::invalidate_domain_atc(lnx::Thread& t, Domain& domain, AtcSpan span) {
  co_await t.run(machine_.params().lock.atomic);  // smp_mb(), nr_ats_masters
  if (domain.nr_ats_masters == 0) {
    co_return;
  }
  CommandQueues& queue = domain.smmu->queue;
  CommandBatch batch;
  co_await domain.devices_lock.lock(t);
  for (std::size_t i = 0; i < domain.masters.size(); ++i) {  // a free lock lets the list change
    const auto [master, ssid] = domain.masters[i];
    if (master->ats_enabled) {
      co_await add(t, queue, batch, CommandSeries::atc_inv(master->stream_ids, span, ssid));
    }
  }
  co_await domain.devices_lock.unlock(t);
  co_await queue.issue(t, batch, true);
}

std::unique_ptr<CountedDriver> make_counted_driver(lnx::Machine& machine,
                                                   const DriverParams& params) {
  if (params.version == DriverVersion::k6_2) {
    return std::make_unique<Driver62>(machine, params);
  }
  if (params.version == DriverVersion::kNewest) {
    return std::make_unique<DriverNewest>(machine, params);
  }
  return std::make_unique<Driver612>(machine, params);
}

}  // namespace smmulab::smmu

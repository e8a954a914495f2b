// SPDX-License-Identifier: Apache-2.0
#include "models/smmuv3/driver/counted_driver.hpp"

#include <cerrno>

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

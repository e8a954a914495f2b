// SPDX-License-Identifier: Apache-2.0
// STEs and CDs: what an attachment needs, the steps that write it, and when DMA is dark meanwhile.
#include <algorithm>

#include "models/smmuv3/driver/counted_driver.hpp"
#include "models/smmuv3/driver/timed_hardware.hpp"

namespace smmulab::smmu {
namespace {

// A domain's page-table base; with counted hardware what stands for it: distinct, aligned.
std::uint64_t table_base(const Domain& domain) {
  if (domain.stored) {
    return domain.stored->root();
  }
  return (domain.id + 1ULL) << 12U;
}

// Config 7, both stages: the CD is a guest's, which is taken for valid.
bool is_nested(const Entry& ste) {
  return ((ste[0] >> 1U) & 7U) == 7U;
}

}  // namespace

Entry CountedDriver::cd_of(const Domain& domain) const {
  return make_s1_cd(domain.asid.value(), table_base(domain));
}

Entry CountedDriver::ste_of(const Master& master, const Domain& domain) const {
  if (domain.parent != nullptr) {
    return make_nested_ste((domain.id + 1ULL) << 20U, domain.parent->vmid.value(),
                           table_base(*domain.parent), master.ats_supported);
  }
  if (domain.stage == Stage::kS2) {
    return make_s2_ste(domain.vmid.value(), table_base(domain), master.ats_supported);
  }
  // 6.12: the CD table belongs to the master; 6.2: to the domain.
  if (params_.version == DriverVersion::k6_2) {
    const std::uint64_t symbolic = table_base(domain) << 12U;
    const Entry ste =
        make_cdtable_ste(domain.cd_table != 0 ? domain.cd_table : symbolic, master.ats_supported);
    return ssids().two_levels() ? with_two_levels(ste, ssids().bits) : ste;
  }
  return cd_table_ste(master, S1Dss::kSsid0);
}

Entry CountedDriver::cd_table_ste(const Master& master, S1Dss s1dss) const {
  const std::uint64_t symbolic = (master.stream_ids.front().value() + 1ULL) << 12U;
  const Entry ste = make_cdtable_ste(master.cd_table != 0 ? master.cd_table : symbolic,
                                     master.ats_supported, s1dss);
  return ssids().two_levels() ? with_two_levels(ste, ssids().bits) : ste;
}

void CountedDriver::update_dark(const lnx::Thread& t, Master& master, bool mended) {
  const bool passes = ste_passes(master.ste) &&
                      (!ste_uses_cd(master.ste) || is_nested(master.ste) || cd_valid(master.cd));
  if (!passes && !master.dark) {
    master.dark = true;
    master.dark_since = machine_.now();
    if (Record* record = machine_.record()) [[unlikely]] {
      record->append(record_event::dma_dark_begin(
          machine_.now(), t.record_id(), master.recorded.in(*record, [&] { return master.name; })));
    }
  } else if (passes && master.dark && mended) {
    master.dark = false;
    if (!master.dark_since) {
      return;  // its first translation
    }
    if (Record* record = machine_.record()) [[unlikely]] {
      record->append(record_event::dma_dark_end(
          machine_.now(), t.record_id(), master.recorded.in(*record, [&] { return master.name; })));
    }
    const Ps window = machine_.now() - *master.dark_since;
    ++master.dark_time.windows;
    master.dark_time.total += window;
    master.dark_time.max = std::max(master.dark_time.max, window);
  }
}

void CountedDriver::store_ste(const Master& master, StreamId stream, const Entry& ste) {
  if (master.smmu->hardware != nullptr) {
    master.smmu->hardware->store_ste(stream, ste);
  }
}

std::uint64_t CountedDriver::first_cd(const Domain& domain) const {
  return ssids().two_levels() ? domain.cd_table_of->hardware->cd_address(domain.cd_table, 0)
                              : domain.cd_table;
}

void CountedDriver::store_cd(const Master& master, const Entry& cd, std::uint32_t ssid) const {
  TimedHardware* const hardware = master.smmu->hardware;
  if (master.cd_table == 0) {
    return;
  }
  if (ssids().two_levels()) {
    hardware->store_cd(hardware->cd_address(master.cd_table, ssid), cd);
  } else if (ssid == 0) {
    hardware->store_cd(master.cd_table, cd);
  }
}

Task<void> CountedDriver::sync_cd(lnx::Thread& t, Master& master, std::uint32_t ssid, bool leaf) {
  CommandBatch batch;
  co_await add(t, master.smmu->queue, batch, CommandSeries::cfgi_cd(master.stream_ids, ssid, leaf));
  co_await master.smmu->queue.issue(t, batch, true);
}

Task<void> CountedDriver::write_cd(lnx::Thread& t, Master& master, const Entry& target) {
  if (machine_.control() != nullptr) [[unlikely]] {  // within one step nobody sees it half written
    master.cd = target;
    update_dark(t, master, true);
    co_return;
  }
  const EntryUpdate update = plan_entry_update(master.cd, target, cd_used_bits);
  t.charge(params_.write_entry);
  for (std::uint32_t i = 0; i < update.step_count; ++i) {
    co_await t.run(params_.write_step);
    master.cd = update.steps[i];
    store_cd(master, master.cd);
    update_dark(t, master, false);
    co_await sync_cd(t, master);
    update_dark(t, master, true);
  }
}

Task<void> CountedDriver::write_pasid_cd(lnx::Thread& t, Master& master, std::uint32_t pasid,
                                         Entry& cd, const Entry& target) {
  const EntryUpdate update = plan_entry_update(cd, target, cd_used_bits);
  cd = target;
  t.charge(params_.write_entry);
  for (std::uint32_t i = 0; i < update.step_count; ++i) {
    co_await t.run(params_.write_step);
    store_cd(master, update.steps[i], pasid);
    co_await sync_cd(t, master, pasid);
  }
}

// One stream id's STE sync; the entries of a master's other stream ids follow one after another.
Task<void> CountedDriver::sync_ste(lnx::Thread& t, Master& master, StreamId stream) {
  CommandBatch batch;
  batch.add(Command::kCfgiSte, CommandSeries::cfgi_ste(stream).next());
  t.charge(params_.cmd_build);
  co_await master.smmu->queue.issue(t, batch, true);
}

Task<void> CountedDriver::write_ste(lnx::Thread& t, Master& master, const Entry& target) {
  if (machine_.control() != nullptr) [[unlikely]] {
    master.ste = target;
    update_dark(t, master, true);
    co_return;
  }
  const EntryUpdate update = plan_entry_update(master.ste, target, ste_used_bits);
  for (std::size_t sid = 0; sid < master.stream_ids.size(); ++sid) {
    const bool first = sid == 0;
    const bool last = sid + 1 == master.stream_ids.size();
    t.charge(params_.write_entry);
    for (std::uint32_t i = 0; i < update.step_count; ++i) {
      co_await t.run(params_.write_step);
      // The master counts as broken with its first entry, as mended with its last.
      const bool passes = ste_passes(update.steps[i]);
      if (passes ? last : first) {
        master.ste = update.steps[i];
        update_dark(t, master, false);
      }
      store_ste(master, master.stream_ids[sid], update.steps[i]);
      co_await sync_ste(t, master, master.stream_ids[sid]);
      update_dark(t, master, true);
    }
    co_await prefetch(t, master, master.stream_ids[sid]);
  }
  master.ste = target;
}

Task<void> CountedDriver::prefetch(lnx::Thread& t, Master& master, StreamId stream) {
  if (params_.skip_prefetch) {
    co_return;
  }
  CommandBatch batch;
  batch.add(Command::kPrefetchConfig, CommandSeries::prefetch_config(stream).next());
  t.charge(params_.cmd_build);
  co_await master.smmu->queue.issue(t, batch, false);
}

}  // namespace smmulab::smmu

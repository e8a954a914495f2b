// SPDX-License-Identifier: Apache-2.0
// CountedDriver: performs the sequence and number of STE/CD writes, CFGI, TLBI, ATC_INV and
// CMD_SYNC of the chosen Linux version, each with a named cost, under that version's locks. Rule:
// Linux 6.12 arm-smmu-v3.c (attach: arm_smmu_attach_dev(), attach_dev_ste(), invalidation:
// arm_smmu_iotlb_sync()); Linux 6.1/6.2 arm-smmu-v3.c for DriverVersion::k6_2.
// Dirty tracking sends no command: arm_smmu_iotlb_sync() returns at once for a gather without a
// page size, which iommu_dirty_bitmap_record() does not set. A fault's cost is EventThread's
// (event_thread.hpp), with timed hardware only. Not modelled: SVA, stall, several SMMUs of one
// domain (newest kernels). Hardware is counted (SYNC waits for commands, not for DMA) or timed:
// then entries, descriptors and operands of commands are stored as well, bit for bit. A guest's
// tables are not stored, nor are the CDs of PASIDs in a linear CD table. Freeing a domain flushes
// it first, but in newest kernels the last detach has.
#pragma once

#include <deque>

#include "models/smmuv3/driver/command_series.hpp"
#include "models/smmuv3/driver/driver.hpp"
#include "models/smmuv3/driver/lowest_ids.hpp"
#include "models/smmuv3/driver/ssids.hpp"

namespace smmulab::smmu {

class CountedDriver : public Driver {
 public:
  CountedDriver(lnx::Machine& machine, const DriverParams& params);

  using Driver::domain_alloc;
  Task<Domain*> domain_alloc(lnx::Thread& t, const Master& master, DomainRequest request) override;
  [[nodiscard]] int check_request(DomainRequest request) const override;
  Task<Domain*> nested_alloc(lnx::Thread& t, Domain& parent) override;
  [[nodiscard]] bool nests() const override { return false; }
  Task<void> invalidate_user(lnx::Thread& t, Domain& nested, std::uint64_t count) override;
  void read_and_clear_dirty(lnx::Thread& t, const Domain& domain, Iova iova, Bytes size, Bytes run,
                            bool clear) override;
  Task<int> attach_pasid(lnx::Thread& t, Master& master, std::uint32_t pasid,
                         Domain& domain) override;
  Task<void> detach_pasid(lnx::Thread& t, Master& master, std::uint32_t pasid) override;
  Task<void> domain_free(lnx::Thread& t, Domain& domain) override;
  Task<int> map(lnx::Thread& t, Domain& domain, Iova iova, Bytes size, Bytes run) override;
  Task<void> unmap(lnx::Thread& t, Domain& domain, Iova iova, Bytes size) override;
  Task<void> unmap_queued(lnx::Thread& t, Domain& domain, Iova iova, Bytes size) override;
  Task<void> flush_iotlb_all(lnx::Thread& t, Domain& domain) override;
  void read_back(lnx::Thread& t, Pages pages) override;
  Domain& boot_domain(Smmu& smmu) override;
  void boot_attach(Master& master, Domain& domain) override;

 protected:
  [[nodiscard]] lnx::Machine& machine() const { return machine_; }
  [[nodiscard]] const DriverParams& params() const { return params_; }
  [[nodiscard]] Ssids ssids() const { return {params_.ssid_bits}; }

  // arm_smmu_asid_lock: one for every SMMU of the system. Elided without driver.global_asid_lock:
  // group->mutex then covers each master, devices_lock the lists.
  [[nodiscard]] lnx::Mutex& asid_lock() { return asid_lock_; }
  [[nodiscard]] bool serialised() const;
  // 0, -EBUSY (no ASID is left) or -ENOSPC (no VMID of the SMMU); then the domain is as before.
  Task<int> finalise(lnx::Thread& t, Domain& domain, Smmu& smmu);
  // The part of a stage 1 finalise that comes after the ASID, under the same lock: none in 6.12,
  // whose CD tables belong to masters.
  virtual Task<void> write_first_cd(lnx::Thread& t, Smmu& smmu, Domain& domain);
  [[nodiscard]] Entry cd_of(const Domain& domain) const;
  [[nodiscard]] Entry ste_of(const Master& master, const Domain& domain) const;
  // Of a master with a CD table of its own (6.12 and later).
  [[nodiscard]] Entry cd_table_ste(const Master& master, S1Dss s1dss) const;

  // Stores each step and syncs it: CFGI_CD for every stream id in one batch and one SYNC per step;
  // CFGI_STE and SYNC per stream id and step.
  Task<void> write_cd(lnx::Thread& t, Master& master, const Entry& target);
  // The same of another SSID's CD: without the master's dark time.
  Task<void> write_pasid_cd(lnx::Thread& t, Master& master, std::uint32_t pasid, Entry& cd,
                            const Entry& target);
  Task<void> write_ste(lnx::Thread& t, Master& master, const Entry& target);
  Task<void> prefetch(lnx::Thread& t, Master& master, StreamId stream);
  Task<void> sync_ste(lnx::Thread& t, Master& master, StreamId stream);
  Task<void> sync_cd(lnx::Thread& t, Master& master, std::uint32_t ssid = 0, bool leaf = true);
  // Everything that the master's ATCs have of that PASID; of the RID with SSID 0.
  Task<void> invalidate_atc(lnx::Thread& t, Master& master, std::uint32_t ssid = 0);
  // pci_enable_ats(), pci_disable_ats().
  Task<void> set_pci_ats(lnx::Thread& t, Master& master, bool on);
  // ATC_INV for every ATS master of the domain, the list walked under devices_lock.
  Task<void> invalidate_domain_atc(lnx::Thread& t, Domain& domain, AtcSpan span = {});
  // What one flush of a domain sends.
  virtual Task<void> invalidate(lnx::Thread& t, Domain& domain, const PageTable::Flush& flush);
  // Looks at the master's entries: opens or closes its dark window.
  void update_dark(const lnx::Thread& t, Master& master, bool mended);
  Domain& new_domain();
  // arm_smmu_cmdq_batch_add(), `count` times.
  Task<void> add(lnx::Thread& t, CommandQueues& queue, CommandBatch& batch, CommandSeries series);
  Task<void> invalidate_range(lnx::Thread& t, Domain& domain, const PageTable::Flush& flush);
  [[nodiscard]] CommandSeries tlbi_range(const Domain& domain, const PageTable::Flush& flush) const;
  [[nodiscard]] static CommandSeries tlbi_whole(const Domain& domain);
  // Where the CD of SSID 0 is in a domain's CD table (6.2). REQUIRES: it has one, with that leaf.
  [[nodiscard]] std::uint64_t first_cd(const Domain& domain) const;
  // The same in memory, with timed hardware.
  static void store_ste(const Master& master, StreamId stream, const Entry& ste);
  void store_cd(const Master& master, const Entry& cd, std::uint32_t ssid = 0) const;

 private:
  [[nodiscard]] bool take_asid(Domain& domain);
  [[nodiscard]] bool take_vmid(Domain& domain, Smmu& smmu) const;
  void make_tables(Domain& domain, Smmu& smmu);
  Task<void> unmap_and_flush(lnx::Thread& t, Domain& domain, Iova iova, Bytes size, bool leaves);

  lnx::Machine& machine_;
  const DriverParams& params_;
  lnx::LockClass& init_class_;
  lnx::LockClass& devices_class_;
  lnx::Mutex asid_lock_;
  std::deque<Domain> domains_;
  std::vector<Domain*> free_domains_;
  LowestIds asids_;
};

// Linux 6.12: hitless STE/CD writes, all of an attach under arm_smmu_asid_lock.
class Driver612 : public CountedDriver {
 public:
  using CountedDriver::CountedDriver;
  Task<int> attach_pasid(lnx::Thread& t, Master& master, std::uint32_t pasid,
                         Domain& domain) override;
  Task<void> detach_pasid(lnx::Thread& t, Master& master, std::uint32_t pasid) override;
  Task<int> attach_dev(lnx::Thread& t, Master& master, Domain& domain) override;
  Task<void> attach_blocked(lnx::Thread& t, Master& master) override;
  [[nodiscard]] bool has_blocked_domain() const override { return true; }
  [[nodiscard]] bool finalises_at_alloc() const override { return true; }

 protected:
  // The new domain's invalidations reach the master from here on; the old one's end here.
  virtual Task<void> join(lnx::Thread& t, MasterDomain entry, Domain& domain, bool ats);
  virtual Task<void> leave(lnx::Thread& t, MasterDomain entry, Domain& domain, bool ats);

 private:
  Task<void> prepare(lnx::Thread& t, Master& master, Domain* domain, bool ats);
  Task<void> commit(lnx::Thread& t, Master& master, bool ats);
  Task<void> write_entries(lnx::Thread& t, Master& master, Domain& domain);
  Task<void> alloc_cd_ptr(lnx::Thread& t, Master& master, std::uint32_t ssid);
};

// About Linux 7.0: nesting (6.13), and each domain has an array of what its invalidations are for
// (arm_smmu_invs): an attach or a detach builds a new one under group->mutex and puts it in under
// arm_smmu_asid_lock; an invalidation walks it without devices_lock, one batch and SYNC for the
// TLBs, one for the ATCs; the last detach of a domain flushes its whole ASID or VMID. Rule:
// the arm_smmu_invs series (iommu list). Without range invalidation a range of 512
// granules and more is flushed whole. A domain of both stages in the way is flushed by TLBI_NH_ALL.
// Not modelled: invs->rwlock of arrays with ATS entries, several SMMUs of one domain; init_mutex
// stays (its removal is unverified).
class DriverNewest final : public Driver612 {
 public:
  using Driver612::Driver612;
  [[nodiscard]] bool nests() const override { return true; }

 private:
  Task<void> invalidate(lnx::Thread& t, Domain& domain, const PageTable::Flush& flush) override;
  Task<void> join(lnx::Thread& t, MasterDomain entry, Domain& domain, bool ats) override;
  Task<void> leave(lnx::Thread& t, MasterDomain entry, Domain& domain, bool ats) override;
  void charge_array(lnx::Thread& t, const Domain& domain) const;
};

// Linux 6.2: detach to an abort STE, then attach under the domain's init_mutex.
class Driver62 final : public CountedDriver {
 public:
  using CountedDriver::CountedDriver;
  Task<int> attach_dev(lnx::Thread& t, Master& master, Domain& domain) override;
  Task<void> attach_blocked(lnx::Thread& t, Master& master) override;
  [[nodiscard]] bool has_blocked_domain() const override { return false; }
  [[nodiscard]] bool finalises_at_alloc() const override { return false; }

 private:
  Task<void> write_first_cd(lnx::Thread& t, Smmu& smmu, Domain& domain) override;
  Task<void> detach_dev(lnx::Thread& t, Master& master);
};

[[nodiscard]] std::unique_ptr<CountedDriver> make_counted_driver(lnx::Machine& machine,
                                                                 const DriverParams& params);

}  // namespace smmulab::smmu

// SPDX-License-Identifier: Apache-2.0
// CountedDriver: performs the sequence and number of STE/CD writes, CFGI, TLBI, ATC_INV and
// CMD_SYNC of the chosen Linux version, each with a named cost, under that version's locks. Rule:
// Linux 6.12 arm-smmu-v3.c (attach: arm_smmu_attach_dev(), attach_dev_ste(), invalidation:
// arm_smmu_iotlb_sync()); Linux 6.1/6.2 arm-smmu-v3.c for DriverVersion::k6_2.
// Not modelled: PASIDs, nested domains, SVA, stall, several SMMUs of one domain (newest kernels),
// a fault's cost. Hardware is CountedHardware: SYNC waits for commands, not for DMA.
#pragma once

#include <deque>

#include "models/smmuv3/driver/driver.hpp"

namespace smmulab::smmu {

class CountedDriver : public Driver {
 public:
  CountedDriver(lnx::Machine& machine, const DriverParams& params);

  Task<Domain*> domain_alloc(lnx::Thread& t, const Master& master) override;
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

  // arm_smmu_asid_lock: one for every SMMU of the system. Elided without driver.global_asid_lock:
  // group->mutex then covers each master, devices_lock the lists.
  [[nodiscard]] lnx::Mutex& asid_lock() { return asid_lock_; }
  [[nodiscard]] bool serialised() const;
  Task<void> finalise(lnx::Thread& t, Domain& domain, Smmu& smmu);
  // The part of a stage 1 finalise that comes after the ASID, under the same lock: none in 6.12,
  // whose CD tables belong to masters.
  virtual Task<void> write_first_cd(lnx::Thread& t, Smmu& smmu);
  [[nodiscard]] Entry cd_of(const Domain& domain) const;
  [[nodiscard]] Entry ste_of(const Master& master, const Domain& domain) const;

  // Stores each step and syncs it: CFGI_CD for every stream id in one batch and one SYNC per step;
  // CFGI_STE and SYNC per stream id and step.
  Task<void> write_cd(lnx::Thread& t, Master& master, const Entry& target);
  Task<void> write_ste(lnx::Thread& t, Master& master, const Entry& target);
  Task<void> prefetch(lnx::Thread& t, Master& master);
  Task<void> sync_ste(lnx::Thread& t, Master& master);
  Task<void> sync_cd(lnx::Thread& t, Master& master);
  Task<void> invalidate_atc(lnx::Thread& t, Master& master);
  // ATC_INV for every ATS master of the domain, the list walked under devices_lock.
  Task<void> invalidate_domain_atc(lnx::Thread& t, Domain& domain);
  // Looks at the master's entries: opens or closes its dark window.
  void update_dark(const lnx::Thread& t, Master& master, bool mended);
  Domain& new_domain();

 private:
  Task<void> unmap_and_flush(lnx::Thread& t, Domain& domain, Iova iova, Bytes size, bool leaves);
  Task<void> invalidate_range(lnx::Thread& t, Domain& domain, const PageTable::Flush& flush);
  Task<void> add(lnx::Thread& t, CommandQueues& queue, CommandBatch& batch, Command command,
                 std::uint64_t count);

  lnx::Machine& machine_;
  const DriverParams& params_;
  lnx::LockClass& init_class_;
  lnx::LockClass& devices_class_;
  lnx::Mutex asid_lock_;
  std::deque<Domain> domains_;
  std::vector<Domain*> free_domains_;
  std::vector<Asid> free_asids_;
  std::uint16_t next_asid_ = 1;
};

// Linux 6.12: hitless STE/CD writes, all of an attach under arm_smmu_asid_lock.
class Driver612 final : public CountedDriver {
 public:
  using CountedDriver::CountedDriver;
  Task<int> attach_dev(lnx::Thread& t, Master& master, Domain& domain) override;
  Task<void> attach_blocked(lnx::Thread& t, Master& master) override;
  [[nodiscard]] bool has_blocked_domain() const override { return true; }
  [[nodiscard]] bool finalises_at_alloc() const override { return true; }

 private:
  Task<void> prepare(lnx::Thread& t, const Master& master, Domain* domain, bool ats);
  Task<void> commit(lnx::Thread& t, Master& master, bool ats);
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
  Task<void> write_first_cd(lnx::Thread& t, Smmu& smmu) override;
  Task<void> detach_dev(lnx::Thread& t, Master& master);
};

[[nodiscard]] std::unique_ptr<CountedDriver> make_counted_driver(lnx::Machine& machine,
                                                                 const DriverParams& params);

}  // namespace smmulab::smmu

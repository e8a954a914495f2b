// SPDX-License-Identifier: Apache-2.0
#include "models/smmuv3/driver/params.hpp"

namespace smmulab::smmu {
namespace {

constexpr Provenance kCpu{"assumed: typical of arm64 servers at 2.6-3 GHz"};
constexpr Provenance kHw{"assumed: order of magnitude of published CMD_SYNC round trips"};

void describe_settings(ParamTable& t, DriverParams& p) {
  t.add_enum(
      "driver.version", &p.version, {"6.2", "6.12", "newest"},
      "kernel version whose attach, STE/CD and lock sequence the driver follows",
      {"Linux 6.1/6.2 and 6.12 drivers/iommu/arm/arm-smmu-v3; newest: 6.13's nesting and the "
       "arm_smmu_invs series of about 7.0 (iommu list)"});
  t.add_enum("driver.stage", &p.stage, {"s1", "s2"}, "translation stage of paging domains",
             {"Linux 6.12 arm-smmu-v3.c: stage 1 unless the SMMU has only stage 2"});
  t.add("driver.global_asid_lock", &p.global_asid_lock,
        "arm_smmu_asid_lock is one lock for the whole system (off: what if it were not there)",
        {"Linux 6.12 arm-smmu-v3.c"});
  t.add("driver.range_inv", &p.range_inv,
        "the SMMU has range invalidation (IDR3.RIL); never with smmuv3.part = mmu600 on timed "
        "hardware",
        {"Arm IHI 0070 section 6.3.4; MMU-700 and QEMU have it"});
  t.add(
      "driver.asid_bits", &p.asid_bits, 8, 16,
      "ASIDs of the system, log2: a stage 1 domain more gives -EBUSY",
      {"Arm IHI 0070 IDR0.ASID16; Linux 6.12 arm_smmu_domain_finalise_s1(): xa_alloc() from 1 on"});
  t.add("driver.vmid_bits", &p.vmid_bits, 8, 16,
        "VMIDs of each SMMU, log2: a stage 2 domain more gives -ENOSPC",
        {"Arm IHI 0070 IDR0.VMID16; Linux 6.12 arm_smmu_domain_finalise_s2(): ida_alloc_range() "
         "from 1 on"});
  t.add(
      "driver.ssid_bits", &p.ssid_bits, 0, 20,
      "PASIDs of each device, log2: others give -EINVAL; its CD table has two levels above 10, in "
      "leaves of 1024 CDs whose first use is a CFGI_CD and a SYNC more",
      {"assumed; Linux 6.12 arm-smmu-v3.c: the lesser of the device's PASID capability and "
       "IDR1.SSIDSIZE (20 at most), two levels above CTXDESC_L2_ENTRIES"});
  t.add("driver.skip_prefetch", &p.skip_prefetch, "no PREFETCH_CONFIG after an STE install",
        {"Linux 6.12 ARM_SMMU_OPT_SKIP_PREFETCH (HiSilicon hi161x)"});
  t.add_enum("driver.sync_mode", &p.sync_mode, {"msi", "sev", "poll"},
             "how a CPU waits for CMD_SYNC: MSI write, WFE/SEV, or polling CONS with back-off",
             {"Linux 6.12 arm-smmu-v3.c arm_smmu_cmdq_poll_until_sync()"});
  t.add("driver.queue_log2", &p.queue_log2, 7, 19, "log2 of the number of command queue entries",
        {"Arm IHI 0070 IDR1.CMDQS (at most 19); 65536 in the boot log of a Kunpeng 920"});
  t.add_enum(
      "driver.cmdq_insertion", &p.cmdq_insertion, {"cmpxchg", "spinlock", "fetch-add"},
      "how CPUs reserve command queue slots: cmpxchg loop, the same under a spinlock, or one "
      "atomic addition with owner counts",
      {"Linux 5.4..6.12 cmpxchg; J. Garry, linux-iommu list, Sep 2020, the other two"});
  t.add_enum("driver.cmdq_kind", &p.cmdq_kind, {"single", "ecmdq", "cmdqv"},
             "command queues: one; one and ECMDQs; one and the host's Tegra241 VCMDQs",
             {"Arm IHI 0070 section 3.5.6; Linux 6.12 tegra241-cmdqv.c"});
  t.add("driver.cmdq_count", &p.cmdq_count, 0, 4096,
        "number of ECMDQs or VCMDQs, CPU i uses i modulo that; 0: one for each CPU",
        {"Linux 6.12 tegra241-cmdqv.c: raw_smp_processor_id() % num_lvcmdqs"});
  t.add("driver.events", &p.events,
        "faults of DMA are recorded in an event queue that a thread of the driver empties "
        "(smmuv3.hardware = timed)",
        {"Linux 6.12 arm-smmu-v3.c arm_smmu_evtq_thread(): always there; off saves its time"});
  t.add("driver.evtq_log2", &p.evtq_log2, 0, 19, "log2 of the number of event queue entries",
        {"Arm IHI 0070 IDR1.EVENTQS (at most 19); Linux 6.12 EVTQ_MAX_SZ_SHIFT: 15 with 4K pages "
         "and CONFIG_CMA_ALIGNMENT=8"});
}

void describe_cpu(ParamTable& t, DriverParams& p) {
  const auto add = [&t](const char* key, Ps* value, const char* doc) {
    t.add(std::string("driver.") + key, value, 0_ps, 10_ms, doc, kCpu);
  };
  add("attach_base", &p.attach_base, "attach_dev: look-ups and building the target entries");
  add("finalise", &p.finalise, "alloc_io_pgtable_ops of a new domain");
  add("domain_alloc", &p.domain_alloc, "allocating a domain object");
  add("domain_free", &p.domain_free, "freeing a domain with an empty table, without its flush");
  add("table_page", &p.table_page, "allocating, zeroing and installing one page-table page");
  add("table_free", &p.table_free, "freeing one page-table page");
  add("cd_table_alloc", &p.cd_table_alloc,
      "a CD table, or a leaf of one with two levels, at its first use");
  add("master_domain", &p.master_domain, "allocating or freeing a master's entry in a domain list");
  add("write_entry", &p.write_entry, "arm_smmu_write_entry without its steps");
  add("write_step", &p.write_step, "storing one step of an STE or CD update");
  add("cmd_build", &p.cmd_build, "building one command");
  add("cmdq_reserve", &p.cmdq_reserve, "arm_smmu_cmdq_issue_cmdlist: reserving, lines present");
  add("cmdq_entry", &p.cmdq_entry, "writing one 16-byte command");
  add("cmdq_owner", &p.cmdq_owner, "gathering and publishing as owner, lines present");
  add("mmio_write", &p.mmio_write, "PROD write, until the CPU goes on");
  add("mmio_read", &p.mmio_read, "CONS read");
  add("sync_poll", &p.sync_poll, "one round of the polling loop of a SYNC wait");
  add("pci_config", &p.pci_config, "enabling or disabling ATS in PCI config space");
  add("map_call", &p.map_call, "iommu_map of one contiguous run, table walk included");
  add("map_pte", &p.map_pte, "writing one leaf PTE");
  add("unmap_call", &p.unmap_call, "iommu_unmap, table walk included");
  add("unmap_pte", &p.unmap_pte, "clearing one leaf PTE");
  add("iova_to_phys", &p.iova_to_phys, "one software walk (reading a PFN back)");
  add("dirty_pte", &p.dirty_pte, "reading and clearing the dirty bit of one leaf PTE");
  add("dirty_pte_read", &p.dirty_pte_read, "reading, not clearing, the dirty bit of one leaf PTE");
  add("user_command", &p.user_command, "copying and checking one invalidation of a guest");
  add("invs_entry", &p.invs_entry, "newest: one entry of a domain's invalidation array");
  add("iotlb_sync", &p.iotlb_sync, "arm_smmu_iotlb_sync without its commands");
  const auto assume = [&t](const char* key, Ps* value, const char* doc) {
    t.add(std::string("driver.") + key, value, 0_ps, 10_ms, doc, {"assumed; no public figure"});
  };
  assume("evtq_irq", &p.evtq_irq,
         "events: the interrupt and waking the queue's thread, paid by that thread");
  assume("evtq_entry", &p.evtq_entry, "events: reading and decoding one record, lines not present");
  assume("evtq_print", &p.evtq_print,
         "events: printk of one line into the log buffer, no slow console");
}

void describe_hw(ParamTable& t, DriverParams& p) {
  const auto add = [&t](const char* key, Ps* value, const char* doc) {
    t.add(std::string("hw.") + key, value, 0_ps, 10_ms, doc, kHw);
  };
  add("doorbell", &p.hw_doorbell, "from the PROD write to the first command fetch");
  add("cfgi", &p.hw_cfgi, "CFGI_STE, CFGI_CD");
  add("tlbi", &p.hw_tlbi, "any TLBI");
  add("atc_inv", &p.hw_atc_inv, "ATC_INV, with the PCIe round trip");
  add("prefetch", &p.hw_prefetch, "PREFETCH_CONFIG");
  add("sync", &p.hw_sync, "CMD_SYNC: drain and completion signal");
}

}  // namespace

void describe(ParamTable& table, DriverParams& params) {
  describe_settings(table, params);
  describe_cpu(table, params);
  describe_hw(table, params);
}

}  // namespace smmulab::smmu

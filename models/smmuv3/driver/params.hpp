// SPDX-License-Identifier: Apache-2.0
// Costs and settings of the SMMUv3 driver (CPU time) and of the counted hardware (SMMU time).
// Provenance of each default: params.cpp.
#pragma once

#include <cstdint>

#include "sim/params.hpp"
#include "sim/time.hpp"

namespace smmulab::smmu {

enum class DriverVersion : std::uint8_t { k6_2, k6_12, kNewest };
enum class SyncMode : std::uint8_t { kMsi, kSev, kPoll };  // how a CPU learns of CMD_SYNC
enum class Stage : std::uint8_t { kS1, kS2 };
// How CPUs agree on slots of a command queue: cmpxchg of prod (since 5.4), the same under a
// spinlock, or one atomic addition that counts prod and owners in separate fields (J. Garry's
// series of 2020, not merged).
enum class Insertion : std::uint8_t { kCmpxchg, kSpinlock, kFetchAdd };
// Which queues an SMMU has: one; one and ECMDQs, which CPUs share out among themselves; one and
// Tegra241 VCMDQs of the host.
enum class QueueKind : std::uint8_t { kSingle, kEcmdq, kCmdqv };

struct DriverParams {
  DriverVersion version = DriverVersion::k6_12;
  Stage stage = Stage::kS1;      // translation stage of paging domains
  bool global_asid_lock = true;  // arm_smmu_asid_lock serialises every SMMU of the system
  bool range_inv = true;         // IDR3.RIL
  std::uint32_t asid_bits = 16;  // IDR0.ASID16: 16 or 8
  std::uint32_t vmid_bits = 16;  // IDR0.VMID16: 16 or 8
  std::uint32_t ssid_bits = 10;  // of each device's PASIDs
  bool skip_prefetch = false;    // ARM_SMMU_OPT_SKIP_PREFETCH
  SyncMode sync_mode = SyncMode::kMsi;
  std::uint32_t queue_log2 = 16;  // command queue entries, IDR1.CMDQS and memory permitting
  Insertion cmdq_insertion = Insertion::kCmpxchg;
  QueueKind cmdq_kind = QueueKind::kSingle;
  std::uint32_t cmdq_count = 0;  // ECMDQs or VCMDQs; 0: one for each CPU
  bool events = false;           // an event queue and the thread that empties it; timed hardware
  std::uint32_t evtq_log2 = 15;  // its entries

  // CPU time
  Ps attach_base{220'000};       // attach_dev callback, domain look-up, target entries
  Ps finalise{900'000};          // alloc_io_pgtable_ops: one zeroed PGD
  Ps domain_alloc{450'000};      // kzalloc of the domain
  Ps domain_free{600'000};       // free_io_pgtable_ops of an empty table, but its flush
  Ps table_page{350'000};        // one page-table page: allocate, zero, install
  Ps table_free{120'000};        // free one of them
  Ps cd_table_alloc{1'500'000};  // a CD table or a leaf of one (dma_alloc)
  Ps master_domain{90'000};      // kzalloc or kfree of a list entry, list operation
  Ps write_entry{60'000};        // comparing the used bits, barriers
  Ps write_step{15'000};         // storing one step of an entry
  Ps cmd_build{12'000};          // building one command
  Ps cmdq_reserve{25'000};       // issue_cmdlist up to and including its own cmpxchg, line present
  Ps cmdq_entry{8'000};          // writing one 16-byte entry
  Ps cmdq_owner{30'000};         // gathering and publishing as owner, lines present
  Ps mmio_write{90'000};         // PROD doorbell, until the CPU goes on
  Ps mmio_read{350'000};         // CONS read
  Ps sync_poll{25'000};          // one round of a polling loop
  Ps pci_config{1'200'000};      // enabling or disabling ATS in config space
  Ps map_call{160'000};          // iommu_map() of one contiguous run, table walk included
  Ps map_pte{4'000};             // one leaf PTE
  Ps unmap_call{140'000};        // iommu_unmap(), table walk included
  Ps unmap_pte{6'000};           // clearing one leaf PTE and gathering it
  Ps iova_to_phys{60'000};       // one software table walk
  Ps iotlb_sync{80'000};         // arm_smmu_iotlb_sync(), commands not included
  Ps dirty_pte{3'000};           // reading and clearing the dirty bit of one leaf PTE
  Ps dirty_pte_read{1'000};      // only reading it
  Ps user_command{40'000};       // copying and checking one command of a guest's
  Ps invs_entry{10'000};         // one entry of an invalidation array, copied or looked at
  Ps evtq_irq{1'500'000};        // hard interrupt and wake-up of the event queue's thread
  Ps evtq_entry{150'000};        // reading and decoding one 32-byte record
  Ps evtq_print{2'000'000};      // printk() of one line

  // SMMU time
  Ps hw_doorbell{150'000};  // from the PROD write to the first command fetch
  Ps hw_cfgi{60'000};
  Ps hw_tlbi{90'000};
  Ps hw_atc_inv{900'000};
  Ps hw_prefetch{30'000};
  Ps hw_sync{250'000};  // drain and completion signal, after all earlier commands
};

void describe(ParamTable& table, DriverParams& params);

}  // namespace smmulab::smmu

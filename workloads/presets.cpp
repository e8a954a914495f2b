// SPDX-License-Identifier: Apache-2.0
#include "workloads/settings.hpp"

namespace smmulab::workloads {
namespace {

void apply_server(Settings& s) {
  s = Settings{};
}

// The machine of run A_ic_smp2: QEMU 7.2 TCG with -icount (one host thread for both vCPUs, 8 ns of
// virtual time for one guest instruction, an SMMU that obeys within the MMIO write). Costs are sums
// that give the instruction counts of uncontended operations of shapes a_ and d3_ (attach, detach,
// bind, alloc, destroy, map, unmap), of a replace to the same hwpt, and of one device more in a
// group; how a sum is shared out within one operation is assumed, as are scheduler and spinning
// costs. The costs of unmap and the length of a run (run_pages) were rounded with the medians of
// shapes d3_, d4_ and d_ in view. wake_awake is of contended operations: what an unlock that wakes
// a waiter already awake adds to a replace to the same hwpt in shape e_ (8.86 less 6.93 us, less
// mutex_queue). No other contended operation was looked at to choose a value. timed_sleep is of one
// thread alone that sleeps between operations (n12_ of N_think_ic_smp1): 83.08 us pass beyond what
// it asks usleep() for, less the kernel's timer slack (50 us), the switch back and user_time; what
// of it comes before the sleep is assumed.
void tcg_kernel(Settings& s) {
  s.linux_kernel.sched.multiplexed = true;
  s.linux_kernel.sched.tick = 4_ms;
  s.linux_kernel.sched.slice = 3_ms;
  s.linux_kernel.sched.context_switch = 8_us;
  s.linux_kernel.sched.wake_up = 4_us;
  s.linux_kernel.sched.wake_awake = 950_ns;
  s.linux_kernel.sched.wake_latency = 0_ps;
  s.linux_kernel.sched.timed_sleep = 22_us;
  s.linux_kernel.sched.spin_turn = 100_ns;
  s.linux_kernel.line.same_cpu = 0_ps;
  s.linux_kernel.line.same_node = 0_ps;
  s.linux_kernel.line.cross_node = 0_ps;
  s.linux_kernel.line.cross_socket = 0_ps;
  s.linux_kernel.lock.mutex_lock = 100_ns;
  s.linux_kernel.lock.mutex_unlock = 100_ns;
  s.linux_kernel.lock.mutex_slow = 400_ns;
  s.linux_kernel.lock.mutex_queue = 1_us;
  s.linux_kernel.lock.rwsem_read = 120_ns;
  s.linux_kernel.lock.rwsem_write = 120_ns;
  s.linux_kernel.lock.rwsem_slow = 500_ns;
  s.linux_kernel.lock.spin_lock = 60_ns;
  s.linux_kernel.lock.spin_unlock = 60_ns;
  s.linux_kernel.lock.osq = 200_ns;
  s.linux_kernel.lock.atomic = 60_ns;
}

void tcg_driver(Settings& s) {
  s.driver.sync_mode = smmu::SyncMode::kPoll;
  s.driver.attach_base = 10800_ns;
  s.driver.finalise = 17_us;
  s.driver.domain_alloc = 3_us;
  s.driver.domain_free = 41_us;
  s.driver.table_page = 5990_ns;
  s.driver.table_free = 4700_ns;
  s.driver.cd_table_alloc = 20_us;
  s.driver.master_domain = 6200_ns;
  s.driver.write_entry = 1500_ns;
  s.driver.write_step = 500_ns;
  s.driver.cmd_build = 300_ns;
  s.driver.cmdq_reserve = 900_ns;
  s.driver.cmdq_entry = 150_ns;
  s.driver.cmdq_owner = 1500_ns;
  s.driver.mmio_write = 300_ns;
  s.driver.mmio_read = 300_ns;
  s.driver.sync_poll = 300_ns;
  s.driver.map_call = 4762_ns;
  s.driver.map_pte = 189_ns;
  s.driver.unmap_call = 5_us;
  s.driver.unmap_pte = 526_ns;
  s.driver.iova_to_phys = 1500_ns;
  s.driver.iotlb_sync = 3500_ns;
  s.driver.hw_doorbell = 0_ps;
  s.driver.hw_cfgi = 0_ps;
  s.driver.hw_tlbi = 0_ps;
  s.driver.hw_prefetch = 0_ps;
  s.driver.hw_sync = 0_ps;
  s.driver.hw_atc_inv = 0_ps;
}

// QEMU's SMMU carries out every command in the vCPU's store to PROD, before its next instruction
// [QEMU 7.2 hw/arm/smmuv3.c smmu_write_mmio(), smmuv3_cmdq_consume()], and a translation within the
// device's access; with -icount neither is an instruction, so that nothing of it takes time.
void tcg_timed_smmu(Settings& s) {
  smmu::timed::TimedParams& p = s.hardware.timed;
  p.memory.latency = p.memory.burst = 0_ps;
  p.tbu.cycle = 1_ps;  // may not be 0
  p.tbu.micro_lookup = p.tbu.main_lookup = p.tbu.invalidate = 0_ps;
  p.tcu.config_lookup = p.tcu.walk_lookup = p.tcu.invalidate = p.tcu.command_decode = 0_ps;
  p.link.dti = p.link.doorbell = p.link.completion = p.link.atc_response = 0_ps;
}

void tcg_iommufd(Settings& s) {
  s.iommufd.ioctl = 1500_ns;
  s.iommufd.vfio_ioctl = 1500_ns;
  s.iommufd.lookup = 500_ns;
  s.iommufd.put = 500_ns;
  s.iommufd.object_alloc = 5_us;
  s.iommufd.object_free = 3_us;
  s.iommufd.bind = 78_us;
  s.iommufd.unbind = 30_us;
  s.iommufd.attach_base = 2340_ns;
  s.iommufd.handle = 2_us;
  s.iommufd.list_step = 80_ns;
  s.iommufd.group_base = 1_us;
  s.iommufd.msi_cookie = 5_us;
  s.iommufd.resv_query = 7200_ns;
  s.iommufd.resv_insert = 1_us;
  s.iommufd.unresv = 3_us;
  s.iommufd.map_base = 6400_ns;  // a refused map of N_think_ic_smp1 takes 14.24 us in all
  s.iommufd.area_insert = 8_us;
  s.iommufd.area_publish = 1_us;
  s.iommufd.area_remove = 5_us;
  s.iommufd.unmap_base = 3_us;
  s.iommufd.pages_free = 5_us;
  s.iommufd.fill_base = 16'600_ns;
  s.iommufd.pin_call = 5_us;
  s.iommufd.pin_page = 1500_ns;
  s.iommufd.batch_page = 500_ns;
  s.iommufd.account = 2_us;
  s.iommufd.unpin_page = 900_ns;
  s.iommufd.domain_link = 10_us;
  s.iommufd.run_pages = 3;
  s.replay.user_time = 3400_ns;
}

void apply_qemu_tcg(Settings& s) {
  s = Settings{};
  tcg_kernel(s);
  tcg_driver(s);
  tcg_timed_smmu(s);
  tcg_iommufd(s);
}

// The machine of the runs without -icount: the same guest and costs, but every vCPU has a host
// thread of its own (QEMU's default, "MTTCG"), so that critical sections overlap in time. Nothing
// was fitted for it.
void apply_qemu_mttcg(Settings& s) {
  apply_qemu_tcg(s);
  s.linux_kernel.sched.multiplexed = false;
}

// HiSilicon D06: two Kunpeng 920 of 48 cores, each of two dies (NUMA nodes) with six clusters of
// four, 2.6 GHz. For the map+unmap loop of the DMA API, with the timed SMMU of `server`, about
// which nothing is known of D06's.
void apply_d06_timed(Settings& s) {
  s = Settings{};
  s.machine = {96, 2, 2, 4, Pinning::kSpread};
  // Kunpeng 920 line transfers: core-to-core-latency's README gives 72 ns, the median within a
  // package. The others follow from it by the ratios of spinlock runs on such a machine (openEuler
  // wayca-scheduler, tools/kp920.2P.6CCL, lock type 3): 4 threads in one cluster take 0.50 of the
  // time of 4 in four clusters; 8 threads of which 4 of 7 transfers leave the node or socket
  // take 1.38 and 2.19 of that of 8 within a node. Between sockets it has less than 230 ns (IEEE
  // Micro 2021).
  s.linux_kernel.line.model = lnx::LineModel::kCoherent;
  s.linux_kernel.line.same_cluster = 36_ns;
  s.linux_kernel.line.same_node = 72_ns;
  s.linux_kernel.line.cross_node = 120_ns;
  s.linux_kernel.line.cross_socket = 222_ns;
  s.driver.queue_log2 = 16;      // boot log of a Kunpeng 920
  s.driver.range_inv = false;    // an SMMUv3.0/3.1 part
  s.dma.gap = 460_ns;            // calibrated with hw_sync, below
  s.dma.magazine_entries = 128;  // Linux 5.9
}

void apply_d06(Settings& s) {
  apply_d06_timed(s);
  s.hardware.kind = smmu::HardwareKind::kCounted;
  s.driver.hw_sync = 300_ns;  // calibrated on the 2- and 4-CPU points (docs/dma-api.md)
}

}  // namespace

const std::vector<PresetInfo>& presets() {
  static const std::vector<PresetInfo> kPresets = {
      {"server", "a large arm64 server; most costs are assumed (the default)", apply_server},
      {"qemu-tcg",
       "Linux 6.12 under QEMU 7.2 TCG -icount, 8 ns an instruction; calibrated on run A_ic_smp2",
       apply_qemu_tcg},
      {"qemu-mttcg", "the same with a host thread for each vCPU (no -icount); nothing fitted to it",
       apply_qemu_mttcg},
      {"d06",
       "HiSilicon D06, 96 CPUs, Linux 5.9: the map+unmap loop. hw.sync and dma.gap are calibrated "
       "on "
       "two published points; line.same_node is measured (core-to-core-latency), the other line.* "
       "are derived from it by ratios of spinlock runs (wayca-scheduler); the rest is as in server",
       apply_d06},
      {"d06-timed",
       "the same with the timed SMMU of server (smmuv3.*), for DMA beside the map+unmap loop; the "
       "times of D06's SMMU are not known",
       apply_d06_timed},
  };
  return kPresets;
}

}  // namespace smmulab::workloads

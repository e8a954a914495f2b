// SPDX-License-Identifier: Apache-2.0
// EventThread: the driver's handler of event queue interrupts, a thread that reads one record after
// another, says in the log what it was, gives its place back, and acknowledges an overflow at the
// end. Rule: Linux 6.12 arm-smmu-v3.c arm_smmu_evtq_thread(), queue_remove_raw() (a store to CONS
// for each record), queue_sync_prod_in(), queue_sync_cons_ovf(); __ratelimit() with
// DEFAULT_RATELIMIT_INTERVAL and _BURST of include/linux/ratelimit_types.h, one state for all
// SMMUs. A record that is no stall is -EOPNOTSUPP at once (arm_smmu_handle_evt()): it takes no
// lock.
//
// Costs: driver.evtq_*, driver.mmio_read (PROD), driver.mmio_write (CONS). The thread first runs at
// the first interrupt, on any CPU. Not modelled: SCHED_FIFO and its throttling (it is in the fair
// class and gives way after each record where the kernel has cond_resched() only after a printed
// one, so that a device that faults without end does not stop the run), the affinity of the
// interrupt, the time of the hard interrupt on the CPU it hits (evtq_irq is the thread's), stalls
// (no driver here sets CD.S or STE.S2S), streams_mutex of 6.2, the line about suppressed callbacks.
#pragma once

#include <cstdint>
#include <string>

#include "models/linux/machine.hpp"
#include "models/smmuv3/driver/params.hpp"
#include "models/smmuv3/driver/timed_hardware.hpp"

namespace smmulab::smmu {

// __ratelimit(): `kBurst` times per `kInterval`, counted from the first.
class PrintLimit {
 public:
  static constexpr Ps kInterval{5'000'000'000'000};
  static constexpr std::uint32_t kBurst = 10;
  bool allows(SimTime now);

 private:
  SimTime begin_{};
  std::uint32_t left_ = kBurst;
  bool begun_ = false;
};

struct EventThreadStat {
  std::uint64_t interrupts = 0;
  std::uint64_t read = 0;       // records
  std::uint64_t printed = 0;    // of those
  std::uint64_t overflows = 0;  // seen
};

class EventThread final : public EventInterrupt, private Waitable {
 public:
  // Gives `hardware` its event queue. All must outlive the engine's run.
  EventThread(lnx::Machine& machine, const DriverParams& params, TimedHardware& hardware,
              PrintLimit& limit, std::string name);
  EventThread(const EventThread&) = delete;
  EventThread& operator=(const EventThread&) = delete;

  void event_interrupt() override;
  [[nodiscard]] bool anyone_awake() const override { return machine_.anyone_awake(); }
  [[nodiscard]] const EventThreadStat& stat() const { return stat_; }

 private:
  [[nodiscard]] std::string wait_name() const override { return name_ + ": no interrupt"; }
  void wait_holders(std::vector<const Process*>& /*out*/) const override {}
  [[nodiscard]] bool empty() const;
  Task<void> run(lnx::Thread& t);
  Task<void> drain(lnx::Thread& t);
  Task<void> take_one(lnx::Thread& t);
  Task<void> store_cons(lnx::Thread& t);

  lnx::Machine& machine_;
  const DriverParams& params_;
  TimedHardware& hardware_;
  PrintLimit& limit_;
  std::string name_;
  std::uint32_t wrap_mask_;
  lnx::Thread* thread_ = nullptr;
  bool pending_ = false;
  std::uint32_t prod_ = 0, cons_ = 0;  // llq: software's copies, overflow flags included
  EventThreadStat stat_;
};

}  // namespace smmulab::smmu

// SPDX-License-Identifier: Apache-2.0
// System: one simulated machine with its kernel and devices, built from a trace's header and the
// settings, with one protocol. The state is that after boot: every group on its default domain.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/iommufd/iommufd.hpp"
#include "models/linux/machine.hpp"
#include "models/smmuv3/driver/counted_driver.hpp"
#include "models/smmuv3/driver/event_thread.hpp"
#include "models/smmuv3/driver/timed_hardware.hpp"
#include "sim/engine.hpp"
#include "workloads/op.hpp"
#include "workloads/recorded_dma.hpp"
#include "workloads/settings.hpp"
#include "workloads/trace_header.hpp"

namespace smmulab::workloads {

class System {
 public:
  // `settings` must outlive the system. `recorded`: the devices' DMA, if any. Throws ConfigError
  // for what does not fit together.
  System(Engine& engine, const TraceHeader& header, const Settings& settings,
         const iommufd::ProtocolInfo& protocol, Record* record, lnx::StepControl* control = nullptr,
         const RecordedDma* recorded = nullptr);

  [[nodiscard]] lnx::Machine& machine() { return machine_; }
  [[nodiscard]] iommufd::Iommufd& iommufd() { return iommufd_; }
  [[nodiscard]] const iommufd::Context& context() const { return context_; }
  [[nodiscard]] iommufd::Invariants& invariants() { return context_.invariants(); }
  [[nodiscard]] const std::deque<smmu::Smmu>& smmus() const { return smmus_; }
  [[nodiscard]] const std::deque<smmu::Master>& masters() const { return masters_; }
  // A device's DMA up to now; nullptr: it has none, or it has not begun.
  [[nodiscard]] const smmu::DmaWatch* dma(DeviceIndex device);
  // Event records of a device's faults; nothing: there is no event queue.
  [[nodiscard]] std::optional<smmu::EventCounts> events(DeviceIndex device) const;
  // An SMMU's counters up to now; none with counted hardware.
  [[nodiscard]] std::vector<smmu::timed::PmuRow> pmu(SmmuIndex smmu);
  [[nodiscard]] const std::deque<iommufd::Device>& devices() const { return devices_; }
  // The thread is about to do it: split locks go by that.
  void note_operation(const lnx::Thread& t, const Op& op) {
    if (machine_.locks().any_split()) [[unlikely]] {
      machine_.locks().set_subject(t.id(), subject_of(op, context_, devices_));
    }
  }
  // What may not be meant about recorded transactions, or "".
  [[nodiscard]] const std::string& dma_warning() const { return recorded_.warning; }
  // What may not be meant about where the threads run.
  [[nodiscard]] std::vector<std::string> placement_warnings(const TraceHeader& header) const;
  // That the trace was generated with think times and the replay leaves them out; else "".
  [[nodiscard]] std::string think_warning(const TraceHeader& header) const;
  // The CPU for a thread of the trace: a number, or lnx::kAnyCpu.
  [[nodiscard]] std::uint32_t affinity(const TraceHeader& header, std::uint32_t thread) const;
  // The mapping and attachment state as sorted lines, one per area, domain, access, pin and device:
  // equal for two protocols that did the same. Automatic domains appear as their IOAS.
  [[nodiscard]] std::vector<std::string> final_state() const;

 private:
  void build_hardware(Engine& engine, const TraceHeader& header);
  void build_devices(const TraceHeader& header);
  void build_dma();
  void build_recorded_dma(const TraceHeader& header, const RecordedDma& recorded);
  void check_ats() const;
  [[nodiscard]] std::uint32_t atc_entries(const smmu::Master& master) const;

  const Settings& settings_;
  smmu::DriverParams driver_params_;
  lnx::Machine machine_;
  DeviceAccesses recorded_;  // before the hardware, whose streams read it
  // One for each SMMU, or none. Before the driver, whose page tables lie in its memory.
  std::vector<std::unique_ptr<smmu::TimedHardware>> hardware_;
  smmu::PrintLimit event_prints_;
  std::deque<smmu::EventThread> event_threads_;  // of each SMMU, or none
  std::unique_ptr<smmu::CountedDriver> driver_;
  iommufd::IommuCore core_;
  iommufd::Context context_;
  std::unique_ptr<iommufd::Protocol> protocol_;
  std::vector<std::optional<std::size_t>> dma_;  // of each device, or of the first
  std::deque<smmu::Smmu> smmus_;
  std::deque<smmu::Master> masters_;
  std::deque<iommufd::IommuGroup> groups_;
  std::deque<iommufd::DevSet> dev_sets_;
  std::deque<iommufd::Device> devices_;
  iommufd::Iommufd iommufd_;
};

}  // namespace smmulab::workloads

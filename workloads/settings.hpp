// SPDX-License-Identifier: Apache-2.0
// Settings: every parameter of a replay in one place: machine, kernel, SMMU, iommufd, protocol,
// replay. Presets set many at once; the ParamTable of describe() sets, checks and lists them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "models/dma_iommu/params.hpp"
#include "models/iommufd/params.hpp"
#include "models/iommufd/protocol.hpp"
#include "models/linux/params.hpp"
#include "models/smmuv3/driver/params.hpp"
#include "models/smmuv3/driver/stream_params.hpp"
#include "models/smmuv3/hw/params.hpp"
#include "sim/params.hpp"
#include "workloads/free_locks.hpp"
#include "workloads/split_locks.hpp"

namespace smmulab::workloads {

enum class Pinning : std::uint8_t { kTrace, kSpread, kNone };
enum class ReplayMode : std::uint8_t { kClosed, kTimed };
enum class Think : std::uint8_t { kZero, kRecorded, kSlept };

enum class AtsDevices : std::uint8_t { kTrace, kAll };  // which devices have ATS

struct MachineShape {
  std::uint32_t cpus = 0;  // 0: the trace's
  std::uint32_t sockets = 1;
  std::uint32_t nodes_per_socket = 1;
  std::uint32_t cpus_per_cluster = 0;  // 0: no clusters
  Pinning pinning = Pinning::kTrace;
  AtsDevices ats = AtsDevices::kTrace;
};

struct ReplayParams {
  ReplayMode mode = ReplayMode::kClosed;
  Think think = Think::kZero;
  Ps sleep_up_to{0};                  // slept: what the program asks for, drawn
  Ps user_time{0};                    // user-mode CPU time before each operation
  std::uint32_t speed_percent = 100;  // timed: 200 issues twice as fast
  std::uint32_t memory_mib = 256;     // operations read ahead, before they spill to a file
};

struct Settings {
  MachineShape machine;
  lnx::LinuxParams linux_kernel;
  smmu::DriverParams driver;
  dma_iommu::DmaParams dma;
  smmu::hw::SmmuParams smmuv3;  // of `smmulab tlb`, and of a replay on the timed SMMU
  smmu::HardwareParams hardware;
  iommufd::IommufdParams iommufd;
  iommufd::ProtocolParams protocol;
  ReplayParams replay;
  FreeLocks free;
  SplitLocks split;
  // Keys of assignments since the last preset: what the user means to matter in this very run,
  // while a machine file describes a machine, for more than one kind of run.
  std::vector<std::string> assigned;
};

// Binds all fields. The table must not outlive `settings`.
void describe(ParamTable& table, Settings& settings);

struct PresetInfo {
  std::string_view name;
  std::string_view description;
  void (*apply)(Settings& settings);
};
[[nodiscard]] const std::vector<PresetInfo>& presets();
// Throws ConfigError with the nearest name.
void apply_preset(std::string_view name, Settings& settings);

// A machine file: TOML with the parameters' keys, and optionally a first `preset = "NAME"`. Keys
// below `others` are left to the caller. Throws ConfigError "FILE:LINE:COLUMN: ...".
void load_machine_file(const std::string& path, Settings& settings,
                       const std::vector<std::string>& others = {});
// "KEY=VALUE". Throws ConfigError.
void apply_assignment(std::string_view assignment, Settings& settings);

}  // namespace smmulab::workloads

// SPDX-License-Identifier: Apache-2.0
// Which hardware the driver has (smmuv3.hardware), and the DMA of the devices behind timed hardware
// (stream.*): one stream for each device, all alike but for their random numbers, or transactions
// that were recorded.
#pragma once

#include <cstdint>
#include <span>

#include "models/smmuv3/driver/params.hpp"
#include "models/smmuv3/hw/params.hpp"
#include "models/smmuv3/timed/params.hpp"
#include "sim/ids.hpp"
#include "sim/params.hpp"
#include "sim/time.hpp"

namespace smmulab::smmu::timed {
struct RecordedAccess;
struct StreamParams;
}  // namespace smmulab::smmu::timed

namespace smmulab::smmu {

struct TimedHardwareParams;

// timed, the default: models/smmuv3/timed. counted: a time for each kind of command (hw.*).
enum class HardwareKind : std::uint8_t { kCounted, kTimed };

enum class StreamPattern : std::uint8_t { kNone, kSequential, kRandom, kStrided };

struct DmaStreamParams {
  StreamPattern pattern = StreamPattern::kNone;
  std::uint32_t devices = 0;   // the first so many; 0: all
  std::uint32_t base_mib = 0;  // first IOVA
  std::uint32_t footprint_kib =
      0;  // from there on; 0: the first range that is mapped, or another choice
  std::uint32_t payload = 256;  // bytes
  std::uint32_t stride = 4096;  // bytes
  bool write = false;
  std::uint32_t outstanding = 64;
  Ps link_burst{2'000};
  Ps interval{0};    // open loop
  bool ats = false;  // devices that have ATS use it
  std::uint32_t atc_entries = 64;
};

struct HardwareParams {
  HardwareKind kind = HardwareKind::kTimed;
  timed::TimedParams timed;
  bool run_ahead = true;
  DmaStreamParams stream;
};

void describe(ParamTable& table, HardwareParams& params);
// Throws ConfigError: streams without timed hardware; with `recorded` transactions, a pattern or an
// open loop beside them.
void check(const HardwareParams& params, bool recorded = false);
// Throws ConfigError naming the key: with timed hardware a cost of the counted (hw.*) that is not
// its default, which would count for nothing. All of them at 0 are let pass: presets of hardware
// that takes no time set them beside the smmuv3.* that count.
void check_counted_costs(const HardwareParams& params, const DriverParams& driver);
// As the driver finds the SMMU: timed hardware has range invalidation if the part has it and
// driver.range_inv does not take it away.
[[nodiscard]] DriverParams as_probed(const DriverParams& driver, const HardwareParams& hardware,
                                     const hw::SmmuParams& smmu);
// With the sizes and policies of the caches (smmuv3.utlb_entries and the like).
[[nodiscard]] timed::TimedParams with_caches(const timed::TimedParams& times,
                                             const hw::SmmuParams& caches);
// Of timed hardware, but for stream_bits. `probed`: as_probed() gave it. Throws ConfigError naming
// the key that is not legal.
[[nodiscard]] TimedHardwareParams timed_hardware_params(const HardwareParams& params,
                                                        const hw::SmmuParams& smmu,
                                                        const DriverParams& probed);
// The stream of a device. `base` and `span` (bytes): what it reads or writes.
[[nodiscard]] timed::StreamParams stream_of(const DmaStreamParams& params, StreamId stream,
                                            std::uint64_t base, std::uint64_t span);
// The same with what was recorded, which must outlive the stream.
[[nodiscard]] timed::StreamParams stream_of(const DmaStreamParams& params, StreamId stream,
                                            std::span<const timed::RecordedAccess> recorded);

}  // namespace smmulab::smmu

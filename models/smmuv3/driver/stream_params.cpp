// SPDX-License-Identifier: Apache-2.0
#include "models/smmuv3/driver/stream_params.hpp"

#include <fmt/format.h>

#include "models/smmuv3/driver/timed_hardware.hpp"
#include "models/smmuv3/timed/dma_stream.hpp"
#include "sim/error.hpp"

namespace smmulab::smmu {
namespace {

constexpr Provenance kChoice{"user's choice"};

Ps hw_costs(const DriverParams& d) {
  return d.hw_doorbell + d.hw_cfgi + d.hw_tlbi + d.hw_atc_inv + d.hw_prefetch + d.hw_sync;
}

}  // namespace

void describe(ParamTable& t, HardwareParams& p) {
  t.add_enum(
      "smmuv3.hardware", &p.kind, {"counted", "timed"},
      "the driver's hardware: the timed SMMU with TBUs, walks and DMA (smmuv3.*), or for quick "
      "studies a time for each kind of command (hw.*)",
      kChoice);
  t.add("smmuv3.run_ahead", &p.run_ahead,
        "timed: let DMA that hits go on without events (off: the same results, slower)", kChoice);
  timed::describe(t, p.timed);
  DmaStreamParams& s = p.stream;
  t.add_enum("stream.pattern", &s.pattern, {"none", "sequential", "random", "strided"},
             "DMA of each device while the operations run (not with smmuv3.hardware = counted)",
             kChoice);
  t.add("stream.devices", &s.devices, 0, 65'536, "the first so many devices have DMA; 0: all",
        kChoice);
  t.add("stream.base_mib", &s.base_mib, 0, 1U << 28U, "first IOVA of the DMA (MiB)", kChoice);
  t.add(
      "stream.footprint_kib", &s.footprint_kib, 0, 1U << 31U,
      "IOVAs that the DMA uses (KiB); 0: the first range that is mapped, from then on (dma-bench: "
      "all from the lowest to the highest that its warm-up mapped)",
      kChoice);
  t.add("stream.payload", &s.payload, 16, 4096, "bytes of a transaction; a power of 2",
        {"user's choice; PCIe payloads are 128 to 4096 bytes, 256 and 512 are usual"});
  t.add("stream.stride", &s.stride, 16, 1U << 30U, "strided: bytes from one to the next", kChoice);
  t.add("stream.write", &s.write, "the devices write (off: read)", kChoice);
  t.add("stream.outstanding", &s.outstanding, 1, 4096, "transactions of a device under way",
        kChoice);
  t.add("stream.link_burst", &s.link_burst, 0_ps, 1_us,
        "time of 64 bytes on a device's link (2ns: 32 GB/s)",
        {"PCIe 5.0 x8 or 4.0 x16: about 32 GB/s"});
  t.add("stream.interval", &s.interval, 0_ps, 1_ms,
        "open loop: one transaction is due every interval; 0: closed loop", kChoice);
  t.add("stream.ats", &s.ats,
        "devices that have ATS (machine.ats) keep translations in an ATC (off: untranslated DMA)",
        kChoice);
  t.add("stream.atc_entries", &s.atc_entries, 1, 65'536, "ats: translations of 4 KiB in an ATC",
        {"assumed; no public figure"});
}

void check(const HardwareParams& p, bool recorded) {
  const bool pattern = p.stream.pattern != StreamPattern::kNone;
  if (p.kind == HardwareKind::kCounted && (pattern || recorded)) {
    throw ConfigError(fmt::format("{} needs smmuv3.hardware = timed",
                                  recorded ? "a DMA trace" : "stream.pattern"));
  }
  if (recorded && pattern) {
    throw ConfigError("stream.pattern and a DMA trace: give one of them");
  }
  if (recorded && p.stream.interval > Ps{0}) {
    throw ConfigError("stream.interval and a DMA trace: the trace has no times, only closed loop");
  }
}

void check_counted_costs(const HardwareParams& p, const DriverParams& driver) {
  if (p.kind == HardwareKind::kCounted || hw_costs(driver) == Ps{0}) {
    return;
  }
  DriverParams given = driver;
  ParamTable table;
  describe(table, given);
  DriverParams usual;
  ParamTable defaults;
  describe(defaults, usual);
  constexpr std::string_view kZero = "0ps";
  // Zeros may be a preset's: what is named is another's value, if there is one.
  std::string key, value;
  for (const ParamInfo& info : table.describe()) {
    const std::string given_value = table.get(info.key);
    if (info.key.starts_with("hw.") && given_value != defaults.get(info.key) &&
        (key.empty() || (value == kZero && given_value != kZero))) {
      key = info.key;
      value = given_value;
    }
  }
  if (!key.empty()) {
    throw ConfigError(fmt::format(
        "{} = {} counts for nothing with smmuv3.hardware = timed: its times are smmuv3.*; hw.* are "
        "those of smmuv3.hardware = counted",
        key, value));
  }
}

DriverParams as_probed(const DriverParams& driver, const HardwareParams& hardware,
                       const hw::SmmuParams& smmu) {
  DriverParams p = driver;
  if (hardware.kind == HardwareKind::kTimed) {
    p.range_inv = p.range_inv && hw::features_of(smmu).range_inv;
  }
  return p;
}

timed::TimedParams with_caches(const timed::TimedParams& times, const hw::SmmuParams& caches) {
  const hw::CachesShape shape = hw::shape_of(caches);
  timed::TimedParams p = times;
  p.tbu.micro = shape.micro;
  p.tbu.main = shape.main;
  p.tbu.honour_global = shape.honour_global;
  p.tcu.config = shape.config;
  p.tcu.walk_caches = shape.walk;
  return p;
}

TimedHardwareParams timed_hardware_params(const HardwareParams& params, const hw::SmmuParams& smmu,
                                          const DriverParams& probed) {
  hw::validate(smmu);
  TimedHardwareParams p;
  p.smmu = with_caches(params.timed, smmu);
  p.features = hw::features_of(smmu);
  p.queue_log2 = static_cast<std::uint8_t>(probed.queue_log2);
  p.range_inv = probed.range_inv;
  p.run_ahead = params.run_ahead;
  return p;
}

timed::StreamParams stream_of(const DmaStreamParams& p, StreamId stream, std::uint64_t base,
                              std::uint64_t span) {
  timed::StreamParams s;
  s.stream = stream;
  s.pattern = p.pattern == StreamPattern::kRandom    ? timed::Pattern::kRandom
              : p.pattern == StreamPattern::kStrided ? timed::Pattern::kStrided
                                                     : timed::Pattern::kSequential;
  s.base = base;
  s.span = span;
  s.payload = p.payload;
  s.stride = p.stride;
  s.write = p.write;
  s.outstanding = p.outstanding;
  s.link_burst = p.link_burst;
  s.interval = p.interval;
  return s;
}

timed::StreamParams stream_of(const DmaStreamParams& p, StreamId stream,
                              std::span<const timed::RecordedAccess> recorded) {
  timed::StreamParams s = stream_of(p, stream, 0, p.payload);
  s.pattern = timed::Pattern::kRecorded;
  s.recorded = recorded;
  return s;
}

}  // namespace smmulab::smmu

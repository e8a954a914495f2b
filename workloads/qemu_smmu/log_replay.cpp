// SPDX-License-Identifier: Apache-2.0
#include "workloads/qemu_smmu/log_replay.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "sim/error.hpp"

namespace smmulab::workloads::qemu {
namespace {

// QEMU 7.2 SMMU_IOTLB_MAX_SIZE; its config cache has no bound.
constexpr std::uint32_t kIotlbEntries = 256, kConfigs = 4096;

}  // namespace

LogReplay::LogReplay(std::string file, LogSink* sink)
    : file_(std::move(file)),
      sink_(sink),
      configs_({kConfigs, 0, hw::Policy::kRoundRobin, 1}),
      iotlb_({kIotlbEntries, 0, hw::Policy::kFlushAll, 1}, false) {}

void LogReplay::check(Check what, bool agrees, const std::string& recorded,
                      const std::string& model) {
  Tally& tally = report_.tallies[static_cast<std::size_t>(what)];
  ++(agrees ? tally.agree : tally.miss);
  if (!agrees && report_.misses.size() < Report::kMostMisses) {
    report_.misses.push_back({line_, what, recorded, model});
  }
}

void LogReplay::feed(const LogEvent& e, std::uint64_t line) {
  line_ = line;
  Context& c = contexts_[e.thread];
  ++report_.events;
  switch (e.kind) {
    case LogKind::kNoise:
      return;
    case LogKind::kDamaged:
      on_damage(c);
      return;
    case LogKind::kConfigHit:
    case LogKind::kConfigMiss:
      on_config(c, e);
      return;
    case LogKind::kFindSte:
    case LogKind::kFindSte2Level:
    case LogKind::kGetSte:
    case LogKind::kGetCd:
    case LogKind::kDecodeCd:
    case LogKind::kDecodeCdTt:
      on_structure(c, e);
      return;
    case LogKind::kIotlbHit:
    case LogKind::kIotlbMiss:
      on_lookup(c, e);
      return;
    case LogKind::kGetPte:
    case LogKind::kPtwLevel:
    case LogKind::kPtwInvalid:
    case LogKind::kPtwPage:
    case LogKind::kPtwBlock:
      on_descriptor(c, e);
      return;
    case LogKind::kIotlbInsert:
      on_insert(c, e);
      return;
    case LogKind::kSuccess:
      on_success(c, e);
      return;
    case LogKind::kBypass:
    case LogKind::kAbort:
    case LogKind::kDisabled:
      on_untranslated(c, e);
      return;
    case LogKind::kRecordEvent:
      on_fault(c, e);
      return;
    case LogKind::kInvAll:
      on_inv_all(c);
      return;
    case LogKind::kOther:
    case LogKind::kInvIova:
      return;
    default:
      on_command(c, e);
      return;
  }
}

void LogReplay::on_damage(Context& c) {
  ++report_.damaged;
  report_.first_damaged = report_.first_damaged == 0 ? line_ : report_.first_damaged;
  lose_track(c);
  configs_known_ = false;
  configs_.invalidate({0, ~std::uint32_t{0}, {}});
}

// From here on both sides begin anew: with nothing, and what QEMU still holds is adopted.
void LogReplay::lose_track(Context& c) {
  report_.incomplete += c.active ? 1 : 0;
  c.active = false;
  empty_iotlb();
  recorded_.clear();
  iotlb_known_ = false;
}

void LogReplay::empty_iotlb() {
  hw::Command all;
  all.opcode = hw::Opcode::kTlbiNsnhAll;
  iotlb_.invalidate(hw::tlb_invalidation(all));
}

void LogReplay::record_entry(const Context& c, std::uint64_t iova, hw::Granule granule,
                             std::uint8_t level) {
  const auto log2 = static_cast<std::uint8_t>(hw::level_log2(granule, level));
  recorded_.insert({c.asid, c.vmid, iova & ~hw::low_mask(log2), log2, level});
}

void LogReplay::begin(Context& c, const LogEvent& e) {
  report_.incomplete += c.active ? 1 : 0;
  auto descriptors = std::move(c.descriptors);
  auto opcode = std::move(c.opcode);
  descriptors.clear();
  c = Context{};
  c.descriptors = std::move(descriptors);
  c.opcode = std::move(opcode);
  c.active = true;
  c.sid = static_cast<std::uint32_t>(e.sid);
  c.seen.l1_index = c.sid >> c.seen.split;
  if (!streams_[c.sid]) {
    streams_[c.sid] = true;
    ++report_.streams;
  }
}

void LogReplay::on_config(Context& c, const LogEvent& e) {
  begin(c, e);
  const bool recorded = e.kind == LogKind::kConfigHit;
  const hw::StreamConfig* const model = configs_.lookup(StreamId{c.sid}, {});
  c.config_missed = !recorded;
  if (recorded && model == nullptr && !configs_known_) {
    ++report_.adopted_configs;
    return;
  }
  check(Check::kConfigLookup, recorded == (model != nullptr), [&] {
    return std::pair<std::string, std::string>{
        fmt::format("sid {:#x}: {}", c.sid, hit_or_miss(recorded)), hit_or_miss(model != nullptr)};
  });
  if (recorded && model != nullptr) {
    c.config = *model;
    c.config_known = true;
  }
}

void LogReplay::on_structure(Context& c, const LogEvent& e) {
  ConfigSeen& seen = c.seen;
  switch (e.kind) {
    case LogKind::kFindSte:
      seen.split = e.number;
      break;
    case LogKind::kFindSte2Level:
      seen.two_level = true;
      seen.l1_table = e.address;
      seen.l1_index = e.sid;
      seen.l2_table = e.value;
      seen.l2_index = e.last;
      break;
    case LogKind::kGetSte:
      seen.ste = e.address;
      break;
    case LogKind::kGetCd:
      seen.cd = e.address;
      break;
    case LogKind::kDecodeCd:
      seen.output_bits = e.number;
      break;
    default: {
      ConfigSeen::Half& half = seen.halves[e.number];
      half = {true, e.level, e.granule, e.value};
      break;
    }
  }
}

void LogReplay::make_config(Context& c, hw::Ste::Config kind) {
  const ConfigSeen& seen = c.seen;
  const bool whole =
      seen.ste != 0 && (kind != hw::Ste::Config::kS1 ||
                        (seen.cd != 0 && (seen.halves[0].present || seen.halves[1].present)));
  if (!whole) {
    return;  // lines are missing: adopted when a walk shows the root
  }
  read_.clear();
  const hw::Fault fault = rebuilt_.fetch(c.sid, seen, kind, c.asid, c.vmid, c.config, read_);
  Rebuilt::Addresses recorded;
  if (seen.two_level) {
    recorded.push_back(seen.l1_table + seen.l1_index * 8);
  }
  recorded.push_back(seen.ste);
  if (kind == hw::Ste::Config::kS1) {
    recorded.push_back(seen.cd);
  }
  check(Check::kConfigAddress, !fault && read_ == recorded, [&] {
    return std::pair{
        fmt::format("sid {:#x}: {:#x}", c.sid, fmt::join(recorded, " ")),
        fault ? std::string(event_name(fault.event)) : fmt::format("{:#x}", fmt::join(read_, " "))};
  });
  if (!fault) {
    configs_.fill(StreamId{c.sid}, {}, c.config);
    c.config_known = true;
  }
}

const Report& LogReplay::finish() {
  for (const auto& [thread, context] : contexts_) {
    report_.incomplete += context.active ? 1 : 0;
  }
  compare_live();
  return report_;
}

}  // namespace smmulab::workloads::qemu

// SPDX-License-Identifier: Apache-2.0
#include "workloads/qemu_smmu/log_replay.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "sim/error.hpp"

namespace smmulab::workloads::qemu {
namespace {

// QEMU 7.2 SMMU_IOTLB_MAX_SIZE; its config cache has no bound.
constexpr std::uint32_t kIotlbEntries = 256, kConfigs = 4096;

hw::Granule granule_of(std::uint8_t tg) {
  return tg == 3 ? hw::Granule::k64K : tg == 2 ? hw::Granule::k16K : hw::Granule::k4K;
}

hw::Tag tag_of(std::uint64_t asid, std::uint64_t vmid) {
  hw::Tag tag;
  tag.asid = Asid{static_cast<std::uint16_t>(asid)};
  tag.vmid = Vmid{static_cast<std::uint16_t>(vmid)};
  return tag;
}

const char* hit_or_miss(bool hit) {
  return hit ? "hit" : "miss";
}

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

void LogReplay::on_lookup(Context& c, const LogEvent& e) {
  if (!c.active || c.looked_up) {  // the lines before it are missing
    report_.incomplete += c.active ? 0 : 1;
    lose_track(c);
    return;
  }
  c.looked_up = true;
  c.recorded_hit = e.kind == LogKind::kIotlbHit;
  c.asid = e.asid;
  c.vmid = e.vmid;
  c.address = e.address;
  if (c.config_missed) {
    make_config(c, hw::Ste::Config::kS1);
  }
  if (c.config_known) {
    check(Check::kAsid, c.config.asid.value() == c.asid, [&] {
      return std::pair{fmt::format("sid {:#x}: {}", c.sid, c.asid),
                       fmt::format("{}", c.config.asid.value())};
    });
  }
  const hw::Tlb::Hit hit =
      iotlb_.lookup(tag_of(c.asid, c.vmid), true, c.address, hw::Access{false, true, false});
  if (hit) {
    c.model_known = true;
    c.input = c.address;
    c.output = hit.output(c.address);
    c.perms = hit.entry->perms;
    c.leaf = hit.entry->level == hw::kLastLevel ? LogKind::kPtwPage : LogKind::kPtwBlock;
  }
  c.adopt = c.recorded_hit && !hit;
  if (c.adopt && !iotlb_known_) {
    ++report_.adopted_entries;
    return;
  }
  check(Check::kIotlbLookup, c.recorded_hit == static_cast<bool>(hit), [&] {
    return std::pair<std::string, std::string>{
        fmt::format("asid {} addr {:#x}: {}", c.asid, c.address, hit_or_miss(c.recorded_hit)),
        hit_or_miss(static_cast<bool>(hit))};
  });
}

void LogReplay::refuse_stage2(const LogEvent& e) {
  if (e.stage == 2) {
    throw TraceError(file_, line_, 1,
                     "this log has translations of stage 2; only stage 1 is supported");
  }
}

void LogReplay::on_descriptor(Context& c, const LogEvent& e) {
  refuse_stage2(e);
  if (!c.active) {
    return;
  }
  switch (e.kind) {
    case LogKind::kGetPte:
      if (!c.walking) {
        c.walking = true;
        c.root = e.last;
        c.first_level = 0xFF;
      }
      c.descriptors.emplace_back(e.address, e.value);
      return;
    case LogKind::kPtwPage:
    case LogKind::kPtwBlock:
    case LogKind::kPtwInvalid:
      c.leaf = e.kind;
      c.level = e.level;
      return;
    default:
      c.first_level = c.first_level == 0xFF ? e.level : c.first_level;
      return;
  }
}

void LogReplay::write_descriptors(Context& c) {
  for (const auto& [address, word] : c.descriptors) {
    rebuilt_.memory.write64(address & ~std::uint64_t{7}, word);
  }
}

void LogReplay::compare_reads(const Context& c, const Rebuilt::Addresses& read) {
  const bool agrees = std::ranges::equal(read, c.descriptors, {}, {},
                                         &std::pair<std::uint64_t, std::uint64_t>::first);
  check(Check::kWalkReads, agrees, [&] {
    std::string recorded;
    for (const auto& [address, word] : c.descriptors) {
      recorded += fmt::format("{:#x} ", address);
    }
    return std::pair{recorded, fmt::format("{:#x}", fmt::join(read, " "))};
  });
}

void LogReplay::on_insert(Context& c, const LogEvent& e) {
  if (!c.active || !c.walking || c.first_level == 0xFF) {
    lose_track(c);  // an entry that the model cannot know
    return;
  }
  record_entry(c, e.address, granule_of(e.granule), e.level);
  write_descriptors(c);
  if (!c.config_known) {
    c.config =
        Rebuilt::from_walk(c.root, c.first_level, granule_of(e.granule), c.address, c.asid, c.vmid);
    configs_.fill(StreamId{c.sid}, {}, c.config);
    c.config_known = true;
  }
  read_.clear();
  const hw::Outcome outcome = rebuilt_.walk(c.config, c.address, false, read_);
  ++report_.walks;
  report_.reads += c.descriptors.size();
  compare_reads(c, read_);
  const bool translated = outcome.kind == hw::Outcome::Kind::kTranslated;
  const bool block = translated && outcome.translation.level != hw::kLastLevel;
  check(
      Check::kLeaf,
      translated && outcome.translation.level == e.level && block == (c.leaf == LogKind::kPtwBlock),
      [&] {
        return std::pair<std::string, std::string>{
            fmt::format("{:#x}: level {} {}", c.address, e.level,
                        c.leaf == LogKind::kPtwBlock ? "block" : "page"),
            translated
                ? fmt::format("level {} {}", outcome.translation.level, block ? "block" : "page")
                : event_name(outcome.fault.event)};
      });
  if (!translated) {
    lose_track(c);
    return;
  }
  hw::Translation translation = outcome.translation;
  // QEMU keeps what one descriptor covers; it does not know contiguous groups.
  translation.reach_log2 = translation.page_log2;
  fill(c, translation);
  if (sink_ != nullptr) {
    const std::uint64_t low = hw::low_mask(translation.page_log2);
    sink_->on_leaf(c.asid, c.address & ~low, translation.output & ~low, translation.page_log2,
                   (translation.perms.bits() & hw::Permissions::kPw) != 0);
  }
}

void LogReplay::fill(Context& c, const hw::Translation& translation) {
  if (flush_seen_ && !iotlb_known_) {
    empty_iotlb();
    iotlb_known_ = true;
    flush_seen_ = false;
  }
  const std::uint64_t before = iotlb_.flushes();
  iotlb_.fill(tag_of(c.asid, c.vmid), true, c.address, translation);
  const bool flushed = iotlb_.flushes() != before;
  if (flushed || flush_seen_) {
    check(Check::kFlush, flushed == flush_seen_, [&] {
      return std::pair<std::string, std::string>{flush_seen_ ? "emptied" : "not emptied",
                                                 flushed ? "emptied" : "not emptied"};
    });
  }
  flush_seen_ = false;
  c.model_known = true;
  c.input = c.address;
  c.output = translation.output;
  c.perms = translation.perms;
}

void LogReplay::on_success(Context& c, const LogEvent& e) {
  ++report_.translations;
  if (!c.active || !c.looked_up) {
    ++report_.incomplete;
    return;
  }
  report_.hits += c.recorded_hit ? 1 : 0;
  if (!c.model_known) {  // adopted (or its insert is missing)
    report_.incomplete += c.adopt ? 0 : 1;
    // Taken as a page, which is never too much.
    hw::Translation t;
    t.output = e.value & ~hw::low_mask(12);
    t.perms = hw::Permissions{static_cast<std::uint8_t>(
        (e.number & 2) != 0 ? hw::Permissions::kAll : hw::Permissions::kUr | hw::Permissions::kPr)};
    c.address &= ~hw::low_mask(12);
    record_entry(c, c.address, hw::Granule::k4K, hw::kLastLevel);
    fill(c, t);
    c.active = false;
    if (sink_ != nullptr) {
      sink_->on_leaf(c.asid, c.address, t.output, 12, (e.number & 2) != 0);
      sink_->on_access(c.sid, c.asid, e.address, e.value);
    }
    return;
  }
  ++(c.leaf == LogKind::kPtwBlock ? report_.blocks : report_.pages);
  const std::uint64_t pa = c.output + (e.address - c.input);
  check(Check::kAddress, pa == e.value, [&] {
    return std::pair{fmt::format("{:#x} -> {:#x}", e.address, e.value), fmt::format("{:#x}", pa)};
  });
  const bool writable = (c.perms.bits() & hw::Permissions::kPw) != 0;
  check(Check::kPermission, writable == ((e.number & 2) != 0), [&] {
    return std::pair<std::string, std::string>{fmt::format("{:#x}: perm {}", e.address, e.number),
                                               writable ? "writable" : "read-only"};
  });
  c.active = false;
  if (sink_ != nullptr) {
    sink_->on_access(c.sid, c.asid, e.address, e.value);
  }
}

void LogReplay::on_untranslated(Context& c, const LogEvent& e) {
  if (e.kind == LogKind::kDisabled) {
    ++report_.disabled;
    return;
  }
  const bool bypass = e.kind == LogKind::kBypass;
  ++(bypass ? report_.bypassed : report_.aborted);
  if (!c.active) {
    ++report_.incomplete;
    return;
  }
  if (c.config_missed) {
    make_config(c, bypass ? hw::Ste::Config::kBypass : hw::Ste::Config::kAbort);
  }
  if (c.config_known) {
    const auto want = bypass ? hw::StreamConfig::Kind::kBypass : hw::StreamConfig::Kind::kAbort;
    check(Check::kBypass, c.config.kind == want, [&] {
      return std::pair<std::string, std::string>{
          fmt::format("sid {:#x}: {}", c.sid, bypass ? "bypass" : "abort"), "otherwise"};
    });
  }
  c.active = false;
}

void LogReplay::on_fault(Context& c, const LogEvent& e) {
  ++report_.faults;
  std::string_view recorded = e.text;
  if (recorded.substr(0, 9) == "SMMU_EVT_") {
    recorded.remove_prefix(9);
  }
  const bool was_active = c.active;
  c.active = false;
  hw::Event model = hw::Event::kNone;
  if (was_active && c.looked_up && c.config_known && c.walking) {
    write_descriptors(c);
    for (const bool write : {false, true}) {
      read_.clear();
      const hw::Outcome outcome = rebuilt_.walk(c.config, c.address, write, read_);
      model = outcome.fault.event;
      if (model != hw::Event::kNone) {
        break;
      }
    }
    compare_reads(c, read_);
  } else if (was_active && c.looked_up && c.model_known) {
    model =
        (c.perms.bits() & hw::Permissions::kPw) == 0 ? hw::Event::kPermission : hw::Event::kNone;
  } else if (was_active && c.looked_up && c.config_known) {
    // No descriptor was read: an address outside the range of the tables.
    model = rebuilt_.walk(c.config, c.address, false, read_).fault.event;
  } else {
    ++report_.faults_not_judged;
    return;
  }
  check(Check::kFault, recorded == event_name(model), std::string(recorded), event_name(model));
}

const Report& LogReplay::finish() {
  for (const auto& [thread, context] : contexts_) {
    report_.incomplete += context.active ? 1 : 0;
  }
  compare_live();
  return report_;
}

}  // namespace smmulab::workloads::qemu

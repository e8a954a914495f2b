// SPDX-License-Identifier: Apache-2.0
// The translation half of LogReplay: from the IOTLB look-up to success or fault.
#include <algorithm>

#include <fmt/format.h>

#include "sim/error.hpp"
#include "workloads/qemu_smmu/log_replay.hpp"

namespace smmulab::workloads::qemu {
namespace {

hw::Granule granule_of(std::uint8_t tg) {
  return tg == 3 ? hw::Granule::k64K : tg == 2 ? hw::Granule::k16K : hw::Granule::k4K;
}

hw::Tag tag_of(std::uint64_t asid, std::uint64_t vmid) {
  hw::Tag tag;
  tag.asid = Asid{static_cast<std::uint16_t>(asid)};
  tag.vmid = Vmid{static_cast<std::uint16_t>(vmid)};
  return tag;
}

}  // namespace

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

}  // namespace smmulab::workloads::qemu

// SPDX-License-Identifier: Apache-2.0
// LogReplay: holds the model to a QEMU log while it is read (oracle O3). Structures are rebuilt
// from the log; the model, with caches like QEMU's (preset `qemu`), makes every translation and
// command itself, at the line at which QEMU made it, and is compared with what QEMU did.
//
// Lines belong to host threads, whose translations interleave; each thread has its own context. A
// log may begin late: an IOTLB hit or config hit of what was made before is adopted, and counted,
// until a command (or QEMU itself) has emptied that cache. Damaged lines drop the translation they
// are part of, and what the caches hold is again taken as unknown.
//
// Not judged: faults of the configuration (the log does not show a bad STE or CD). Not supported:
// stage 2 (QEMU 7.2 has none); such a log is refused.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "workloads/qemu_smmu/log_event.hpp"
#include "workloads/qemu_smmu/log_sink.hpp"
#include "workloads/qemu_smmu/rebuilt.hpp"
#include "workloads/qemu_smmu/recorded_iotlb.hpp"
#include "workloads/qemu_smmu/report.hpp"

namespace smmulab::workloads::qemu {

class LogReplay {
 public:
  // `file` is for messages. REQUIRES: sink, if any, lives as long.
  explicit LogReplay(std::string file, LogSink* sink = nullptr);
  // Throws TraceError on a log of stage 2.
  void feed(const LogEvent& event, std::uint64_t line);
  // A line with no event in it.
  void noise() { ++report_.noise; }
  // A log that ends within a line: the last event is not to be trusted, which is no damage.
  void cut_off() { ++report_.noise; }
  [[nodiscard]] const Report& finish();

 private:
  struct Context {
    bool active = false;
    std::uint32_t sid = 0;
    ConfigSeen seen;
    bool config_missed = false;
    bool config_known = false;  // `config` is whole
    bool looked_up = false;
    bool recorded_hit = false;
    bool walking = false;
    bool model_known = false;  // entry_* hold the model's translation
    bool adopt = false;
    bool tlbi_pending = false;  // the next inv_all is this thread's command
    std::uint8_t first_level = 0, level = 0;
    LogKind leaf = LogKind::kOther;
    std::uint64_t root = 0;
    std::uint64_t asid = 0, vmid = 0, address = 0;
    std::uint64_t input = 0, output = 0;
    hw::Permissions perms;
    std::string opcode;
    hw::StreamConfig config;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> descriptors;
  };

  void check(Check what, bool agrees, const std::string& recorded, const std::string& model);
  // `text` gives (recorded, model), asked only where they differ: most of a log agrees.
  template <class Text>
  void check(Check what, bool agrees, const Text& text) {
    if (agrees) {
      ++report_.tallies[static_cast<std::size_t>(what)].agree;
      return;
    }
    const auto [recorded, model] = text();
    check(what, false, recorded, model);
  }
  void begin(Context& c, const LogEvent& e);
  void on_config(Context& c, const LogEvent& e);
  void on_structure(Context& c, const LogEvent& e);
  void on_lookup(Context& c, const LogEvent& e);
  void on_descriptor(Context& c, const LogEvent& e);
  void on_insert(Context& c, const LogEvent& e);
  void on_success(Context& c, const LogEvent& e);
  void on_untranslated(Context& c, const LogEvent& e);
  void on_fault(Context& c, const LogEvent& e);
  void on_command(Context& c, const LogEvent& e);
  void on_range(const LogEvent& e, const std::string& opcode);
  void on_inv_all(Context& c);
  void on_damage(Context& c);
  void lose_track(Context& c);
  void empty_iotlb();
  void record_entry(const Context& c, std::uint64_t iova, hw::Granule granule, std::uint8_t level);
  void make_config(Context& c, hw::Ste::Config kind);
  void write_descriptors(Context& c);
  void compare_reads(const Context& c, const Rebuilt::Addresses& read);
  void fill(Context& c, const hw::Translation& translation);
  void apply(const hw::Command& command);
  void compare_live();
  void refuse_stage2(const LogEvent& e);

  std::string file_;
  LogSink* sink_;
  Rebuilt rebuilt_;
  hw::ConfigCache configs_;
  hw::Tlb iotlb_;
  RecordedIotlb recorded_;
  std::unordered_map<std::uint64_t, Context> contexts_;
  std::unordered_map<std::uint32_t, bool> streams_;
  bool iotlb_known_ = false;    // everything that QEMU's IOTLB holds was seen being inserted
  bool configs_known_ = false;  // the same of its config cache
  bool flush_seen_ = false;     // QEMU emptied a full IOTLB; its insert comes next
  bool live_changed_ = false;
  std::uint64_t line_ = 0;
  Rebuilt::Addresses read_;  // scratch
  Report report_;
};

}  // namespace smmulab::workloads::qemu

// SPDX-License-Identifier: Apache-2.0
// What the driver's unit tests share: a machine and an SMMU on which nothing costs time unless a
// test says so, the commands sent since one last asked, and the locks taken, in order.
// With only hw_sync priced at 1 us, a time in microseconds is a number of SYNCs waited for.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "models/linux/testing.hpp"
#include "models/smmuv3/driver/counted_driver.hpp"
#include "models/smmuv3/driver/timed_hardware.hpp"

namespace smmulab::smmu {

[[nodiscard]] inline DriverParams params_without_costs() {
  DriverParams p;
  p.attach_base = p.finalise = p.domain_alloc = p.domain_free = p.table_page = p.table_free = Ps{0};
  p.cd_table_alloc = p.master_domain = p.write_entry = p.write_step = p.cmd_build = Ps{0};
  p.cmdq_reserve = p.cmdq_entry = p.cmdq_owner = p.mmio_write = p.mmio_read = p.sync_poll = Ps{0};
  p.pci_config = p.map_call = p.map_pte = p.unmap_call = p.unmap_pte = p.iova_to_phys = Ps{0};
  p.evtq_irq = p.evtq_entry = p.evtq_print = Ps{0};
  p.iotlb_sync = p.dirty_pte = p.dirty_pte_read = p.user_command = p.invs_entry = Ps{0};
  p.hw_doorbell = p.hw_cfgi = p.hw_tlbi = p.hw_atc_inv = p.hw_prefetch = p.hw_sync = Ps{0};
  return p;
}

// "CFGI_STE 2, SYNC 2": what differs from zero.
class CommandCounts {
 public:
  [[nodiscard]] std::string since_last(const CommandQueues& queues) {
    std::string text;
    for (std::size_t i = 0; i < kCommandKinds; ++i) {
      const auto kind = static_cast<Command>(i);
      const std::uint64_t n = queues.count(kind) - std::exchange(seen_[i], queues.count(kind));
      if (n != 0) {
        text += fmt::format("{}{} {}", text.empty() ? "" : ", ", command_name(kind), n);
      }
    }
    return text;
  }

 private:
  std::array<std::uint64_t, kCommandKinds> seen_{};
};

class DriverTest : public lnx::LinuxTest {
 protected:
  explicit DriverTest(DriverVersion version) {
    driver_params.version = version;
    driver_params.hw_sync = 1_us;
  }

  CountedDriver& driver() {
    if (!driver_) {
      driver_ = make_counted_driver(machine(), driver_params);
      machine().set_record(&record_);
    }
    return *driver_;
  }
  Smmu& smmu(std::uint32_t index = 0) {
    while (smmus_.size() <= index) {
      const auto i = static_cast<std::uint32_t>(smmus_.size());
      if (timed_hardware) {
        hardware_.push_back(
            std::make_unique<TimedHardware>(engine, *timed_hardware, fmt::format("smmu{}", i)));
      }
      smmus_.emplace_back(machine(), driver_params, SmmuIndex{i},
                          timed_hardware ? hardware_.back().get() : nullptr);
    }
    return smmus_[index];
  }
  // A device as after boot: attached to a default domain of its own.
  Master& master(std::uint32_t stream_ids, bool ats = false, std::uint32_t on_smmu = 0) {
    Master& m = bare_master(stream_ids, ats, on_smmu);
    driver().boot_attach(m, driver().boot_domain(*m.smmu));
    return m;
  }
  Master& bare_master(std::uint32_t stream_ids, bool ats = false, std::uint32_t on_smmu = 0) {
    Master& m = masters_.emplace_back();
    m.name = fmt::format("dev{}", masters_.size() - 1);
    m.smmu = &smmu(on_smmu);
    for (std::uint32_t i = 0; i < stream_ids; ++i) {
      m.stream_ids.emplace_back(next_stream_id_++);
    }
    m.ats_supported = ats;
    return m;
  }
  // Runs `body` on CPU 0 to its end; gives how long it took.
  Ps timed(Body body) {
    Ps took{0};
    thread("T", 0, [&, body](lnx::Thread& t) -> Task<void> {
      co_await until(t, engine.now() < kStart ? 0_ns : engine.now() - kStart);
      const SimTime start = engine.now();
      co_await body(t);
      co_await t.run();
      took = engine.now() - start;
    });
    engine.run();
    return took;
  }
  Ps attach(Master& m, Domain& d, int expected = 0) {
    return timed([&, expected](lnx::Thread& t) -> Task<void> {
      const int rc = co_await driver().attach_dev(t, m, d);
      EXPECT_EQ(rc, expected);
    });
  }
  Domain& alloc(const Master& m) {
    Domain* domain = nullptr;
    timed([&](lnx::Thread& t) -> Task<void> { domain = co_await driver().domain_alloc(t, m); });
    return *domain;
  }
  // A finalised domain that nobody is attached to.
  Domain& used(const Master& m) { return driver().boot_domain(*m.smmu); }

  std::string sent(std::uint32_t on_smmu = 0) {
    if (counts_.size() <= on_smmu) {
      counts_.resize(on_smmu + 1);
    }
    return counts_[on_smmu].since_last(smmu(on_smmu).queue);
  }
  // Since the last call: "+init_mutex -init_mutex", in the order in which they were taken.
  std::string locks() {
    std::string text;
    for (; record_seen_ < record_.size(); ++record_seen_) {
      const RecordEvent& e = record_[record_seen_];
      if (e.kind == RecordKind::kLockAcquire || e.kind == RecordKind::kLockRelease) {
        text += fmt::format("{}{}{}", text.empty() ? "" : " ",
                            e.kind == RecordKind::kLockAcquire ? '+' : '-',
                            record_.name(record_.lock_class(RecordLock{e.object})));
      }
    }
    return text;
  }
  // Since the last call, events that are not of locks: "issue:0=0x5 complete:2 dark light".
  std::string hardware_events() {
    std::string text;
    const auto say = [&text](const std::string& what) { text += (text.empty() ? "" : " ") + what; };
    for (; record_seen_ < record_.size(); ++record_seen_) {
      const RecordEvent& e = record_[record_seen_];
      if (e.kind == RecordKind::kCommandIssue) {
        say(fmt::format("issue:{}={:#x}", e.arg, e.detail));
      } else if (e.kind == RecordKind::kCommandComplete) {
        say(fmt::format("complete:{}", e.arg));
      } else if (e.kind == RecordKind::kDmaDarkBegin || e.kind == RecordKind::kDmaDarkEnd) {
        say(e.kind == RecordKind::kDmaDarkBegin ? "dark" : "light");
      }
    }
    return text;
  }
  // How long locks of that class were held since the last call.
  Ps held(std::string_view name) {
    const Ps total = lock_class(name).stat.write().holdtime.total;
    return total - std::exchange(held_seen_[std::string(name)], total);
  }

  // REQUIRES: timed_hardware.
  TimedHardware& hardware(std::uint32_t index = 0) { return *smmu(index).hardware; }

  DriverParams driver_params = params_without_costs();
  std::optional<TimedHardwareParams> timed_hardware;  // none: counted

 private:
  std::vector<std::unique_ptr<TimedHardware>> hardware_;
  Record record_;
  std::uint64_t record_seen_ = 0;
  std::deque<Smmu> smmus_;
  std::deque<Master> masters_;
  std::vector<CommandCounts> counts_;
  std::map<std::string, Ps> held_seen_;
  std::uint32_t next_stream_id_ = 0x100;
  std::unique_ptr<CountedDriver> driver_;
};

}  // namespace smmulab::smmu

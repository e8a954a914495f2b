// SPDX-License-Identifier: Apache-2.0
#include "workloads/replay.hpp"

#include <algorithm>
#include <exception>
#include <memory>

#include <fmt/format.h>

#include "workloads/op_feed.hpp"
#include "workloads/op_text.hpp"
#include "workloads/perform.hpp"
#include "workloads/system.hpp"
#include "workloads/unread_settings.hpp"

namespace smmulab::workloads {
namespace {

constexpr std::size_t kMiB = 1U << 20U;

// A thread that waits for operations of others.
class DependencyWait final : public Waitable {
 public:
  DependencyWait(const OpFeed& feed, const OpFeed::Item& item) : feed_(feed), item_(item) {}
  [[nodiscard]] std::string wait_name() const override { return feed_.why_not(item_); }
  void wait_holders(std::vector<const Process*>& /*out*/) const override {}

 private:
  const OpFeed& feed_;
  const OpFeed::Item& item_;
};

// A thread that comes upon bad input while it runs is no error of the model.
void throw_input_error(const ModelError& error) {
  try {
    std::rethrow_if_nested(error);
  } catch (const TraceError&) {
    throw;
  } catch (const ConfigError&) {
    throw;
  } catch (const std::exception&) {
    return;  // the model error says it
  }
}

struct PhaseSpan {
  std::uint64_t operations = 0;
  std::uint64_t errors = 0;
  SimTime first = kTimeMax;
  SimTime last{};
};

class Replayer {
 public:
  Replayer(const std::string& path, const Settings& settings, const ReplayOptions& options)
      : options_(options),
        settings_(settings),
        feed_(path, std::size_t{settings.replay.memory_mib} * kMiB),
        engine_(make_engine(options.engine)),
        system_(*engine_, feed_.header(), settings, iommufd::find_protocol(options.protocol),
                options.record, nullptr, options.dma) {
    result_.devices.resize(feed_.header().devices.size());
  }

  ReplayResult run();

 private:
  Task<void> thread_main(lnx::Thread& t, ThreadIndex index);
  Task<void> wait_until_ready(lnx::Thread& t, const OpFeed::Item& item);
  // `sleeps`: what sleep_up_to draws from, or null.
  Task<void> think(lnx::Thread& t, const Op& op, SimTime recorded_end, RandomStream* sleeps);
  [[nodiscard]] RecordOp record_op(const Op& op) const;
  void finish(lnx::Thread& t, const OpFeed::Item& item, SimTime start, int rc);
  static SimTime at_speed(SimTime recorded, std::uint32_t percent);
  [[nodiscard]] Ps dark_so_far(DeviceIndex device) const;
  void note_replace_dark(const Op& op, Ps dark_before, bool was_attached);
  void wake_ready(const lnx::Thread& waker);
  void collect();
  void collect_broken();

  const ReplayOptions& options_;
  const Settings& settings_;
  OpFeed feed_;
  std::unique_ptr<Engine> engine_;
  System system_;
  ReplayResult result_;
  std::vector<PhaseSpan> phases_;
  struct Waiting {
    lnx::Thread* thread;
    const OpFeed::Item* item;
  };
  std::vector<Waiting> waiting_;
};

Task<void> Replayer::wait_until_ready(lnx::Thread& t, const OpFeed::Item& item) {
  const DependencyWait why(feed_, item);
  while (!feed_.ready(item)) {
    t.prepare_to_sleep();
    waiting_.push_back({&t, &item});
    co_await t.block(why);
  }
}

void Replayer::wake_ready(const lnx::Thread& waker) {
  // In order of arrival; a woken thread checks again.
  const auto ready = std::stable_partition(
      waiting_.begin(), waiting_.end(), [this](const Waiting& w) { return !feed_.ready(*w.item); });
  const std::vector<Waiting> woken(ready, waiting_.end());
  waiting_.erase(ready, waiting_.end());
  for (const Waiting& w : woken) {
    system_.machine().wake(*w.thread, Ps{0}, &waker);
  }
}

// Throws ConfigError if the time does not fit (int64 of ps: 106 days).
SimTime Replayer::at_speed(SimTime recorded, std::uint32_t percent) {
  const __int128 at = static_cast<__int128>(recorded.time_since_epoch().count()) * 100 / percent;
  if (at > kTimeMax.time_since_epoch().count() / 2) {
    throw ConfigError(fmt::format(
        "replay.speed_percent {}: an operation recorded at {} ps would be issued after 53 days",
        percent, recorded.time_since_epoch().count()));
  }
  return SimTime{Ps{static_cast<std::int64_t>(at)}};
}

Task<void> Replayer::think(lnx::Thread& t, const Op& op, SimTime recorded_end,
                           RandomStream* sleeps) {
  const ReplayParams& p = settings_.replay;
  Ps user = p.user_time;
  if (p.mode == ReplayMode::kTimed) {
    const SimTime at = at_speed(op.issue, p.speed_percent);
    if (at > engine_->now()) {
      co_await t.sleep_for(at - engine_->now());
    }
  } else if (p.think != Think::kZero && recorded_end != SimTime{} && op.issue > recorded_end) {
    const Ps gap = op.issue - recorded_end;
    const lnx::SchedParams& sched = settings_.linux_kernel.sched;
    const Ps asleep = gap - (p.user_time + sched.timed_sleep + sched.context_switch);
    if (p.think == Think::kSlept && asleep > Ps{0}) {
      const Ps slack = std::min(asleep, sched.timer_slack);
      Ps asked = asleep - slack;
      if (sleeps != nullptr) {
        const auto most = static_cast<std::uint64_t>(p.sleep_up_to / 1_us);
        asked = std::min(asked, 1_us * static_cast<std::int64_t>(sleeps->uniform_int(most + 1)));
      }
      co_await t.sleep_for(asked, slack);
    } else if (p.think == Think::kSlept) {
      user = std::max(user, gap);  // too short for a sleep
    } else {
      user += gap;
    }
  }
  if (user > Ps{0} || t.need_resched()) {
    co_await t.user(user);
  }
}

// REQUIRES: there is a record.
RecordOp Replayer::record_op(const Op& op) const {
  return options_.record_objects ? options_.record->intern_op(op_label(op))
                                 : options_.record->intern_op(op_name(op.kind));
}

Task<void> Replayer::thread_main(lnx::Thread& t, ThreadIndex index) {
  SimTime recorded_end{};
  std::unique_ptr<RandomStream> sleeps;
  if (settings_.replay.sleep_up_to > Ps{0}) {
    sleeps = std::make_unique<RandomStream>(system_.machine().seed(),
                                            fmt::format("thread{}/sleep", index.value()));
  }
  while (const OpFeed::Item* const next = feed_.next(index)) {
    const OpFeed::Item& item = *next;
    if (!feed_.ready(item)) {
      co_await wait_until_ready(t, item);
    }
    co_await think(t, item.op, recorded_end, sleeps.get());
    recorded_end = item.op.has_duration() ? item.op.issue + item.op.duration : SimTime{};
    const SimTime start = engine_->now();
    const bool moves = item.op.kind == OpKind::kAttach || item.op.kind == OpKind::kReplace;
    const bool attached = moves && system_.devices()[item.op.device.value()].attached;
    const Ps dark = moves ? dark_so_far(item.op.device) : Ps{0};
    if (options_.record != nullptr) {
      options_.record->append(
          record_event::op_begin(start, t.record_id(), record_op(item.op), item.op.seq));
    }
    system_.note_operation(t, item.op);
    const int rc = co_await perform(system_.iommufd(), t, item.op);
    if (moves) {
      note_replace_dark(item.op, dark, attached);
    }
    finish(t, item, start, rc);
  }
}

// An open window counts up to now: a failed replace may leave it open.
Ps Replayer::dark_so_far(DeviceIndex device) const {
  const smmu::Master& master = system_.masters()[device.value()];
  const bool open = master.dark && master.dark_since;
  return master.dark_time.total + (open ? engine_->now() - *master.dark_since : Ps{0});
}

void Replayer::note_replace_dark(const Op& op, Ps dark_before, bool was_attached) {
  if (!was_attached) {
    return;
  }
  DeviceResult& device = result_.devices[op.device.value()];
  const Ps dark = dark_so_far(op.device) - dark_before;
  ++device.replaces;
  device.replace_dark += dark;
  device.replace_dark_max = std::max(device.replace_dark_max, dark);
}

void Replayer::finish(lnx::Thread& t, const OpFeed::Item& item, SimTime start, int rc) {
  const SimTime end = engine_->now();
  const Op& op = item.op;
  KindResult& kind = result_.kinds[static_cast<std::size_t>(op.kind)];
  const bool as_recorded = !op.has_ret() || op.ret == rc;
  ++kind.count;
  kind.errors += rc != 0 ? 1U : 0U;
  kind.different += as_recorded ? 0U : 1U;
  kind.latency.record(end - start);
  ++result_.operations;
  if (item.phase >= phases_.size()) {
    phases_.resize(item.phase + 1);
  }
  PhaseSpan& phase = phases_[item.phase];
  ++phase.operations;
  phase.errors += rc != 0 ? 1U : 0U;
  phase.first = std::min(phase.first, start);
  phase.last = std::max(phase.last, end);
  if (options_.record != nullptr) {
    options_.record->append(
        record_event::op_end(end, t.record_id(), record_op(op), static_cast<std::uint32_t>(-rc)));
  }
  feed_.ended(item);
  if (options_.sink) {
    options_.sink({op.seq, op.thread, op.kind, start, end, rc, as_recorded});
  }
  if (!waiting_.empty()) {
    wake_ready(t);
  }
}

ReplayResult Replayer::run() {
  const auto& threads = feed_.header().threads;
  for (std::uint32_t i = 0; i < threads.size(); ++i) {
    system_.machine().spawn_thread(
        threads[i].name, system_.affinity(feed_.header(), i),
        [this, i](lnx::Thread& t) { return thread_main(t, ThreadIndex{i}); });
  }
  if (options_.progress) {
    constexpr std::uint32_t kEvery = 1U << 16U;
    engine_->set_interrupt_check([this] { return !options_.progress(feed_.operations_ended()); },
                                 kEvery);
  }
  result_.protocol = iommufd::find_protocol(options_.protocol).name;
  result_.warnings = system_.placement_warnings(feed_.header());
  for (std::string& text : unread_settings(settings_, options_.dma != nullptr)) {
    result_.warnings.push_back(std::move(text));
  }
  for (std::string text : {system_.think_warning(feed_.header()), system_.dma_warning()}) {
    if (!text.empty()) {
      result_.warnings.push_back(std::move(text));
    }
  }
  try {
    engine_->run();
    system_.invariants().check_end();
  } catch (const DeadlockError& e) {
    result_.status = "deadlock";
    result_.message = e.what();
    result_.deadlock_cycle = e.cycle();
  } catch (const ModelError& e) {
    throw_input_error(e);
    throw;
  }
  collect();
  collect_broken();
  return std::move(result_);
}

void Replayer::collect() {
  result_.end = engine_->now();
  result_.events = engine_->events();
  for (std::size_t i = 0; i < phases_.size(); ++i) {
    if (phases_[i].operations > result_.main_operations) {
      result_.main_phase = feed_.phases()[i];
      result_.main_operations = phases_[i].operations;
      result_.main_errors = phases_[i].errors;
      result_.main_span = phases_[i].last - phases_[i].first;
    }
  }
  for (const lnx::LockClass& cls : system_.machine().locks().classes()) {
    constexpr std::array<const char*, 3> kKinds = {"mutex", "rwsem", "spinlock"};
    result_.locks.push_back(
        {cls.name, kKinds[static_cast<std::size_t>(cls.kind)], cls.instances, cls.stat});
  }
  for (std::size_t i = 0; i < result_.devices.size(); ++i) {
    const smmu::Master& master = system_.masters()[i];
    DeviceResult& device = result_.devices[i];
    device.name = master.name;
    device.dark_windows = master.dark_time.windows;
    device.dark_total = master.dark_time.total;
    device.dark_max = master.dark_time.max;
    const DeviceIndex index{static_cast<std::uint32_t>(i)};
    if (const smmu::DmaWatch* dma = system_.dma(index)) {
      device.dma = DmaResult{dma->stats(), dma->unmaps(), dma->reach(), system_.events(index), {}};
      if (dma->ats() != nullptr) {
        device.dma->ats = *dma->ats();
      }
    }
  }
  const bool no_dma = std::ranges::none_of(
      result_.devices, [](const DeviceResult& d) { return d.dma && d.dma->stream.issued > 0; });
  if (settings_.hardware.stream.pattern != smmu::StreamPattern::kNone && no_dma) {
    result_.warnings.emplace_back(
        "no device issued DMA: nothing of two pages or more was mapped while one was attached "
        "(stream.footprint_kib gives it a range of its own)");
  }
  for (const lnx::Thread& t : system_.machine().threads()) {
    result_.threads.push_back({t.name(), t.run_time(), t.spin_time(), t.ready_time()});
  }
  for (const smmu::Smmu& smmu : system_.smmus()) {
    result_.queues.push_back(smmu.queue.stat());
    for (std::size_t c = 0; c < smmu::kCommandKinds; ++c) {
      result_.commands[c] += smmu.queue.count(static_cast<smmu::Command>(c));
    }
  }
  result_.final_state = system_.final_state();
  // The last: hardware without DMA has not run to the end yet.
  for (std::uint32_t i = 0; i < system_.smmus().size(); ++i) {
    result_.pmu.push_back(system_.pmu(SmmuIndex{i}));
  }
}

void Replayer::collect_broken() {
  for (const iommufd::BrokenInvariant& broken : system_.invariants().broken()) {
    const std::string_view text = iommufd::invariant_text(broken.invariant);
    if (result_.status == "ok") {
      result_.status = "wrong state";
      result_.message =
          fmt::format("wrong state at {} ps: {}: {}", to_ps(broken.when), text, broken.detail);
    }
    result_.broken_invariants.push_back({std::string(text), broken.detail, broken.when});
  }
}

}  // namespace

ReplayResult replay(const std::string& trace_path, const Settings& settings,
                    const ReplayOptions& options) {
  return Replayer(trace_path, settings, options).run();
}

}  // namespace smmulab::workloads

// SPDX-License-Identifier: Apache-2.0
#include "models/smmuv3/driver/command_queue.hpp"

#include <algorithm>
#include <bit>
#include <utility>

#include <fmt/format.h>

#include "models/smmuv3/driver/timed_hardware.hpp"

namespace smmulab::smmu {
namespace {
constexpr std::size_t kFirstWindow = 4;  // a power of two
constexpr Ps kLeastPollRound{1'000};     // simulated time goes on even if polling costs nothing
constexpr std::uint64_t kEntriesPerLine = 4;  // of 16 bytes in 64
constexpr std::uint64_t kEntryLines = 256;

std::string queue_name(std::uint32_t smmu, std::uint32_t index) {
  return index == 0 ? fmt::format("smmu{} cmdq", smmu) : fmt::format("smmu{} cmdq{}", smmu, index);
}

// A line draws random numbers, by its name, only in the coherent model.
std::string line_name(const lnx::Machine& machine, std::uint32_t smmu, std::uint32_t index,
                      const char* line) {
  const bool draws = machine.params().line.model == lnx::LineModel::kCoherent;
  return draws ? fmt::format("{} {}", queue_name(smmu, index), line) : "";
}
}  // namespace

CommandQueueStat& CommandQueueStat::operator+=(const CommandQueueStat& other) {
  submissions += other.submissions;
  commands += other.commands;
  syncs += other.syncs;
  cmpxchg_failures += other.cmpxchg_failures;
  doorbells += other.doorbells;
  full_waits += other.full_waits;
  reserving += other.reserving;
  writing += other.writing;
  publishing += other.publishing;
  sync_wait += other.sync_wait;
  releasing += other.releasing;
  return *this;
}

CommandQueueStat& CommandQueueStat::operator-=(const CommandQueueStat& other) {
  submissions -= other.submissions;
  commands -= other.commands;
  syncs -= other.syncs;
  cmpxchg_failures -= other.cmpxchg_failures;
  doorbells -= other.doorbells;
  full_waits -= other.full_waits;
  reserving -= other.reserving;
  writing -= other.writing;
  publishing -= other.publishing;
  sync_wait -= other.sync_wait;
  releasing -= other.releasing;
  return *this;
}

CommandQueue::CommandQueue(lnx::Machine& machine, const DriverParams& params, std::uint32_t smmu,
                           InvalidationUnit& unit, std::uint32_t index, TimedHardware* timed)
    : machine_(machine),
      params_(params),
      hardware_(params, unit),
      timed_(timed),
      smmu_(smmu),
      index_(index),
      size_(1ULL << params.queue_log2),
      coherent_(machine.params().line.model == lnx::LineModel::kCoherent),
      llq_line_(machine, line_name(machine, smmu, index, "llq")),
      owner_line_(machine, line_name(machine, smmu, index, "owner_prod")),
      valid_line_(machine, line_name(machine, smmu, index, "valid_map")),
      lock_line_(machine, line_name(machine, smmu, index, "lock")),
      window_(kFirstWindow) {
  if (timed_ != nullptr) {
    timed_queue_ = timed_->add_queue(*this);
  }
  if (params.cmdq_insertion == Insertion::kSpinlock) {
    insertion_lock_ = std::make_unique<lnx::Spinlock>(
        machine, machine.locks().get("cmdq_insertion", lnx::LockKind::kSpinlock));
  }
  if (coherent_) {
    for (std::uint64_t i = 0; i < kEntryLines; ++i) {
      entry_lines_.emplace_back(machine, fmt::format("{} entries {}", queue_name(smmu, index), i));
    }
  }
}

void CommandQueue::make_room(std::uint64_t n) {
  const std::uint64_t needed = prod_ + n - cons_;
  if (needed <= window_.size()) {
    return;
  }
  std::vector<Entry> larger(std::bit_ceil(needed));
  for (Slot s = cons_; s != prod_; ++s) {
    larger[static_cast<std::size_t>(s & (larger.size() - 1))] = entry(s);
  }
  window_ = std::move(larger);
}

std::string CommandQueue::wait_name() const {
  return queue_name(smmu_, index_);
}

void CommandQueue::wait_holders(std::vector<const Process*>& out) const {
  if (gatherer_ != nullptr) {
    out.push_back(gatherer_->process());
  }
}

Task<void> CommandQueue::issue(lnx::Thread& t, const CommandBatch& batch, bool sync) {
  ++stat_.submissions;
  stat_.commands += batch.size();
  stat_.syncs += sync ? 1U : 0U;
  if (machine_.control() != nullptr) [[unlikely]] {
    co_return;  // within one step, and without time, it does nothing that anyone could see
  }
  const std::uint32_t n = batch.size() + (sync ? 1U : 0U);
  t.disable_preemption();
  SimTime since = machine_.now() + t.unpaid();
  const auto lap = [this, &t, &since](Ps& total) {
    const SimTime now = machine_.now() + t.unpaid();
    total += now - std::exchange(since, now);
  };
  const Reservation mine = co_await reserve(t, n);
  lap(stat_.reserving);
  t.charge(params_.cmdq_entry * n);
  if (coherent_) {
    co_await write_entries(t, mine.begin, mine.end);
  }
  for (std::uint32_t i = 0; i < batch.size(); ++i) {
    entry(mine.begin + i).command = batch[i];
    if (timed_ != nullptr) {
      timed_->store_command(timed_queue_, mine.begin + i, batch.words(i));
    }
  }
  if (sync) {
    entry(mine.end - 1).command = Command::kSync;
    if (timed_ != nullptr) {
      timed_->store_sync(timed_queue_, mine.end - 1, params_.sync_mode);
    }
    syncs_.push_back({mine.end - 1, &t, kTimeMax});
    co_await lock_line_.write(t);
    ++sharers_;
  }
  if (coherent_) {
    co_await lock_line_.read(t);  // the pointer to valid_map
  }
  co_await valid_line_.write(t);
  if (!mine.owner) {
    co_await t.run();  // another CPU waits for these valid bits
  }
  if (machine_.record() != nullptr) [[unlikely]] {
    record_issue(t, mine.begin, mine.end);
  }
  mark_valid(mine.begin, mine.end);
  lap(stat_.writing);
  if (mine.owner) {
    co_await publish(t, mine.begin);
    lap(stat_.publishing);
  }
  if (sync) {
    Record* record = machine_.record();
    RecordObject completion{};
    if (record != nullptr) [[unlikely]] {
      completion = recorded_sync_.in(*record, [this] { return fmt::format("CMD_SYNC#{}", smmu_); });
      record->append(record_event::wait_begin(machine_.now(), t.record_id(), completion));
    }
    co_await wait_for_sync(t, mine.end - 1);
    lap(stat_.sync_wait);
    co_await release(t);
    lap(stat_.releasing);
    if (record != nullptr) [[unlikely]] {
      record_completion(mine.end - 1);
      record->append(record_event::wait_end(machine_.now(), t.record_id(), completion));
    }
  }
  if (t.need_resched()) {
    co_await t.run();  // what was charged with preemption off is not to be preempted
  }
  t.enable_preemption();
}

void CommandQueue::record_issue(const lnx::Thread& t, Slot begin, Slot end) {
  Record& record = *machine_.record();
  const RecordObject queue = recorded(record);
  for (Slot s = begin; s != end; ++s) {
    record.append(record_event::command_issue(machine_.now(), t.record_id(), queue, s,
                                              command_opcode(entry(s).command)));
  }
}

// When a CPU learns of it: the SYNC, and with it all before.
void CommandQueue::record_completion(Slot sync) {
  Record& record = *machine_.record();
  record.append(record_event::command_complete(machine_.now(), recorded(record), sync + 1,
                                               command_opcode(Command::kSync)));
}

lnx::SharedLine& CommandQueue::entry_line(Slot slot) {
  return entry_lines_[static_cast<std::size_t>(slot / kEntriesPerLine % kEntryLines)];
}

Task<void> CommandQueue::write_entries(lnx::Thread& t, Slot begin, Slot end) {
  for (Slot s = begin; s < end; s = (s / kEntriesPerLine + 1) * kEntriesPerLine) {
    co_await entry_line(s).write(t);
  }
}

Task<CommandQueue::Reservation> CommandQueue::reserve(lnx::Thread& t, std::uint32_t n) {
  co_await t.run(params_.cmdq_reserve);
  if (params_.cmdq_insertion == Insertion::kFetchAdd) {
    co_await llq_line_.write(t);
    const Reservation mine = take(n);
    if (mine.end - cons_ > size_) {
      co_await wait_for_room(t, mine.end);
    }
    co_return mine;
  }
  if (insertion_lock_) {
    co_await insertion_lock_->lock(t);
    co_await cmpxchg_loop(t, n);
    const Reservation mine = take(n);
    co_await insertion_lock_->unlock(t);
    co_return mine;
  }
  co_await cmpxchg_loop(t, n);
  co_return take(n);
}

// Until this CPU's cmpxchg has succeeded.
Task<void> CommandQueue::cmpxchg_loop(lnx::Thread& t, std::uint32_t n) {
  co_await llq_line_.read(t);
  for (;;) {
    if (space() < n) {
      co_await wait_not_full(t, n);
    }
    const std::uint64_t seen = version_;
    co_await llq_line_.write(t);  // cmpxchg
    if (version_ == seen && space() >= n) {
      break;
    }
    ++stat_.cmpxchg_failures;
  }
}

CommandQueue::Reservation CommandQueue::take(std::uint32_t n) {
  const Reservation mine{prod_, prod_ + n, !owned_};
  make_room(n);
  prod_ += n;
  owned_ = true;
  ++version_;
  return mine;
}

// Timed hardware is through with an entry; it is that time, unless nobody waits for a SYNC.
void CommandQueue::consumed(Slot slot) {
  Entry& e = entry(slot);
  e.done = timed_->time();
  if (e.command != Command::kSync) {
    return;
  }
  PendingSync& sync = *pending(slot);
  sync.done = e.done;
  if (sync.watched) {
    sync.thread->notify_spin(Ps{0});
  }
}

void CommandQueue::update_cons(SimTime now) {
  if (timed_ != nullptr) {
    timed_->advance();
  }
  const Slot before = cons_;
  while (cons_ < published_ && entry(cons_).done <= now) {
    ++cons_;
  }
  // The same value stored again fails nobody's cmpxchg.
  version_ += cons_ != before ? 1U : 0U;
}

Task<void> CommandQueue::wait_not_full(lnx::Thread& t, std::int64_t needed) {
  ++stat_.full_waits;
  const Ps round = std::max(params_.sync_poll, kLeastPollRound);
  co_await t.run();
  while (space() < needed) {
    SimTime next = machine_.now() + round;
    // CONS is read and told to all only with the lock exclusively; while a CPU waits for a SYNC the
    // others just look at the word, which that CPU updates in the end.
    if (sharers_ == 0) {
      co_await t.run(params_.mmio_read);
      update_cons(machine_.now());
      if (space() >= needed) {
        break;
      }
      // Nothing changes before the next command completes.
      next = machine_.now() + round;
      if (timed_ == nullptr && cons_ < published_) {
        next = std::max(next, entry(cons_).done);
      }
    }
    co_await t.poll_until(next);
  }
}

// fetch-add: until slots that are taken already are free. The owner of the burst may hold the lock
// and wait for this CPU's valid bits, so it looks at CONS without the lock (assumed).
Task<void> CommandQueue::wait_for_room(lnx::Thread& t, Slot end) {
  ++stat_.full_waits;
  const Ps round = std::max(params_.sync_poll, kLeastPollRound);
  co_await t.run();
  while (end - cons_ > size_) {
    co_await t.run(params_.mmio_read);
    update_cons(machine_.now());
    if (end - cons_ > size_) {  // nothing changes before the next command completes
      const SimTime next = machine_.now() + round;
      const bool known = timed_ == nullptr && cons_ < published_;
      co_await t.poll_until(known ? std::max(next, entry(cons_).done) : next);
    }
  }
}

void CommandQueue::mark_valid(Slot begin, Slot end) {
  for (Slot s = begin; s != end; ++s) {
    entry(s).valid = true;
  }
  if (gatherer_ != nullptr && begin < gather_end_) {
    gather_missing_ -= std::min(end, gather_end_) - begin;
    if (gather_missing_ == 0 && !coherent_) {
      gatherer_->notify_spin(Ps{0});
    }
  }
}

}  // namespace smmulab::smmu

// SPDX-License-Identifier: Apache-2.0
#include "models/smmuv3/timed/command_processor.hpp"

#include <algorithm>

namespace smmulab::smmu::timed {

using hw::Opcode;

CommandProcessor::CommandProcessor(Timers& timers, const TimedParams& params, hw::Memory& memory,
                                   MemoryPort& port, Tcu& tcu)
    : timers_(timers),
      params_(params),
      memory_(memory),
      port_(port),
      tcu_(tcu),
      queues_(1),
      range_inv_(tcu.features().range_inv) {}

QueueNumber CommandProcessor::add_queue(const Queue& queue) {
  queues_.emplace_back().place = queue;
  return static_cast<QueueNumber>(queues_.size() - 1);
}

bool CommandProcessor::idle() const {
  return std::ranges::none_of(queues_, [](const QueueState& q) { return q.awake; });
}

void CommandProcessor::write_prod(std::uint64_t prod, QueueNumber queue) {
  QueueState& q = queues_[queue];
  SMMULAB_CHECK(prod >= q.prod && prod - q.cons <= (1ULL << q.place.log2_entries),
                "CMDQ_PROD overtakes CMDQ_CONS");
  q.prod = prod;
  if (!q.awake && q.error == CommandError::kNone && q.cons != q.prod) {
    ring(queue);
  }
}

void CommandProcessor::acknowledge_error(QueueNumber queue) {
  SMMULAB_CHECK(error(queue) != CommandError::kNone, "no command queue error to acknowledge");
  queues_[queue].error = CommandError::kNone;
  ring(queue);
}

void CommandProcessor::ring(QueueNumber queue) {
  queues_[queue].awake = true;
  timers_.after(params_.link.doorbell, *this, kStart, queue);
}

void CommandProcessor::fire(std::uint32_t what, std::uint32_t index) {
  switch (what) {
    case kStart:
      queues_[index].ready = true;
      take_turn();
      return;
    case kFetched:
      tcu_.read_ended();
      timers_.after(params_.tcu.command_decode, *this, kExecute);
      return;
    case kExecute:
      execute();
      return;
    case kTcuDone:
      for (Tbu* const tbu : tbus_) {
        tbu->set_invalidation(invalidation_);
        timers_.after(params_.link.dti, *tbu, kTbuInvalidate);
      }
      end_turn();
      return;
    case kInvalidateAck:
      if (--acks_missing_ == 0) {
        try_sync();  // first: what it waits for must not grow
        try_invalidate();
      }
      return;
    case kNoStale:
      ask_tbus();
      return;
    case kSyncAck:
      if (--syncs_missing_ == 0) {
        signal_drained();
        try_sync();
      }
      return;
    case kRecordsWritten:
      records_written();
      return;
    case kSynced:
      synced(index);
      return;
    case kAtcArrived:
      atc_arrived(index);
      return;
    case kAtcAnswer:
      atc_ended(index, false);
      return;
    case kAtcTimeout:
      atc_timeout(index);
      return;
    default:
      SMMULAB_CHECK(false, "the command processor was sent an unknown message");
  }
}

// The next queue that has a command, if none is being fetched or sent.
void CommandProcessor::take_turn() {
  if (busy_) {
    return;
  }
  const auto n = static_cast<QueueNumber>(queues_.size());
  for (QueueNumber i = 1; i <= n; ++i) {
    const QueueNumber queue = (turn_ + i) % n;
    if (queues_[queue].ready) {
      turn_ = queue;
      busy_ = true;
      fetch();
      return;
    }
  }
}

void CommandProcessor::fetch() {
  const std::uint64_t at = address_of(cons(turn_), turn_);
  fetch_aborted_ = false;
  for (std::size_t w = 0; w < words_.size(); ++w) {
    const auto word = memory_.read64(at + 8 * w);
    fetch_aborted_ = fetch_aborted_ || !word;
    words_[w] = word.value_or(0);
  }
  tcu_.read_began();
  timers_.at(port_.access(timers_.now()), *this, kFetched);
}

void CommandProcessor::fail(QueueNumber queue, CommandError error) {
  QueueState& q = queues_[queue];
  q.error = error;
  q.awake = q.ready = false;
  if (faults_ != nullptr && q.place.interface == Interface::kSmmu) {
    faults_->errors().raise(queue == 0 ? hw::GlobalError::kCmdq : hw::GlobalError::kCmdqPages);
  }
  if (listener_ != nullptr) {
    listener_->command_error(queue, q.cons, error);
  }
}

bool CommandProcessor::accepts(const hw::Command& command) const {
  const bool guest = queues_[turn_].place.interface == Interface::kGuestVcmdq;
  return hw::is_supported(command, tcu_.features()) &&
         (!guest || hw::is_for_guests(command.opcode));
}

void CommandProcessor::execute() {
  const auto command = hw::decode_command(words_, range_inv_);
  if (fetch_aborted_ || !command || !accepts(*command)) {
    busy_ = false;
    fail(turn_, fetch_aborted_ ? CommandError::kAbt : CommandError::kIll);
    take_turn();
    return;
  }
  command_ = *command;
  if (const Queue& place = queues_[turn_].place; place.interface == Interface::kGuestVcmdq) {
    command_.vmid = place.vmid;
  }
  if (command_.opcode == Opcode::kSync) {
    queues_[turn_].sync = Sync::kWaits;
    queues_[turn_].ready = false;
    busy_ = false;
    try_sync();
    take_turn();
  } else if (hw::is_tlbi(command_.opcode) || hw::config_invalidation(command_)) {
    waits_for_token_ = true;
    try_invalidate();
  } else {
    if (command_.opcode == Opcode::kAtcInv) {
      send_atc();
    }
    other_command();
    end_turn();
  }
}

// RESUME, STALL_TERM, PRI_RESP, PREFETCH.
void CommandProcessor::other_command() {
  if (command_.opcode == Opcode::kPrefetchConfig || command_.opcode == Opcode::kPrefetchAddr) {
    tcu_.prefetch(command_);
  }
  if (faults_ == nullptr) {
    return;
  }
  switch (command_.opcode) {
    case Opcode::kResume:
      tcu_.resume(command_);
      return;
    case Opcode::kStallTerm:
      tcu_.terminate_stalled(command_.stream);
      return;
    case Opcode::kPriResp:
      faults_->respond(hw::page_response(command_));
      return;
    default:
      return;
  }
}

// The command has been sent on its way.
void CommandProcessor::end_turn() {
  busy_ = false;
  consume(turn_, command_);
  take_turn();
}

void CommandProcessor::consume(QueueNumber queue, const hw::Command& command) {
  const std::uint64_t index = queues_[queue].cons++;
  if (listener_ != nullptr) {
    listener_->consumed(queue, index, command);
  }
  QueueState& q = queues_[queue];
  q.awake = q.ready = q.cons != q.prod;
}

void CommandProcessor::synced(QueueNumber queue) {
  queues_[queue].sync = Sync::kNone;
  hw::Command sync;
  sync.opcode = Opcode::kSync;
  consume(queue, sync);
  take_turn();
}

void CommandProcessor::try_invalidate() {
  if (!waits_for_token_ || acks_missing_ != 0) {
    return;
  }
  waits_for_token_ = false;
  queues_[turn_].dirty = true;
  invalidating_ = turn_;
  invalidation_ = command_;
  acks_missing_ = static_cast<std::uint32_t>(tbus_.size());
  tcu_.invalidate(invalidation_);
  timers_.after(params_.tcu.invalidate, *this, kTcuDone);
}

// Lets every SYNC go on whose queue's invalidations are through.
void CommandProcessor::try_sync() {
  bool any = false;
  for (QueueNumber queue = 0; queue < queues_.size(); ++queue) {
    any = begins_to_drain(queue) || any;
  }
  if (!any) {
    return;
  }
  drain_ = Drain::kTcu;
  if (tcu_.stale_so_far() != 0) {
    tcu_.notify_no_stale(*this, kNoStale);
  } else {
    ask_tbus();
  }
}

bool CommandProcessor::begins_to_drain(QueueNumber queue) {
  QueueState& q = queues_[queue];
  if (q.sync != Sync::kWaits || q.atc_missing != 0 ||
      (acks_missing_ != 0 && invalidating_ == queue)) {
    return false;
  }
  if (q.atc_failed) {
    q.atc_failed = false;
    q.sync = Sync::kNone;
    fail(queue, CommandError::kAtcInvSync);
    return false;
  }
  if (!q.dirty) {
    signal(queue);
    return false;
  }
  if (drain_ != Drain::kNone) {
    return false;  // TCU and TBUs are asked for one at a time
  }
  q.dirty = false;
  q.sync = Sync::kDrains;
  return true;
}

void CommandProcessor::ask_tbus() {
  drain_ = Drain::kTbus;
  syncs_missing_ = static_cast<std::uint32_t>(tbus_.size());
  for (Tbu* const tbu : tbus_) {
    timers_.after(params_.link.dti, *tbu, kTbuSync);
  }
}

void CommandProcessor::signal_drained() {
  drain_ = Drain::kNone;
  for (QueueNumber queue = 0; queue < queues_.size(); ++queue) {
    if (queues_[queue].sync == Sync::kDrains) {
      signal(queue);
    }
  }
}

// Once the records of faults that came before are written.
void CommandProcessor::signal(QueueNumber queue) {
  QueueState& q = queues_[queue];
  if (faults_ != nullptr && faults_->settled() < faults_->submitted()) {
    q.sync = Sync::kRecords;
    q.records = faults_->submitted();
    wait_for_records();
    return;
  }
  q.sync = Sync::kSignalled;
  timers_.after(params_.link.completion, *this, kSynced, queue);
}

void CommandProcessor::wait_for_records() {
  const QueueState* first = nullptr;
  for (const QueueState& q : queues_) {
    if (q.sync == Sync::kRecords && (first == nullptr || q.records < first->records)) {
      first = &q;
    }
  }
  if (first != nullptr) {
    faults_->notify_settled(first->records, *this, kRecordsWritten);
  }
}

void CommandProcessor::records_written() {
  for (QueueNumber queue = 0; queue < queues_.size(); ++queue) {
    QueueState& q = queues_[queue];
    if (q.sync == Sync::kRecords && q.records <= faults_->settled()) {
      q.sync = Sync::kSignalled;
      timers_.after(params_.link.completion, *this, kSynced, queue);
    }
  }
  wait_for_records();
}

// To the devices of the stream. With none the link answers at once, in no time that is modelled.
void CommandProcessor::send_atc() {
  for (const Device& device : devices_) {
    if (device.stream != command_.stream) {
      continue;
    }
    const auto free = std::ranges::find_if(flights_, [](const AtcFlight& f) { return !f.used; });
    const auto i = static_cast<std::uint32_t>(free - flights_.begin());
    if (free == flights_.end()) {
      flights_.emplace_back();
    }
    flights_[i] = {.used = true,
                   .queue = turn_,
                   .deadline = timers_.now() + params_.link.atc_timeout,
                   .command = command_,
                   .target = device.target,
                   .ticket = ++tickets_};
    ++queues_[turn_].atc_missing;
    timers_.after(params_.link.atc_response / 2, *this, kAtcArrived, i);
  }
}

void CommandProcessor::atc_arrived(std::uint32_t i) {
  AtcFlight& flight = flights_[i];
  const auto through = flight.target->atc_invalidate(flight.command, flight.ticket);
  if (through) {
    answer_atc(i, *through);
  }
  if (!flight.answered) {
    timers_.at(std::max(flight.deadline, timers_.now()), *this, kAtcTimeout, i);
  }
}

void CommandProcessor::answer_atc(std::uint32_t i, SimTime through) {
  AtcFlight& flight = flights_[i];
  const Ps back = params_.link.atc_response - params_.link.atc_response / 2;
  const SimTime answer = std::max(through, timers_.now()) + back;
  if (answer <= flight.deadline) {
    flight.answered = true;
    timers_.at(answer, *this, kAtcAnswer, i);
  }
}

void CommandProcessor::atc_answered(AtcTicket ticket, SimTime through) {
  for (std::uint32_t i = 0; i < flights_.size(); ++i) {
    if (flights_[i].used && flights_[i].ticket == ticket) {
      answer_atc(i, through);
    }
  }
}

// Of this flight, or of one that had its place and was answered.
void CommandProcessor::atc_timeout(std::uint32_t i) {
  const AtcFlight& flight = flights_[i];
  if (flight.used && !flight.answered && flight.deadline <= timers_.now()) {
    atc_ended(i, true);
  }
}

void CommandProcessor::atc_ended(std::uint32_t i, bool timed_out) {
  flights_[i].used = false;
  QueueState& q = queues_[flights_[i].queue];
  q.atc_failed = q.atc_failed || timed_out;
  --q.atc_missing;
  try_sync();
}

}  // namespace smmulab::smmu::timed

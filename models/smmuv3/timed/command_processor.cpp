// SPDX-License-Identifier: Apache-2.0
#include "models/smmuv3/timed/command_processor.hpp"

#include <algorithm>

namespace smmulab::smmu::timed {

using hw::Opcode;

CommandProcessor::CommandProcessor(Timers& timers, const TimedParams& params, hw::Memory& memory,
                                   MemoryPort& port, Tcu& tcu)
    : timers_(timers), params_(params), memory_(memory), port_(port), tcu_(tcu) {}

void CommandProcessor::write_prod(std::uint64_t prod) {
  SMMULAB_CHECK(prod >= prod_ && prod - cons_ <= (1ULL << queue_.log2_entries),
                "CMDQ_PROD overtakes CMDQ_CONS");
  prod_ = prod;
  if (!busy_ && error_ == CommandError::kNone && cons_ != prod_) {
    busy_ = true;
    timers_.after(params_.link.doorbell, *this, kStart);
  }
}

void CommandProcessor::acknowledge_error() {
  SMMULAB_CHECK(error_ != CommandError::kNone, "no command queue error to acknowledge");
  error_ = CommandError::kNone;
  busy_ = true;
  timers_.after(params_.link.doorbell, *this, kStart);
}

void CommandProcessor::fire(std::uint32_t what, std::uint32_t index) {
  switch (what) {
    case kStart:
      fetch();
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
      consume();
      return;
    case kInvalidateAck:
      --acks_missing_;
      if (acks_missing_ == 0 && waits_for_token_) {
        try_invalidate();
      } else {
        try_sync();
      }
      return;
    case kNoStale:
      try_sync();
      return;
    case kSyncAck:
      if (--syncs_missing_ == 0) {
        timers_.after(params_.link.completion, *this, kSynced);
      }
      return;
    case kSynced:
      consume();
      return;
    case kAtcArrived:
      atc_arrived(index);
      return;
    case kAtcAnswer:
      atc_ended(index, false);
      return;
    case kAtcTimeout:
      atc_ended(index, true);
      return;
    default:
      SMMULAB_CHECK(false, "the command processor was sent an unknown message");
  }
}

void CommandProcessor::fetch() {
  fetch_aborted_ = false;
  for (std::size_t w = 0; w < words_.size(); ++w) {
    const auto word = memory_.read64(address_of(cons_) + 8 * w);
    fetch_aborted_ = fetch_aborted_ || !word;
    words_[w] = word.value_or(0);
  }
  tcu_.read_began();
  timers_.at(port_.access(timers_.now()), *this, kFetched);
}

void CommandProcessor::fail(CommandError error) {
  error_ = error;
  busy_ = false;
  if (listener_ != nullptr) {
    listener_->command_error(cons_, error);
  }
}

void CommandProcessor::execute() {
  const auto command = hw::decode_command(words_, range_inv_);
  if (fetch_aborted_ || !command) {
    fail(fetch_aborted_ ? CommandError::kAbt : CommandError::kIll);
    return;
  }
  command_ = *command;
  if (command_.opcode == Opcode::kSync) {
    waits_for_sync_ = true;
    sync_asked_ = false;
    try_sync();
  } else if (command_.opcode == Opcode::kAtcInv) {
    send_atc();
    consume();
  } else if (hw::is_tlbi(command_.opcode) || hw::config_invalidation(command_)) {
    waits_for_token_ = true;
    try_invalidate();
  } else {
    consume();
  }
}

void CommandProcessor::consume() {
  const std::uint64_t index = cons_++;
  if (listener_ != nullptr) {
    listener_->consumed(index, command_);
  }
  if (cons_ != prod_) {
    fetch();
  } else {
    busy_ = false;
  }
}

void CommandProcessor::try_invalidate() {
  if (acks_missing_ != 0) {
    return;
  }
  waits_for_token_ = false;
  dirty_ = true;
  invalidation_ = command_;
  acks_missing_ = static_cast<std::uint32_t>(tbus_.size());
  tcu_.invalidate(invalidation_);
  timers_.after(params_.tcu.invalidate, *this, kTcuDone);
}

void CommandProcessor::try_sync() {
  if (!waits_for_sync_ || sync_asked_ || acks_missing_ != 0 || atc_missing_ != 0) {
    return;
  }
  if (atc_failed_) {
    atc_failed_ = false;
    waits_for_sync_ = false;
    fail(CommandError::kAtcInvSync);
    return;
  }
  if (tcu_.stale() != 0) {
    tcu_.notify_no_stale(*this, kNoStale);
    return;
  }
  sync_asked_ = true;
  waits_for_sync_ = false;
  if (!dirty_) {
    timers_.after(params_.link.completion, *this, kSynced);
    return;
  }
  dirty_ = false;
  syncs_missing_ = static_cast<std::uint32_t>(tbus_.size());
  for (Tbu* const tbu : tbus_) {
    timers_.after(params_.link.dti, *tbu, kTbuSync);
  }
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
    flights_[i] = {true, timers_.now() + params_.link.atc_timeout, command_, device.target};
    ++atc_missing_;
    timers_.after(params_.link.atc_response / 2, *this, kAtcArrived, i);
  }
}

void CommandProcessor::atc_arrived(std::uint32_t i) {
  const AtcFlight& flight = flights_[i];
  const Ps back = params_.link.atc_response - params_.link.atc_response / 2;
  const auto through = flight.target->atc_invalidate(flight.command);
  const SimTime answer = through ? std::max(*through, timers_.now()) + back : kTimeMax;
  const bool late = answer > flight.deadline;
  timers_.at(late ? std::max(flight.deadline, timers_.now()) : answer, *this,
             late ? kAtcTimeout : kAtcAnswer, i);
}

void CommandProcessor::atc_ended(std::uint32_t i, bool timed_out) {
  flights_[i].used = false;
  atc_failed_ = atc_failed_ || timed_out;
  --atc_missing_;
  try_sync();
}

}  // namespace smmulab::smmu::timed

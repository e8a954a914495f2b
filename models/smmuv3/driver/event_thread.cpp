// SPDX-License-Identifier: Apache-2.0
#include "models/smmuv3/driver/event_thread.hpp"

#include <utility>

namespace smmulab::smmu {
namespace {

constexpr std::int64_t kLinesOfEvent = 5;  // its number and its four words

}  // namespace

bool PrintLimit::allows(SimTime now) {
  if (!begun_ || now > begin_ + kInterval) {
    begun_ = true;
    begin_ = now;
    left_ = kBurst;
  }
  if (left_ == 0) {
    return false;
  }
  --left_;
  return true;
}

EventThread::EventThread(lnx::Machine& machine, const DriverParams& params, TimedHardware& hardware,
                         PrintLimit& limit, std::string name)
    : machine_(machine),
      params_(params),
      hardware_(hardware),
      limit_(limit),
      name_(std::move(name)),
      wrap_mask_((2U << params.evtq_log2) - 1) {
  hardware.enable_events(static_cast<std::uint8_t>(params.evtq_log2), *this);
}

// IRQF_ONESHOT: an interrupt that comes while the thread is at work lets it run once more.
void EventThread::event_interrupt() {
  ++stat_.interrupts;
  pending_ = true;
  if (thread_ == nullptr) {
    thread_ = &machine_.spawn_thread(
        name_, lnx::kAnyCpu, [this](lnx::Thread& t) { return run(t); }, true);
  } else {
    machine_.wake(*thread_);
  }
}

Task<void> EventThread::run(lnx::Thread& t) {
  for (;;) {
    while (!pending_) {
      t.prepare_to_sleep();
      co_await t.block(*this);
    }
    pending_ = false;
    t.charge(params_.evtq_irq);
    co_await drain(t);
  }
}

bool EventThread::empty() const {
  return ((prod_ ^ cons_) & wrap_mask_) == 0;
}

Task<void> EventThread::drain(lnx::Thread& t) {
  do {
    while (!empty() && machine_.anyone_awake()) {
      co_await take_one(t);
    }
    co_await t.run(params_.mmio_read);
    const std::uint32_t before = std::exchange(prod_, hardware_.read_event_prod());
    if (((prod_ ^ before) & hw::kOverflowFlag) != 0) {
      ++stat_.overflows;
      t.charge(params_.evtq_print);
    }
  } while (!empty() && machine_.anyone_awake());
  if (((prod_ ^ cons_) & hw::kOverflowFlag) != 0) {
    cons_ ^= hw::kOverflowFlag;
    co_await store_cons(t);
  }
}

Task<void> EventThread::take_one(lnx::Thread& t) {
  co_await t.run(params_.evtq_entry);
  SMMULAB_CHECK(hardware_.read_event(cons_).has_value(), name_ + ": no event at CONS");
  cons_ = (cons_ & hw::kOverflowFlag) | ((cons_ + 1) & wrap_mask_);
  co_await store_cons(t);
  ++stat_.read;
  if (limit_.allows(machine_.now())) {
    ++stat_.printed;
    t.charge(params_.evtq_print * kLinesOfEvent);
  }
  if (t.need_resched()) {
    co_await t.schedule();
  }
}

Task<void> EventThread::store_cons(lnx::Thread& t) {
  co_await t.run(params_.mmio_write);
  hardware_.write_event_cons(cons_);
}

}  // namespace smmulab::smmu

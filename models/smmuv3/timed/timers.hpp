// SPDX-License-Identifier: Apache-2.0
// Timers: the clock of the timed hardware. Its parts are state machines that are woken at a time in
// the total order (time, sequence); nothing is allocated once the queue has its size. Whoever owns
// the clock (a test, or HardwareProcess for an engine) lets it run to a time: run_until(). The
// least event is kept outside the queue, so that a lone chain of events never touches it.
//
// Run-ahead: pass(t) lets a state machine go on at t without a trip through the queue if nothing is
// due before or at t. Off, pass() always says no; the results are the same.
// Not modelled: clock domains; every latency is a duration.
#pragma once

#include <algorithm>
#include <cstdint>

#include "models/smmuv3/timed/event_wheel.hpp"
#include "sim/check.hpp"
#include "sim/time.hpp"

namespace smmulab::smmu::timed {

class Timed {
 public:
  virtual void fire(std::uint32_t what, std::uint32_t index) = 0;

 protected:
  Timed() = default;
  Timed(const Timed&) = default;
  Timed& operator=(const Timed&) = default;
  ~Timed() = default;
};

class Timers {
 public:
  explicit Timers(bool run_ahead = true) : run_ahead_(run_ahead) {}

  [[nodiscard]] SimTime now() const { return now_; }
  [[nodiscard]] SimTime next() const { return front_.who == nullptr ? kTimeMax : front_.time; }
  [[nodiscard]] std::uint64_t fired() const { return fired_; }

  // REQUIRES: t >= now().
  void at(SimTime t, Timed& who, std::uint32_t what, std::uint32_t index = 0) {
    SMMULAB_ASSERT(t >= now_, "a timer in the past");
    const std::uint64_t sequence = ++sequence_;
    if (front_.who != nullptr) {
      if (t >= front_.time) {
        queue_.push(now_, {t, sequence, &who, what, index});
        return;
      }
      queue_.push(now_, front_);
    }
    front_ = {t, sequence, &who, what, index};
  }
  void after(Ps d, Timed& who, std::uint32_t what, std::uint32_t index = 0) {
    at(now_ + d, who, what, index);
  }

  // Before this time pass() says yes.
  [[nodiscard]] SimTime horizon() const {
    return !run_ahead_ ? now_ : limit_ < next() ? limit_ + Ps{1} : next();
  }
  // True: now() is `t`. REQUIRES: the caller has nothing more to do at the old time, and its
  // callers neither.
  bool pass(SimTime t) {
    if (!run_ahead_ || t > limit_ || t >= next()) {
      return false;
    }
    now_ = t;
    return true;
  }

  // Everything due up to and including `limit`; then now() is `limit`, if that is later.
  void run_until(SimTime limit) {
    limit_ = limit;
    while (front_.who != nullptr && front_.time <= limit) {
      fire_front();
    }
    now_ = std::max(now_, limit);
    limit_ = now_;
  }
  // Until nothing is due any more. now() stays at the last event.
  void run_to_idle() {
    limit_ = kTimeMax;
    while (front_.who != nullptr) {
      fire_front();
    }
    limit_ = now_;
  }

 private:
  void fire_front() {
    const EventWheel::Event event = front_;
    now_ = event.time;
    if (queue_.empty()) {
      front_.who = nullptr;
    } else {
      front_ = queue_.pop(now_);
    }
    ++fired_;
    event.who->fire(event.what, event.index);
  }

  bool run_ahead_;
  SimTime now_{};
  SimTime limit_{};
  std::uint64_t sequence_ = 0;
  std::uint64_t fired_ = 0;
  EventWheel::Event front_;
  EventWheel queue_;
};

}  // namespace smmulab::smmu::timed

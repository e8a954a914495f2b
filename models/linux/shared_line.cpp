// SPDX-License-Identifier: Apache-2.0
#include "models/linux/shared_line.hpp"

#include <algorithm>
#include <utility>

namespace smmulab::lnx {

SharedLine::SharedLine(const Machine& machine, std::string_view name)
    : machine_(&machine),
      coherent_(machine.params().line.model == LineModel::kCoherent),
      copies_(coherent_ ? machine.cpu_count() : 0),
      random_(machine.seed(), name) {}

// The holder of a copy that is not alone with it must wait for the other's to go.
Ps SharedLine::transfer_to(std::uint32_t cpu) const {
  const std::uint32_t from = last_ == cpu ? other_ : last_;
  return from == kNobody ? machine_->params().line.same_cpu : machine_->transfer(from, cpu);
}

Task<void> SharedLine::miss(Thread& t, bool write) {
  co_await t.run();
  if (!coherent_) {
    co_await t.run(machine_->line_access(t, simple_));
    co_return;
  }
  const SimTime asked = machine_->now();
  const std::uint32_t cpu = t.cpu_index();
  ++stat_.misses;
  if (moving_) {
    Request mine{&machine_->engine().current(), cpu};
    requests_.push_back(&mine);
    while (!mine.granted) {
      co_await machine_->engine().park();
    }
  } else {
    moving_ = true;
    co_await machine_->engine().delay(transfer_to(cpu));
  }
  arrived(cpu, write);
  stat_.missing += machine_->now() - asked;
}

void SharedLine::arrived(std::uint32_t cpu, bool write) {
  if (last_ != cpu) {
    other_ = std::exchange(last_, cpu);
  }
  alone_ = write;
  copies_[cpu] = version_;
  if (write) {
    written();
  }
  grant_next();
}

void SharedLine::written() {
  ++version_;
  copies_[last_] = version_;
  for (Thread* watcher : watchers_) {
    watcher->notify_spin(Ps{0});
  }
  watchers_.clear();
}

void SharedLine::written_by_device(std::uint32_t near) {
  last_ = other_ = near;
  alone_ = false;
  written();
  copies_[near] = 0;  // the CPU itself has none
}

void SharedLine::grant_next() {
  if (requests_.empty()) {
    moving_ = false;
    return;
  }
  const std::size_t chosen =
      requests_.size() == 1 ? 0 : static_cast<std::size_t>(random_.uniform_int(requests_.size()));
  Request& next = *requests_[chosen];
  requests_[chosen] = requests_.back();
  requests_.pop_back();
  next.granted = true;
  machine_->engine().unpark(*next.process, transfer_to(next.cpu));
}

Task<void> SharedLine::wait_for_write(Thread& t, const Waitable& what, SimTime deadline) {
  if (copies_[t.cpu_index()] == version_) {
    watchers_.push_back(&t);
    co_await t.spin_until_notified(what, deadline);
    std::erase(watchers_, &t);  // it may have been notified of something else
  }
}

}  // namespace smmulab::lnx

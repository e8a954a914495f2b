// SPDX-License-Identifier: Apache-2.0
#include "models/linux/shared_line.hpp"

#include <algorithm>
#include <utility>

namespace smmulab::lnx {

SharedLine::SharedLine(const Machine& machine, std::string_view name)
    : machine_(&machine),
      coherent_(
          machine.params().line.model == LineModel::kCoherent
              ? std::make_unique<Coherent>(machine.cpu_count(), RandomStream(machine.seed(), name))
              : nullptr) {}

// The holder of a copy that is not alone with it must wait for the other's to go.
Ps SharedLine::transfer_to(std::uint32_t cpu) const {
  const std::uint32_t from = coherent_->last == cpu ? coherent_->other : coherent_->last;
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
  ++coherent_->stat.misses;
  if (coherent_->moving) {
    Request mine{&machine_->engine().current(), cpu};
    coherent_->requests.push_back(&mine);
    while (!mine.granted) {
      co_await machine_->engine().park();
    }
  } else {
    coherent_->moving = true;
    co_await machine_->engine().delay(transfer_to(cpu));
  }
  arrived(cpu, write);
  coherent_->stat.missing += machine_->now() - asked;
}

void SharedLine::arrived(std::uint32_t cpu, bool write) {
  if (coherent_->last != cpu) {
    coherent_->other = std::exchange(coherent_->last, cpu);
  }
  coherent_->alone = write;
  coherent_->copies[cpu] = coherent_->version;
  if (write) {
    written();
  }
  grant_next();
}

void SharedLine::written() {
  ++coherent_->version;
  coherent_->copies[coherent_->last] = coherent_->version;
  for (Thread* watcher : coherent_->watchers) {
    watcher->notify_spin(Ps{0});
  }
  coherent_->watchers.clear();
}

void SharedLine::written_by_device(std::uint32_t near) {
  coherent_->last = coherent_->other = near;
  coherent_->alone = false;
  written();
  coherent_->copies[near] = 0;  // the CPU itself has none
}

void SharedLine::grant_next() {
  if (coherent_->requests.empty()) {
    coherent_->moving = false;
    return;
  }
  const std::size_t chosen =
      coherent_->requests.size() == 1
          ? 0
          : static_cast<std::size_t>(coherent_->random.uniform_int(coherent_->requests.size()));
  Request& next = *coherent_->requests[chosen];
  coherent_->requests[chosen] = coherent_->requests.back();
  coherent_->requests.pop_back();
  next.granted = true;
  machine_->engine().unpark(*next.process, transfer_to(next.cpu));
}

Task<void> SharedLine::wait_for_write(Thread& t, const Waitable& what, SimTime deadline) {
  if (coherent_->copies[t.cpu_index()] == coherent_->version) {
    coherent_->watchers.push_back(&t);
    co_await t.spin_until_notified(what, deadline);
    std::erase(coherent_->watchers, &t);  // it may have been notified of something else
  }
}

}  // namespace smmulab::lnx

// SPDX-License-Identifier: Apache-2.0
// SharedLine: a cache line that several CPUs read and write, by either of two models (line.model).
// simple: a CacheLine: every access is exclusive, accesses are served in the order of arrival.
// coherent: reads leave copies, which hit until somebody writes; a write hits only in the CPU that
// alone has the line. A miss takes the transfer from the CPU that had the line last, one miss at a
// time. Requests that meet have no order: whose is served next is drawn. A CPU that waits for a
// change sleeps on its copy (LDXR, WFE) and reads again after each write: its reads are misses like
// any other. Rule: MESI with one home per line; Linux's smp_cond_load on arm64. Not modelled: far
// atomics, bandwidth of the interconnect, several readers served at once, false wake-ups,
// evictions, requests that win because they are near.
#pragma once

#include <coroutine>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "models/linux/cache_line.hpp"
#include "models/linux/machine.hpp"
#include "sim/random.hpp"

namespace smmulab::lnx {

struct LineStat {
  std::uint64_t reads = 0;
  std::uint64_t writes = 0;
  std::uint64_t misses = 0;
  Ps missing{0};  // from asking to having, of misses
};

class SharedLine {
 public:
  // `name`: of its random numbers, with the machine's seed; lines of one name draw alike, so each
  // has a name of its own.
  SharedLine(const Machine& machine, std::string_view name);

  // co_await line.read(t), co_await line.write(t): a load; a store or an atomic operation. What the
  // caller does before its next co_await happens with the line in its cache.
  struct Awaiter;
  [[nodiscard]] Awaiter read(Thread& t);
  [[nodiscard]] Awaiter write(Thread& t);
  // coherent: burns CPU until somebody writes, `deadline`, or another notification of t's; at once
  // if somebody wrote since t's last access.
  Task<void> wait_for_write(Thread& t, const Waitable& what, SimTime deadline = kTimeMax);
  // coherent: a device's write took it from everybody; it is next to CPU `near` then.
  void written_by_device(std::uint32_t near);

  [[nodiscard]] bool coherent() const { return coherent_ != nullptr; }
  // Counted in the coherent model only.
  [[nodiscard]] LineStat stat() const { return coherent_ ? coherent_->stat : LineStat{}; }
  // CPU, or kNobody. REQUIRES: coherent().
  [[nodiscard]] std::uint32_t last() const { return coherent_->last; }

  static constexpr std::uint32_t kNobody = ~0U;

 private:
  struct Request {
    Process* process;
    std::uint32_t cpu;
    bool granted = false;
  };
  // What the coherent model needs. Apart, so that the lines of a command queue fit into two of the
  // host's when the model is simple.
  struct Coherent {
    Coherent(std::size_t cpus, RandomStream rng) : copies(cpus), random(std::move(rng)) {}

    bool moving = false;  // on its way to a CPU
    bool alone = false;   // only `last` has a copy
    std::uint32_t last = kNobody;
    std::uint32_t other = kNobody;      // who had it before `last`
    std::uint64_t version = 1;          // counts writes
    std::vector<std::uint64_t> copies;  // by CPU: the version it has a copy of, 0 if none ever
    std::vector<Request*> requests;
    std::vector<Thread*> watchers;
    RandomStream random;
    LineStat stat;

    [[nodiscard]] bool hits(std::uint32_t cpu, bool write) const {
      return write ? alone && last == cpu && !moving : copies[cpu] == version;
    }
  };

  Task<void> miss(Thread& t, bool write);
  void arrived(std::uint32_t cpu, bool write);
  void written();
  void grant_next();
  [[nodiscard]] Ps transfer_to(std::uint32_t cpu) const;

  const Machine* machine_;
  CacheLine simple_;
  std::unique_ptr<Coherent> coherent_;  // null: the simple model
};

struct SharedLine::Awaiter {
  SharedLine& line;
  Thread& thread;
  bool write;
  Task<void> missing;

  [[nodiscard]] bool await_ready() {
    const std::uint32_t cpu = thread.cpu_index();
    if (!line.coherent_) [[likely]] {
      if (!line.simple_.local_to(cpu)) {
        return false;
      }
      thread.charge(line.machine_->line_access(thread, line.simple_));
      return true;
    }
    LineStat& stat = line.coherent_->stat;
    ++(write ? stat.writes : stat.reads);
    if (!line.coherent_->hits(cpu, write)) {
      return false;
    }
    thread.charge(line.machine_->params().line.same_cpu);
    if (write) {
      line.written();
    }
    return true;
  }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> h) {
    missing = line.miss(thread, write);
    return missing.await_suspend(h);
  }
  void await_resume() {
    if (missing.valid()) {
      missing.await_resume();
    }
  }
};

inline SharedLine::Awaiter SharedLine::read(Thread& t) {
  return {*this, t, false, {}};
}
inline SharedLine::Awaiter SharedLine::write(Thread& t) {
  return {*this, t, true, {}};
}

}  // namespace smmulab::lnx

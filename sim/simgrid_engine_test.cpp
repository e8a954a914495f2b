// SPDX-License-Identifier: Apache-2.0
// Do both engines run every program equal, step by step?
#include "sim/simgrid_engine.hpp"

#include <array>
#include <deque>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "sim/engine_agreement.hpp"
#include "sim/sanitized_testing.hpp"

namespace smmulab {
namespace {

using agreement::expect_equal;
using agreement::Log;

// SimGrid's thread contexts, which AddressSanitizer needs, are slow.
constexpr int kFewer = unless_sanitized(1, 20);

constexpr std::array kPriorities = {Priority::kFirst, Priority::kHardware, Priority::kNormal,
                                    Priority::kLast};

SpawnOptions named(const std::string& name) {
  return {.name = name, .component = "test"};
}

// SimGrid's clock must stand at the time of each step, as long as a double can hold it.
void expect_clock(const Engine& e) {
  const auto* simgrid = dynamic_cast<const SimGridEngine*>(&e);
  if (simgrid != nullptr && to_ps(e.now()) < (std::int64_t{1} << 53U) &&
      simgrid->simgrid_clock() != static_cast<double>(to_ps(e.now()))) {
    throw ModelError(fmt::format("SimGrid's clock is {}", simgrid->simgrid_clock()));
  }
}

Task<void> ticks(Engine& e, Log& log, unsigned index, int count) {
  constexpr std::array kSteps = {1000, 0, 1, 999, 250, 250, 500, 3000, 7};  // ps
  for (int i = 0; i < count; ++i) {
    co_await e.delay(Ps{kSteps[(index + static_cast<unsigned>(i)) % kSteps.size()]},
                     kPriorities[(index * 3 + static_cast<unsigned>(i)) % kPriorities.size()]);
    log.add(e, i);
    expect_clock(e);
  }
}

TEST(SimGridEngine, DelaysTiesAndPriorities) {
  const Log log = expect_equal([](Engine& e, Log& out) {
    for (unsigned i = 0; i < 24; ++i) {
      e.spawn(ticks(e, out, i, 200), named(fmt::format("T{}", i)));
    }
    e.run();
  });
  EXPECT_EQ(log.rows.size(), 24U * 200 * Log::kColumns);
}

Task<void> sleeper(Engine& e, Log& log, std::vector<SimTime> deadlines) {
  for (const SimTime deadline : deadlines) {
    log.add(e, co_await e.park_until(deadline) ? 1 : 0);
  }
  co_await e.park();
  log.add(e, 2);
}

Task<void> waker(Engine& e, Log& log, Process& target, SimTime at, Ps after, Priority priority) {
  co_await e.delay(at - e.now(), priority);
  if (target.parked()) {
    e.unpark(target, after, priority);
  }
  log.add(e, 3);
}

// Wake-ups before, at and after the deadline; at the deadline in both orders; with a delay.
TEST(SimGridEngine, UnparkOvertakesADeadline) {
  for (const Ps after : {Ps{0}, Ps{1}, Ps{5000}}) {
    const Log log = expect_equal([after](Engine& e, Log& out) {
      Process& s = e.spawn(sleeper(e, out, {SimTime{1000_ps}, SimTime{9000_ps}, SimTime{20000_ps}}),
                           named("S"));
      for (const Ps at :
           {999_ps, 1000_ps, 1001_ps, 8000_ps, 9000_ps, 15000_ps, 20000_ps, 30000_ps, 40000_ps}) {
        for (const Priority priority : kPriorities) {
          e.spawn(waker(e, out, s, SimTime{at}, after, priority), named("W"));
        }
      }
      e.run();
    });
    EXPECT_GE(log.rows.size(), 36U * Log::kColumns);
  }
}

Task<void> family(Engine& e, Log& log, int depth) {
  log.add(e, depth);
  for (int i = 0; depth > 0 && i < 3; ++i) {
    e.spawn(family(e, log, depth - 1),
            {.name = "child", .component = "test", .start_after = Ps{i * 100}, .daemon = i == 2});
    co_await e.delay(Ps{depth * 50});
    log.add(e, -depth);
  }
}

TEST(SimGridEngine, SpawnInsideAndDaemons) {
  const Log log = expect_equal([](Engine& e, Log& out) {
    e.spawn(family(e, out, 5), named("root"));
    e.run();
  });
  EXPECT_GT(log.rows.size(), 100U * Log::kColumns);
}

// A first-in-first-out lock out of park and unpark.
class Lock final : public Waitable {
 public:
  explicit Lock(Engine& e) : e_(e) {}
  Task<void> acquire() {
    if (owner_ == nullptr) {
      owner_ = &e_.current();
      co_return;
    }
    waiters_.push_back(&e_.current());
    co_await e_.park(this);
  }
  void release() {
    owner_ = waiters_.empty() ? nullptr : waiters_.front();
    if (owner_ != nullptr) {
      waiters_.pop_front();
      e_.unpark(*owner_);
    }
  }
  [[nodiscard]] std::string wait_name() const override { return "lock"; }
  void wait_holders(std::vector<const Process*>& out) const override { out.push_back(owner_); }

 private:
  Engine& e_;
  Process* owner_ = nullptr;
  std::deque<Process*> waiters_;
};

Task<void> worker(Engine& e, Log& log, std::deque<Lock>& locks, unsigned seed, int operations) {
  std::mt19937 random(seed);
  for (int i = 0; i < operations; ++i) {
    Lock& lock = locks[random() % locks.size()];
    co_await lock.acquire();
    co_await e.delay(Ps{random() % 300});
    lock.release();
    log.add(e, i);
    co_await e.delay(Ps{random() % 1000});
  }
}

TEST(SimGridEngine, ManyOperationsOverFourLocks) {
  constexpr int kOperations = 10'000 / kFewer;
  const Log log = expect_equal([](Engine& e, Log& out) {
    std::deque<Lock> locks;
    for (int i = 0; i < 4; ++i) {
      locks.emplace_back(e);
    }
    for (unsigned i = 0; i < 64; ++i) {
      e.spawn(worker(e, out, locks, i, kOperations), named("W"));
    }
    e.run();
  });
  EXPECT_EQ(log.rows.size(), 64U * kOperations * Log::kColumns);
}

// Any verb at any moment, with few distinct times, so that ties are the rule.
struct Chaos {
  Engine& e;
  Log& log;
  std::mt19937_64 random;
  std::vector<Process*> all{};
  int spawns = 60;

  Ps pick() { return Ps{std::array{0, 0, 1, 2, 500, 500, 1000, 2500}[random() % 8]}; }
  Priority priority() { return kPriorities[random() % kPriorities.size()]; }
  void spawn() {
    --spawns;
    all.push_back(&e.spawn(live(*this, 40), {.name = fmt::format("P{}", spawns),
                                             .component = "test",
                                             .start_after = pick(),
                                             .daemon = random() % 4 == 0}));
  }
  void unpark_some() {
    for (Process* p : all) {
      if (p->parked() && random() % 2 == 0) {
        e.unpark(*p, pick(), priority());
      }
    }
  }
  static Task<void> live(Chaos& c, int steps) {
    for (int i = 0; i < steps; ++i) {
      c.log.add(c.e, i);
      expect_clock(c.e);
      const std::uint64_t verb = c.random() % 8;
      if (verb == 0) {
        c.log.add(c.e, co_await c.e.park_until(c.e.now() + c.pick()) ? 101 : 100);
      } else if (verb == 1) {
        c.log.add(c.e, co_await c.e.park() ? 103 : 102);
      } else if (verb <= 3) {
        c.unpark_some();
      } else if (verb == 4 && c.spawns > 0) {
        c.spawn();
      } else {
        co_await c.e.delay(c.pick(), c.priority());
      }
    }
    std::erase(c.all, &c.e.current());
    c.unpark_some();
  }
};

TEST(SimGridEngine, RandomPrograms) {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    expect_equal([seed](Engine& e, Log& out) {
      Chaos chaos{e, out, std::mt19937_64(seed)};
      for (int i = 0; i < 10; ++i) {
        chaos.spawn();
      }
      e.run_until(SimTime{3000_ps});
      chaos.unpark_some();  // from outside, between runs
      e.run();
    });
  }
}

Task<void> far(Engine& e, Log& log, Ps first, unsigned index) {
  co_await e.delay(first + Ps{index});
  for (int i = 0; i < 50; ++i) {
    log.add(e, i);
    expect_clock(e);
    co_await e.delay(Ps{1 + (index + static_cast<unsigned>(i)) % 3});
  }
}

// An hour, where a double still holds every picosecond, and a hundred days, where it holds every
// 1024th.
TEST(SimGridEngine, LateTimesKeepTheirPicoseconds) {
  for (const Ps first : {Ps{std::chrono::hours{1}}, Ps{std::chrono::hours{2400}}}) {
    const Log log = expect_equal([first](Engine& e, Log& out) {
      for (unsigned i = 0; i < 20; ++i) {
        e.spawn(far(e, out, first, i), named("F"));
      }
      e.run();
    });
    EXPECT_GT(log.rows[0], first.count() - 1);
  }
}

}  // namespace
}  // namespace smmulab

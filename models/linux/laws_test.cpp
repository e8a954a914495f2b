// SPDX-License-Identifier: Apache-2.0
// Locks as queues. A FIFO lock whose users come at random is a single server: its mean wait must be
// that of M/M/1 and M/D/1 (Pollaczek-Khinchine), that of a closed system what exact mean value
// analysis gives, and Little's law holds to the picosecond. Costs are 0; each user has its own CPU.
#include <cmath>

#include "models/linux/testing.hpp"
#include "sim/distributions.hpp"
#include "sim/random.hpp"
#include "sim/sanitized_testing.hpp"
#include "sim/stats.hpp"

namespace smmulab::lnx {
namespace {

constexpr std::uint64_t kJobs = unless_sanitized(200'000, 40'000);  // for each of the laws
constexpr Ps kService = 1_us;
// More users than jobs are ever in the system: the chance that 128 are is rho^128 < 2e-20.
constexpr std::uint32_t kUsers = 128;

Task<void> acquire(Mutex& m, Thread& t) {
  co_await m.lock(t);
}
Task<void> release(Mutex& m, Thread& t) {
  co_await m.unlock(t);
}
Task<void> acquire(Spinlock& s, Thread& t) {
  co_await s.lock(t);
}
Task<void> release(Spinlock& s, Thread& t) {
  co_await s.unlock(t);
}
Task<void> acquire(Rwsem& s, Thread& t) {
  co_await s.write_lock(t);
}
Task<void> release(Rwsem& s, Thread& t) {
  co_await s.write_unlock(t);
}

enum class Service : std::uint8_t { kExponential, kFixed };

struct Queue {
  double mean_wait;  // in service times, over all acquisitions
  LockModeStat stat;
  GaugeWindow waiting;  // number of threads between asking and having
};

class LawsTest : public LinuxTest {
 protected:
  // Jobs arrive as a Poisson stream, `rho` per service time. Idle users take the next one in turn.
  template <class Lock>
  Queue open_queue(LockKind kind, Service service, double rho) {
    cpus = kUsers;
    Lock lock(machine(), lock_class("server", kind));
    RandomStream arrivals(1, "arrivals");
    RandomStream services(1, "services");
    const Ps between{std::llround(static_cast<double>(kService.count()) / rho)};
    SimTime next = kStart;
    std::uint64_t jobs = 0;
    Gauge waiting;
    for (std::uint32_t i = 0; i < kUsers; ++i) {
      thread(std::to_string(i), i, [&](Thread& t) -> Task<void> {
        while (jobs < kJobs) {
          ++jobs;
          next += exponential(arrivals, between);
          EXPECT_GE(next, engine.now());  // or the job had no user when it came
          co_await t.run(next - engine.now());
          waiting.add(engine.now(), 1);
          co_await acquire(lock, t);
          waiting.add(engine.now(), -1);
          co_await t.run(service == Service::kFixed ? kService : exponential(services, kService));
          co_await release(lock, t);
        }
      });
    }
    engine.run();
    const LockModeStat& stat = lock.lock_class().stat.write();
    const double waits = static_cast<double>(stat.waittime.total.count());
    return {waits / static_cast<double>(kService.count()) / static_cast<double>(stat.acquisitions),
            stat, waiting.at(engine.now())};
  }
};

// Four standard errors of the mean of n successive waits in M/M/1, in service times (Daley 1968:
// n times the variance tends to rho (2 + 5 rho - 4 rho^2 + rho^3) / (1 - rho)^4).
double tolerance(double rho) {
  const double limit = rho * (2 + 5 * rho - 4 * rho * rho + rho * rho * rho) / std::pow(1 - rho, 4);
  return 4 * std::sqrt(limit / static_cast<double>(kJobs));
}

double mm1_wait(double rho) {
  return rho / (1 - rho);
}
double md1_wait(double rho) {
  return rho / (2 * (1 - rho));
}

void expect_little(const Queue& q) {
  EXPECT_EQ(q.stat.acquisitions, kJobs);
  EXPECT_EQ(static_cast<std::int64_t>(q.waiting.integral), q.stat.waittime.total.count());
  EXPECT_EQ(q.stat.wait_sleep(), 0_ps);
}

TEST_F(LawsTest, AMutexUnderPoissonArrivalsIsAnMM1Queue) {
  const Queue q = open_queue<Mutex>(LockKind::kMutex, Service::kExponential, 0.7);
  EXPECT_NEAR(q.mean_wait, mm1_wait(0.7), tolerance(0.7));
  expect_little(q);
  // PASTA: an arrival finds it taken with probability rho.
  EXPECT_NEAR(static_cast<double>(q.stat.contentions) / static_cast<double>(kJobs), 0.7, 0.01);
}

TEST_F(LawsTest, AMutexWithFixedHoldTimesIsAnMD1Queue) {
  // Half the wait and, in heavy traffic, an eighth of the variance: half the tolerance is ample.
  const Queue q = open_queue<Mutex>(LockKind::kMutex, Service::kFixed, 0.7);
  EXPECT_NEAR(q.mean_wait, md1_wait(0.7), tolerance(0.7) / 2);
  expect_little(q);
}

TEST_F(LawsTest, ASpinlockUnderPoissonArrivalsIsAnMM1Queue) {
  const Queue q = open_queue<Spinlock>(LockKind::kSpinlock, Service::kExponential, 0.5);
  EXPECT_NEAR(q.mean_wait, mm1_wait(0.5), tolerance(0.5));
  expect_little(q);
}

TEST_F(LawsTest, ASpinlockWithFixedHoldTimesIsAnMD1Queue) {
  const Queue q = open_queue<Spinlock>(LockKind::kSpinlock, Service::kFixed, 0.7);
  EXPECT_NEAR(q.mean_wait, md1_wait(0.7), tolerance(0.7) / 2);
  expect_little(q);
}

TEST_F(LawsTest, WritersOfAnRwsemAreAnMM1Queue) {
  const Queue q = open_queue<Rwsem>(LockKind::kRwsem, Service::kExponential, 0.5);
  EXPECT_NEAR(q.mean_wait, mm1_wait(0.5), tolerance(0.5));
  expect_little(q);
}

// Response time, in service times, at a server with n customers that think `think` in between:
// exact mean value analysis (Reiser and Lavenberg 1980).
double mva_response(std::uint32_t n, double think) {
  double response = 0;
  double queue = 0;
  for (std::uint32_t k = 1; k <= n; ++k) {
    response = 1 + queue;
    queue = k * response / (think + response);
  }
  return response;
}

class RepairmanTest : public LawsTest, public ::testing::WithParamInterface<std::uint32_t> {};

TEST_P(RepairmanTest, AClosedSystemFollowsMeanValueAnalysis) {
  constexpr double kThink = 5;  // service times
  const std::uint32_t n = GetParam();
  cpus = n;
  Mutex m(machine(), lock_class("m"));
  RandomStream thinking(1, "thinking");
  RandomStream services(1, "services");
  std::uint64_t jobs = 0;
  for (std::uint32_t i = 0; i < n; ++i) {
    thread(std::to_string(i), i, [&](Thread& t) -> Task<void> {
      for (; jobs < kJobs / 4; ++jobs) {
        co_await t.run(exponential(thinking, 5 * kService));
        co_await m.lock(t);
        co_await t.run(exponential(services, kService));
        co_await m.unlock(t);
      }
    });
  }
  engine.run();
  const double took =
      static_cast<double>(to_ps(engine.now())) / static_cast<double>(kService.count());
  const double throughput = static_cast<double>(m.lock_class().stat.write().acquisitions) / took;
  const double law = n / (kThink + mva_response(n, kThink));
  EXPECT_NEAR(throughput / law, 1, 0.02);
  EXPECT_LE(throughput, 1.02);  // never more than the server can do
}

INSTANTIATE_TEST_SUITE_P(Customers, RepairmanTest, ::testing::Values(1, 2, 6, 12, 24),
                         ::testing::PrintToStringParamName());

TEST(MeanValueAnalysis, SmallCasesByHand) {
  EXPECT_DOUBLE_EQ(mva_response(1, 5), 1);
  EXPECT_DOUBLE_EQ(mva_response(2, 5), 1 + 1.0 / 6);  // one customer: queue 1/6
  EXPECT_DOUBLE_EQ(mva_response(3, 0), 3);            // all at the server
  EXPECT_DOUBLE_EQ(mva_response(3, 5), 1 + 2 * (7.0 / 6) / (37.0 / 6));
}

TEST_F(LawsTest, FixedTimesSaturateAtOneHolderAtATime) {
  // 4 users, 1 us with the lock and 1 us without, 1000 times each: the lock is never idle from the
  // first acquisition (at 1 us) on. The last user's last hold ends 4000 us later.
  Spinlock s(machine(), lock_class("s", LockKind::kSpinlock));
  for (std::uint32_t i = 0; i < 4; ++i) {
    thread(std::to_string(i), i, [&](Thread& t) -> Task<void> {
      for (int k = 0; k < 1000; ++k) {
        co_await t.run(kService);
        co_await s.lock(t);
        co_await t.run(kService);
        co_await s.unlock(t);
      }
    });
  }
  engine.run();
  EXPECT_EQ(engine.now() - kTimeZero, 4001 * kService);
}

}  // namespace
}  // namespace smmulab::lnx

// SPDX-License-Identifier: Apache-2.0
// Toy programs whose inequivalent orders are counted by hand, and random ones on which the explorer
// with reduction must reach what the one without does.
#include "workloads/explore/explorer.hpp"

#include <set>

#include <gtest/gtest.h>

#include "models/linux/mutex.hpp"
#include "models/linux/rwsem.hpp"
#include "models/linux/testing.hpp"
#include "sim/sanitized_testing.hpp"

namespace smmulab::explore {
namespace {

// One step of a toy: a letter and a number.
//   'l', 'u'  mutex: lock, unlock      'r', 'R', 'w', 'W'  rwsem: read, unread, write, unwrite
//   '+'       variable := 2 * variable + thread + 1 (an access of its own)
//   '?'       looks at the variable, and keeps what it saw
//   's'       sleeps if the variable is 0, without prepare_to_sleep(); 'p': with it
//   '!'       variable := 1, and wakes thread 0
struct ToyOp {
  char what;
  std::uint32_t which;
};
using Toy = std::vector<std::vector<ToyOp>>;

class ToyRun final : public Run, public Waitable {
 public:
  static constexpr std::size_t kObjects = 3;
  ToyRun(Engine& engine, Scheduler& scheduler, const Toy& toy)
      : toy_(toy),
        machine_(engine, params_, lnx::uniform_topology(static_cast<std::uint32_t>(toy.size())),
                 &scheduler) {
    for (std::size_t i = 0; i < kObjects; ++i) {
      mutexes_.push_back(
          std::make_unique<lnx::Mutex>(machine_, machine_.locks().get("m", lnx::LockKind::kMutex)));
      rwsems_.push_back(std::make_unique<lnx::Rwsem>(
          machine_, machine_.locks().get("rw", lnx::LockKind::kRwsem)));
    }
  }
  lnx::Machine& machine() override { return machine_; }
  Task<void> body(lnx::Thread& t, std::size_t thread) override {
    const std::size_t first = machine_.threads().size() - toy_.size();
    for (const ToyOp op : toy_[thread]) {
      switch (op.what) {
        case 'l':
          co_await mutexes_[op.which]->lock(t);
          break;
        case 'u':
          co_await mutexes_[op.which]->unlock(t);
          break;
        case 'r':
          co_await rwsems_[op.which]->read_lock(t);
          break;
        case 'R':
          co_await rwsems_[op.which]->read_unlock(t);
          break;
        case 'w':
          co_await rwsems_[op.which]->write_lock(t);
          break;
        case 'W':
          co_await rwsems_[op.which]->write_unlock(t);
          break;
        case '+':
          co_await t.access(lnx::SharedObject{0, op.which}, lnx::Access::kWrite);
          values_[op.which] = (2 * values_[op.which] + thread + 1) % 64;
          break;
        case '?':
          co_await t.access(lnx::SharedObject{0, op.which}, lnx::Access::kRead);
          seen_[thread] = seen_[thread] * 64 + values_[op.which];
          break;
        case 's':
          co_await t.access(lnx::SharedObject{0, op.which}, lnx::Access::kRead);
          if (values_[op.which] == 0) {
            co_await t.block(*this);
          }
          break;
        case 'p':
          t.prepare_to_sleep();
          co_await t.access(lnx::SharedObject{0, op.which}, lnx::Access::kRead);
          if (values_[op.which] == 0) {
            co_await t.block(*this);
          }
          t.cancel_sleep();
          break;
        default:
          co_await t.access(lnx::SharedObject{0, op.which}, lnx::Access::kWrite);
          values_[op.which] = 1;
          machine_.wake(const_cast<lnx::Thread&>(machine_.threads()[first]));
          break;
      }
    }
  }
  [[nodiscard]] std::string wait_name() const override { return "the flag"; }
  void wait_holders(std::vector<const Process*>& /*out*/) const override {}

  [[nodiscard]] std::string state() const {
    return fmt::format("{} {}", fmt::join(values_, ","), fmt::join(seen_, ","));
  }

 private:
  const Toy& toy_;
  lnx::LinuxParams params_ = lnx::params_without_costs();
  lnx::Machine machine_;
  std::vector<std::unique_ptr<lnx::Mutex>> mutexes_;
  std::vector<std::unique_ptr<lnx::Rwsem>> rwsems_;
  std::array<std::uint64_t, kObjects> values_{};
  std::array<std::uint64_t, kMaxThreads> seen_{};
};

Program program_of(const Toy& toy) {
  Program program;
  for (std::size_t i = 0; i < toy.size(); ++i) {
    program.threads.push_back(fmt::format("t{}", i));
  }
  program.start = [&toy](Engine& engine, Scheduler& scheduler) {
    return std::make_unique<ToyRun>(engine, scheduler, toy);
  };
  return program;
}

struct Explored {
  ExploreResult result;
  std::set<std::string> states;
};

Explored explore_toy(const Toy& toy, bool reduce = true, std::uint64_t most = 1'000'000) {
  Explored explored;
  ExploreOptions options;
  options.reduce = reduce;
  options.max_schedules = most;
  options.at_end = [&](Run& run, Scheduler::End end) {
    explored.states.insert(fmt::format("{} {}", end == Scheduler::End::kStuck ? "stuck" : "done",
                                       dynamic_cast<ToyRun&>(run).state()));
  };
  explored.result = explore(program_of(toy), options);
  return explored;
}

TEST(Explorer, TwoThreadsAndOneLockHaveTwoOrders) {
  const Explored e = explore_toy({{{'l', 0}, {'u', 0}}, {{'l', 0}, {'u', 0}}});
  EXPECT_EQ(e.result.schedules, 2U);
  EXPECT_TRUE(e.result.exhaustive);
  EXPECT_TRUE(e.result.failures.empty());
}

TEST(Explorer, ThreeThreadsAndOneLockHaveSixOrders) {
  const std::vector<ToyOp> section{{'l', 0}, {'u', 0}};
  EXPECT_EQ(explore_toy({section, section, section}).result.schedules, 6U);
}

TEST(Explorer, LocksOfTheirOwnHaveOneOrder) {
  const Explored e = explore_toy({{{'l', 0}, {'u', 0}}, {{'l', 1}, {'u', 1}}});
  EXPECT_EQ(e.result.schedules, 1U);
  EXPECT_EQ(e.result.cut, 0U);
}

TEST(Explorer, ReadersHaveOneOrderAndAWriterTwo) {
  const std::vector<ToyOp> reads{{'r', 0}, {'R', 0}};
  EXPECT_EQ(explore_toy({reads, reads}).result.schedules, 1U);
  EXPECT_EQ(explore_toy({reads, {{'w', 0}, {'W', 0}}}).result.schedules, 2U);
}

// Two sections each: 4! / (2! 2!) orders of sections.
TEST(Explorer, TwoSectionsEachHaveSixOrders) {
  const std::vector<ToyOp> twice{{'l', 0}, {'u', 0}, {'l', 0}, {'u', 0}};
  EXPECT_EQ(explore_toy({twice, twice}).result.schedules, 6U);
}

// Unordered: t0 first, t1 first, or each with one lock.
TEST(Explorer, FindsAbBa) {
  const Toy toy{{{'l', 0}, {'l', 1}, {'u', 1}, {'u', 0}}, {{'l', 1}, {'l', 0}, {'u', 0}, {'u', 1}}};
  const Explored e = explore_toy(toy);
  ASSERT_EQ(e.result.failures.size(), 1U);
  const Failure& failure = e.result.failures.front();
  EXPECT_EQ(failure.kind, FailureKind::kDeadlock);
  EXPECT_EQ(failure.message, "t0 waits for m#1, held by t1; t1 waits for m#0, held by t0");
  EXPECT_EQ(e.result.schedules, 3U);
  // start, lock each
  EXPECT_EQ(failure.schedule.size(), 4U);
  const ReplayedSchedule again =
      replay_schedule(program_of(toy), parse_schedule(schedule_text(failure.schedule), 2));
  ASSERT_EQ(again.failures.size(), 1U);
  EXPECT_EQ(again.failures.front().message, failure.message);
  ASSERT_EQ(again.lines.size(), 2U);
  EXPECT_EQ(again.lines.front().text.substr(0, 4), "+ m#");
}

TEST(Explorer, OrderedLocksAreClean) {
  const std::vector<ToyOp> both{{'l', 0}, {'l', 1}, {'u', 1}, {'u', 0}};
  const Explored e = explore_toy({both, both});
  EXPECT_TRUE(e.result.failures.empty());
  EXPECT_EQ(e.result.schedules, 2U);
}

TEST(Explorer, FindsALostWakeUp) {
  const Explored lost = explore_toy({{{'s', 0}}, {{'!', 0}}});
  ASSERT_EQ(lost.result.failures.size(), 1U);
  EXPECT_EQ(lost.result.failures.front().kind, FailureKind::kLostWakeUp);
  EXPECT_EQ(lost.result.failures.front().message, "t0 sleeps on the flag");
  // Sees the flag; sleeps before the wake-up; sleeps after it.
  EXPECT_EQ(lost.result.schedules, 3U);
  EXPECT_TRUE(explore_toy({{{'p', 0}}, {{'!', 0}}}).result.failures.empty());
}

// A reader within, a writer that waits, and a second reader behind it.
TEST(Explorer, FindsAReaderBehindAWaitingWriter) {
  const Toy toy{{{'r', 0}, {'l', 0}, {'u', 0}, {'R', 0}},
                {{'l', 0}, {'r', 0}, {'R', 0}, {'u', 0}},
                {{'w', 0}, {'W', 0}}};
  const Explored e = explore_toy(toy);
  ASSERT_EQ(e.result.failures.size(), 1U);
  EXPECT_EQ(e.result.failures.front().kind, FailureKind::kDeadlock);
  EXPECT_TRUE(explore_toy({toy[0], toy[1]}).result.failures.empty());
}

TEST(Explorer, SaysWhenItStoppedEarly) {
  const std::vector<ToyOp> section{{'l', 0}, {'u', 0}};
  const Explored e = explore_toy({section, section, section}, true, 5);
  EXPECT_FALSE(e.result.exhaustive);
  EXPECT_EQ(e.result.schedules, 5U);
}

TEST(Explorer, RefusesAScheduleThatCannotBe) {
  const std::vector<ToyOp> section{{'l', 0}, {'u', 0}};
  const Toy toy{section, section};
  EXPECT_THROW(static_cast<void>(replay_schedule(program_of(toy), {0, 0, 0})), ConfigError);
  EXPECT_THROW(static_cast<void>(parse_schedule("0*1,2*1", 2)), ConfigError);
  EXPECT_THROW(static_cast<void>(parse_schedule("0*1,", 2)), ConfigError);
}

// --- random programs -----------------------------------------------------------------------------

class RandomToy {
 public:
  explicit RandomToy(std::uint64_t seed) : rng_(seed) {}

  // Balanced sections, nested at times, accesses within and without.
  Toy make() {
    Toy toy(2 + below(2));
    const std::size_t most = toy.size() == 2 ? 3 : 2;
    for (auto& ops : toy) {
      if (most == 3 && below(3) == 0) {  // two locks, in either order
        const std::uint32_t outer = below(2);
        ops.insert(ops.end(), {{'l', outer}, {'l', 1 - outer}, {'?', 0}, {'+', 0}});
        ops.insert(ops.end(), {{'u', 1 - outer}, {'u', outer}});
      }
      const std::size_t parts = 1 + below(most);
      for (std::size_t i = 0; i < parts; ++i) {
        part(ops, toy.size() == 2 ? 2 : 1);
      }
    }
    return toy;
  }

 private:
  std::uint32_t below(std::size_t n) {
    rng_ = rng_ * 6364136223846793005ULL + 1442695040888963407ULL;
    return static_cast<std::uint32_t>((rng_ >> 33U) % n);
  }
  void part(std::vector<ToyOp>& ops, std::size_t depth) {
    const std::uint32_t which = below(2);
    const std::uint32_t kind = below(5);
    if (kind < 2 || depth == 0 || held_[kind][which]) {
      ops.push_back({kind % 2 == 0 ? '+' : '?', which});
      return;
    }
    constexpr std::string_view kIn = "  lrw";
    constexpr std::string_view kOut = "  uRW";
    const std::uint32_t other = kind == 2 ? 2 : 3 + (kind == 3 ? 1 : 0);
    if (kind > 2 && held_[other][which]) {
      return;  // the same rwsem
    }
    held_[kind][which] = true;
    ops.push_back({kIn[kind], which});
    part(ops, depth - 1);
    ops.push_back({kOut[kind], which});
    held_[kind][which] = false;
  }

  std::uint64_t rng_;
  std::array<std::array<bool, 2>, 5> held_{};
};

TEST(Explorer, ReductionLosesNoEndState) {
  std::uint64_t reduced = 0;
  std::uint64_t all = 0;
  std::size_t stuck = 0;
  constexpr std::uint64_t kToys = unless_sanitized(300, 60);
  for (std::uint64_t seed = 0; seed < kToys; ++seed) {
    const Toy toy = RandomToy(seed).make();
    constexpr std::uint64_t kMost = 10'000;
    const Explored naive = explore_toy(toy, false, kMost);
    if (!naive.result.exhaustive) {
      continue;
    }
    const Explored e = explore_toy(toy);
    ASSERT_EQ(e.states, naive.states) << "seed " << seed;
    EXPECT_EQ(e.result.failures.size(), naive.result.failures.size()) << "seed " << seed;
    ASSERT_LE(e.result.schedules, naive.result.schedules);
    reduced += e.result.schedules;
    all += naive.result.schedules;
    stuck += e.result.failures.size();
  }
  EXPECT_GT(stuck, unless_sanitized(10, 0));
  EXPECT_GT(all, 20 * reduced) << reduced;
}

}  // namespace
}  // namespace smmulab::explore

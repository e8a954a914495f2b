// SPDX-License-Identifier: Apache-2.0
// The coherent model of a contended line. A move within the node takes 100 ns, a hit nothing.
#include "models/linux/shared_line.hpp"

#include <array>

#include "models/linux/testing.hpp"

namespace smmulab::lnx {
namespace {

class SharedLineTest : public LinuxTest {
 protected:
  SharedLineTest() {
    params.line.model = LineModel::kCoherent;
    params.line.same_node = 100_ns;
  }
  SharedLine& line() {
    if (!line_) {
      line_.emplace(machine(), "test");
    }
    return *line_;
  }
  // From `from` on: reads or writes, says when it is done.
  void user(const std::string& name, std::uint32_t cpu, Ps from, bool write) {
    thread(name, cpu, [=, this](Thread& t) -> Task<void> {
      co_await until(t, from);
      co_await access(t, write);
      co_await t.run();
      say(t, write ? "wrote" : "read");
    });
  }
  Task<void> access(Thread& t, bool write) {
    if (write) {
      co_await line().write(t);
    } else {
      co_await line().read(t);
    }
  }

 private:
  std::optional<SharedLine> line_;
};

TEST_F(SharedLineTest, CopiesHitUntilSomebodyWrites) {
  // A has it from 0. B reads at 10: 110. A and B read again at 200: hits. A writes at 300: B's copy
  // must go, 100. B reads at 500: 600.
  user("A", 0, 0_ns, true);
  user("B", 1, 10_ns, false);
  user("A", 0, 200_ns, false);
  user("B", 1, 200_ns, false);
  user("A", 0, 300_ns, true);
  user("B", 1, 500_ns, false);
  engine.run();
  EXPECT_EQ(log, (Lines{"0ps A wrote", "110ns B read", "200ns A read", "200ns B read",
                        "400ns A wrote", "600ns B read"}));
  EXPECT_EQ(line().stat().reads, 4U);
  EXPECT_EQ(line().stat().writes, 2U);
  EXPECT_EQ(line().stat().misses, 4U);
  EXPECT_EQ(line().stat().missing, 300_ns);  // the first finds it nowhere
}

TEST_F(SharedLineTest, OneMissAtATime) {
  // All ask at 10, the line is with A: one after another, in whatever order.
  user("A", 0, 0_ns, true);
  for (const std::uint32_t cpu : {1U, 2U, 3U}) {
    user(std::to_string(cpu), cpu, 10_ns, true);
  }
  engine.run();
  ASSERT_EQ(log.size(), 4U);
  EXPECT_EQ(log[1].substr(0, 6), "110ns ");
  EXPECT_EQ(log[2].substr(0, 6), "210ns ");
  EXPECT_EQ(log[3].substr(0, 6), "310ns ");
}

TEST_F(SharedLineTest, AWaiterReadsAgainAfterEachWrite) {
  // B waits for the third write. A writes at 100, 300 and 500: at 100 its line is shared and B's
  // copy is taken, which takes 100; B is told at 200 and has a copy again at 300, when A asks: 400.
  int written = 0;
  thread("A", 0, [&](Thread& t) -> Task<void> {
    co_await until(t, 0_ns);
    for (const Ps at : {100_ns, 400_ns, 700_ns}) {
      co_await until(t, at);
      co_await line().write(t);
      ++written;
      say(t, "wrote");
    }
  });
  thread("B", 1, [&](Thread& t) -> Task<void> {
    co_await until(t, 0_ns);
    co_await line().read(t);
    while (written != 3) {
      co_await line().wait_for_write(t, machine().cpu(1));
      co_await line().read(t);
      say(t, "looked");
    }
  });
  engine.run();
  EXPECT_EQ(log, (Lines{"200ns A wrote", "300ns B looked", "500ns A wrote", "600ns B looked",
                        "800ns A wrote", "900ns B looked"}));
}

TEST_F(SharedLineTest, RequestsThatMeetHaveNoOrder) {
  // CPU 0 is getting the line whenever CPUs 1 and 2 ask, CPU 1 first. Of 4000 draws each wins 2000,
  // standard deviation 32.
  constexpr int kDraws = 4000;
  std::array<int, 3> firsts{};
  int first_of_round = 0;
  for (const std::uint32_t cpu : {0U, 1U, 2U}) {
    thread(std::to_string(cpu), cpu, [&, cpu](Thread& t) -> Task<void> {
      for (int round = 0; round < kDraws; ++round) {
        co_await until(t, 10_us * round + 1_ns * cpu);
        co_await line().write(t);
        if (cpu != 0 && first_of_round == round) {
          ++first_of_round;
          ++firsts.at(cpu);
        }
      }
    });
  }
  engine.run();
  EXPECT_EQ(firsts[1] + firsts[2], kDraws);
  EXPECT_NEAR(firsts[1], 2000, 130);
}

// Who won, of CPUs 1 and 2, in each of 64 rounds as above.
std::string winners(std::uint64_t seed, const std::string& name) {
  Engine engine;
  LinuxParams params = params_without_costs();
  params.line.model = LineModel::kCoherent;
  params.line.same_node = 100_ns;
  Machine machine(engine, params, uniform_topology(3), nullptr, seed);
  SharedLine line(machine, name);
  std::string won;
  std::size_t asked_for = 0;
  for (const std::uint32_t cpu : {0U, 1U, 2U}) {
    machine.spawn_thread(std::to_string(cpu), cpu, [&, cpu](Thread& t) -> Task<void> {
      for (std::size_t round = 0; round < 64; ++round) {
        const SimTime at = SimTime{} + 10_us * static_cast<int>(round) + 1_ns * cpu;
        co_await t.run(at - machine.now());
        co_await line.write(t);
        if (cpu != 0 && asked_for == round) {
          ++asked_for;
          won += std::to_string(cpu);
        }
      }
    });
  }
  engine.run();
  return won;
}

TEST(SharedLine, DrawsBySeedAndName) {
  EXPECT_EQ(winners(1, "a"), winners(1, "a"));
  EXPECT_NE(winners(1, "a"), winners(2, "a"));
  EXPECT_NE(winners(1, "a"), winners(1, "b"));
}

TEST_F(SharedLineTest, CmpxchgLoopOfManyNeedsTheBirthdayNumberOfTries) {
  // n CPUs of one node, all in a cmpxchg loop on one word without pause: a success leaves all
  // others with a stale value; each try renews one CPU's, and the next success is the first repeat
  // among n. Expected draws until a repeat of n days: sqrt(pi n / 2) + 2/3 [Knuth, TAOCP 1.2.11.3],
  // for 64: 10.69; the winner's own value, which is fresh, saves a little.
  constexpr std::uint32_t kCpus = 64;
  Machine flat(engine, params, uniform_topology(kCpus));
  SharedLine word(flat, "word");
  std::uint64_t version = 0;
  std::uint64_t tries = 0;
  std::uint64_t successes = 0;
  for (std::uint32_t cpu = 0; cpu < kCpus; ++cpu) {
    flat.spawn_thread(std::to_string(cpu), cpu, [&](Thread& t) -> Task<void> {
      std::uint64_t seen = 0;
      while (tries < 200'000) {
        co_await word.write(t);
        ++tries;
        if (version == seen) {
          ++version;
          ++successes;
        }
        seen = version;
      }
    });
  }
  engine.run();
  EXPECT_NEAR(static_cast<double>(tries) / static_cast<double>(successes), 10.69, 0.25);
}

}  // namespace
}  // namespace smmulab::lnx

// SPDX-License-Identifier: Apache-2.0
// How runs end: errors, deadlocks, limits, interrupts, and what is left afterwards; equal on both
// engines. And what only SimGrid does: one engine in a process, quietly.
#include <atomic>
#include <csignal>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "sim/engine_agreement.hpp"
#include "sim/simgrid_engine.hpp"

namespace smmulab {
namespace {

using agreement::expect_equal;
using agreement::in_child;
using agreement::Log;

SpawnOptions named(const std::string& name) {
  return {.name = name, .component = "test"};
}

Task<void> ticks(Engine& e, Log& log, Ps period, int count) {
  for (int i = 0; i < count; ++i) {
    co_await e.delay(period);
    log.add(e, i);
  }
}

Task<void> fails(Engine& e, Log& log) {
  co_await e.delay(1000_ps);
  log.add(e, 0);
  throw std::out_of_range("page 7");
}

TEST(SimGridEngineStop, AnExceptionEndsTheRun) {
  const Log log = expect_equal([](Engine& e, Log& out) {
    e.spawn(ticks(e, out, 300_ps, 100), named("A"));
    e.spawn(fails(e, out), named("B"));
    e.spawn(ticks(e, out, 500_ps, 100), named("C"));
    e.run();
  });
  EXPECT_EQ(log.text,
            "ModelError page 7 [at 1000 ps, thread B, component test] <- page 7\n"
            "end at 1000 ps after 8 steps\n");
}

struct Held final : public Waitable {
  Held(std::string n, const Process* o) : name(std::move(n)), owner(o) {}
  [[nodiscard]] std::string wait_name() const override { return name; }
  void wait_holders(std::vector<const Process*>& out) const override { out.push_back(owner); }
  std::string name;
  const Process* owner;
};

Task<void> waits(Engine& e, Ps after, const std::unique_ptr<Held>& what) {
  co_await e.delay(after);
  co_await e.park(what.get());
}

TEST(SimGridEngineStop, DeadlockWithItsCycle) {
  const Log log = expect_equal([](Engine& e, Log& out) {
    std::unique_ptr<Held> a;
    std::unique_ptr<Held> b;
    Process& x = e.spawn(waits(e, 10_ps, b), named("X"));
    Process& y = e.spawn(waits(e, 20_ps, a), named("Y"));
    a = std::make_unique<Held>("a", &x);
    b = std::make_unique<Held>("b", &y);
    e.spawn(ticks(e, out, 300_ps, 10), named("T"));
    e.run();
  });
  EXPECT_EQ(
      log.text,
      "DeadlockError deadlock at 3000 ps: X -> b -> Y -> a -> X; X waits for b; Y waits for a "
      "[X,b,Y,a,X]\nend at 3000 ps after 15 steps\n");
}

TEST(SimGridEngineStop, InterruptThenGoOn) {
  const Log log = expect_equal([](Engine& e, Log& out) {
    int left = 3;
    e.set_interrupt_check([&left] { return --left == 0; }, 5);
    e.spawn(ticks(e, out, 300_ps, 20), named("A"));
    e.spawn(ticks(e, out, 300_ps, 20), named("B"));
    try {
      e.run();
    } catch (const Interrupted& stop) {
      out.note(stop.what());
    }
    e.set_interrupt_check({});
    out.note(fmt::format("{}", e.run_until(SimTime{9000_ps}) == RunEnd::kTimeLimit));
  });
  EXPECT_GT(log.rows.size(), 20U * Log::kColumns);
}

// The last process ends in the step that also wakes a daemon, whose step must not run any more.
Task<void> wakes_and_ends(Engine& e, Process& daemon) {
  co_await e.delay(100_ps);
  e.unpark(daemon, 50_ps);
}
Task<void> waits_forever(Engine& e, Log& log) {
  for (;;) {
    co_await e.park();
    log.add(e, 0);
  }
}

TEST(SimGridEngineStop, RunsAgainAfterLimitAndAfterTheEnd) {
  const Log log = expect_equal([](Engine& e, Log& out) {
    Process& daemon =
        e.spawn(waits_forever(e, out), {.name = "D", .component = "test", .daemon = true});
    e.spawn(ticks(e, out, 700_ps, 1'000'000), {.name = "E", .component = "test", .daemon = true});
    e.spawn(ticks(e, out, 300_ps, 50), named("A"));
    for (int limit = 100; limit < 12'000; limit += 1'150) {
      const RunEnd end = e.run_until(SimTime{Ps{limit}});
      out.note(fmt::format("{} {}", end == RunEnd::kFinished, to_ps(e.now())));
      e.spawn(ticks(e, out, 100_ps, 7), named("late"));
      if (daemon.parked()) {
        e.unpark(daemon, 20_ps);
      }
    }
    e.run();
    e.spawn(wakes_and_ends(e, daemon), named("last"));
    e.run();
  });
  EXPECT_GT(log.rows.size(), 100U * Log::kColumns);
}

struct Guard {
  explicit Guard(std::string& out) : out_(out) {}
  ~Guard() { out_ += "unwound "; }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;
  std::string& out_;
};

Task<void> guarded(Engine& e, std::string& out) {
  const Guard guard(out);
  co_await e.park();
}

TEST(SimGridEngineStop, TeardownUnwindsWhatStillWaits) {
  const std::string result = in_child([](int fd) {
    std::string text;
    {
      SimGridEngine e;
      Log log;
      e.spawn(guarded(e, text), {.name = "D", .component = "test", .daemon = true});
      e.spawn(guarded(e, text), named("G"));
      e.spawn(ticks(e, log, Ps{std::chrono::hours{1}}, 2), named("T"));
      e.run_until(SimTime{5000_ps});
      text += "stopped ";
    }
    agreement::write_all(fd, text.data(), text.size());
  });
  EXPECT_EQ(result, "stopped unwound unwound ");
}

TEST(SimGridEngineStop, FourThousandProcesses) {
  const Log log = expect_equal([](Engine& e, Log& out) {
    for (int i = 0; i < 4096; ++i) {
      e.spawn(ticks(e, out, Ps{1000 + i % 7}, 3), named("P"));
    }
    e.run();
  });
  EXPECT_EQ(log.rows.size(), 3U * 4096 * Log::kColumns);
}

TEST(SimGridEngineStop, OneEngineInAProcess) {
  const std::string result = in_child([](int fd) {
    std::string text;
    auto first = make_engine(EngineKind::kSimGrid);
    text += first->name();
    for (int i = 0; i < 2; ++i) {
      try {
        const auto second = make_engine(EngineKind::kSimGrid);
      } catch (const ConfigError& e) {
        text += fmt::format("; {}", std::string(e.what()).substr(0, 50));
      }
      first.reset();
    }
    agreement::write_all(fd, text.data(), text.size());
  });
  EXPECT_EQ(result,
            "simgrid; the SimGrid engine runs once in a process of the o"
            "; the SimGrid engine runs once in a process of the o");
}

TEST(SimGridEngineStop, LeavesCtrlCToTheProgram) {
  const std::string result = in_child([](int fd) {
    std::signal(SIGINT, SIG_IGN);
    const SimGridEngine e;
    const bool kept = std::signal(SIGINT, SIG_DFL) == SIG_IGN;
    agreement::write_all(fd, kept ? "kept" : "lost", 4);
  });
  EXPECT_EQ(result, "kept");
}

volatile std::sig_atomic_t interrupted = 0;
extern "C" void note_interrupt(int /*signal*/) {
  interrupted = 1;
}

// SimGrid's own handler, were it ever asked, would end the process.
TEST(SimGridEngineStop, CtrlCDuringTheStartReachesTheProgram) {
  const std::string result = in_child([](int fd) {
    ::alarm(20);  // should its handler never end
    std::signal(SIGINT, note_interrupt);
    sigset_t interrupt;
    sigemptyset(&interrupt);
    sigaddset(&interrupt, SIGINT);
    pthread_sigmask(SIG_BLOCK, &interrupt, nullptr);  // for the thread to come
    std::atomic<bool> started = false;
    std::thread impatient([&started] {
      while (!started) {
        ::kill(::getpid(), SIGINT);
      }
    });
    pthread_sigmask(SIG_UNBLOCK, &interrupt, nullptr);
    while (interrupted == 0) {
      std::this_thread::yield();
    }
    const SimGridEngine e;
    started = true;
    impatient.join();
    agreement::write_all(fd, "alive", 5);
  });
  EXPECT_EQ(result, "alive");
}

TEST(EngineFactory, NamesAndVersion) {
  EXPECT_EQ(parse_engine_kind("native"), EngineKind::kNative);
  EXPECT_EQ(parse_engine_kind("simgrid"), EngineKind::kSimGrid);
  EXPECT_THROW((void)parse_engine_kind("gem5"), ConfigError);
  EXPECT_STREQ(make_engine(EngineKind::kNative)->name(), "native");
  EXPECT_TRUE(simgrid_available());
  EXPECT_EQ(simgrid_version(), SimGridEngine::library_version());
}

}  // namespace
}  // namespace smmulab

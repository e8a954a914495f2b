// SPDX-License-Identifier: Apache-2.0
#include "bench/engine_load.hpp"

#include <coroutine>
#include <deque>
#include <memory>
#include <string>
#include <utility>

#include "bench/delays.hpp"
#include "models/linux/machine.hpp"
#include "models/linux/mutex.hpp"
#include "sim/distributions.hpp"
#include "sim/random.hpp"

namespace smmulab::bench {
namespace {

SpawnOptions named(std::string name) {
  SpawnOptions options;
  options.name = std::move(name);
  return options;
}

Task<void> timed_process(Engine& engine, std::uint32_t index, std::uint64_t steps) {
  Delays delays(index);
  for (std::uint64_t i = 0; i < steps; ++i) {
    co_await engine.delay(delays.next());
  }
}

Task<void> lock_user(lnx::Thread& t, lnx::Mutex& mutex, std::uint64_t acquisitions) {
  Delays delays(t.id());
  for (std::uint64_t i = 0; i < acquisitions; ++i) {
    co_await mutex.lock(t);
    co_await t.run(delays.next());
    co_await mutex.unlock(t);
    co_await t.run(delays.next());
  }
}

// Has one taker.
class Store {
 public:
  explicit Store(Engine& engine) : engine_(engine) {}

  void put(SimTime customer) {
    waiting_.push_back(customer);
    if (taker_ != nullptr && taker_->parked()) {
      engine_.unpark(*taker_);
    }
  }

  // co_await store.get(): the next customer, waiting for one if there is none.
  struct Get {
    Store& store;
    [[nodiscard]] bool await_ready() const { return !store.waiting_.empty(); }
    void await_suspend(std::coroutine_handle<> h) const {
      store.taker_ = &store.engine_.current();
      store.engine_.park().await_suspend(h);
    }
    [[nodiscard]] SimTime await_resume() const {
      const SimTime customer = store.waiting_.front();
      store.waiting_.pop_front();
      return customer;
    }
  };
  [[nodiscard]] Get get() { return {*this}; }

 private:
  Engine& engine_;
  Process* taker_ = nullptr;
  std::deque<SimTime> waiting_;
};

Task<void> arrivals(Engine& engine, Store& store, std::uint64_t customers) {
  RandomStream rng(1, "arrivals");
  for (std::uint64_t i = 0; i < customers; ++i) {
    co_await engine.delay(exponential(rng, kArrivalMean));
    store.put(engine.now());
  }
}

Task<void> server(Engine& engine, Store& store, std::uint64_t customers, Ps& stay) {
  RandomStream rng(1, "service");
  for (std::uint64_t i = 0; i < customers; ++i) {
    const SimTime arrived = co_await store.get();
    co_await engine.delay(exponential(rng, kServiceMean));
    stay += engine.now() - arrived;
  }
}

}  // namespace

Sample run_timed_events(EngineKind kind, std::uint32_t processes, std::uint64_t events) {
  const std::uint64_t steps = events / processes;
  const std::unique_ptr<Engine> engine = make_engine(kind);
  for (std::uint32_t i = 0; i < processes; ++i) {
    engine->spawn(timed_process(*engine, i, steps), named("timed " + std::to_string(i)));
  }
  const Meter meter;
  engine->run();
  return meter.stop(steps * processes);
}

Sample run_locks(EngineKind kind, std::uint32_t threads, std::uint64_t acquisitions) {
  constexpr std::uint32_t kSharers = 4;
  const std::uint64_t each = acquisitions / threads;
  const std::unique_ptr<Engine> engine = make_engine(kind);
  const lnx::LinuxParams params;
  lnx::Machine machine(*engine, params, lnx::uniform_topology(threads));
  lnx::LockClass& cls = machine.locks().get("bench", lnx::LockKind::kMutex);
  std::deque<lnx::Mutex> mutexes;
  for (std::uint32_t i = 0; i < threads; ++i) {
    if (i % kSharers == 0) {
      mutexes.emplace_back(machine, cls);
    }
    lnx::Mutex& mutex = mutexes.back();
    machine.spawn_thread("user " + std::to_string(i), i,
                         [&mutex, each](lnx::Thread& t) { return lock_user(t, mutex, each); });
  }
  const Meter meter;
  engine->run();
  return meter.stop(each * threads);
}

QueueSample run_mm1(EngineKind kind, std::uint64_t customers) {
  const std::unique_ptr<Engine> engine = make_engine(kind);
  Store store(*engine);
  Ps stay{0};
  engine->spawn(arrivals(*engine, store, customers), named("arrivals"));
  engine->spawn(server(*engine, store, customers, stay), named("server"));
  const Meter meter;
  engine->run();
  return {meter.stop(engine->events()), stay / static_cast<std::int64_t>(customers)};
}

}  // namespace smmulab::bench

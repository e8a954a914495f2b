// SPDX-License-Identifier: Apache-2.0
#include "sim/simgrid_engine.hpp"

#include <deque>
#include <exception>
#include <utility>
#include <vector>

#include "sim/simgrid_adapter.hpp"

namespace smmulab {

namespace s4u = simgrid::s4u;

namespace {
double to_simgrid(SimTime time) {
  return static_cast<double>(to_ps(time));
}
}  // namespace

// ---- The baton ----------------------------------------------------------------------------------

class SimGridEngine::Actors final : public Engine::Backend {
 public:
  explicit Actors(SimGridEngine& engine) : engine_(engine), simgrid_(simgrid_adapter::start()) {
    s4u::NetZone* zone = simgrid_adapter::root_zone(*simgrid_);
    host_ = simgrid_adapter::make_host(zone);
    zone->seal();
  }

  void scheduled(Process& p, const Event& event) override;
  void execute() override;

 private:
  struct Record {
    explicit Record(Process& p) : process(p) {}
    Process& process;
    s4u::SemaphorePtr gate;
    Event key{};             // its one wake-up; order 0: none
    EventOrder reached = 0;  // the wake-up whose date SimGrid's clock has reached
    bool alive = false;      // it has an actor
    bool waiting = false;    // ready for its step; the actor before opens the gate
  };

  Record& record_of(Process& p);
  void live(Record& self);
  void run_step(Record& self);
  void wake_changed();
  void hand_over();
  void start_actor(Record& record);
  void end_run(const Record& self);
  void sleep(Record& self);
  [[nodiscard]] static bool due(const Record& record);
  [[nodiscard]] bool is_least(const Record& record);
  [[nodiscard]] bool run_is_over();
  void drop_overtaken();

  SimGridEngine& engine_;
  std::unique_ptr<s4u::Engine> simgrid_;
  s4u::Host* host_ = nullptr;
  std::deque<Record> records_;  // in the order of spawn
  EventHeap keys_;              // with overtaken ones, as in the native engine
  std::vector<Record*> changed_;
  const Record* running_ = nullptr;
  bool ending_ = false;
  std::exception_ptr error_;
};

SimGridEngine::Actors::Record& SimGridEngine::Actors::record_of(Process& p) {
  if (p.backend_ == nullptr) {
    p.backend_ = &records_.emplace_back(p);
  }
  return *static_cast<Record*>(p.backend_);
}

void SimGridEngine::Actors::scheduled(Process& p, const Event& event) {
  if (event.order == 0) {
    return;  // parked without a deadline: that is the running process, and its key is used up
  }
  Record& record = record_of(p);
  record.key = event;
  keys_.push(event);
  if (&record != running_) {
    changed_.push_back(&record);
  }
}

void SimGridEngine::Actors::execute() {
  changed_.clear();
  if (run_is_over()) {
    return;
  }
  ending_ = false;
  for (Record& record : records_) {
    if (record.key.order != 0) {
      start_actor(record);
    }
  }
  simgrid_->run();
  if (error_) {
    std::rethrow_exception(std::exchange(error_, nullptr));
  }
}

void SimGridEngine::Actors::start_actor(Record& record) {
  if (!record.gate) {
    record.gate = s4u::Semaphore::create(0);
  }
  record.alive = true;
  simgrid_adapter::make_actor(host_, record.process.name(), [this, &record] { live(record); });
}

// An actor's life.
void SimGridEngine::Actors::live(Record& self) {
  while (!ending_ && self.process.state() != Process::State::kDone) {
    self.waiting = false;
    if (self.key.order == 0) {
      self.gate->acquire();
    } else if (!due(self)) {
      sleep(self);
    } else if (!is_least(self)) {
      self.waiting = true;
      self.gate->acquire();
    } else {
      run_step(self);
    }
  }
  self.alive = false;
}

bool SimGridEngine::Actors::due(const Record& record) {
  return record.key.order == record.reached ||
         to_simgrid(record.key.time) <= s4u::Engine::get_clock();
}

// Until the wake-up's date, or until an earlier wake-up replaces it.
void SimGridEngine::Actors::sleep(Record& self) {
  const EventOrder order = self.key.order;
  if (self.gate->acquire_timeout(to_simgrid(self.key.time) - s4u::Engine::get_clock())) {
    self.reached = order;  // even if rounding left the clock short of the date
  }
}

void SimGridEngine::Actors::run_step(Record& self) {
  const Event event = keys_.top();
  keys_.pop();
  self.key.order = 0;
  running_ = &self;
  try {
    engine_.step(event);
  } catch (...) {
    error_ = std::current_exception();
  }
  running_ = nullptr;
  if (run_is_over()) {
    end_run(self);
  } else {
    wake_changed();
    hand_over();
  }
}

// Here and in hand_over() each call into SimGrid may let other actors run their steps.
void SimGridEngine::Actors::wake_changed() {
  while (!ending_ && !changed_.empty()) {
    Record& record = *changed_.back();
    changed_.pop_back();
    if (!record.alive) {
      start_actor(record);
    } else if (record.key.time <= engine_.now()) {
      record.waiting = true;  // it is at its gate already; leave it there until it is the least
    } else {
      record.gate->release();  // let it sleep until the new date
    }
  }
}

void SimGridEngine::Actors::hand_over() {
  if (ending_) {
    return;
  }
  drop_overtaken();
  Record& next = record_of(*keys_.top().process);
  if (std::exchange(next.waiting, false)) {
    next.gate->release();
  }
}

void SimGridEngine::Actors::end_run(const Record& self) {
  ending_ = true;
  for (Record& record : records_) {
    if (record.alive && &record != &self) {
      record.gate->release();
    }
  }
}

bool SimGridEngine::Actors::run_is_over() {
  drop_overtaken();
  return error_ || engine_.finished() || keys_.empty() || keys_.top().time > engine_.limit();
}

bool SimGridEngine::Actors::is_least(const Record& record) {
  drop_overtaken();
  return keys_.top().order == record.key.order;
}

void SimGridEngine::Actors::drop_overtaken() {
  while (!keys_.empty() && keys_.top().process->pending_ != keys_.top().order) {
    keys_.pop();
  }
}

// ---- The engine ---------------------------------------------------------------------------------

SimGridEngine::SimGridEngine() : actors_(std::make_unique<Actors>(*this)) {
  set_backend(actors_.get());
}

// The base class unwinds what is left of the processes after this.
SimGridEngine::~SimGridEngine() {
  set_backend(nullptr);
}

double SimGridEngine::simgrid_clock() const {
  return s4u::Engine::get_clock();
}

std::string SimGridEngine::library_version() {
  return simgrid_adapter::library_version();
}

}  // namespace smmulab

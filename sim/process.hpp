// SPDX-License-Identifier: Apache-2.0
// Process: one simulated activity (a kernel thread, a timer, a piece of hardware). The Engine makes
// and owns it; it holds the outermost Task and the point where to go on.
#pragma once

#include <coroutine>
#include <cstdint>
#include <string>
#include <vector>

#include "sim/event_heap.hpp"
#include "sim/ids.hpp"
#include "sim/task.hpp"

namespace smmulab {

class Engine;
using ProcessId = Id<struct ProcessTag, std::uint32_t>;

// What a parked process waits for. Deadlock reports ask it for its name and for who could end the
// wait; it must outlive the wait.
class Waitable {
 public:
  virtual ~Waitable() = default;
  [[nodiscard]] virtual std::string wait_name() const = 0;
  // Appends the processes whose progress can end the wait (none: unknown).
  virtual void wait_holders(std::vector<const Process*>& out) const = 0;

 protected:
  Waitable() = default;
  Waitable(const Waitable&) = default;
  Waitable& operator=(const Waitable&) = default;
};

class Process {
 public:
  enum class State : std::uint8_t { kScheduled, kRunning, kParked, kDone };
  enum class Wake : std::uint8_t { kTimer, kUnparked };

  [[nodiscard]] ProcessId id() const { return id_; }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const std::string& component() const { return component_; }
  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] bool parked() const { return state_ == State::kParked; }
  [[nodiscard]] bool daemon() const { return daemon_; }
  [[nodiscard]] const Waitable* waiting_for() const { return waiting_for_; }

 private:
  // The engine alone moves a process from state to state.
  friend class Engine;
  friend class SimGridEngine;

  std::coroutine_handle<> resume_point_;
  EventOrder pending_ = 0;  // order of the one live wake-up; 0: none
  State state_ = State::kScheduled;
  Wake wake_ = Wake::kTimer;
  bool daemon_ = false;
  ProcessId id_;
  const Waitable* waiting_for_ = nullptr;
  Task<void> root_;
  std::string name_;
  std::string component_;
  void* backend_ = nullptr;  // the SimGrid actor's record
};

}  // namespace smmulab

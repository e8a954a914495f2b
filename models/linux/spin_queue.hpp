// SPDX-License-Identifier: Apache-2.0
// The queue of optimistic spinners (OSQ): an MCS lock; only its head looks at the owner of the lock
// it belongs to. A spinner leaves when the scheduler wants its CPU.
// Rule: Linux 6.12 kernel/locking/osq_lock.c; vcpu_is_preempted() is constant false on arm64.
// Not modelled: the three-step unqueue's own waiting for neighbours (its cost is LockParams::osq).
#pragma once

#include "models/linux/thread.hpp"
#include "sim/task.hpp"

namespace smmulab::lnx {

class SpinQueue {
 public:
  // Lives in the spinner's frame while it queues and holds.
  struct Node {
    Thread* thread = nullptr;
    Node* next = nullptr;
    bool head = false;
  };

  [[nodiscard]] bool empty() const { return first_ == nullptr; }
  // True: t is the head. False: the scheduler wants the CPU; t is not queued.
  Task<bool> lock(Thread& t, Node& node, const Waitable& what);
  // REQUIRES: node is the head.
  void unlock(Thread& t, Node& node);

 private:
  void remove(const Node& node);

  Node* first_ = nullptr;
  Node* last_ = nullptr;
};

}  // namespace smmulab::lnx

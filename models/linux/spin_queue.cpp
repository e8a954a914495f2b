// SPDX-License-Identifier: Apache-2.0
#include "models/linux/spin_queue.hpp"

#include "models/linux/machine.hpp"

namespace smmulab::lnx {

Task<bool> SpinQueue::lock(Thread& t, Node& node, const Waitable& what) {
  co_await t.run(t.machine().params().lock.osq);
  node = Node{&t, nullptr, first_ == nullptr};
  if (node.head) {
    first_ = &node;
  } else {
    last_->next = &node;
  }
  last_ = &node;
  while (!node.head) {
    const bool notified = co_await t.spin(what);  // g++ 12 miscompiles co_await next to &&
    if (!notified && !node.head) {
      remove(node);
      t.charge(t.machine().params().lock.osq);
      co_return false;
    }
  }
  co_return true;
}

void SpinQueue::unlock(Thread& t, Node& node) {
  first_ = node.next;
  if (first_ == nullptr) {
    last_ = nullptr;
    return;
  }
  first_->head = true;
  first_->thread->notify_spin(t.machine().transfer(t.cpu_index(), first_->thread->cpu_index()));
}

void SpinQueue::remove(const Node& node) {
  Node* before = first_;
  while (before->next != &node) {
    before = before->next;
  }
  before->next = node.next;
  if (last_ == &node) {
    last_ = before;
  }
}

}  // namespace smmulab::lnx

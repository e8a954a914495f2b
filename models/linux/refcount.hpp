// SPDX-License-Identifier: Apache-2.0
// refcount_t (and any counter that CPUs update with one atomic): the count and the cache line it
// lives in. An update takes effect at once; its cost, waiting for updates before it included, is
// charged to the thread, which pays it at its next run().
// Rule: Linux 6.12 lib/refcount.c: saturation is a bug there, here using a dead count is a
// ModelError. Not modelled: other data in the same line, far atomics (LSE executed at the cache).
#pragma once

#include <cstdint>

#include "models/linux/cache_line.hpp"
#include "models/linux/machine.hpp"
#include "models/linux/thread.hpp"
#include "sim/check.hpp"

namespace smmulab::lnx {

class Refcount {
 public:
  explicit Refcount(std::uint32_t initial = 1) : count_(initial) {}

  [[nodiscard]] std::uint32_t read() const { return count_; }

  // refcount_inc(). REQUIRES: the caller has a reference.
  void inc(Thread& t) {
    SMMULAB_CHECK(count_ != 0, "refcount: increment of a dead object by " + t.name());
    pay(t);
    ++count_;
  }
  // refcount_inc_not_zero()
  [[nodiscard]] bool inc_not_zero(Thread& t) {
    pay(t);
    if (count_ == 0) {
      return false;
    }
    ++count_;
    return true;
  }
  // refcount_dec_and_test(): true if that was the last reference.
  bool dec_and_test(Thread& t) {
    SMMULAB_CHECK(count_ != 0, "refcount: decrement of a dead object by " + t.name());
    pay(t);
    return --count_ == 0;
  }

 private:
  void pay(Thread& t) {
    const Machine& m = t.machine();
    t.charge(m.params().lock.atomic + m.line_access(t, line_));
  }

  CacheLine line_;
  std::uint32_t count_;
};

}  // namespace smmulab::lnx

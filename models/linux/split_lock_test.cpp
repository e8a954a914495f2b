// SPDX-License-Identifier: Apache-2.0
// Split locks: a thread takes the part of what its operation works upon.
#include "models/linux/testing.hpp"

namespace smmulab::lnx {
namespace {

using Split = LinuxTest;

Subject group(std::uint32_t number) {
  Subject subject;
  subject.fill(kNoSubject);
  subject[static_cast<std::size_t>(SplitBy::kGroup)] = number;
  return subject;
}

// A and B are of one group, C of another, D names none.
TEST_F(Split, PartsOfAMutexDoNotExcludeEachOther) {
  params.lock.mutex_lock = 10_ns;
  machine().locks().split("m", SplitBy::kGroup);
  LockClass& cls = lock_class("m");
  Mutex m(machine(), cls);
  const auto user = [&](std::optional<std::uint32_t> of, Ps from) {
    return [this, &m, of, from](Thread& t) {
      machine().locks().set_subject(t.id(), of ? group(*of) : group(kNoSubject));
      return mutex_user(t, m, from, 1000_ns);
    };
  };
  thread("A", 0, user(7, 0_ns));
  thread("B", 1, user(7, 100_ns));
  thread("C", 2, user(8, 200_ns));
  thread("D", 3, user({}, 300_ns));
  engine.run();
  EXPECT_EQ(log, (Lines{"10ns A has", "210ns C has", "310ns D has", "1.01us B has"}));
  EXPECT_EQ(cls.stat.write().acquisitions, 4U);
  EXPECT_EQ(cls.stat.write().contentions, 1U);
}

TEST_F(Split, TwoLocksOfAClassHaveTheirOwnParts) {
  machine().locks().split("m", SplitBy::kGroup);
  Mutex one(machine(), lock_class("m"));
  Mutex other(machine(), lock_class("m"));
  thread("A", 0, [&](Thread& t) { return mutex_user(t, one, 0_ns, 1000_ns); });
  thread("B", 1, [&](Thread& t) { return mutex_user(t, other, 100_ns, 10_ns); });
  thread("C", 2, [&](Thread& t) { return mutex_user(t, one, 200_ns, 10_ns); });
  engine.run();
  EXPECT_EQ(log, (Lines{"0ps A has", "100ns B has", "1us C has"}));
}

TEST_F(Split, RwsemsAndSpinlocksAreSplitAlike) {
  machine().locks().split("r", SplitBy::kGroup);
  machine().locks().split("s", SplitBy::kGroup);
  Rwsem sem(machine(), lock_class("r", LockKind::kRwsem));
  Spinlock spin(machine(), lock_class("s", LockKind::kSpinlock));
  const auto writer = [&](std::uint32_t of, Ps from) {
    return [this, &sem, &spin, of, from](Thread& t) -> Task<void> {
      machine().locks().set_subject(t.id(), group(of));
      co_await until(t, from);
      co_await sem.write_lock(t);
      co_await spin.lock(t);
      say(t, "writes");
      co_await t.run(100_ns);
      co_await spin.unlock(t);
      co_await sem.downgrade(t);
      co_await t.run(100_ns);
      co_await sem.read_unlock(t);
      say(t, "is done");
    };
  };
  thread("A", 0, writer(1, 0_ns));
  thread("B", 1, writer(2, 10_ns));
  thread("C", 2, writer(1, 20_ns));
  engine.run();
  EXPECT_EQ(log, (Lines{"0ps A writes", "10ns B writes", "200ns A is done", "200ns C writes",
                        "210ns B is done", "400ns C is done"}));
}

}  // namespace
}  // namespace smmulab::lnx

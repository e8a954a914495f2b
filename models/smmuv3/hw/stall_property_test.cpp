// SPDX-License-Identifier: Apache-2.0
#include <map>

#include <gtest/gtest.h>

#include "models/smmuv3/hw/smmu_testing.hpp"
#include "sim/random.hpp"

namespace smmulab::smmu::hw {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): set-ups

// Random transactions, page table changes, RESUMEs of every kind, STALL_TERMs, slow readers of a
// small event queue: each transaction ends exactly once.
TEST(StallProperty, NoTransactionIsLost) {
  std::uint64_t waited = 0, stalled = 0;
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    RandomStream random(seed, "stalls");
    Bench b(static_cast<std::uint8_t>(random.uniform_int(4)),
            1 + static_cast<std::uint32_t>(random.uniform_int(6)));
    std::map<std::uint64_t, bool> direct;  // by cookie: ended at once
    std::vector<EventRecord> unanswered;
    std::uint64_t cookie = 0;
    const auto answer = [&](ResumeAction action) {
      const EventRecord event = unanswered.back();
      unanswered.pop_back();
      b.resume(event, action);
    };
    for (int i = 0; i < 1500; ++i) {
      const std::uint64_t va = kVa + random.uniform_int(16) * k4K;
      const auto sid = static_cast<std::uint32_t>(1 + random.uniform_int(3));
      switch (random.uniform_int(8)) {
        case 0:
        case 1:
        case 2:
          ++cookie;
          direct[cookie] = b.send(cookie, va, sid) != Fate::kStalled;
          stalled += direct[cookie] ? 0 : 1;
          break;
        case 3:
          if (!b.table.output_of(va)) {
            ASSERT_EQ(b.table.map(va, k1G + va, k4K, {}), MapError::kNone);
          }
          break;
        case 4:
          b.table.unmap(va, k4K);
          b.issue(Bench::command(Opcode::kTlbiNsnhAll));
          b.issue(Command{});
          break;
        case 5:
          if (const auto event = b.event(); event && event->stall) {
            unanswered.push_back(*event);
          }
          break;
        case 6:
          if (!unanswered.empty()) {
            answer(static_cast<ResumeAction>(random.uniform_int(4)));
          }
          break;
        case 7:
          if (random.uniform_int(10) == 0) {
            b.issue(Bench::command(Opcode::kStallTerm, sid));
          }
          break;
      }
      waited += b.smmu.waiting();
      std::uint64_t ended = b.fates.size();
      for (const auto& [c, at_once] : direct) {
        ended += at_once ? 1 : 0;
        ASSERT_FALSE(at_once && b.fates.contains(c));
      }
      ASSERT_EQ(ended + b.smmu.stalled() + b.smmu.waiting(), cookie);
    }
    for (int i = 0; i < 100'000 && b.smmu.stalled() + b.smmu.waiting() != 0; ++i) {
      if (const auto event = b.event(); event && event->stall) {
        unanswered.push_back(*event);
      }
      if (!unanswered.empty()) {
        answer(ResumeAction::kAbort);
      }
    }
    EXPECT_EQ(b.smmu.stalled() + b.smmu.waiting(), 0U);
  }
  EXPECT_GT(waited, 1000U);
  EXPECT_GT(stalled, 1000U);
}

}  // namespace
}  // namespace smmulab::smmu::hw

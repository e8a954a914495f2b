// SPDX-License-Identifier: Apache-2.0
// Queues that the SMMU fills: wrap bits, overflow, aborts, and what the event queue does with a
// record that finds no room (IHI 0070 7.2, 7.4).
#include "models/smmuv3/hw/event_queue.hpp"

#include <deque>

#include <gtest/gtest.h>

#include "sim/random.hpp"

namespace smmulab::smmu::hw {
namespace {

constexpr std::uint64_t kBase = 0x4000'0000;
using Outcome = EventQueue::Outcome;

// Software's end, as Linux has it: its own copy of CONS, entries read up to PROD.
class Reader {
 public:
  Reader(Memory& memory, OutputQueue& queue, std::uint8_t log2)
      : memory_(memory), queue_(queue), mask_((2U << log2) - 1) {}
  std::optional<EventRecord> next() {
    if (((queue_.read_prod() ^ cons_) & mask_) == 0) {
      return std::nullopt;
    }
    EventWords words{};
    for (std::size_t i = 0; i < words.size(); ++i) {
      words[i] = memory_.peek64(queue_.address_of(cons_ & mask_) + 8 * i);
    }
    cons_ = (cons_ & ~mask_) | ((cons_ + 1) & mask_);
    return decode_event(words);
  }
  bool overflowed() const { return ((queue_.read_prod() ^ cons_) & kOverflowFlag) != 0; }
  void acknowledge() {
    cons_ = (cons_ & mask_) | (queue_.read_prod() & kOverflowFlag);
    publish();
  }
  void publish() { queue_.write_cons(cons_); }

 private:
  Memory& memory_;
  OutputQueue& queue_;
  std::uint32_t mask_;
  std::uint32_t cons_ = 0;
};

EventRecord numbered(std::uint64_t n, bool stall = false) {
  EventRecord r;
  r.event = Event::kTranslation;
  r.stream = StreamId{static_cast<std::uint32_t>(n)};
  r.stall = stall;
  r.input = n << 12U;
  return r;
}

class EventQueueTest : public ::testing::Test {
 protected:
  EventQueueTest() { queue.set_enabled(true); }
  static constexpr std::uint8_t kLog2 = 3;
  Memory memory;
  GlobalErrors errors;
  EventQueue queue{memory, {kBase, kLog2}, errors};
  Reader reader{memory, queue.queue(), kLog2};
};

TEST_F(EventQueueTest, FullAndEmptyDifferByTheWrapBit) {
  for (std::uint64_t n = 0; n < 8; ++n) {
    EXPECT_EQ(queue.record(numbered(n)), Outcome::kRecorded);
  }
  EXPECT_EQ(queue.queue().read_prod(), 8U);  // WR 0, WR_WRAP 1
  EXPECT_TRUE(queue.queue().full());
  for (std::uint64_t n = 0; n < 8; ++n) {
    EXPECT_EQ(reader.next()->input, n << 12U);
  }
  EXPECT_FALSE(reader.next());
  reader.publish();
  EXPECT_EQ(queue.queue().read_cons(), 8U);
  EXPECT_TRUE(queue.queue().empty());
  EXPECT_EQ(queue.record(numbered(8)), Outcome::kRecorded);
  EXPECT_EQ(memory.peek64(kBase) >> 32U, 8U);  // the first entry once more
}

TEST_F(EventQueueTest, OverflowIsFlaggedOnceUntilAcknowledgedAndStopsNothing) {
  for (std::uint64_t n = 0; n < 8; ++n) {
    EXPECT_EQ(queue.record(numbered(n)), Outcome::kRecorded);
  }
  EXPECT_FALSE(reader.overflowed());
  EXPECT_EQ(queue.record(numbered(8)), Outcome::kDiscarded);
  EXPECT_EQ(queue.queue().read_prod(), kOverflowFlag | 8U);
  EXPECT_EQ(queue.record(numbered(9)), Outcome::kDiscarded);  // no second toggle
  EXPECT_TRUE(reader.overflowed());
  reader.next();
  reader.publish();
  EXPECT_EQ(queue.record(numbered(10)), Outcome::kRecorded);  // although not acknowledged
  reader.acknowledge();
  EXPECT_FALSE(queue.queue().overflow());
  EXPECT_EQ(queue.record(numbered(11)), Outcome::kDiscarded);
  EXPECT_EQ(queue.queue().read_prod() & kOverflowFlag, 0U);  // toggled back
  EXPECT_TRUE(queue.queue().overflow());
}

TEST_F(EventQueueTest, StallRecordsAreHeldAndOverflowNothing) {
  for (std::uint64_t n = 0; n < 8; ++n) {
    EXPECT_EQ(queue.record(numbered(n)), Outcome::kRecorded);
  }
  EXPECT_EQ(queue.record(numbered(8, true)), Outcome::kHeld);
  EXPECT_FALSE(queue.queue().overflow());
  queue.set_enabled(false);
  EXPECT_EQ(queue.record(numbered(9)), Outcome::kDiscarded);
  EXPECT_FALSE(queue.queue().overflow());  // not enabled: no overflow
  EXPECT_EQ(queue.record(numbered(9, true)), Outcome::kHeld);
}

TEST_F(EventQueueTest, AnAbortedWriteStopsDeliveryUntilAcknowledged) {
  EXPECT_EQ(queue.record(numbered(0)), Outcome::kRecorded);
  memory.poison(kBase);
  EXPECT_EQ(queue.record(numbered(1, true)), Outcome::kLost);
  EXPECT_EQ(queue.queue().read_prod(), 1U);  // synchronous: PROD stays
  EXPECT_EQ(errors.gerror(), 1U << 2U);
  EXPECT_FALSE(queue.writable());
  EXPECT_EQ(queue.record(numbered(2)), Outcome::kDiscarded);
  EXPECT_FALSE(queue.queue().overflow());
  errors.write_gerrorn(errors.gerror());
  EXPECT_TRUE(queue.writable());
}

TEST(GlobalErrorsTest, FlagsToggleAndAreAcknowledgedByToggling) {
  GlobalErrors errors;
  EXPECT_TRUE(errors.raise(GlobalError::kCmdq));
  EXPECT_FALSE(errors.raise(GlobalError::kCmdq));
  EXPECT_EQ(errors.gerror(), 1U);
  errors.write_gerrorn(0b101);  // EVENTQ_ABT is not active
  EXPECT_EQ(errors.gerrorn(), 1U);
  EXPECT_FALSE(errors.active(GlobalError::kCmdq));
  EXPECT_FALSE(errors.active(GlobalError::kEventqAbort));
  errors.raise(GlobalError::kCmdq);
  EXPECT_EQ(errors.gerror(), 0U);
  EXPECT_TRUE(errors.active(GlobalError::kCmdq));
}

// Random producer and consumer: what is read is what was recorded, in order; a discarded one is
// seen as overflow before it could be missed.
TEST(EventQueueProperty, NothingIsLostUnnoticedAtAnyWrap) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    RandomStream random(seed, "event queue");
    Memory memory;
    GlobalErrors errors;
    const auto log2 = static_cast<std::uint8_t>(random.uniform_int(5));
    EventQueue queue(memory, {kBase, log2}, errors);
    queue.set_enabled(true);
    Reader reader(memory, queue.queue(), log2);
    std::deque<std::uint64_t> expected;
    std::uint64_t discarded = 0, overflows = 0;
    bool lost = false;  // since the last acknowledgement
    for (std::uint64_t n = 1; n <= 4000; ++n) {
      if (random.uniform_int(2) == 0) {
        const bool room = expected.size() < (std::size_t{1} << log2);
        ASSERT_EQ(queue.record(numbered(n)), room ? Outcome::kRecorded : Outcome::kDiscarded);
        if (room) {
          expected.push_back(n);
        }
        discarded += room ? 0 : 1;
        lost = lost || !room;
      } else if (!expected.empty()) {
        ASSERT_EQ(reader.next()->stream.value(), expected.front());
        expected.pop_front();
        reader.publish();
      }
      ASSERT_EQ(queue.queue().used(), expected.size());
      ASSERT_EQ(reader.overflowed(), lost);
      if (lost && random.uniform_int(3) == 0) {
        reader.acknowledge();
        lost = false;
        ++overflows;
      }
    }
    EXPECT_GT(discarded, 0U);
    EXPECT_GT(overflows, 0U);
    EXPECT_EQ(queue.discarded(), discarded);
  }
}

}  // namespace
}  // namespace smmulab::smmu::hw

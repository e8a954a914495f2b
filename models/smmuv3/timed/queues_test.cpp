// SPDX-License-Identifier: Apache-2.0
// The queues of the timed hardware beside plain ones: the same events in the same order, the same
// times, the same slots.
#include <map>
#include <set>
#include <tuple>

#include <gtest/gtest.h>

#include "models/smmuv3/timed/page_index.hpp"
#include "models/smmuv3/timed/time_queue.hpp"
#include "models/smmuv3/timed/timers.hpp"
#include "sim/random.hpp"

namespace smmulab::smmu::timed {
namespace {

using Key = std::tuple<SimTime, std::uint64_t>;  // time, sequence

// Of all sizes: most within the wheel, some beyond it, some at once.
Ps delay(RandomStream& random) {
  constexpr std::int64_t kMost[] = {1, 3'000, 200'000, 530'000, 40'000'000};
  const std::int64_t most = kMost[random.uniform_int(5)];
  return Ps{static_cast<std::int64_t>(random.uniform_int(static_cast<std::uint64_t>(most)))};
}

TEST(EventWheelTest, GivesEventsByTimeThenSequence) {
  RandomStream random(1, "wheel");
  EventWheel wheel;
  std::set<Key> plain;
  SimTime now{};
  std::uint64_t sequence = 0;
  for (int i = 0; i < 200'000; ++i) {
    // Fills and runs empty by turns.
    if (random.bernoulli(i / 1'000 % 2 == 0 ? 0.6 : 0.4)) {
      const SimTime time = now + delay(random);
      wheel.push(now, {time, ++sequence, nullptr, 0, static_cast<std::uint32_t>(i)});
      plain.emplace(time, sequence);
    } else if (!plain.empty()) {
      const EventWheel::Event event = wheel.pop(now);
      ASSERT_EQ(Key(event.time, event.sequence), *plain.begin()) << i;
      plain.erase(plain.begin());
      now = event.time;
    }
    ASSERT_EQ(wheel.empty(), plain.empty()) << i;
  }
  EXPECT_GT(sequence, 90'000U);
}

// Each event that fires makes others, until there have been enough.
class Chains final : public Timed {
 public:
  explicit Chains(std::uint64_t seed) : random_(seed, "chains") {
    for (int i = 0; i < 5; ++i) {
      add();
    }
  }
  void fire(std::uint32_t /*what*/, std::uint32_t index) override {
    ASSERT_EQ(Key(timers.now(), index), *due_.begin());
    due_.erase(due_.begin());
    ++fired;
    for (std::uint64_t n = random_.uniform_int(3); n > 0 || (due_.empty() && made_ < kEvents);
         n -= n > 0 ? 1 : 0) {
      add();
    }
  }

  static constexpr std::uint32_t kEvents = 20'000;
  Timers timers;
  std::uint32_t fired = 0;

 private:
  void add() {
    if (made_ < kEvents) {
      const SimTime time = timers.now() + delay(random_);
      due_.emplace(time, ++made_);
      timers.at(time, *this, 0, made_);
    }
  }
  RandomStream random_;
  std::set<Key> due_;
  std::uint32_t made_ = 0;
};

TEST(TimersTest, FireInOrderWhateverIsAddedMeanwhile) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    Chains chains(seed);
    chains.timers.run_until(kTimeZero + 10_us);
    EXPECT_EQ(chains.timers.now(), kTimeZero + 10_us);
    chains.timers.run_to_idle();
    EXPECT_EQ(chains.fired, Chains::kEvents);
  }
}

TEST(TimeQueueTest, GivesTheEarliestFirst) {
  RandomStream random(1, "times");
  constexpr std::uint32_t kCapacity = 13;
  TimeQueue queue(kCapacity);
  std::multiset<SimTime> plain;
  for (int i = 0; i < 10'000; ++i) {
    if (plain.size() < kCapacity && random.bernoulli(0.6)) {
      const SimTime time =
          kTimeZero +
          Ps{static_cast<std::int64_t>(static_cast<std::uint64_t>(i) / 4 + random.uniform_int(8))};
      queue.insert(time);
      plain.insert(time);
    } else if (!plain.empty()) {
      ASSERT_EQ(queue.first(), *plain.begin());
      queue.drop_first();
      plain.erase(plain.begin());
    }
    ASSERT_EQ(queue.size(), plain.size());
    ASSERT_EQ(queue.empty(), plain.empty());
  }
}

TEST(PageIndexTest, FindsTheFirstOfAPage) {
  RandomStream random(1, "pages");
  constexpr std::uint32_t kSlots = 21;
  PageIndex index(kSlots);
  std::multimap<std::uint64_t, std::uint32_t> plain;  // by page, in the order of coming
  std::set<std::uint32_t> in;
  for (int i = 0; i < 20'000; ++i) {
    const auto slot = static_cast<std::uint32_t>(random.uniform_int(kSlots));
    const std::uint64_t page = random.uniform_int(16) * 0x1'0000'0001;
    if (in.insert(slot).second) {
      index.insert(slot, page << kHazardLog2 | random.uniform_int(4096));
      plain.emplace(page, slot);
    } else if (random.bernoulli(0.7)) {
      in.erase(slot);
      index.erase(slot);
      std::erase_if(plain, [slot](const auto& entry) { return entry.second == slot; });
    }
    const std::uint64_t asked = random.uniform_int(16) * 0x1'0000'0001;
    const auto odd = [](std::uint32_t s) { return s % 2 == 1; };
    std::uint32_t expected = PageIndex::kNone;
    for (auto [at, end] = plain.equal_range(asked); at != end && expected == PageIndex::kNone;
         ++at) {
      expected = odd(at->second) ? at->second : expected;
    }
    ASSERT_EQ(index.find(asked << kHazardLog2 | 0xFFFU, odd), expected) << i;
  }
}

}  // namespace
}  // namespace smmulab::smmu::timed

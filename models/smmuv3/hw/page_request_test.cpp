// SPDX-License-Identifier: Apache-2.0
// PRI queue entries bit for bit, automatic responses, and that each group is answered exactly once
// (IHI 0070 chapter 8).
#include <algorithm>
#include <map>

#include <gtest/gtest.h>

#include "models/smmuv3/hw/page_requester.hpp"
#include "models/smmuv3/hw/pri_queue.hpp"
#include "sim/random.hpp"

namespace smmulab::smmu::hw {
namespace {

constexpr std::uint64_t kBase = 0x4000'0000;
constexpr auto kNoSte = [](StreamId) { return std::optional<bool>{}; };
constexpr auto kPpar = [](StreamId) { return std::optional{true}; };
constexpr auto kNoPpar = [](StreamId) { return std::optional{false}; };

PageRequest request(std::uint16_t group, bool last, std::optional<Ssid> pasid = {}) {
  PageRequest r;
  r.stream = StreamId{0x1234};
  r.substream = pasid;
  r.address = 0x7000;
  r.prg_index = group;
  r.last = last;
  r.read = true;
  return r;
}

TEST(PageRequestTest, FieldsAreWhereTheArchitectureHasThem) {
  PageRequest r = request(0x1FF, true, Ssid{0xABCDE});
  r.write = r.execute = r.privileged = true;
  EXPECT_EQ(encode(r),
            (PageRequestWords{0x1234ULL | 0xABCDEULL << 32U | 0x3FULL << 58U, 0x1FF | 0x7000}));
  EXPECT_EQ(decode_page_request(encode(r)), r);
  r.substream.reset();  // then X and Priv are 0
  EXPECT_EQ(encode(r)[0], 0x1234ULL | 7ULL << 60U);
}

class PriQueueTest : public ::testing::Test {
 protected:
  PriQueueTest() { queue.set_enabled(true); }
  Memory memory;
  GlobalErrors errors;
  PriQueue queue{memory, {kBase, 1}, errors};
};

TEST_F(PriQueueTest, AnOverflowAnswersTheLastOfAGroupAndTakesNothingUntilAcknowledged) {
  EXPECT_FALSE(queue.receive(request(1, false), kNoSte));
  EXPECT_FALSE(queue.receive(request(1, false), kNoSte));
  EXPECT_FALSE(queue.receive(request(1, false), kNoSte));  // lost, silently
  EXPECT_EQ(queue.queue().read_prod(), kOverflowFlag | 2U);
  EXPECT_EQ(queue.receive(request(1, true), kNoSte),
            (PageResponse{StreamId{0x1234}, {}, 1, PrgCode::kSuccess}));
  queue.queue().write_cons(1);  // room, but the overflow is still there
  EXPECT_TRUE(queue.receive(request(2, true), kNoSte));
  queue.queue().write_cons(kOverflowFlag | 1U);
  EXPECT_FALSE(queue.receive(request(3, true), kNoSte));
  EXPECT_EQ(queue.taken(), 3U);
}

TEST_F(PriQueueTest, ThePasidOfAnAutomaticResponseIsTheStes) {
  queue.receive(request(1, false), kNoSte);
  queue.receive(request(1, false), kNoSte);
  const PageRequest last = request(1, true, Ssid{7});
  EXPECT_EQ(queue.receive(last, kPpar),
            (PageResponse{StreamId{0x1234}, Ssid{7}, 1, PrgCode::kSuccess}));
  EXPECT_EQ(queue.receive(last, kNoPpar),
            (PageResponse{StreamId{0x1234}, {}, 1, PrgCode::kSuccess}));
  EXPECT_EQ(queue.receive(last, kNoSte),
            (PageResponse{StreamId{0x1234}, {}, 1, PrgCode::kFailure}));
  PageRequest stop = last;
  stop.read = false;
  EXPECT_TRUE(stop.is_stop_marker());
  EXPECT_FALSE(queue.receive(stop, kPpar));
}

TEST_F(PriQueueTest, OffOrAbortedItFailsEveryRequest) {
  const PageResponse failure{StreamId{0x1234}, {}, 1, PrgCode::kFailure};
  queue.set_enabled(false);
  EXPECT_EQ(queue.receive(request(1, false, Ssid{7}), kPpar), failure);
  EXPECT_FALSE(queue.queue().overflow());
  queue.set_enabled(true);
  memory.poison(kBase);
  EXPECT_EQ(queue.receive(request(1, false), kPpar), failure);
  EXPECT_EQ(errors.gerror(), 1U << 3U);
  EXPECT_EQ(queue.queue().read_prod(), 0U);
  EXPECT_EQ(queue.receive(request(1, true), kPpar), failure);
  PageRequest stop = request(1, true, Ssid{7});
  stop.read = false;
  EXPECT_FALSE(queue.receive(stop, kPpar));
}

TEST(PageRequesterTest, KeepsToItsAllocation) {
  PageRequester device(StreamId{5}, 4);
  const std::uint64_t pages[] = {0x1000, 0x2000, 0x3000};
  const auto first = device.ask(pages, Access{true, false, false});
  ASSERT_EQ(first.size(), 3U);
  EXPECT_FALSE(first[1].last);
  EXPECT_TRUE(first[2].last);
  EXPECT_TRUE(first[2].write);
  EXPECT_EQ(first[2].address, 0x3000U);
  EXPECT_TRUE(device.ask(pages, {}).empty());
  EXPECT_FALSE(device.answered({StreamId{5}, {}, 9, PrgCode::kSuccess}));
  EXPECT_TRUE(device.answered({StreamId{5}, {}, first[0].prg_index, PrgCode::kSuccess}));
  EXPECT_EQ(device.outstanding(), 0U);
}

// Devices that ask more than the queue holds, and software that follows 8.1.1: what was begun
// before an overflow and has no Last in the queue is forgotten.
class PrgRun {
 public:
  explicit PrgRun(std::uint64_t seed) : random_(seed, "prg") {
    queue_.set_enabled(true);
    for (std::uint32_t i = 0; i < 3; ++i) {
      devices_.emplace_back(StreamId{i}, 24);
    }
  }
  void step() {
    if (random_.uniform_int(3) != 0) {
      ask();
    } else {
      consume(random_.uniform_int(6));
    }
  }
  void drain() {
    while (!queue_.queue().empty() || queue_.queue().overflow()) {
      consume(64);
    }
  }
  std::uint64_t groups = 0, answers = 0, automatic = 0;
  std::size_t open() const {
    std::size_t n = 0;
    for (const PageRequester& d : devices_) {
      n += d.open();
    }
    return n;
  }

 private:
  void ask() {
    PageRequester& device = devices_[random_.uniform_int(devices_.size())];
    std::vector<std::uint64_t> pages(1 + random_.uniform_int(5), 0x1000);
    const auto requests = device.ask(pages, {});
    groups += requests.empty() ? 0 : 1;
    for (const PageRequest& r : requests) {
      if (const auto response = queue_.receive(r, kNoSte)) {
        ++automatic;
        answer(*response);
      }
    }
  }
  void answer(const PageResponse& response) {
    ++answers;
    ASSERT_TRUE(devices_[response.stream.value()].answered(response)) << "answered twice";
  }
  void consume(std::uint64_t limit) {
    std::uint32_t cons = queue_.queue().read_cons();
    const std::uint32_t prod = queue_.queue().read_prod();
    const bool overflow = ((prod ^ cons) & kOverflowFlag) != 0;
    std::vector<PageResponse> responses;
    for (; ((prod ^ cons) & kMask) != 0 && (overflow || limit-- > 0);) {
      const std::uint64_t at = queue_.queue().address_of(cons & kMask);
      const PageRequest r = decode_page_request({memory_.peek64(at), memory_.peek64(at + 8)});
      if (r.last) {
        responses.push_back({r.stream, {}, r.prg_index, PrgCode::kSuccess});
      }
      cons = (cons & ~kMask) | ((cons + 1) & kMask);
    }
    // Consumed before it is answered: a response returns credits.
    queue_.queue().write_cons((cons & kMask) | (prod & kOverflowFlag));
    std::ranges::for_each(responses, [this](const PageResponse& r) { answer(r); });
  }

  static constexpr std::uint32_t kMask = 2 * 16 - 1;
  RandomStream random_;
  Memory memory_;
  GlobalErrors errors_;
  PriQueue queue_{memory_, {kBase, 4}, errors_};
  std::vector<PageRequester> devices_;
};

TEST(PrgProperty, EachGroupIsAnsweredExactlyOnce) {
  std::uint64_t automatic = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    PrgRun run(seed);
    for (int i = 0; i < 500; ++i) {
      run.step();
      ASSERT_EQ(run.groups, run.answers + run.open());
    }
    run.drain();
    EXPECT_EQ(run.open(), 0U);
    EXPECT_EQ(run.groups, run.answers);
    automatic += run.automatic;
  }
  EXPECT_GT(automatic, 100U);
}

}  // namespace
}  // namespace smmulab::smmu::hw

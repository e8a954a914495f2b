// SPDX-License-Identifier: Apache-2.0
// A whole SMMU: stalled transactions and what ends them, command queue errors, and the ends of ATS
// and PRI at the device (IHI 0070 3.12.2, 4.5, 4.7, 7.1, chapter 8).
#include <functional>

#include <gtest/gtest.h>

#include "models/smmuv3/hw/smmu_testing.hpp"

namespace smmulab::smmu::hw {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): set-ups

TEST(StallTest, ARetryIsTranslatedOnceThePageIsThere) {
  Bench b;
  EXPECT_EQ(b.send(7), Fate::kStalled);
  const auto event = b.event();
  ASSERT_TRUE(event);
  EXPECT_EQ(event->event, Event::kTranslation);
  EXPECT_TRUE(event->stall);
  EXPECT_EQ(event->input, kVa);
  ASSERT_EQ(b.table.map(kVa, k1G, k4K, {}), MapError::kNone);
  b.issue(Bench::command(Opcode::kSync));
  EXPECT_TRUE(b.fates.empty());  // a SYNC does not end it, nor does it wait
  b.resume(*event, ResumeAction::kRetry);
  EXPECT_EQ(b.fates.at(7), Fate::kTranslated);
  EXPECT_EQ(b.smmu.stalled(), 0U);
  EXPECT_FALSE(b.event());
}

TEST(StallTest, ARetryThatFaultsAgainIsANewStall) {
  Bench b;
  b.send(7);
  b.resume(*b.event(), ResumeAction::kRetry);
  EXPECT_TRUE(b.fates.empty());
  const auto again = b.event();
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->stall);
  // The configuration has changed meanwhile: the next retry terminates.
  b.disable_stream(kSid);
  b.resume(*again, ResumeAction::kRetry);
  EXPECT_EQ(b.fates.at(7), Fate::kAborted);
  EXPECT_FALSE(b.event());
}

TEST(StallTest, ResumeNeedsStreamAndStag) {
  Bench b;
  b.send(7);
  const EventRecord event = *b.event();
  EventRecord wrong = event;
  wrong.stream = StreamId{1};
  b.resume(wrong, ResumeAction::kAbort);
  wrong = event;
  wrong.stag = static_cast<std::uint16_t>(event.stag + 1);
  b.resume(wrong, ResumeAction::kAbort);
  wrong.stag = 0xFFFF;
  b.resume(wrong, ResumeAction::kAbort);
  EXPECT_TRUE(b.fates.empty());
  EXPECT_EQ(b.smmu.stalled(), 1U);
  b.resume(event, ResumeAction::kTerminate);
  EXPECT_EQ(b.fates.at(7), Fate::kRazWi);
  b.send(8);
  b.resume(*b.event(), ResumeAction::kAbort);
  EXPECT_EQ(b.fates.at(8), Fate::kAborted);
}

TEST(StallTest, StallTermAndDisablingEndWhatIsStalled) {
  Bench b;
  b.send(1, kVa, 1);
  b.send(2, kVa, 2);
  b.send(3, kVa + k4K, 2);
  b.issue(Bench::command(Opcode::kStallTerm, 2));
  EXPECT_EQ(b.fates, (std::map<std::uint64_t, Fate>{{2, Fate::kAborted}, {3, Fate::kAborted}}));
  SmmuEnables off;
  off.smmu = false;
  b.smmu.enable(off);
  EXPECT_EQ(b.fates.at(1), Fate::kAborted);
  EXPECT_EQ(b.smmu.stalled(), 0U);
  EXPECT_EQ(b.send(4), Fate::kBypass);
}

TEST(StallTest, WithoutRoomForItsRecordATransactionWaitsAndIsTriedAgain) {
  Bench b(1);  // two events
  b.send(1);
  b.send(2, kVa + k4K);
  EXPECT_EQ(b.send(3, kVa + 2 * k4K), Fate::kStalled);
  EXPECT_EQ(b.send(4, kVa + 3 * k4K), Fate::kStalled);
  EXPECT_EQ(b.smmu.waiting(), 2U);
  EXPECT_FALSE(b.smmu.events().queue().overflow());
  ASSERT_EQ(b.table.map(kVa + 2 * k4K, k1G, k4K, {}), MapError::kNone);
  EXPECT_EQ(b.event()->input, kVa);             // room for one
  EXPECT_EQ(b.fates.at(3), Fate::kTranslated);  // without an event: it does not fault any more
  EXPECT_EQ(b.event()->input, kVa + k4K);
  EXPECT_EQ(b.event()->input, kVa + 3 * k4K);
  EXPECT_EQ(b.smmu.waiting(), 0U);
}

TEST(StallTest, NoMoreThanStallMaxHaveAStag) {
  Bench b(4, 2);
  for (std::uint64_t n = 1; n <= 3; ++n) {
    b.send(n, kVa + n * k4K);
  }
  EXPECT_EQ(b.smmu.stalled(), 2U);
  const EventRecord first = *b.event();
  b.event();
  EXPECT_FALSE(b.event());
  b.resume(first, ResumeAction::kAbort);
  EXPECT_EQ(b.smmu.stalled(), 2U);
  EXPECT_EQ(b.event()->input, kVa + 3 * k4K);
}

TEST(StallTest, WithoutStallsThereIsAbortOrRazWi) {
  Bench b;
  b.attach(1, false);
  b.attach(2, false, false);
  EXPECT_EQ(b.send(1, kVa, 1), Fate::kAborted);
  EXPECT_FALSE(b.event()->stall);
  EXPECT_EQ(b.send(2, kVa, 2), Fate::kRazWi);
  EXPECT_FALSE(b.event()->stall);
  EXPECT_EQ(b.send(3, kVa, 100), Fate::kAborted);
  EXPECT_EQ(b.event()->event, Event::kBadSte);
}

// Which stage denies a TLB hit: the record tells what a walk would.
TEST(StallTest, APermissionFaultOfATlbHitIsToldLikeThatOfAWalk) {
  Bench b;
  Protection read_only;
  read_only.write = false;
  ASSERT_EQ(b.table.map(kVa, k1G, k4K, read_only), MapError::kNone);
  EXPECT_EQ(b.send(1), Fate::kTranslated);
  Request write;
  write.stream = StreamId{kSid};
  write.address = kVa;
  write.access.write = true;
  EXPECT_EQ(b.smmu.transaction(write, 2).fate, Fate::kStalled);
  const EventRecord e = *b.event();
  EXPECT_EQ(e.event, Event::kPermission);
  EXPECT_TRUE(e.access.write);
  EXPECT_FALSE(e.stage2);
}

TEST(CommandQueueTest, AnIllegalCommandStopsTheQueueUntilItIsReplacedAndAcknowledged) {
  Bench b;
  b.send(7);
  const EventRecord event = *b.event();
  b.issue_words({0xFF, 0});
  EXPECT_EQ(b.smmu.commands().read_cons(), 1U << 24U);  // RD 0, CERROR_ILL
  EXPECT_EQ(b.smmu.errors().gerror(), 1U);
  b.resume(event, ResumeAction::kAbort);
  EXPECT_TRUE(b.fates.empty());           // nothing is consumed
  b.write_command(0, encode(Command{}));  // as Linux does: a CMD_SYNC in its place
  EXPECT_TRUE(b.fates.empty());
  b.smmu.write_gerrorn(b.smmu.errors().gerror());
  EXPECT_EQ(b.fates.at(7), Fate::kAborted);
  EXPECT_EQ(b.smmu.commands().read_cons() & 0xFFFFFU, 2U);
}

TEST(CommandQueueTest, AnAbortedFetchIsTriedAgain) {
  Bench b;
  b.world.memory.poison(b.smmu.commands().address_of(0));
  b.issue(Command{});
  EXPECT_EQ(b.smmu.commands().read_cons(), 2U << 24U);
  b.smmu.write_gerrorn(1);
  EXPECT_TRUE(b.smmu.errors().active(GlobalError::kCmdq));  // and aborts again
  EXPECT_EQ(b.smmu.errors().gerror(), 0U);
}

TEST(CommandQueueTest, ASilentDeviceFailsTheSync) {
  Bench b;
  b.answers = false;
  b.issue(Bench::command(Opcode::kAtcInv, kSid));
  EXPECT_EQ(b.smmu.commands().read_cons(), 1U);
  b.issue(Command{});
  EXPECT_EQ(b.smmu.commands().read_cons(), 1U | 3U << 24U);
  b.answers = true;
  b.smmu.write_gerrorn(1);  // the SYNC is repeated
  EXPECT_EQ(b.smmu.commands().read_cons() & 0xFFFFFU, 2U);
}

TEST(PriTest, RequestsAreQueuedAndAnswered) {
  Bench b;
  PageRequest r;
  r.stream = StreamId{kSid};
  r.prg_index = 9;
  r.last = r.read = true;
  b.smmu.page_request(r);
  EXPECT_EQ(b.smmu.page_requests().queue().used(), 1U);
  for (const PriResult result : {PriResult::kSuccess, PriResult::kInvalid, PriResult::kFailure}) {
    Command c = Bench::command(Opcode::kPriResp, kSid);
    c.prg_index = 9;
    c.response = static_cast<std::uint8_t>(result);
    b.issue(c);
  }
  const auto response = [](PrgCode code) { return PageResponse{StreamId{kSid}, {}, 9, code}; };
  EXPECT_EQ(b.responses,
            (std::vector{response(PrgCode::kSuccess), response(PrgCode::kInvalidRequest),
                         response(PrgCode::kFailure)}));
  SmmuEnables off;
  off.page_requests = false;
  b.smmu.enable(off);
  b.smmu.page_request(r);
  EXPECT_EQ(b.responses.back(), response(PrgCode::kFailure));
}

TEST(PriTest, AnAtsRequestThatFaultsAsksForAPageInsteadOfAnEvent) {
  Bench b;
  Request request;
  request.stream = StreamId{kSid};
  request.address = kVa;
  request.kind = RequestKind::kAtsTranslation;
  EXPECT_EQ(b.smmu.transaction(request, 1).ats, AtsStatus::kNoAccess);
  b.disable_stream(kSid);
  EXPECT_EQ(b.smmu.transaction(request, 2).ats, AtsStatus::kUnsupportedRequest);
  EXPECT_FALSE(b.event());
}

TEST(CommandQueueTest, WhatACommandQueuesIsConsumedOnce) {
  World world;
  GlobalErrors errors;
  CommandQueue queue(world.memory, {world.frames.allocate(12), 4}, errors);
  const auto put = [&](std::uint32_t index, Opcode opcode) {
    const CommandWords words = encode(Bench::command(opcode, kSid));
    world.memory.write64(queue.address_of(index), words[0]);
    world.memory.write64(queue.address_of(index) + 8, words[1]);
    queue.write_prod(index + 1);
  };
  std::vector<Opcode> ran;
  const std::function<CommandError(const Command&)> execute = [&](const Command& c) {
    ran.push_back(c.opcode);
    if (ran.size() == 1) {
      put(1, Opcode::kSync);
      queue.run(world.features, execute);
    }
    return CommandError::kNone;
  };
  put(0, Opcode::kCfgiSte);
  queue.run(world.features, execute);
  EXPECT_EQ(ran, (std::vector{Opcode::kCfgiSte, Opcode::kSync}));
  EXPECT_EQ(queue.read_cons(), queue.read_prod());
}

}  // namespace
}  // namespace smmulab::smmu::hw

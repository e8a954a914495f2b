// SPDX-License-Identifier: Apache-2.0
// A whole SMMU: stalled transactions and what ends them, command queue errors, and the ends of ATS
// and PRI at the device (IHI 0070 3.12.2, 4.5, 4.7, 7.1, chapter 8).
#include "models/smmuv3/hw/smmu.hpp"

#include <map>

#include <gtest/gtest.h>

#include "models/smmuv3/hw/world_testing.hpp"
#include "sim/random.hpp"

namespace smmulab::smmu::hw {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): sizes

constexpr std::uint32_t kSid = 3;
constexpr std::uint64_t kVa = k2M;

SmmuSetup setup_of(World& world, std::uint8_t events_log2, std::uint32_t stall_max) {
  SmmuSetup s;
  s.caches = {{64, 4, Policy::kRoundRobin, 1},
              {8, 0, Policy::kLru, 2},
              {64, 4, Policy::kRandom, 3},
              WalkCaches::Shape::all_alike({16, 4, Policy::kRoundRobin, 4}, false)};
  s.features = world.features;
  s.streams = world.streams.base();
  s.commands = {world.frames.allocate(12), 8};
  s.events = {world.frames.allocate(12), events_log2};
  s.page_requests = {world.frames.allocate(12), 4};
  s.stall_max = stall_max;
  return s;
}

// Software, and the client of the transactions.
class Bench final : public TransactionClient, public AtsDevice {
 public:
  explicit Bench(std::uint8_t events_log2 = 4, std::uint32_t stall_max = 8)
      : table(world.frames, {}),
        smmu(world.memory, setup_of(world, events_log2, stall_max)),
        event_mask_((2U << events_log2) - 1) {
    smmu.set_client(this);
    smmu.add_device(StreamId{kSid}, *this);
    for (std::uint32_t sid = 1; sid <= kSid; ++sid) {
      attach(sid, true);
    }
    smmu.enable({});
  }
  void attach(std::uint32_t sid, bool stall, bool abort = true) {
    Cd cd = World::base_cd();
    cd.stall = stall;
    cd.record = true;
    cd.abort = abort;
    point_cd_at(cd, table);
    ContextTable cds(world.frames, ContextTable::Format::kLinear, 0);
    cds.write(Ssid{0}, cd);
    Ste ste = World::ste_of(Ste::Config::kS1);
    ste.eats = 1;
    cds.point_ste(ste);
    world.streams.write(StreamId{sid}, ste);
  }
  void disable_stream(std::uint32_t sid) {
    world.streams.write(StreamId{sid}, World::ste_of(Ste::Config::kAbort));
    Command cfgi = command(Opcode::kCfgiSte, sid);
    issue(cfgi);
    issue(command(Opcode::kSync));
  }
  static Command command(Opcode opcode, std::uint32_t sid = 0) {
    Command c;
    c.opcode = opcode;
    c.stream = StreamId{sid};
    return c;
  }
  Fate send(std::uint64_t cookie, std::uint64_t va = kVa, std::uint32_t sid = kSid) {
    Request request;
    request.stream = StreamId{sid};
    request.address = va;
    return smmu.transaction(request, cookie).fate;
  }
  void issue(const Command& c) { issue_words(encode(c)); }
  void issue_words(const CommandWords& words) {
    write_command(prod_, words);
    prod_ = (prod_ + 1) & 511U;
    smmu.write_command_prod(prod_);
  }
  void write_command(std::uint32_t index, const CommandWords& words) {
    const std::uint64_t at = smmu.commands().address_of(index);
    world.memory.write64(at, words[0]);
    world.memory.write64(at + 8, words[1]);
  }
  void resume(const EventRecord& event, ResumeAction action) {
    Command c = command(Opcode::kResume, event.stream.value());
    c.stag = event.stag;
    c.response = static_cast<std::uint8_t>(action);
    issue(c);
  }
  std::optional<EventRecord> event() {
    const OutputQueue& queue = smmu.events().queue();
    std::uint32_t cons = queue.read_cons();
    if (((queue.read_prod() ^ cons) & event_mask_) == 0) {
      return std::nullopt;
    }
    EventWords words{};
    for (std::size_t i = 0; i < words.size(); ++i) {
      words[i] = world.memory.peek64(queue.address_of(cons & event_mask_) + 8 * i);
    }
    cons = (cons + 1) & event_mask_;
    smmu.write_event_cons(cons | (queue.read_prod() & kOverflowFlag));
    return decode_event(words);
  }
  void ended(std::uint64_t cookie, const TransactionAnswer& answer) override {
    EXPECT_TRUE(fates.emplace(cookie, answer.fate).second) << cookie << " ended twice";
  }
  bool atc_invalidate(const Command& /*command*/) override { return answers; }
  void page_response(const PageResponse& response) override { responses.push_back(response); }

  World world;
  PageTable table;
  Smmu smmu;
  std::map<std::uint64_t, Fate> fates;  // of those that were stalled
  bool answers = true;
  std::vector<PageResponse> responses;

 private:
  std::uint32_t event_mask_;
  std::uint32_t prod_ = 0;
};

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

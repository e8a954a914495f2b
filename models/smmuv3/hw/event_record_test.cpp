// SPDX-License-Identifier: Apache-2.0
// Event records bit for bit: the words are written out by hand from IHI 0070 7.3.
#include "models/smmuv3/hw/event_record.hpp"

#include <gtest/gtest.h>

#include "models/smmuv3/hw/world_testing.hpp"
#include "sim/random.hpp"

namespace smmulab::smmu::hw {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): sizes

// Every field is set, so that one which an event does not have shows up.
EventRecord all_fields(Event event) {
  EventRecord r;
  r.event = event;
  r.stream = StreamId{0xCAFE};
  r.substream = Ssid{0x12345};
  r.access = {false, true, true};  // a privileged instruction fetch
  r.stall = true;
  r.stag = 0xBEEF;
  r.reason = 0x7;
  r.stage2 = true;
  r.cls = FaultClass::kTableWalk;
  r.input = 0xFFFF'0000'1234'5678;
  r.ipa = 0x000A'BCDE'F012'3456;
  r.fetch = 0x000F'EDCB'A987'654F;
  r.span = 9;
  r.anticipated = Permissions{Permissions::kPr | Permissions::kUw};
  return r;
}

constexpr std::uint64_t kSid = 0xCAFEULL << 32U;
constexpr std::uint64_t kSsvSsid = 0x12345ULL << 12U | 1ULL << 11U;
constexpr std::uint64_t kPnu = 1ULL << 33U, kInd = 1ULL << 34U, kRnw = 1ULL << 35U,
                        kS2 = 1ULL << 39U, kClassTt = 1ULL << 40U, kStalled = 1ULL << 31U,
                        kTtRnw = 1ULL << 44U;
constexpr std::uint64_t kInput = 0xFFFF'0000'1234'5678, kInputPage = 0xFFFF'0000'1234'5000;
constexpr std::uint64_t kIpa = 0x000A'BCDE'F012'3000, kFetch = 0x000F'EDCB'A987'6548;

TEST(EventRecordTest, FieldsAreWhereTheArchitectureHasThem) {
  const auto words = [](Event event) { return encode(all_fields(event)); };
  const std::uint64_t access = kPnu | kInd | kRnw;
  const std::uint64_t related = 0xBEEF | kStalled | access | kS2 | kClassTt;
  EXPECT_EQ(words(Event::kUut), (EventWords{kSid | kSsvSsid | 0x01, 7 | access, kInput, 0}));
  EXPECT_EQ(words(Event::kBadStreamId), (EventWords{kSid | kSsvSsid | 0x02, 0, 0, 0}));
  EXPECT_EQ(words(Event::kSteFetch), (EventWords{kSid | kSsvSsid | 0x03, 7, 0, kFetch}));
  EXPECT_EQ(words(Event::kBadSte), (EventWords{kSid | kSsvSsid | 0x04, 0, 0, 0}));
  EXPECT_EQ(words(Event::kBadAtsTreq),
            (EventWords{kSid | kSsvSsid | 0x05, 9 | 0xBULL << 28U, kInputPage, 0}));
  EXPECT_EQ(words(Event::kStreamDisabled), (EventWords{kSid | 0x06, 0, 0, 0}));
  EXPECT_EQ(words(Event::kTranslForbidden), (EventWords{kSid | 0x07, kRnw, kInput, 0}));
  EXPECT_EQ(words(Event::kBadSubstreamId),
            (EventWords{kSid | 0x12345ULL << 12U | 0x08, 0, 0, 0}));  // no SSV
  EXPECT_EQ(words(Event::kCdFetch), (EventWords{kSid | kSsvSsid | 0x09, 7, 0, kFetch}));
  EXPECT_EQ(words(Event::kBadCd), (EventWords{kSid | kSsvSsid | 0x0A, 0, 0, 0}));
  EXPECT_EQ(words(Event::kWalkEabt),
            (EventWords{kSid | kSsvSsid | 0x0B, 7 | access | kS2 | kClassTt, kInput, kFetch}));
  EXPECT_EQ(words(Event::kTranslation),
            (EventWords{kSid | kSsvSsid | 0x10, related, kInput, kIpa}));
  EXPECT_EQ(words(Event::kAddrSize), (EventWords{kSid | kSsvSsid | 0x11, related, kInput, kIpa}));
  EXPECT_EQ(words(Event::kAccess), (EventWords{kSid | kSsvSsid | 0x12, related, kInput, kIpa}));
  EXPECT_EQ(words(Event::kPermission),
            (EventWords{kSid | kSsvSsid | 0x13, related | kTtRnw, kInput, kIpa}));
  EXPECT_EQ(words(Event::kTlbConflict),
            (EventWords{kSid | kSsvSsid | 0x20, 7 | access | kS2, kInput, kIpa}));
  EXPECT_EQ(words(Event::kCfgConflict), (EventWords{kSid | kSsvSsid | 0x21, 7, 0, 0}));
  EXPECT_EQ(
      words(Event::kPageRequest),
      (EventWords{kSid | kSsvSsid | 0x24, 1ULL << 39U | 1ULL << 34U | 9ULL << 44U, kInputPage, 0}));
  EXPECT_EQ(words(Event::kVmsFetch), (EventWords{kSid | kSsvSsid | 0x25, 7, 0, kFetch}));
}

TEST(EventRecordTest, FieldsThatDependOnOthers) {
  EventRecord r = all_fields(Event::kPermission);
  r.substream.reset();
  r.stall = false;
  r.stage2 = false;
  r.cls = FaultClass::kInput;
  r.access.write = true;  // then InD is 0
  EXPECT_EQ(encode(r), (EventWords{kSid | 0x13, kPnu | 2ULL << 40U, kInput, 0}));
  r.stage2 = true;
  r.cls = FaultClass::kTableWalk;
  r.table_write = true;  // TTRnW = 0
  EXPECT_EQ(encode(r)[1], kPnu | kS2 | kClassTt);
}

TEST(EventRecordTest, WhatIsDecodedIsEncodedAgain) {
  RandomStream random(1, "events");
  constexpr Event kEvents[] = {Event::kUut,         Event::kBadStreamId,     Event::kSteFetch,
                               Event::kBadSte,      Event::kBadAtsTreq,      Event::kStreamDisabled,
                               Event::kCdFetch,     Event::kTranslForbidden, Event::kBadSubstreamId,
                               Event::kBadCd,       Event::kWalkEabt,        Event::kTranslation,
                               Event::kAddrSize,    Event::kAccess,          Event::kPermission,
                               Event::kTlbConflict, Event::kCfgConflict,     Event::kPageRequest,
                               Event::kVmsFetch};
  for (int i = 0; i < 20'000; ++i) {
    EventWords words{random.next_u64(), random.next_u64(), random.next_u64(), random.next_u64()};
    const Event event = kEvents[random.uniform_int(std::size(kEvents))];
    words[0] = (words[0] & ~0xFFULL) | static_cast<std::uint8_t>(event);
    const auto record = decode_event(words);
    ASSERT_TRUE(record.has_value());
    EventRecord again = *record;
    again.access.instruction = again.access.instruction && !again.access.write;
    if (event == Event::kBadAtsTreq) {
      again = *record;
    }
    EXPECT_EQ(decode_event(encode(*record)), again) << event_name(event);
  }
  EXPECT_FALSE(decode_event({0x00, 0, 0, 0}));
  EXPECT_FALSE(decode_event({0x14, 0, 0, 0}));
}

// The words of real hardware, as a driver printed them: event 0x10, StreamID 1, substream 2, a
// stall with STAG 0xB17, read, stage 1.
TEST(EventRecordTest, ARecordThatADriverPrinted) {
  const auto r =
      decode_event({0x0000'0001'0000'2810, 0x0000'0208'8000'0B17, 0x0000'0009'F44A'0300, 0});
  ASSERT_TRUE(r.has_value());
  EXPECT_EQ(r->event, Event::kTranslation);
  EXPECT_EQ(r->stream, StreamId{1});
  EXPECT_EQ(r->substream, Ssid{2});
  EXPECT_TRUE(r->stall);
  EXPECT_EQ(r->stag, 0xB17);
  EXPECT_FALSE(r->access.write);
  EXPECT_FALSE(r->stage2);
  EXPECT_EQ(r->cls, FaultClass::kInput);
  EXPECT_EQ(r->input, 0x9'F44A'0300U);
}

// FetchAddr is where the SMMU read, whichever structure that was.
TEST(EventRecordTest, FaultsOfAbortedFetchesSayWhere) {
  World world;
  PageTable table(world.frames, {});
  ASSERT_EQ(table.map(k4K, k2M, k4K, Protection{}), MapError::kNone);
  world.attach_s1(1, table);
  const Ste ste = [&world] {
    std::array<std::uint64_t, 8> words{};
    for (std::size_t i = 0; i < words.size(); ++i) {
      words[i] = world.memory.peek64(world.streams.address_of(StreamId{1}) + 8 * i);
    }
    return decode_ste(words);
  }();
  const auto fault = [&world] { return world.translate(1, k4K).fault; };
  const std::uint64_t leaf = *table.leaf_address(k4K);
  world.memory.poison(leaf);
  EXPECT_EQ(fault(), (Fault{Event::kWalkEabt, FaultClass::kTableWalk, false, 3, k4K, 0, leaf}));
  world.memory.poison(ste.s1_context_ptr);
  EXPECT_EQ(fault().event, Event::kCdFetch);
  EXPECT_EQ(fault().fetch, ste.s1_context_ptr);
  world.memory.poison(world.streams.address_of(StreamId{1}));
  EXPECT_EQ(fault().event, Event::kSteFetch);
}

// An update of a stage 1 descriptor (HTTU) that stage 2 does not allow: TTRnW = 0.
TEST(EventRecordTest, DescriptorUpdatesThatStage2ForbidsAreTableWrites) {
  World world;
  FrameAllocator guest(world.memory, k1G);
  PageTable s1(guest, {1, Granule::k4K, 39, 40});
  PageTable s2(world.frames, {2, Granule::k4K, 39, 44, false, true, 0});
  Protection old;
  old.access_flag = false;
  ASSERT_EQ(s1.map(k4K, k1G + k2M, k4K, old), MapError::kNone);
  Protection read_only;
  read_only.write = false;
  ASSERT_EQ(s2.map_pages(k1G, k1G, 12, 1024, read_only), MapError::kNone);
  Cd cd = World::base_cd();
  cd.hw_access = true;
  point_cd_at(cd, s1);
  ContextTable cds(guest, ContextTable::Format::kLinear, 0);
  cds.write(Ssid{0}, cd);
  Ste ste = World::ste_of(Ste::Config::kNested);
  cds.point_ste(ste);
  point_ste_at(ste, s2);
  world.streams.write(StreamId{1}, ste);
  const Fault fault = world.translate(1, k4K).fault;
  EXPECT_EQ(fault.event, Event::kPermission);
  EXPECT_EQ(fault.cls, FaultClass::kTableWalk);
  EXPECT_TRUE(fault.table_write);
}

}  // namespace
}  // namespace smmulab::smmu::hw

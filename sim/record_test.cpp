// SPDX-License-Identifier: Apache-2.0
#include "sim/record.hpp"

#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "sim/error.hpp"

namespace smmulab {
namespace {

namespace ev = record_event;
namespace flag = record_flag;

constexpr SimTime at_ns(int ns) {
  return kTimeZero + Ps{1000LL * ns};
}

// Two threads, one lock handed over, a command, a dark device; every kind of event.
Record sample() {
  Record r;
  const RecordThread a = r.intern_thread("a");
  const RecordThread b = r.intern_thread("b");
  const ev::LockUse ioas{r.intern_lock("ioas->mutex", "ioas 3")};
  const ev::LockUse domains{r.intern_lock("domains_rwsem", "ioas 3"), LockMode::kRead, 1};
  const RecordOp attach = r.intern_op("attach");
  const RecordObject cpu0 = r.intern_object("cpu0");
  const RecordObject cmdq = r.intern_object("smmu0/cmdq");
  const RecordObject device = r.intern_object("0000:00:04.0");
  const RecordObject refs = r.intern_object("hwpt->shortterm_users#11");
  for (const RecordEvent& e :
       {ev::cpu_on(at_ns(0), a, cpu0),
        ev::op_begin(at_ns(0), a, attach, 17),
        ev::lock_request(at_ns(1), a, ioas),
        ev::lock_acquire(at_ns(1), a, ioas),
        ev::lock_request(at_ns(2), b, ioas),
        ev::thread_sleep(at_ns(3), b, ioas.lock),
        ev::lock_acquire(at_ns(4), a, domains, flag::kTry),
        ev::lock_release(at_ns(5), a, domains),
        ev::dma_dark_begin(at_ns(5), a, device),
        ev::command_issue(at_ns(6), a, cmdq, 40, 0x46),
        ev::command_complete(at_ns(7), cmdq, 40, 0x46),
        ev::dma_dark_end(at_ns(8), a, device),
        ev::lock_release(at_ns(9), a, ioas, flag::kHandoff, b),
        ev::thread_wake(at_ns(9), b, a, ioas.lock),
        ev::lock_acquire(at_ns(12), b, ioas, flag::kContended | flag::kSlept | flag::kHandoff, 1_ns,
                         a),
        ev::op_end(at_ns(13), a, attach, 22),
        ev::cpu_off(at_ns(14), a, cpu0, true),
        ev::ref_get(at_ns(15), b, refs),
        ev::wait_begin(at_ns(15), a, refs),
        ev::ref_put(at_ns(16), b, refs),
        ev::wait_end(at_ns(17), a, refs)}) {
    r.append(e);
  }
  return r;
}

std::string bytes(const Record& record) {
  std::ostringstream out;
  record.dump(out);
  return out.str();
}

Record parse(const std::string& text) {
  std::istringstream in(text);
  return Record::load(in, "run.rec");
}

std::string message_of(const std::string& text) {
  try {
    (void)parse(text);
  } catch (const TraceError& e) {
    return e.what();
  }
  return "no error";
}

TEST(Record, NoteToNobody) {
  Record* off = nullptr;
  note(off, ev::cpu_on(at_ns(1), RecordThread{0}, RecordObject{0}));
  Record on;
  note(&on, ev::cpu_on(at_ns(1), RecordThread{0}, RecordObject{0}));
  EXPECT_EQ(on.size(), 1U);
}

TEST(Record, NamesAreInternedOnce) {
  Record r;
  const RecordThread a = r.intern_thread("worker 1");
  const RecordThread b = r.intern_thread("worker 2");
  EXPECT_NE(a, b);
  EXPECT_EQ(r.intern_thread("worker 1"), a);
  EXPECT_EQ(r.name(b), "worker 2");
  EXPECT_EQ(r.thread_count(), 2U);
  EXPECT_THROW((void)r.name(RecordThread{2}), ModelError);
  EXPECT_THROW((void)r.name(kNoLock), ModelError);
}

TEST(Record, ALockIsItsClassAndItsInstance) {
  Record r;
  const RecordLock one = r.intern_lock("group->mutex", "group 1");
  const RecordLock two = r.intern_lock("group->mutex", "group 2");
  const RecordLock other = r.intern_lock("igroup->lock", "group 1");
  EXPECT_EQ(r.intern_lock("group->mutex", "group 1"), one);
  EXPECT_EQ(r.lock_count(), 3U);
  EXPECT_EQ(r.lock_class_count(), 2U);
  EXPECT_EQ(r.lock_class(one), r.lock_class(two));
  EXPECT_NE(r.lock_class(one), r.lock_class(other));
  EXPECT_EQ(r.name(r.lock_class(other)), "igroup->lock");
  EXPECT_EQ(r.name(other), "group 1");
}

TEST(Record, EventsCarryWhatTheyWereGiven) {
  const Record r = sample();
  const RecordEvent& got = r[14];
  EXPECT_EQ(got.kind, RecordKind::kLockAcquire);
  EXPECT_EQ(got.time, at_ns(12));
  EXPECT_EQ(r.name(RecordThread{got.thread}), "b");
  EXPECT_EQ(r.name(RecordThread{got.peer}), "a");
  EXPECT_EQ(r.name(RecordLock{got.object}), "ioas 3");
  EXPECT_EQ(got.arg, 1000U);
  EXPECT_EQ(got.flags, flag::kContended | flag::kSlept | flag::kHandoff);
  const RecordEvent& read = r[6];
  EXPECT_EQ(read.flags, flag::kRead | flag::kTry);
  EXPECT_EQ(read.detail, 1U);
  EXPECT_EQ(read.peer, kNoRecordId);
  EXPECT_EQ(r[9].detail, 0x46U);
  EXPECT_EQ(r[10].thread, kNoRecordId);
  EXPECT_EQ(r[15].arg, 22U);
  EXPECT_EQ(r[16].flags, flag::kPreempted);
  EXPECT_EQ(r[18].kind, RecordKind::kWaitBegin);
  EXPECT_EQ(r.name(RecordObject{r[18].object}), "hwpt->shortterm_users#11");
}

TEST(Record, IteratesInOrderAcrossChunks) {
  Record r;
  constexpr std::uint64_t kEvents = 10'000;
  const RecordEvent* first = nullptr;
  for (std::uint64_t i = 0; i < kEvents; ++i) {
    r.append(ev::op_begin(at_ns(static_cast<int>(i)), RecordThread{0}, RecordOp{0}, i));
    first = i == 0 ? &r[0] : first;
  }
  std::uint64_t expected = 0;
  for (const RecordEvent& e : r) {
    ASSERT_EQ(e.arg, expected++);
  }
  EXPECT_EQ(expected, kEvents);
  EXPECT_EQ(first, &r[0]);  // never moved
}

TEST(Record, ALimitCountsWhatItDrops) {
  Record r(RecordOptions{.max_events = 3});
  for (int i = 0; i < 10; ++i) {
    r.append(ev::cpu_on(at_ns(i), RecordThread{0}, RecordObject{0}));
  }
  EXPECT_EQ(r.size(), 3U);
  EXPECT_EQ(r.dropped(), 7U);
  EXPECT_EQ(r[2].time, at_ns(2));
}

TEST(RecordFile, RoundTrip) {
  const Record r = sample();
  const Record again = parse(bytes(r));
  EXPECT_EQ(std::vector<RecordEvent>(again.begin(), again.end()),
            std::vector<RecordEvent>(r.begin(), r.end()));
  EXPECT_EQ(bytes(again), bytes(r));
  EXPECT_EQ(again.name(RecordLock{1}), "ioas 3");
  EXPECT_EQ(again.name(again.lock_class(RecordLock{1})), "domains_rwsem");
  EXPECT_EQ(again.name(RecordObject{2}), "0000:00:04.0");
  EXPECT_EQ(again.name(RecordOp{0}), "attach");
}

TEST(RecordFile, RoundTripOfNothingAndOfMany) {
  EXPECT_EQ(bytes(parse(bytes(Record{}))), bytes(Record{}));
  Record many(RecordOptions{.max_events = 9000});
  const RecordThread t = many.intern_thread(std::string("with\0zero and \n line", 20));
  for (int i = 0; i < 9005; ++i) {
    many.append(ev::thread_sleep(at_ns(i), t));
  }
  const Record again = parse(bytes(many));
  EXPECT_EQ(again.size(), 9000U);
  EXPECT_EQ(again.dropped(), 5U);
  EXPECT_EQ(again.name(t).size(), 20U);
  EXPECT_EQ(bytes(again), bytes(many));
}

TEST(RecordFile, LayoutIsLittleEndianAndFixed) {
  Record r;
  r.append(ev::command_complete(SimTime{Ps{0x0102}}, RecordObject{kNoRecordId}, 0x0a0b, 0x46));
  const std::string text = bytes(r);
  ASSERT_EQ(text.size(), 8U + 8U + 5 * 4U + 16U + 32U);
  EXPECT_EQ(text.substr(0, 16), std::string("SMMUREC\n\1\0\0\0\40\0\0\0", 16));
  EXPECT_EQ(text.substr(36, 16), std::string("\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16));
  EXPECT_EQ(text.substr(52), std::string("\2\1\0\0\0\0\0\0\x0b\x0a\0\0\0\0\0\0"
                                         "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
                                         "\0\0\x0a\x46",
                                         32));
}

TEST(RecordFile, EveryTruncationIsRefused) {
  const std::string text = bytes(sample());
  for (std::size_t n = 0; n < text.size(); ++n) {
    ASSERT_EQ(message_of(text.substr(0, n)),
              "run.rec:1:" + std::to_string(n + 1) + ": the record ends in the middle");
  }
}

TEST(RecordFile, NonsenseIsRefused) {
  const std::string good = bytes(sample());
  EXPECT_EQ(message_of("#!/bin/sh\n" + good),
            "run.rec:1:9: not a record: it does not begin with SMMUREC");
  std::string bad = good;
  bad[8] = 2;
  EXPECT_EQ(message_of(bad), "run.rec:1:13: record version 2, but only version 1 is known");
  bad = good;
  bad[12] = 31;
  EXPECT_EQ(message_of(bad), "run.rec:1:17: events are not of 32 bytes");
  bad = good;
  bad[bad.size() - 2] = 99;
  EXPECT_NE(message_of(bad).find("unknown kind of event: 99"), std::string::npos);
  bad = good;
  bad[bad.size() - 16] = 77;  // the last event's thread
  EXPECT_NE(message_of(bad).find("an event names something that is in no table"),
            std::string::npos);
  EXPECT_NE(message_of(good + "x").find("bytes after the end of the record"), std::string::npos);
  bad = good;
  bad[19] = 0x7f;  // two thousand million threads: ends, and without asking for their memory
  EXPECT_NE(message_of(bad), "no error");
  bad = good;
  bad[23] = 0x7f;  // a name as long
  EXPECT_NE(message_of(bad).find("a name of"), std::string::npos);
}

}  // namespace
}  // namespace smmulab

// SPDX-License-Identifier: Apache-2.0
#include "analysis/lock_sequences.hpp"

#include <gtest/gtest.h>

namespace smmulab::analysis {
namespace {

char letter(std::string_view name) {
  return name == "rwsem" ? 'R' : name == "spin" ? 'S' : 'M';
}

TEST(LockSequences, WordsInOrderOfRequestPerOperationAndThread) {
  Record record;
  const RecordThread a = record.intern_thread("a");
  const RecordThread b = record.intern_thread("b");
  const RecordLock mutex = record.intern_lock("mutex", "0");
  const RecordLock rwsem = record.intern_lock("rwsem", "0");
  const RecordLock spin = record.intern_lock("spin", "0");
  const RecordOp op = record.intern_op("map");
  const SimTime t{};
  namespace ev = record_event;
  record.append(ev::lock_request(t, a, {mutex}));  // outside of any operation
  record.append(ev::op_begin(t, a, op, 0));
  record.append(ev::op_begin(t, b, op, 1));
  record.append(ev::lock_request(t, a, {mutex}));
  record.append(ev::lock_request(t, b, {rwsem, LockMode::kRead}));
  record.append(ev::lock_request(t, a, {rwsem, LockMode::kWrite}));
  record.append(ev::lock_release(t, a, {rwsem, LockMode::kWrite}));
  record.append(ev::lock_request(t, a, {spin}));
  record.append(ev::lock_release(t, a, {spin}));
  record.append(ev::lock_release(t, a, {mutex}));
  record.append(ev::op_end(t, a, op, 0));  // b's never ends
  const LockSequences found = lock_sequences(record, letter);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found.begin()->first.first, "map");
  EXPECT_EQ(found.begin()->first.second,
            "+M mutex; +W rwsem; -W rwsem; +S spin; -S spin; -M mutex");
  EXPECT_EQ(found.begin()->second, 1U);
}

}  // namespace
}  // namespace smmulab::analysis

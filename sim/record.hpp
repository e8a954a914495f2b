// SPDX-License-Identifier: Apache-2.0
// Record: the optional list of what happened in a run, for the analyses that come after it (lock
// order, wait-for, critical path). Off by default: users hold a Record* that is then null, and
//   note(record, record_event::lock_request(now, thread, {lock}));
// costs one test of the pointer. sim/record_event.hpp has the events.
//
// Events are kept in the order in which they were appended, which is the engine's order of events;
// they live in chunks that never move. With a limit, events past it are counted, not kept. Names of
// threads, locks, operations and other objects are interned once, and events carry their numbers.
//
// The binary form (dump, load) is little-endian on every machine and carries a version:
//   "SMMUREC\n", u32 version, u32 bytes per event;
//   tables of threads, lock classes, locks, ops, objects: u32 count, then for each entry
//   u32 length and the bytes of the name (a lock: u32 number of its class before that);
//   u64 events, u64 dropped; the events, fields in the order of RecordEvent.
// Same run, same bytes.
//
// Not here: compression, writing while the run goes on, any analysis.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <iterator>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/record_event.hpp"

namespace smmulab {

// Names in the order in which they were first seen; a name's number is its place.
class NameTable {
 public:
  NameTable() = default;
  NameTable(const NameTable&) = delete;  // names_ points into numbers_
  NameTable& operator=(const NameTable&) = delete;
  NameTable(NameTable&&) = default;
  NameTable& operator=(NameTable&&) = default;
  ~NameTable() = default;

  std::uint32_t intern(std::string_view name);
  // Throws ModelError if no name has this number.
  [[nodiscard]] const std::string& name(std::uint32_t number) const;
  [[nodiscard]] std::size_t size() const { return names_.size(); }

 private:
  std::map<std::string, std::uint32_t, std::less<>> numbers_;
  std::vector<const std::string*> names_;
};

struct RecordOptions {
  std::uint64_t max_events = std::numeric_limits<std::uint64_t>::max();
};

class Record {
 public:
  explicit Record(RecordOptions options = {}) : options_(options) {}

  void append(const RecordEvent& event) {
    if (size_ == options_.max_events) [[unlikely]] {
      ++dropped_;
      return;
    }
    const std::size_t place = size_ % kChunk;
    if (place == 0) [[unlikely]] {
      chunks_.emplace_back(std::allocator<RecordEvent>().allocate(kChunk));
    }
    std::construct_at(chunks_.back().get() + place, event);
    ++size_;
  }

  // The same name (and class) gives the same number.
  RecordThread intern_thread(std::string_view name) { return RecordThread{threads_.intern(name)}; }
  RecordLockClass intern_lock_class(std::string_view name) {
    return RecordLockClass{lock_classes_.intern(name)};
  }
  RecordLock intern_lock(std::string_view lock_class, std::string_view instance);
  RecordOp intern_op(std::string_view name) { return RecordOp{ops_.intern(name)}; }
  RecordObject intern_object(std::string_view name) { return RecordObject{objects_.intern(name)}; }

  // Throw ModelError on a number that was not interned here.
  [[nodiscard]] const std::string& name(RecordThread id) const { return threads_.name(id.value()); }
  [[nodiscard]] const std::string& name(RecordLockClass id) const {
    return lock_classes_.name(id.value());
  }
  [[nodiscard]] const std::string& name(RecordLock id) const { return lock(id).name; }
  [[nodiscard]] RecordLockClass lock_class(RecordLock id) const { return lock(id).lock_class; }
  [[nodiscard]] const std::string& name(RecordOp id) const { return ops_.name(id.value()); }
  [[nodiscard]] const std::string& name(RecordObject id) const { return objects_.name(id.value()); }
  [[nodiscard]] std::size_t thread_count() const { return threads_.size(); }
  [[nodiscard]] std::size_t lock_class_count() const { return lock_classes_.size(); }
  [[nodiscard]] std::size_t lock_count() const { return locks_.size(); }
  [[nodiscard]] std::size_t op_count() const { return ops_.size(); }
  [[nodiscard]] std::size_t object_count() const { return objects_.size(); }

  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] std::uint64_t dropped() const { return dropped_; }  // beyond the limit
  // REQUIRES: index < size().
  [[nodiscard]] const RecordEvent& operator[](std::uint64_t index) const {
    return chunks_[index / kChunk].get()[index % kChunk];
  }

  class Iterator {
   public:
    using value_type = RecordEvent;
    using difference_type = std::ptrdiff_t;
    using reference = const RecordEvent&;
    using pointer = const RecordEvent*;
    using iterator_category = std::forward_iterator_tag;
    Iterator() = default;
    Iterator(const Record* record, std::uint64_t index) : record_(record), index_(index) {}
    reference operator*() const { return (*record_)[index_]; }
    pointer operator->() const { return &(*record_)[index_]; }
    Iterator& operator++() {
      ++index_;
      return *this;
    }
    Iterator operator++(int) { return {record_, index_++}; }
    friend bool operator==(const Iterator&, const Iterator&) = default;

   private:
    const Record* record_ = nullptr;
    std::uint64_t index_ = 0;
  };
  [[nodiscard]] Iterator begin() const { return {this, 0}; }
  [[nodiscard]] Iterator end() const { return {this, size_}; }

  void dump(std::ostream& out) const;
  // Reads all of `in`, whose name is for messages. Throws TraceError: the file is one "line", the
  // column is the byte (from 1) at which it stops making sense. Every number in a loaded event is
  // either none or in its table.
  [[nodiscard]] static Record load(std::istream& in, const std::string& name);

 private:
  struct Lock {
    RecordLockClass lock_class;
    std::string name;
  };
  static constexpr std::size_t kChunk = 4096;
  // Memory only: to make the events first would write all of it twice.
  struct FreeChunk {
    void operator()(RecordEvent* chunk) const {
      std::allocator<RecordEvent>().deallocate(chunk, kChunk);
    }
  };
  using Chunk = std::unique_ptr<RecordEvent, FreeChunk>;

  [[nodiscard]] const Lock& lock(RecordLock id) const;
  RecordLock intern_lock(RecordLockClass lock_class, std::string_view instance);
  [[nodiscard]] bool consistent(const RecordEvent& event) const;

  RecordOptions options_;
  std::vector<Chunk> chunks_;
  std::uint64_t size_ = 0;
  std::uint64_t dropped_ = 0;
  NameTable threads_;
  NameTable lock_classes_;
  NameTable ops_;
  NameTable objects_;
  std::vector<Lock> locks_;
  std::map<std::pair<RecordLockClass, std::string>, std::uint32_t> lock_numbers_;
};

// The number of an object's name, asked for at its first event only. Each object belongs to one
// run, and so to one record.
class RecordedObject {
 public:
  template <class Name>
  [[nodiscard]] RecordObject in(Record& record, const Name& name) const {
    if (number_ == kNoRecordId) [[unlikely]] {
      number_ = record.intern_object(name()).value();
    }
    return RecordObject{number_};
  }

 private:
  mutable std::uint32_t number_ = kNoRecordId;
};

// Appends to a record that may be absent.
inline void note(Record* record, const RecordEvent& event) {
  if (record != nullptr) [[unlikely]] {
    record->append(event);
  }
}

}  // namespace smmulab

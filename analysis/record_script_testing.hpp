// SPDX-License-Identifier: Apache-2.0
// For tests: records written by hand, one word an event. Locks are "CLASS#INSTANCE/SUBCLASS"
// (instance and subclass 0 if left out).
#pragma once

#include <string>
#include <string_view>

#include "sim/record.hpp"

namespace smmulab::analysis::testing {

class RecordScript {
 public:
  Record record;

  // Each event is one picosecond after the last, or at the time given.
  RecordScript& at(std::int64_t ps) {
    now_ = ps - 1;
    return *this;
  }
  RecordScript& begin(std::string_view thread, std::string_view op) {
    record.append(record_event::op_begin(tick(), who(thread), record.intern_op(op), number_++));
    return *this;
  }
  RecordScript& end(std::string_view thread, std::string_view op) {
    record.append(record_event::op_end(tick(), who(thread), record.intern_op(op), 0));
    return *this;
  }
  RecordScript& ask(std::string_view thread, std::string_view lock, std::uint16_t flags = 0) {
    record.append(record_event::lock_request(tick(), who(thread), use(lock), flags));
    return *this;
  }
  RecordScript& got(std::string_view thread, std::string_view lock, std::uint16_t flags = 0) {
    record.append(record_event::lock_acquire(tick(), who(thread), use(lock), flags));
    return *this;
  }
  RecordScript& take(std::string_view thread, std::string_view lock, std::uint16_t flags = 0) {
    return ask(thread, lock, flags).got(thread, lock, flags);
  }
  RecordScript& read(std::string_view thread, std::string_view lock, std::uint16_t flags = 0) {
    return take(thread, lock, static_cast<std::uint16_t>(flags | record_flag::kRead));
  }
  RecordScript& drop(std::string_view thread, std::string_view lock, std::uint16_t flags = 0) {
    record.append(record_event::lock_release(tick(), who(thread), use(lock), flags));
    return *this;
  }
  // An operation that takes the locks in this order and drops them in the opposite one.
  RecordScript& nest(std::string_view thread, std::string_view op,
                     std::initializer_list<std::string_view> locks) {
    begin(thread, op);
    for (const std::string_view lock : locks) {
      take(thread, lock);
    }
    for (auto lock = std::rbegin(locks); lock != std::rend(locks); ++lock) {
      drop(thread, *lock);
    }
    return end(thread, op);
  }
  RecordScript& get(std::string_view thread, std::string_view object) {
    record.append(record_event::ref_get(tick(), who(thread), record.intern_object(object)));
    return *this;
  }
  RecordScript& put(std::string_view thread, std::string_view object) {
    record.append(record_event::ref_put(tick(), who(thread), record.intern_object(object)));
    return *this;
  }
  RecordScript& wait(std::string_view thread, std::string_view object) {
    record.append(record_event::wait_begin(tick(), who(thread), record.intern_object(object)));
    return *this;
  }
  RecordScript& waited(std::string_view thread, std::string_view object) {
    record.append(record_event::wait_end(tick(), who(thread), record.intern_object(object)));
    return *this;
  }
  RecordScript& on(std::string_view thread, std::string_view cpu) {
    record.append(record_event::cpu_on(tick(), who(thread), record.intern_object(cpu)));
    return *this;
  }
  RecordScript& off(std::string_view thread, std::string_view cpu, bool preempted = false) {
    record.append(record_event::cpu_off(tick(), who(thread), record.intern_object(cpu), preempted));
    return *this;
  }
  RecordScript& wake(std::string_view woken, std::string_view waker) {
    record.append(record_event::thread_wake(tick(), who(woken), who(waker)));
    return *this;
  }

 private:
  SimTime tick() { return SimTime{Ps{++now_}}; }
  RecordThread who(std::string_view thread) { return record.intern_thread(thread); }
  record_event::LockUse use(std::string_view text) {
    const std::size_t slash = text.find('/');
    const std::string_view lock = text.substr(0, slash);
    const std::size_t hash = lock.find('#');
    const std::string_view instance =
        hash == std::string_view::npos ? std::string_view{"0"} : lock.substr(hash + 1);
    const auto subclass =
        static_cast<std::uint8_t>(slash == std::string_view::npos ? 0 : text.at(slash + 1) - '0');
    return {record.intern_lock(lock.substr(0, hash), instance), LockMode::kWrite, subclass};
  }

  std::int64_t now_ = 0;
  std::uint64_t number_ = 0;
};

}  // namespace smmulab::analysis::testing

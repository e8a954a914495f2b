// SPDX-License-Identifier: Apache-2.0
// The events of the record (sim/record.hpp): 32 bytes each, and a maker for each kind. What the
// fields mean by kind ("none" is kNoRecordId):
//
//   kind             thread          object   arg                       peer
//   kOpBegin         who             op       number of the operation   none
//   kOpEnd           who             op       errno, 0: success         none
//   kLockRequest     who             lock     0                         none
//   kLockAcquire     who             lock     ps spent spinning         who let it in, if known
//   kLockRelease     who             lock     0                         handed to, if handed over
//   kCpuOn, kCpuOff  who             cpu      0                         none
//   kThreadSleep     who             lock     0                         none
//   kThreadWake      the woken       lock     0                         the waker, if known
//   kCommandIssue    who             queue    position in the queue     none
//   kCommandComplete none            queue    position in the queue     none
//   kDmaDarkBegin    who caused it   device   0                         none
//   kDmaDarkEnd      who ended it    device   0                         none
//   kRefGet, kRefPut who             awaited  0                         none
//   kWaitBegin       who             awaited  0                         none
//   kWaitEnd         who             awaited  0                         none
//
// The time a contended acquirer waited is the acquire's time less its request's; arg says how much
// of that went into spinning. kThreadSleep and kThreadWake name the lock slept for, or none. A
// kCommandComplete is the position up to which the queue has been consumed, at the time a CPU
// learns of it; kDmaDark events leave out what was dark before the device first translated.
// kWaitBegin says that the thread may wait for something that is no lock ("awaited": a count of
// references, a completion), whether it has to or not; whoever holds a reference (kRefGet to
// kRefPut) can keep it waiting. Such objects are named CLASS#INSTANCE.
#pragma once

#include <cstdint>
#include <type_traits>

#include "sim/ids.hpp"
#include "sim/lock_stat.hpp"
#include "sim/time.hpp"

namespace smmulab {

// Numbers of interned names; each kind counts from 0.
using RecordThread = Id<struct RecordThreadTag, std::uint32_t>;
using RecordLockClass = Id<struct RecordLockClassTag, std::uint32_t>;
using RecordLock = Id<struct RecordLockTag, std::uint32_t>;
using RecordOp = Id<struct RecordOpTag, std::uint32_t>;
using RecordObject =
    Id<struct RecordObjectTag, std::uint32_t>;  // a CPU, a queue, a device, awaited

inline constexpr std::uint32_t kNoRecordId = 0xffffffff;
inline constexpr RecordThread kNoThread{kNoRecordId};
inline constexpr RecordLock kNoLock{kNoRecordId};

enum class RecordKind : std::uint8_t {
  kOpBegin,
  kOpEnd,
  kLockRequest,
  kLockAcquire,
  kLockRelease,
  kCpuOn,
  kCpuOff,
  kThreadSleep,
  kThreadWake,
  kCommandIssue,
  kCommandComplete,
  kDmaDarkBegin,
  kDmaDarkEnd,
  kRefGet,
  kRefPut,
  kWaitBegin,
  kWaitEnd,
};
inline constexpr std::uint8_t kRecordKinds = 17;

// Bits of RecordEvent::flags.
namespace record_flag {
inline constexpr std::uint16_t kRead = 1U << 0U;       // lock events: in read mode
inline constexpr std::uint16_t kContended = 1U << 1U;  // acquire: found it taken
inline constexpr std::uint16_t kSpun = 1U << 2U;       // acquire: waited spinning
inline constexpr std::uint16_t kSlept = 1U << 3U;      // acquire: waited asleep
inline constexpr std::uint16_t kHandoff = 1U << 4U;    // acquire, release: ownership was passed on
inline constexpr std::uint16_t kStolen = 1U << 5U;     // acquire: overtook queued waiters
inline constexpr std::uint16_t kTry = 1U << 6U;        // request, acquire: a trylock
inline constexpr std::uint16_t kPreempted = 1U << 7U;  // CPU off: not of its own will
inline constexpr std::uint16_t kRecursive = 1U << 8U;  // lock events: a reader that may recurse
}  // namespace record_flag

struct RecordEvent {
  SimTime time;
  std::uint64_t arg = 0;
  std::uint32_t thread = kNoRecordId;
  std::uint32_t object = kNoRecordId;
  std::uint32_t peer = kNoRecordId;
  std::uint16_t flags = 0;
  RecordKind kind = RecordKind::kOpBegin;
  std::uint8_t detail = 0;  // lock events: nesting subclass; commands: opcode

  friend bool operator==(const RecordEvent&, const RecordEvent&) = default;
};
static_assert(sizeof(RecordEvent) == 32 && std::is_trivially_copyable_v<RecordEvent>);

namespace record_event {

// A lock as an event names it: which, how, with which nesting subclass.
struct LockUse {
  RecordLock lock;
  LockMode mode = LockMode::kWrite;
  std::uint8_t subclass = 0;
};

[[nodiscard]] inline RecordEvent make(SimTime time, RecordKind kind, std::uint32_t thread,
                                      std::uint32_t object, std::uint64_t arg = 0) {
  RecordEvent event;
  event.time = time;
  event.arg = arg;
  event.thread = thread;
  event.object = object;
  event.kind = kind;
  return event;
}

[[nodiscard]] inline RecordEvent on_lock(SimTime time, RecordKind kind, RecordThread thread,
                                         const LockUse& use, std::uint16_t flags) {
  RecordEvent event = make(time, kind, thread.value(), use.lock.value());
  const bool read = use.mode == LockMode::kRead;
  event.flags = static_cast<std::uint16_t>(flags | (read ? record_flag::kRead : 0U));
  event.detail = use.subclass;
  return event;
}

[[nodiscard]] inline RecordEvent op_begin(SimTime time, RecordThread thread, RecordOp op,
                                          std::uint64_t number) {
  return make(time, RecordKind::kOpBegin, thread.value(), op.value(), number);
}

// error: the errno, 0 or above.
[[nodiscard]] inline RecordEvent op_end(SimTime time, RecordThread thread, RecordOp op,
                                        std::uint32_t error) {
  return make(time, RecordKind::kOpEnd, thread.value(), op.value(), error);
}

[[nodiscard]] inline RecordEvent lock_request(SimTime time, RecordThread thread, const LockUse& use,
                                              std::uint16_t flags = 0) {
  return on_lock(time, RecordKind::kLockRequest, thread, use, flags);
}

// REQUIRES: spin >= 0.
[[nodiscard]] inline RecordEvent lock_acquire(SimTime time, RecordThread thread, const LockUse& use,
                                              std::uint16_t flags = 0, Ps spin = Ps{0},
                                              RecordThread let_in_by = kNoThread) {
  RecordEvent event = on_lock(time, RecordKind::kLockAcquire, thread, use, flags);
  event.arg = static_cast<std::uint64_t>(spin.count());
  event.peer = let_in_by.value();
  return event;
}

[[nodiscard]] inline RecordEvent lock_release(SimTime time, RecordThread thread, const LockUse& use,
                                              std::uint16_t flags = 0,
                                              RecordThread handed_to = kNoThread) {
  RecordEvent event = on_lock(time, RecordKind::kLockRelease, thread, use, flags);
  event.peer = handed_to.value();
  return event;
}

[[nodiscard]] inline RecordEvent cpu_on(SimTime time, RecordThread thread, RecordObject cpu) {
  return make(time, RecordKind::kCpuOn, thread.value(), cpu.value());
}

[[nodiscard]] inline RecordEvent cpu_off(SimTime time, RecordThread thread, RecordObject cpu,
                                         bool preempted) {
  RecordEvent event = make(time, RecordKind::kCpuOff, thread.value(), cpu.value());
  event.flags = preempted ? record_flag::kPreempted : std::uint16_t{0};
  return event;
}

[[nodiscard]] inline RecordEvent thread_sleep(SimTime time, RecordThread thread,
                                              RecordLock lock = kNoLock) {
  return make(time, RecordKind::kThreadSleep, thread.value(), lock.value());
}

[[nodiscard]] inline RecordEvent thread_wake(SimTime time, RecordThread woken, RecordThread waker,
                                             RecordLock lock = kNoLock) {
  RecordEvent event = make(time, RecordKind::kThreadWake, woken.value(), lock.value());
  event.peer = waker.value();
  return event;
}

[[nodiscard]] inline RecordEvent command_issue(SimTime time, RecordThread thread,
                                               RecordObject queue, std::uint64_t position,
                                               std::uint8_t opcode) {
  RecordEvent event =
      make(time, RecordKind::kCommandIssue, thread.value(), queue.value(), position);
  event.detail = opcode;
  return event;
}

[[nodiscard]] inline RecordEvent command_complete(SimTime time, RecordObject queue,
                                                  std::uint64_t position, std::uint8_t opcode) {
  RecordEvent event =
      make(time, RecordKind::kCommandComplete, kNoRecordId, queue.value(), position);
  event.detail = opcode;
  return event;
}

[[nodiscard]] inline RecordEvent dma_dark_begin(SimTime time, RecordThread thread,
                                                RecordObject device) {
  return make(time, RecordKind::kDmaDarkBegin, thread.value(), device.value());
}

[[nodiscard]] inline RecordEvent dma_dark_end(SimTime time, RecordThread thread,
                                              RecordObject device) {
  return make(time, RecordKind::kDmaDarkEnd, thread.value(), device.value());
}

[[nodiscard]] inline RecordEvent ref_get(SimTime time, RecordThread thread, RecordObject awaited) {
  return make(time, RecordKind::kRefGet, thread.value(), awaited.value());
}

[[nodiscard]] inline RecordEvent ref_put(SimTime time, RecordThread thread, RecordObject awaited) {
  return make(time, RecordKind::kRefPut, thread.value(), awaited.value());
}

[[nodiscard]] inline RecordEvent wait_begin(SimTime time, RecordThread thread,
                                            RecordObject awaited) {
  return make(time, RecordKind::kWaitBegin, thread.value(), awaited.value());
}

[[nodiscard]] inline RecordEvent wait_end(SimTime time, RecordThread thread, RecordObject awaited) {
  return make(time, RecordKind::kWaitEnd, thread.value(), awaited.value());
}

}  // namespace record_event

}  // namespace smmulab

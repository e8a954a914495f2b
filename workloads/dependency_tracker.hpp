// SPDX-License-Identifier: Apache-2.0
// DependencyTracker: which earlier operations each operation of a trace must wait for in a replay.
// Feed it every operation in file order; it answers in constant space (deps.hpp). Rules:
//  1. an operation that names a device, ioas, hwpt or access waits for the operation that made it;
//  2. unbind and the destroying operations wait for all earlier operations that named the object.
//     hwpt_destroy names the ioas (or parent) of its hwpt too; attach, replace, detach and unbind
//     name the pt they leave as well (old=, or what the trace attached last), what moves, uses or
//     destroys an access names the ioas it is attached to (an unbind at most two of the hwpts of
//     the device's PASIDs), hwpt_destroy the fault of its hwpt;
//  3. unmap waits for the maps it undoes; map waits for the unmaps that freed its range; unmap_all
//     waits for all earlier operations on the ioas; dma waits for the map behind its iova; copy and
//     pin wait for the maps they need and are waited for by unmaps; unpin waits for its pin;
//  4. operations on an access wait for its last attach or detach; bind, attach, replace, detach and
//     dma of a device wait for the last attach, replace, detach or unbind of that device by another
//     thread, if in the recording that one had ended before.
// A map, unmap, copy or pin that would wait for more than four other threads waits for all earlier
// operations on the ioas (ioases, access) instead. Operations recorded with an error make, map and
// destroy nothing, but count as naming. Waits for the operation's own thread are left out: it runs
// in file order anyway. Not kept: an operation never waits for one later in the file, not even if
// the recording proves that the later one took effect first (a map that had to wait for a racing
// unmap). Phases are the replay's to keep: an operation behind a phase waits for all before it.
// Memory: live objects, live areas, live pins, threads.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "workloads/area_deps.hpp"
#include "workloads/deps.hpp"
#include "workloads/object_checker.hpp"
#include "workloads/past_op.hpp"

namespace smmulab::workloads {

class DependencyTracker {
 public:
  explicit DependencyTracker(std::size_t threads) : next_counter_(threads), counts_(threads) {}

  // The next operation of the file (phases are ignored). REQUIRES: op.thread is declared.
  [[nodiscard]] Deps next(const Op& op);

 private:
  struct Pin {
    Iova iova;
    Bytes length;
    ThreadIndex by;
    std::uint64_t count;
  };
  // One generation of a device, ioas, hwpt or access.
  struct Object {
    Generation generation = 0;
    CounterId counter = 0;    // of the operations that named it
    std::uint64_t named = 0;  // how many did, since the counter is in use
    std::uint64_t made_count = 0;
    PastOp made;
    ObjectKey parent = 0;  // of a hwpt: where it maps; of an access: the ioas it is attached to
    Generation parent_generation = 0;
    std::unique_ptr<AreaDeps> areas;  // of an ioas
    std::uint64_t moved_count = 0;    // of an access: by its last attach or detach
    PastOp moved;
    std::vector<Pin> pins;
    ObjectKey fault = 0;  // of a hwpt
    Generation fault_generation = 0;
  };
  struct Device {
    ObjectKey pt = 0;  // attached, as far as the file was read; 0 = nothing
    Generation pt_generation = 0;
    std::uint64_t moved_count = 0;  // by the last attach, replace, detach, unbind
    PastOp moved;
    struct Pasid {
      std::uint32_t pasid;
      ObjectKey pt;
      Generation pt_generation;
    };
    std::vector<Pasid> pasids;  // attached
  };
  // One operation under way: what it waits for and signals.
  struct Draft {
    explicit Draft(const Op& op) : waits(op.thread) {}
    Deps deps;
    WaitSet waits;
    std::array<Object*, 2> cuts{};  // wait for all that named them so far
  };

  [[nodiscard]] Object* find(const Op& op, ObjectKey key);
  [[nodiscard]] Object* alive(ObjectKey key, Generation generation);
  Object& make(const Op& op, ObjectKey key, Draft& draft);
  void name(Object* object, Draft& draft);
  void signal(Object& object, Draft& draft);
  void destroy(const Op& op, ObjectKey key, Draft& draft);
  void bind(const Op& op, Draft& draft);
  void unbind(const Op& op, Draft& draft);
  void hwpt_alloc(const Op& op, Draft& draft);
  void move_device(const Op& op, Draft& draft);
  void move_pasid(const Op& op, Draft& draft);
  void touch_device(const Op& op, Draft& draft);
  void follow_device(const Op& op, Device& device, Draft& draft);
  void areas(const Op& op, Draft& draft);
  void dma(const Op& op, Draft& draft);
  void copy(const Op& op, Draft& draft);
  void move_access(const Op& op, Draft& draft);
  void pin(const Op& op, Draft& draft);
  // The access, and the ioas it is attached to (or null), named; its last move waited for.
  Object* name_access(const Op& op, Draft& draft);
  // Of several objects: if there are too many waits, cuts both.
  static void cut_if_many(Object* first, Object* second, Draft& draft);
  void settle(Draft& draft);

  std::unordered_map<ObjectKey, Object> objects_;  // looked up only, as the next two
  // An object whose id was given out again before the file told of its end (a race).
  std::unordered_map<ObjectKey, Object> displaced_;
  std::unordered_map<ObjectKey, Device> devices_;
  CounterId next_counter_;
  Generation next_generation_ = 1;
  std::vector<std::uint64_t> counts_;  // operations seen of each thread
};

}  // namespace smmulab::workloads

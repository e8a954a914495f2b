// SPDX-License-Identifier: Apache-2.0
// DependencyTracker: which earlier operations each operation of a trace must wait for in a replay.
// Feed it every operation in file order; it answers in constant space (deps.hpp). Rules:
//  1. an operation that names a device, ioas or hwpt waits for the bind or alloc that made it;
//  2. unbind, ioas_destroy, hwpt_destroy wait for all earlier operations that named the object.
//     hwpt_destroy names the ioas (or parent) of its hwpt too; attach, replace, detach and unbind
//     name the pt they leave as well (old=, or what the trace attached last);
//  3. unmap waits for the maps it undoes; map waits for the unmaps that freed its range; unmap_all
//     waits for all earlier operations on the ioas; dma waits for the map behind its iova;
//  4. bind, attach, replace, detach, dma of a device wait for the last attach, replace, detach or
//     unbind of that device by another thread, if in the recording that one had ended before.
// A map or unmap that would wait for more than four other threads waits for all earlier operations
// on the ioas instead. Operations recorded with an error make, map and destroy nothing, but count
// as naming. Waits for the operation's own thread are left out: it runs in file order anyway. Not
// kept: an operation never waits for one later in the file, not even if the recording proves that
// the later one took effect first (a map that had to wait for a racing unmap). Phases are the
// replay's to keep: an operation behind a phase waits for all before it.
// Memory: live objects, live areas, threads.
#pragma once

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
  // One generation of a device, ioas or hwpt.
  struct Object {
    Generation generation = 0;
    CounterId counter = 0;    // of the operations that named it
    std::uint64_t named = 0;  // how many did, since the counter is in use
    std::uint64_t made_count = 0;
    PastOp made;
    ObjectKey parent = 0;  // of a hwpt: where it maps
    Generation parent_generation = 0;
    std::unique_ptr<AreaDeps> areas;  // of an ioas
  };
  struct Device {
    ObjectKey pt = 0;  // attached, as far as the file was read; 0 = nothing
    Generation pt_generation = 0;
    std::uint64_t moved_count = 0;  // by the last attach, replace, detach, unbind
    PastOp moved;
  };
  // One operation under way: what it waits for and signals.
  struct Draft {
    explicit Draft(const Op& op) : waits(op.thread) {}
    Deps deps;
    WaitSet waits;
    Object* cut = nullptr;  // wait for all that named it so far
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
  void follow_device(const Op& op, Device& device, Draft& draft);
  void areas(const Op& op, Draft& draft);
  void dma(const Op& op, Draft& draft);
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

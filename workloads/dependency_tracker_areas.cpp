// SPDX-License-Identifier: Apache-2.0
// Dependencies through what is mapped: maps and unmaps, copies, accesses and their pins, DMA.
#include <algorithm>

#include "workloads/dependency_tracker.hpp"

namespace smmulab::workloads {

void DependencyTracker::areas(const Op& op, Draft& draft) {
  Object* ioas = find(op, object_key(op.object));
  if (ioas == nullptr) {
    return;
  }
  draft.deps.object = ioas->generation;
  const std::uint64_t count = counts_[op.thread.value()];
  draft.waits.add(ioas->made.by, ioas->made_count);
  if (!op.failed() && ioas->areas != nullptr) {
    if (op.kind == OpKind::kMap) {
      ioas->areas->map(op, count, draft.waits);
    } else if (op.kind == OpKind::kUnmap) {
      ioas->areas->unmap(op, count, draft.waits);
    } else {
      ioas->areas->unmap_all(op, count);
      draft.cuts[0] = ioas;
    }
  }
  if (draft.cuts[0] == nullptr && draft.waits.waits().size() <= Deps::kMaxWaits) {
    signal(*ioas, draft);
    return;
  }
  draft.cuts[0] = ioas;
}

void DependencyTracker::cut_if_many(Object* first, Object* second, Draft& draft) {
  if (draft.waits.waits().size() > Deps::kMaxWaits) {
    draft.cuts = {first, second == first ? nullptr : second};
    draft.deps.signals_used = 0;  // given by the counters that come in their place
    for (Object* object : draft.cuts) {
      if (object != nullptr) {
        --object->named;
      }
    }
  }
}

void DependencyTracker::copy(const Op& op, Draft& draft) {
  Object* from = find(op, object_key(op.pt));
  Object* to = find(op, object_key(op.object));
  name(from, draft);
  name(to, draft);
  draft.deps.pt = from == nullptr ? 0 : from->generation;
  draft.deps.object = to == nullptr ? 0 : to->generation;
  const std::uint64_t count = counts_[op.thread.value()];
  if (op.failed() || from == nullptr || to == nullptr || from->areas == nullptr ||
      to->areas == nullptr) {
    return;
  }
  from->areas->use(op.source.value(), op.source.value() + (op.length.value() - 1), op, count,
                   draft.waits);
  to->areas->map(op, count, draft.waits);
  cut_if_many(from, to, draft);
}

DependencyTracker::Object* DependencyTracker::name_access(const Op& op, Draft& draft) {
  Object* access = find(op, object_key(op.object));
  name(access, draft);
  if (access == nullptr) {
    return nullptr;
  }
  draft.deps.object = access->generation;
  if (access->moved_count != 0 && access->moved.done_before(op)) {
    draft.waits.add(access->moved.by, access->moved_count);
  }
  if (Object* ioas = alive(access->parent, access->parent_generation)) {
    name(ioas, draft);
    draft.deps.old = ioas->generation;
  }
  return access;
}

void DependencyTracker::move_access(const Op& op, Draft& draft) {
  Object* access = name_access(op, draft);
  Object* to = op.kind == OpKind::kAccessDetach ? nullptr : find(op, object_key(op.pt));
  name(to, draft);
  draft.deps.pt = to == nullptr ? 0 : to->generation;
  if (access != nullptr && !op.failed()) {
    access->parent = to == nullptr ? 0 : object_key(op.pt);
    access->parent_generation = draft.deps.pt;
    access->moved = PastOp(op);
    access->moved_count = counts_[op.thread.value()];
    access->pins.clear();
  }
}

void DependencyTracker::pin(const Op& op, Draft& draft) {
  Object* access = name_access(op, draft);
  if (access == nullptr || op.failed()) {
    return;
  }
  const std::uint64_t count = counts_[op.thread.value()];
  Object* ioas = alive(access->parent, access->parent_generation);
  if (ioas != nullptr && ioas->areas != nullptr) {
    ioas->areas->use(op.first(), op.last(), op, count, draft.waits);
  }
  if (op.kind == OpKind::kPin) {
    access->pins.push_back({op.iova, op.length, op.thread, count});
  } else {
    const auto pin = std::find_if(access->pins.begin(), access->pins.end(), [&op](const Pin& p) {
      return p.iova == op.iova && p.length == op.length;
    });
    if (pin != access->pins.end()) {
      draft.waits.add(pin->by, pin->count);
      access->pins.erase(pin);
    }
  }
  cut_if_many(access, ioas, draft);
}

void DependencyTracker::dma(const Op& op, Draft& draft) {
  const ObjectKey key = object_key(op.device);
  name(find(op, key), draft);
  Device& device = devices_[key];
  follow_device(op, device, draft);
  Object* pt = alive(device.pt, device.pt_generation);
  draft.deps.pt = pt == nullptr ? 0 : pt->generation;
  name(pt, draft);
  while (pt != nullptr && pt->areas == nullptr) {
    pt = alive(pt->parent, pt->parent_generation);
  }
  if (pt != nullptr) {
    pt->areas->reach(op.iova, draft.waits);
  }
}

}  // namespace smmulab::workloads

// SPDX-License-Identifier: Apache-2.0
#include "workloads/dependency_tracker.hpp"

#include <algorithm>
#include <utility>

namespace smmulab::workloads {

Deps DependencyTracker::next(const Op& op) {
  Draft draft(op);
  if (op.kind == OpKind::kPhase) {
    return draft.deps;
  }
  ++counts_.at(op.thread.value());
  switch (op.kind) {
    case OpKind::kBind:
      bind(op, draft);
      break;
    case OpKind::kIoasAlloc:
      if (!op.failed()) {
        make(op, object_key(op.object), draft).areas = std::make_unique<AreaDeps>();
      }
      break;
    case OpKind::kHwptAlloc:
      hwpt_alloc(op, draft);
      break;
    case OpKind::kUnbind:
      unbind(op, draft);
      break;
    case OpKind::kIoasDestroy:
    case OpKind::kHwptDestroy:
    case OpKind::kAccessDestroy:
    case OpKind::kFaultDestroy:
      destroy(op, object_key(op.object), draft);
      break;
    case OpKind::kAttach:
    case OpKind::kReplace:
    case OpKind::kDetach:
      move_device(op, draft);
      break;
    case OpKind::kAttachPasid:
    case OpKind::kDetachPasid:
      move_pasid(op, draft);
      break;
    case OpKind::kMsiPrepare:
    case OpKind::kResetBegin:
    case OpKind::kResetDone:
      touch_device(op, draft);
      break;
    case OpKind::kHwptInvalidate:
    case OpKind::kSetDirty:
    case OpKind::kGetDirty:
    case OpKind::kAllowIovas:
      name(find(op, object_key(op.object)), draft);
      break;
    case OpKind::kMap:
    case OpKind::kUnmap:
    case OpKind::kUnmapAll:
      areas(op, draft);
      break;
    case OpKind::kDma:
      dma(op, draft);
      break;
    case OpKind::kCopy:
      copy(op, draft);
      break;
    case OpKind::kAccessCreate:
    case OpKind::kFaultAlloc:
      if (!op.failed()) {
        make(op, object_key(op.object), draft);
      }
      break;
    case OpKind::kAccessAttach:
    case OpKind::kAccessDetach:
      move_access(op, draft);
      break;
    case OpKind::kPin:
    case OpKind::kUnpin:
      pin(op, draft);
      break;
    case OpKind::kPhase:
      break;
  }
  settle(draft);
  return draft.deps;
}

// The generation that `op` means by an id: in a race for the id the older one, unless the younger
// was certainly there.
DependencyTracker::Object* DependencyTracker::find(const Op& op, ObjectKey key) {
  const auto it = objects_.find(key);
  if (it == objects_.end()) {
    return nullptr;
  }
  if (!displaced_.empty() && !it->second.made.done_before(op)) {
    if (const auto older = displaced_.find(key); older != displaced_.end()) {
      return &older->second;
    }
  }
  return &it->second;
}

DependencyTracker::Object* DependencyTracker::alive(ObjectKey key, Generation generation) {
  for (auto* table : {&objects_, &displaced_}) {
    if (const auto it = table->find(key);
        it != table->end() && it->second.generation == generation) {
      return &it->second;
    }
  }
  return nullptr;
}

DependencyTracker::Object& DependencyTracker::make(const Op& op, ObjectKey key, Draft& draft) {
  if (const auto it = objects_.find(key); it != objects_.end()) {
    displaced_.insert_or_assign(key, std::move(it->second));
    objects_.erase(it);
  }
  Object& object = objects_[key];
  object.generation = next_generation_++;
  object.counter = next_counter_++;
  object.made_count = counts_[op.thread.value()];
  object.made = PastOp(op);
  signal(object, draft);
  if (op.kind != OpKind::kBind) {
    draft.deps.object = object.generation;
  }
  return object;
}

// `op` names the object: it waits until it is made, and who destroys it waits for `op`.
void DependencyTracker::name(Object* object, Draft& draft) {
  if (object != nullptr) {
    draft.waits.add(object->made.by, object->made_count);
    signal(*object, draft);
  }
}

void DependencyTracker::signal(Object& object, Draft& draft) {
  Deps& deps = draft.deps;
  for (std::size_t i = 0; i < deps.signals_used; ++i) {
    if (deps.signal_list[i] == object.counter) {
      return;
    }
  }
  deps.signal_list.at(deps.signals_used++) = object.counter;
  ++object.named;
}

void DependencyTracker::destroy(const Op& op, ObjectKey key, Draft& draft) {
  const auto older = displaced_.find(key);
  Object* object = find(op, key);
  if (object == nullptr) {
    return;
  }
  // Of two generations the one that was certainly made, and the older of two such.
  if (older != displaced_.end() && older->second.made.done_before(op)) {
    object = &older->second;
  }
  draft.deps.object = op.kind == OpKind::kUnbind ? 0 : object->generation;
  if (op.failed()) {
    name(object, draft);
    return;
  }
  if (Object* parent = alive(object->parent, object->parent_generation)) {
    signal(*parent, draft);
  }
  if (Object* fault = alive(object->fault, object->fault_generation)) {
    signal(*fault, draft);
  }
  draft.deps.wait_list[draft.deps.waits_used++] = {object->counter, object->named};
  draft.deps.closes[0] = object->counter;
  if (older == displaced_.end()) {
    objects_.erase(key);
    return;
  }
  if (object != &older->second) {
    objects_.at(key) = std::move(older->second);
  }
  displaced_.erase(older);
}

void DependencyTracker::bind(const Op& op, Draft& draft) {
  const ObjectKey key = object_key(op.device);
  follow_device(op, devices_[key], draft);
  if (!op.failed()) {
    make(op, key, draft);
  }
}

// Closing the device detaches it, if it is still attached.
void DependencyTracker::unbind(const Op& op, Draft& draft) {
  const ObjectKey key = object_key(op.device);
  Device& device = devices_[key];
  Object* old = alive(device.pt, device.pt_generation);
  name(old, draft);
  draft.deps.old = old == nullptr ? 0 : old->generation;
  for (std::size_t i = 0; i < device.pasids.size() && i < 2; ++i) {
    name(alive(device.pasids[i].pt, device.pasids[i].pt_generation), draft);
  }
  destroy(op, key, draft);
  if (!op.failed()) {
    device = {0, 0, counts_[op.thread.value()], PastOp(op), {}};
  }
}

void DependencyTracker::hwpt_alloc(const Op& op, Draft& draft) {
  name(find(op, object_key(op.device)), draft);
  Object* parent = find(op, object_key(op.pt));
  name(parent, draft);
  const Generation parent_generation = parent == nullptr ? 0 : parent->generation;
  draft.deps.pt = parent_generation;
  if (!op.failed()) {
    Object& hwpt = make(op, object_key(op.object), draft);
    hwpt.parent = object_key(op.pt);
    hwpt.parent_generation = parent_generation;
    if (Object* fault = op.got == kNoObject ? nullptr : find(op, object_key(op.got))) {
      name(fault, draft);
      hwpt.fault = object_key(op.got);
      hwpt.fault_generation = fault->generation;
    }
  }
}

void DependencyTracker::follow_device(const Op& op, Device& device, Draft& draft) {
  if (device.moved_count != 0 && device.moved.done_before(op)) {
    draft.waits.add(device.moved.by, device.moved_count);
  }
}

void DependencyTracker::move_device(const Op& op, Draft& draft) {
  const ObjectKey key = object_key(op.device);
  name(find(op, key), draft);
  Device& device = devices_[key];
  follow_device(op, device, draft);
  Object* pt = op.kind == OpKind::kDetach ? nullptr : find(op, object_key(op.pt));
  Object* old =
      op.old != kNoObject ? find(op, object_key(op.old)) : alive(device.pt, device.pt_generation);
  name(pt, draft);
  name(old, draft);
  draft.deps.pt = pt == nullptr ? 0 : pt->generation;
  draft.deps.old = old == nullptr ? 0 : old->generation;
  if (!op.failed()) {
    device.pt = object_key(op.pt);
    device.pt_generation = draft.deps.pt;
    device.moved_count = counts_[op.thread.value()];
    device.moved = PastOp(op);
  }
}

void DependencyTracker::move_pasid(const Op& op, Draft& draft) {
  const ObjectKey key = object_key(op.device);
  name(find(op, key), draft);
  Device& device = devices_[key];
  follow_device(op, device, draft);
  const auto entry = std::ranges::find(device.pasids, op.number, &Device::Pasid::pasid);
  Object* pt = op.kind == OpKind::kDetachPasid ? nullptr : find(op, object_key(op.pt));
  Object* old = entry == device.pasids.end() ? nullptr : alive(entry->pt, entry->pt_generation);
  name(pt, draft);
  name(old, draft);
  draft.deps.pt = pt == nullptr ? 0 : pt->generation;
  draft.deps.old = old == nullptr ? 0 : old->generation;
  if (op.failed()) {
    return;
  }
  if (entry != device.pasids.end()) {
    device.pasids.erase(entry);
  }
  if (pt != nullptr) {
    device.pasids.push_back({op.number, object_key(op.pt), pt->generation});
  }
  device.moved = PastOp(op);
  device.moved_count = counts_[op.thread.value()];
}

// MSIs and resets; what moves a device waits for its last reset, too.
void DependencyTracker::touch_device(const Op& op, Draft& draft) {
  const ObjectKey key = object_key(op.device);
  name(find(op, key), draft);
  Device& device = devices_[key];
  follow_device(op, device, draft);
  if (op.kind != OpKind::kMsiPrepare && !op.failed()) {
    device.moved = PastOp(op);
    device.moved_count = counts_[op.thread.value()];
  }
}

// Fills in the waits. A cut waits for the object's counter and gives the object a new one, of which
// this operation is the first: later operations must not count into what it waits for.
void DependencyTracker::settle(Draft& draft) {
  Deps& deps = draft.deps;
  for (std::size_t i = 0; i < draft.cuts.size() && draft.cuts[i] != nullptr; ++i) {
    Object& cut = *draft.cuts[i];
    deps.wait_list[deps.waits_used++] = {cut.counter, cut.named};
    deps.closes[i] = cut.counter;
    cut.counter = next_counter_++;
    cut.named = 0;
    signal(cut, draft);
  }
  if (draft.cuts[0] != nullptr) {
    return;
  }
  for (const Wait& wait : draft.waits.waits()) {
    deps.wait_list.at(deps.waits_used++) = wait;
  }
}

}  // namespace smmulab::workloads

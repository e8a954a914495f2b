// SPDX-License-Identifier: Apache-2.0
// How objects come into the table, and what an hwpt refers to while it is there.
#include <cerrno>
#include <utility>

#include "models/iommufd/access.hpp"
#include "models/iommufd/context.hpp"
#include "models/iommufd/protocol.hpp"

namespace smmulab::iommufd {

Task<int> Context::add_object(lnx::Thread& t, ObjectId id, std::unique_ptr<Object> made) {
  t.charge(params_.object_alloc);
  co_await lock_table(t, params_.lookup, id, lnx::Access::kWrite);
  if (id_in_use(id)) {
    co_return -EEXIST;
  }
  auto& object = objects_[id.value()];
  object = std::move(made);
  if (machine_.control() != nullptr) [[unlikely]] {
    add_destroy_rwsem(*object);  // it must not be another in another order
  }
  finalize(t, *object);
  co_return 0;
}

Task<int> Context::add_ioas(lnx::Thread& t, ObjectId id) {
  auto ioas = std::make_unique<Ioas>(machine_, driver(), params_, id);
  protocol_->add_locks(*ioas);
  return add_object(t, id, std::move(ioas));
}

Task<int> Context::add_access(lnx::Thread& t, ObjectId id, bool deaf) {
  return add_object(t, id, std::make_unique<Access>(*this, id, deaf));
}

Task<int> Context::add_fault(lnx::Thread& t, ObjectId id) {
  return add_object(t, id, std::make_unique<Fault>(machine_, id));
}

void Context::set_fault(lnx::Thread& t, Hwpt& hwpt, Fault* fault) {
  hwpt.fault = fault;
  if (fault != nullptr) {
    t.touch(fault->counts(), lnx::Access::kUpdate);
    ++fault->users;
  }
}

void Context::drop_referred(lnx::Thread& t, Hwpt& hwpt) {
  if (hwpt.parent != nullptr) {
    t.touch(hwpt.parent->counts(), lnx::Access::kUpdate);
    --hwpt.parent->users;
  } else {
    --hwpt.ioas->users;
  }
  if (hwpt.fault != nullptr) {
    t.touch(hwpt.fault->counts(), lnx::Access::kUpdate);
    --hwpt.fault->users;
  }
}

Task<Hwpt*> Context::new_hwpt(lnx::Thread& t, Ioas& ioas, ObjectId id, Hwpt* parent) {
  t.charge(params_.object_alloc);
  co_await lock_table(t, params_.lookup, id, lnx::Access::kWrite);
  if (id_in_use(id)) {
    co_return nullptr;
  }
  auto hwpt = std::make_unique<Hwpt>(machine_, id, ioas);
  if (machine_.control() != nullptr) [[unlikely]] {
    add_destroy_rwsem(*hwpt);
  }
  protocol_->add_locks(*hwpt);
  Hwpt* raw = hwpt.get();
  objects_[id.value()] = std::move(hwpt);
  raw->parent = parent;
  if (parent != nullptr) {
    t.touch(parent->counts(), lnx::Access::kUpdate);
    ++parent->users;
  } else {
    ++ioas.users;
  }
  co_return raw;
}

Task<void> Context::abort_hwpt(lnx::Thread& t, Hwpt& hwpt) {
  co_await lock_table(t, params_.object_free, hwpt.id, lnx::Access::kWrite);
  drop_referred(t, hwpt);
  const auto it = objects_.find(hwpt.id.value());
  if (racy()) {
    graveyard_.push_back(std::move(it.value()));
  }
  objects_.erase(it);
}

}  // namespace smmulab::iommufd

// SPDX-License-Identifier: Apache-2.0
#include "models/iommufd/context.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include <fmt/format.h>

#include "models/iommufd/access.hpp"
#include "models/iommufd/protocol.hpp"

namespace smmulab::iommufd {

Context::Context(lnx::Machine& machine, IommuCore& core, const IommufdParams& params)
    : machine_(machine),
      core_(core),
      params_(params),
      destroy_class_(machine.locks().get("destroy_rwsem", lnx::LockKind::kRwsem)) {}

Context::~Context() = default;

bool Context::racy() const {
  return protocol_->racy() || machine_.locks().freed();
}

Task<void> Context::lock_table(lnx::Thread& t, Ps cost, ObjectId id, lnx::Access access) {
  t.charge(cost);
  co_await t.access(shared(Shared::kId, id.value()), access);
  co_await machine_.access(t, table_line_);
  co_await t.run();
}

RecordObject Context::awaited(Record& record, const Object& object) const {
  constexpr std::array<const char*, 5> kTypes = {"device", "ioas", "hwpt", "access", "fault"};
  return object.recorded.in(record, [&] {
    return fmt::format("{}->shortterm_users#{}", kTypes.at(static_cast<std::size_t>(object.type)),
                       object.number());
  });
}

void Context::add_destroy_rwsem(Object& object) const {
  if (!object.destroy_rwsem) {
    object.destroy_rwsem = std::make_unique<lnx::Rwsem>(machine_, destroy_class_);
  }
}

bool Context::try_reference(lnx::Thread& t, Object& object) {
  t.touch(object.counts(), lnx::Access::kUpdate);
  if (object.users <= 0 ||
      (protocol_->object_refs() == ObjectRefs::kShortTerm && object.shortterm_users <= 0)) {
    return false;
  }
  t.charge(machine_.params().lock.atomic);
  if (protocol_->object_refs() == ObjectRefs::kDestroyRwsem) {
    add_destroy_rwsem(object);
    if (!object.destroy_rwsem->try_read_lock(t)) {
      return false;
    }
  } else {
    ++object.shortterm_users;
    if (Record* record = machine_.record()) [[unlikely]] {
      record->append(
          record_event::ref_get(machine_.now(), t.record_id(), awaited(*record, object)));
    }
  }
  ++object.users;
  return true;
}

Task<bool> Context::try_get(lnx::Thread& t, Object& object) {
  co_await t.access(object.counts(), lnx::Access::kUpdate);
  co_return try_reference(t, object);
}

Task<Object*> Context::get(lnx::Thread& t, ObjectId id) {
  co_await lock_table(t, params_.lookup, id, lnx::Access::kRead);
  const auto it = objects_.find(id.value());
  if (it == objects_.end() || !it->second->finalized) {
    co_return nullptr;
  }
  Object* object = it->second.get();
  co_return try_reference(t, *object) ? object : nullptr;
}

void Context::drop_reference(lnx::Thread& t, Object& object) {
  --object.users;
  if (Record* record = machine_.record()) [[unlikely]] {
    record->append(record_event::ref_put(machine_.now(), t.record_id(), awaited(*record, object)));
  }
  if (protocol_->object_refs() == ObjectRefs::kShortTerm && --object.shortterm_users == 0 &&
      object.destroyer != nullptr) {
    t.charge(machine_.wake(*object.destroyer, Ps{0}, &t));
  }
}

Task<void> Context::put(lnx::Thread& t, Object& object) {
  t.charge(params_.put);
  co_await t.access(object.counts(), lnx::Access::kUpdate);
  if (protocol_->object_refs() == ObjectRefs::kDestroyRwsem) {
    --object.users;
    co_await object.destroy_rwsem->read_unlock(t);
  } else {
    co_await t.run();
    drop_reference(t, object);
  }
}

void Context::leak(lnx::Thread& t, const Object& object) {
  std::erase_if(t.held(), [&object](const lnx::HeldLock& held) {
    return held.lock == object.destroy_rwsem.get();
  });
}

Task<void> Context::wait_shortterm(lnx::Thread& t, Object& object) {
  Record* record = machine_.record();
  if (record != nullptr) [[unlikely]] {
    record->append(
        record_event::wait_begin(machine_.now(), t.record_id(), awaited(*record, object)));
  }
  if (--object.shortterm_users != 0) {
    object.destroyer = &t;
    while (object.shortterm_users != 0) {
      t.prepare_to_sleep();
      co_await t.block(object);
      t.touch(object.counts(), lnx::Access::kRead);
    }
    object.destroyer = nullptr;
  }
  if (record != nullptr) [[unlikely]] {
    record->append(record_event::wait_end(machine_.now(), t.record_id(), awaited(*record, object)));
  }
}

std::unique_ptr<Object> Context::take(ObjectId id) {
  const auto it = objects_.find(id.value());
  std::unique_ptr<Object> object = std::move(it.value());
  objects_.erase(it);
  object->users = 0;
  return object;
}

// iommufd_object_remove() with REMOVE_WAIT_SHORTTERM: first the wait, then the id.
Task<int> Context::destroy_user(lnx::Thread& t, ObjectId id, ObjectType type) {
  co_await lock_table(t, params_.lookup, id, lnx::Access::kRead);
  const auto it = objects_.find(id.value());
  if (it == objects_.end() || it->second->type != type || it->second->destroying) {
    co_return -ENOENT;
  }
  Object& object = *it->second;
  object.destroying = true;
  const bool rwsem = protocol_->object_refs() == ObjectRefs::kDestroyRwsem;
  if (rwsem) {
    add_destroy_rwsem(object);
    co_await object.destroy_rwsem->write_lock(t);
  } else {
    co_await wait_shortterm(t, object);
  }
  co_await lock_table(t, params_.lookup, id, lnx::Access::kWrite);
  t.touch(object.counts(), lnx::Access::kWrite);
  --object.users;
  SMMULAB_CHECK(object.users == 1, "an object has users its kernel user does not know of");
  std::unique_ptr<Object> taken = take(id);
  co_await destroy_object(t, *taken);
  if (rwsem) {
    co_await taken->destroy_rwsem->write_unlock(t);
  }
  t.charge(params_.object_free);
  if (racy()) {
    graveyard_.push_back(std::move(taken));
  }
  co_return 0;
}

// `held`: the caller's own reference to the object is given up on the way.
Task<int> Context::remove(lnx::Thread& t, Object* held, ObjectId id) {
  const bool rwsem = protocol_->object_refs() == ObjectRefs::kDestroyRwsem;
  if (rwsem && held == nullptr) {
    // The DESTROY ioctl keeps the looked-up object by its users count only
    // (iommufd_ref_to_users()).
    held = co_await get(t, id);
    if (held == nullptr) {
      co_return -ENOENT;
    }
    co_await held->destroy_rwsem->read_unlock(t);
  }
  if (rwsem) {
    add_destroy_rwsem(*held);
    co_await held->destroy_rwsem->write_lock(t);
  }
  co_await lock_table(t, params_.lookup, id, lnx::Access::kWrite);
  t.touch(shared(Shared::kUsers, id.value()), lnx::Access::kWrite);
  if (held != nullptr) {
    --held->users;
  }
  const auto it = objects_.find(id.value());
  int rc = 0;
  if (it == objects_.end() ||
      (held != nullptr ? it->second.get() != held : !it->second->finalized)) {
    rc = -ENOENT;
  } else if (it->second->users != 1) {
    rc = -EBUSY;
  }
  if (rc != 0) {
    if (rwsem) {
      co_await held->destroy_rwsem->write_unlock(t);
    }
    co_return rc;
  }
  std::unique_ptr<Object> object = take(id);
  if (!rwsem) {
    co_await wait_shortterm(t, *object);
  }
  const bool unused = co_await destroy_object(t, *object);
  if (rwsem) {
    co_await object->destroy_rwsem->write_unlock(t);
  }
  t.charge(params_.object_free);
  if (racy() || !unused) {
    graveyard_.push_back(std::move(object));
  }
  co_return 0;
}

bool Context::check_unused(lnx::Thread& t, const Hwpt& hwpt) {
  if (machine_.control() != nullptr) [[unlikely]] {
    t.touch(linked(*hwpt.domain), lnx::Access::kRead);
    t.touch(hwpt.ioas->mutex, lnx::Access::kRead);
    for (const auto& igroup : groups_) {
      t.touch(igroup->moves(), lnx::Access::kRead);
    }
  }
  return invariants_.check_unused(hwpt);
}

Task<bool> Context::destroy_object(lnx::Thread& t, Object& object) {
  if (object.type == ObjectType::kHwpt) {
    auto& hwpt = static_cast<Hwpt&>(object);
    co_await protocol_->hwpt_destroy(t, hwpt);
    drop_referred(t, hwpt);
    const bool unused = check_unused(t, hwpt);
    std::erase(hwpt.ioas->hwpt_list, &hwpt);
    co_return unused;
  }
  if (object.type == ObjectType::kIoas) {
    co_await static_cast<Ioas&>(object).iopt.unmap_all(t);
  } else if (object.type == ObjectType::kAccess) {
    co_await static_cast<Access&>(object).destroy(t);
  } else if (object.type == ObjectType::kDevice) {
    co_await core_.release_dma_owner(t, *static_cast<DeviceObject&>(object).device.group);
  }
  co_return true;
}

Task<int> Context::destroy(lnx::Thread& t, ObjectId id, ObjectType type) {
  t.touch(shared(Shared::kId, id.value()), lnx::Access::kRead);
  const Object* object = peek(id);
  if (object == nullptr || object->type != type) {
    co_await lock_table(t, params_.lookup, id, lnx::Access::kRead);
    co_return -ENOENT;
  }
  co_return co_await remove(t, nullptr, id);
}

Task<void> Context::put_hwpt(lnx::Thread& t, Hwpt& hwpt) {
  if (!hwpt.auto_domain) {
    t.charge(machine_.params().lock.atomic);
    co_await t.access(hwpt.counts(), lnx::Access::kUpdate);
    --hwpt.users;
    co_return;
  }
  if (Change& change = change_of(t); change.under_way) {
    change.left.push_back(&hwpt);
    co_return;
  }
  co_await remove(t, &hwpt, hwpt.id);
}

Context::Change& Context::change_of(const lnx::Thread& t) {
  if (t.id() >= changes_.size()) {
    changes_.resize(t.id() + 1);
  }
  return changes_[t.id()];
}

Task<void> Context::end_change(lnx::Thread& t) {
  const std::vector<Hwpt*> left = std::exchange(change_of(t), {}).left;
  for (Hwpt* hwpt : left) {
    co_await remove(t, hwpt, hwpt->id);
  }
}

IommufdGroup& Context::group_of(IommuGroup& group) {
  const auto it = std::find_if(groups_.begin(), groups_.end(),
                               [&group](const auto& g) { return g->group == &group; });
  if (it != groups_.end()) {
    return **it;
  }
  IommufdGroup& made = *groups_.emplace_back(std::make_unique<IommufdGroup>(machine_, group));
  protocol_->add_locks(made);
  return made;
}

const Object* Context::peek(ObjectId id) const {
  const auto it = objects_.find(id.value());
  return it == objects_.end() || !it->second->finalized ? nullptr : it->second.get();
}

template <class T>
std::vector<const T*> Context::all_of(ObjectType type) const {
  std::vector<const T*> all;
  all.reserve(objects_.size());
  for (const auto& [id, object] : objects_) {
    if (object->type == type) {
      all.push_back(static_cast<const T*>(object.get()));
    }
  }
  std::sort(all.begin(), all.end(), [](const T* a, const T* b) { return a->id < b->id; });
  return all;
}

std::vector<const Ioas*> Context::all_ioas() const {
  return all_of<Ioas>(ObjectType::kIoas);
}

std::vector<const Hwpt*> Context::all_hwpts() const {
  return all_of<Hwpt>(ObjectType::kHwpt);
}

std::vector<const Access*> Context::all_accesses() const {
  return all_of<Access>(ObjectType::kAccess);
}

}  // namespace smmulab::iommufd
